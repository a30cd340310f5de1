"""Sweeps whose points depend on results, and a coordinator of one in a process of its own, whose workers train nothing.

`python following.py NAME WORKDIR`
"""

import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from made import SWEEP

from bench.points import Checkpoint
from sweeps.executors import start
from sweeps.executors.local import Local
from sweeps.follow import Retrain
from sweeps.layout import Workdir
from sweeps.live import Live
from sweeps.run import Coordinator
from sweeps.space import Grid, Sweep

GIVEN = (Checkpoint("ViT-mu", "mine", "0" * 16), Checkpoint("R-mu", "theirs", "2" * 16))
TUNED = Grid({"task": ["digits", "lfw_faces"], "lr": [0.1, 0.2, 0.3]}, {"steps": 10, "resolution": 28, "fit": "tune"})
TUNE = Sweep("tune", "", transfer=TUNED, given=GIVEN, follow=Retrain())
# 4 upstream runs and 2 checkpoints; 4 settings of each on two tasks, of which halving asks for a part.
SETTINGS = Grid({"task": ["digits", "lfw_faces"], "lr": [0.1, 0.3], "steps": [10, 40]}, {"resolution": 28})
FOUR = replace(SWEEP.upstream, axes={**SWEEP.upstream.axes, "aug": ["none"]})
EVERYTHING = Sweep("everything", "", FOUR, SETTINGS, given=GIVEN, probe=True)
LIVE = replace(EVERYTHING, name="live", follow=Live("halving", upstream_scores={GIVEN[0].name: 0.3, GIVEN[1].name: 0.6}))
SWEEPS = {sweep.name: sweep for sweep in (TUNE, LIVE)}


def main(name, workdir):
    """Leads a sweep to its end."""
    start.ENTRY = (str(Path(__file__).with_name("quick_member.py")),)
    Coordinator(SWEEPS[name], Workdir(Path(workdir)), Local(2)).run(lambda _: None)


if __name__ == "__main__":
    main(*sys.argv[1:])
