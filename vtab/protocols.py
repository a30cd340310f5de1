"""How checkpoints are tried on tasks, as data: which tasks, which settings, what is learnt from and what selects.

What a protocol leaves open (optimiser, cosine, warm-up, clip) is as `bench.points.Transfer` has it by default: as in the
AugReg paper.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from bench.points.vtab import FULL, ONE_K

RIDGE = ("ridge_1", "ridge_5", "ridge_10", "ridge_25")
ALL = ("logme", "h_score", "h_score_regularized", "leep", "nleep", "parc", "transrate", "linear_probe", "knn", *RIDGE)


class Settings(NamedTuple):
    """Peak learning rates and numbers of steps, of which every pair is tried."""

    lrs: tuple[float, ...] = ()
    steps: tuple[int, ...] = ()


@dataclass(frozen=True)
class Protocol:
    """A way of trying checkpoints on tasks.

    Attributes:
      name: on the command line.
      about: what it is, in one line.
      source: where it comes from, and what differs here.
      tasks: names of `TASKS`; none where the user brings the task.
      lrs, steps: peak learning rates and numbers of steps, of which every pair is tried; none where nothing is fine-tuned.
      other: settings of those tasks that have others.
      resolutions: in pixels.
      batch_size: of fine-tuning.
      fit: as of `Transfer`: `train`, or `tune`, after which the best setting is trained again on train and val together.
      scores: what the probes of a checkpoint and a task are for.
    """

    name: str
    about: str
    source: str
    tasks: tuple[str, ...] = ()
    lrs: tuple[float, ...] = ()
    steps: tuple[int, ...] = ()
    other: Mapping[str, Settings] = field(default_factory=dict)
    resolutions: tuple[int, ...] = (224,)
    batch_size: int = 512
    fit: str = "train"
    scores: tuple[str, ...] = ALL

    def of(self, task: str) -> Settings:
        """Returns the settings of a task, whether it is one of `tasks` or another."""
        return self.other.get(task, Settings(self.lrs, self.steps))


_AUGREG = "How to train your ViT? (arXiv 2106.10270)"
_RATES = (0.001, 0.003, 0.01, 0.03)
_SHORT, _LONG = (500, 2_500), (2_500, 10_000)

PROTOCOLS: dict[str, Protocol] = {
    p.name: p
    for p in (
        Protocol(
            "vtab-1k",
            "VTAB-1k: tune on 800 / 200 images, train the best setting again on all 1,000, test once",
            "google-research/task_adaptation (issue 8: hyper-parameters are chosen on val200); VTAB allows any sweep that is"
            f" the same for all tasks, and this one is that of appendix C of {_AUGREG}",
            tasks=ONE_K,
            lrs=_RATES,
            steps=_SHORT,
            fit="tune",
        ),
        Protocol(
            "vtab-full",
            "VTAB with all of its training images, as AugReg ran it",
            f"{_AUGREG}, appendix C, which states neither resolution nor warm-up: 224 pixels and those of its Table 4 here",
            tasks=FULL,
            lrs=_RATES,
            steps=_SHORT,
        ),
        Protocol(
            "vtab-light",
            "VTAB's lightweight sweep of four settings, on 1,000 images",
            "google-research/task_adaptation: four settings, 224 pixels, batch 512, momentum (results.csv, README). Its"
            " learning rate falls tenfold three times; it is a cosine here",
            tasks=ONE_K,
            lrs=(0.01, 0.1),
            steps=_LONG,
            fit="tune",
        ),
        Protocol(
            "augreg-five",
            "the five tasks of the released AugReg index: 68 fine-tunes a checkpoint",
            f"{_AUGREG}, Table 4, and the released index, which has 0.03 for the four small tasks as well",
            tasks=("imagenet2012", "oxford_iiit_pet", "kitti", "cifar100", "resisc45"),
            lrs=_RATES,
            steps=_SHORT,
            other={
                "imagenet2012": Settings((0.01, 0.03), (20_000,)),
                **dict.fromkeys(("cifar100", "resisc45"), Settings(_RATES, _LONG)),
            },
            resolutions=(224, 384),
        ),
        Protocol(
            "few-shot",
            "ridge regression on 1, 5, 10 and 25 images a class, without fine-tuning",
            "big_vision, configs/common_fewshot.py, without uc_merced, which is no task here; val and test are the tasks' own",
            tasks=("vtab_caltech101", "cars196", "cifar100", "vtab_dtd", "oxford_iiit_pet"),
            scores=RIDGE,
        ),
        Protocol(
            "linear-probe",
            "logistic regression on the features of VTAB-1k's images, without fine-tuning",
            "the linear proxy of Renggli et al., Which Model to Transfer? (arXiv 2010.06402)",
            tasks=ONE_K,
            scores=("linear_probe",),
        ),
        Protocol(
            "knn",
            "nearest neighbours among the features of VTAB-1k's images, without fine-tuning",
            "the kNN proxy of Renggli et al., Which Model to Transfer? (arXiv 2010.06402)",
            tasks=ONE_K,
            scores=("knn",),
        ),
        Protocol(
            "own",
            "the user's images: VTAB's sweep as AugReg ran it, and every probe",
            f"{_AUGREG}, appendix C",
            lrs=_RATES,
            steps=_SHORT,
        ),
    )
}
