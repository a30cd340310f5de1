"""The H-score with a shrunk covariance; without it the score of few images of many features is that of noise.

Source: "Newer is not always better: Rethinking transferability metrics" (arXiv 2110.06893).
"""

from bench.select.strategies.ranking import by_score

H_SCORE = by_score("h_score", "h_score_regularized", "the highest H-score, covariance shrunk")
