"""PARC, the rank correlation of distances between features and between labels.

Source: "Scalable Diverse Model Selection for Accessible Transfer Learning" (NeurIPS 2021).
"""

from bench.select.strategies.ranking import by_score

PARC = by_score("parc", "parc", "the highest PARC")
