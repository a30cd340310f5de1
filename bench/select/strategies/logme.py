"""LogME, the evidence of a Bayesian linear regression on frozen features.

Source: "LogME: Practical Assessment of Pre-trained Models for Transfer Learning" (ICML 2021).
"""

from bench.select.strategies.ranking import by_score

LOGME = by_score("logme", "logme", "the highest LogME")
