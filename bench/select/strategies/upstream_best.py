"""The cheap choice: what did best upstream.

Source: "How to train your ViT?", section 4.5.
"""

from bench.select.strategies.ranking import ranker

UPSTREAM_BEST = ranker(
    "upstream_best", "the highest upstream validation accuracy", lambda pool: pool.checkpoints["final_val"], ("final_val",)
)
