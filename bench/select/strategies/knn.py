"""Nearest neighbours of frozen features.

Source: "Scalable Transfer Learning with Expert Models" (arXiv 2009.13239).
"""

from bench.select.strategies.ranking import by_score

KNN = by_score("knn", "knn", "the best nearest-neighbour classifier on val")
