"""Pairs of runs that cost nearly the same: is the one with the lower upstream loss the better one after fine-tuning?

Source: "ConvNets Match Vision Transformers at Scale" (2310.16764), section 3: the lowest validation loss is not always the best
fine-tuned accuracy; fine-tuning prefers slightly larger models and fewer epochs.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from bench.select.runs import require

NEARLY = 0.1
"""Largest difference in compute, as a share of the smaller one."""
COLUMNS = ("model", "epochs", "compute", "size", "loss", "accuracy")


def pairs(runs: pd.DataFrame, nearly: float = NEARLY) -> pd.DataFrame:
    """Every pair of fine-tuned runs of different models whose compute is nearly the same.

    Args:
      runs: columns `COLUMNS`: model, epochs, compute of the pre-training, size (compute of one epoch), upstream loss, accuracy
        after fine-tuning (fraction). Runs without an accuracy are left out; of several runs of a model and budget, such as
        those of a search for the learning rate, the one with the lowest loss counts.
      nearly: largest difference in compute, as a share of the smaller one.

    Returns:
      One row a pair, by compute: for the model with the lower upstream loss `model`, `epochs`, `compute`, `size`, `loss`,
      `accuracy`; for the other the same with `_other`; `gain`, accuracy of the other minus that of the first; `reversed`,
      whether the gain is above 0; `larger`, whether the other is the larger model. Where losses tie the first is the cheaper.

    Raises:
      UserError: a column is missing, or there are no runs.
    """
    require(runs, COLUMNS)
    rows = runs.loc[runs["accuracy"].notna(), list(COLUMNS)].sort_values(["loss", "compute"], kind="stable")
    rows = rows.drop_duplicates(["model", "epochs"]).reset_index(drop=True)
    first, other = np.triu_indices(len(rows), 1)
    compute, model = rows["compute"].to_numpy(float), rows["model"].to_numpy()
    ratio = np.maximum(compute[first], compute[other]) / np.minimum(compute[first], compute[other])
    keep = (ratio <= 1 + nearly) & (model[first] != model[other])
    left = rows.iloc[first[keep]].reset_index(drop=True)
    right = rows.iloc[other[keep]].add_suffix("_other").reset_index(drop=True)
    found: pd.DataFrame = pd.concat([left, right], axis=1)
    found["gain"] = found["accuracy_other"] - found["accuracy"]
    found["reversed"] = found["gain"] > 0
    found["larger"] = found["size_other"] > found["size"]
    return found.sort_values(["compute", "compute_other"], kind="stable", ignore_index=True)
