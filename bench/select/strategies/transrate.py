"""TransRate, the coding rate of all features less that within classes.

Source: "Frustratingly Easy Transferability Estimation" (ICML 2022).
"""

from bench.select.strategies.ranking import by_score

TRANSRATE = by_score("transrate", "transrate", "the highest TransRate")
