"""The few-shot probe: ridge regression in closed form on ten images a class.

Source: big_vision, `evaluators/fewshot_lsr.py`.
"""

from bench.select.strategies.ranking import by_score

RIDGE = by_score("ridge", "ridge_10", "the best ridge regression on ten images a class, on val")
