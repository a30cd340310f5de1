"""The linear probe: logistic regression on frozen features.

Source: "Which Model to Transfer? Finding the Needle in the Growing Haystack" (arXiv 2010.06402), a task-aware strategy.
"""

from bench.select.strategies.ranking import by_score

LINEAR_PROBE = by_score("linear_probe", "linear_probe", "the best linear probe on val")
