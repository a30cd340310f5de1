"""Scores: how well a checkpoint's features suit a task, without training it. All of them: the higher, the better."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import numpy as np
from threadpoolctl import ThreadpoolController

from bench.errors import UserError, choose_from
from bench.select.scores.features import Features
from bench.select.scores.hscore import h_score, h_score_regularized
from bench.select.scores.knn import knn
from bench.select.scores.leep import leep
from bench.select.scores.linear import linear_probe
from bench.select.scores.logme import logme
from bench.select.scores.nleep import nleep
from bench.select.scores.parc import parc
from bench.select.scores.ridge import SHOTS, few_shot
from bench.select.scores.score import Score, Scored
from bench.select.scores.transrate import transrate

__all__ = ["SCORES", "Features", "Score", "Scored", "score_all"]

# Numbers in the training features up to which one thread computes, 2,048 features of 2,048 images: more would gain little, and
# where other processes compute too, the threads of linear algebra wait for each other and take twenty times as long.
ONE_THREAD = 2**22
_THREADS = ThreadpoolController()

_TRAIN = (
    Score("logme", "log evidence of Bayesian linear regression", "You et al. 2021, arXiv:2102.11005", "train", logme),
    Score("h_score", "between-class share of the variance", "Bao et al. 2019, ICIP", "train", h_score),
    Score(
        "h_score_regularized",
        "H-score with a shrunk covariance",
        "Ibrahim et al. 2021, openreview.net iz_Wwmfquno",
        "train",
        h_score_regularized,
    ),
    Score(
        "leep", "labels predicted from source classes", "Nguyen et al. 2020, arXiv:2002.12462", "train", leep, needs_head=True
    ),
    Score("nleep", "labels predicted from a Gaussian mixture", "Li et al. 2021, CVPR", "train", nleep),
    Score("parc", "distances of features against distances of labels", "Bolya et al. 2021, NeurIPS", "train", parc, most=1000),
    Score("transrate", "coding rate less that of the classes", "Huang et al. 2022, arXiv:2106.09362", "train", transrate),
)
_HELD_OUT = (
    Score("linear_probe", "accuracy of logistic regression", "scikit-learn; penalty chosen on val", "held_out", linear_probe),
    Score("knn", "accuracy of nearest neighbours by cosine", "scikit-learn; k chosen on val", "held_out", knn),
    *(
        Score(
            f"ridge_{shots}",
            f"accuracy of ridge regression on {shots} image{'s' * (shots > 1)} a class",
            "big_vision, evaluators/fewshot_lsr.py",
            "held_out",
            partial(few_shot, shots=shots),
        )
        for shots in SHOTS
    ),
)
SCORES: dict[str, Score] = {score.name: score for score in (*_TRAIN, *_HELD_OUT)}


def score_all(features: Features, names: Iterable[str] | None = None) -> tuple[list[Scored], list[str]]:
    """Scores features.

    Args:
      features: of one checkpoint on one task.
      names: of scores; None for all that the checkpoint allows, that is without those that need a head where it has none.

    Returns:
      The scores, in the order asked for, and for every score that is not defined for these features `name: why`.

    Raises:
      UserError: an unknown name.
    """
    headless = features.train_p is None
    wanted = [name for name, score in SCORES.items() if not (score.needs_head and headless)] if names is None else list(names)
    for name in wanted:
        if name not in SCORES:
            raise UserError(f"unknown score {name!r}: {choose_from(name, SCORES)}")
    scored: list[Scored] = []
    reasons: list[str] = []
    with _THREADS.limit(limits=1 if features.train_x.size <= ONE_THREAD else None):
        for name in wanted:
            try:
                scored += SCORES[name].of(features)
            except UserError as error:
                reasons.append(f"{name}: {error}")
            except np.linalg.LinAlgError as error:
                reasons.append(f"{name}: linear algebra failed on these features ({error})")
    return scored, reasons
