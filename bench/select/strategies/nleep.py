"""NLEEP, which is LEEP with a mixture of Gaussians in the place of the source classes.

Source: "Ranking Neural Checkpoints" (CVPR 2021).
"""

from bench.select.strategies.ranking import by_score

NLEEP = by_score("nleep", "nleep", "the highest NLEEP")
