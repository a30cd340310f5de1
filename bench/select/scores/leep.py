"""LEEP: how well source classes predict the task's labels.

Nguyen et al., "LEEP: A New Measure to Evaluate Transferability of Learned Representations" (ICML 2020): with p(z|x) the
source head's distribution, P(y, z) = mean over images of label y of p(z|x) (summed over all images / N), the score is mean
over images of log sum_z P(y|z) p(z|x).

Public code disagrees: TencentARC/SFDA and OpenGVLab/Multitask-Model-Selector leave the logarithm out (a mean probability);
tllib and dbolya/parc divide by P(z) = 0 where a source class never gets any mass; google-research/stable_transfer takes 0
there, as here, for such a class adds nothing.
"""

from __future__ import annotations

import numpy as np

from bench.select.scores.features import Features, Floats


def leep(features: Features) -> dict[str, float]:
    """Returns LEEP, nats: at most 0, which it is for one class. Needs `train_p`."""
    assert features.train_p is not None
    return {"train": expected_log(features.train_p, features.member)}


def expected_log(p: Floats, member: Floats) -> float:
    """Returns the mean log expected empirical prediction.

    Args:
      p: f64[N, Z], a distribution a row.
      member: f64[N, K], one-hot labels, no class empty.
    """
    joint = member.T @ p
    mass = joint.sum(0)
    given = np.divide(joint, mass, out=np.zeros_like(joint), where=mass > 0)
    # Class by class, as with 21,843 source classes there is no room for a second array of p's shape.
    logs = [np.log(p[rows > 0] @ of_class) for rows, of_class in zip(member.T, given, strict=True)]
    return float(np.concatenate(logs).mean())
