"""How a run is executed. None of it changes results beyond rounding, so none of it is part of a config."""

from __future__ import annotations

from typing import NamedTuple


class Execution(NamedTuple):
    """How programs are compiled and placed.

    Attributes:
      remat: recompute a block's activations in the backward pass: memory of one block instead of all, a third more compute.
      scan: compile one block for each group of equal ones: compilation no longer grows with depth.
      fsdp: split parameters and optimiser state over the devices too, instead of copying them to each.
    """

    remat: bool = False
    scan: bool = False
    fsdp: bool = False
