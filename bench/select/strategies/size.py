"""The largest model: a ranking that knows neither the task nor the weights, and is hard to beat where models differ in size.

Source: "How NOT to benchmark your SITE metric" (arXiv 2510.06448).
"""

from bench.select.strategies.ranking import ranker

SIZE = ranker("size", "the most parameters", lambda pool: pool.checkpoints["params"], ("params",))
