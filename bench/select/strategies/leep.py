"""LEEP, the likelihood of labels given the classes that the checkpoint was trained to tell apart.

Source: "LEEP: A New Measure to Evaluate Transferability of Learned Representations" (ICML 2020).
"""

from bench.select.strategies.ranking import by_score

LEEP = by_score("leep", "leep", "the highest LEEP; needs a source head")
