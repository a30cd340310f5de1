"""The reward of EfficientNetV2's architecture search: A * S^w * P^v.

A is validation accuracy, S the time of a training step, P the number of parameters; w = -0.07 and v = -0.05. The paper
normalises S and does not say by what: here S and P are relative to the first proposal. Source: "EfficientNetV2: Smaller
Models and Faster Training", section 3.2.
"""

from __future__ import annotations

from bench.cost import forward_flops
from bench.errors import UserError
from bench.records.record import Record
from sweeps.search.objectives.val import accuracy

_SPEED, _SIZE = -0.07, -0.05


def reward(accuracy: float, seconds: float, params: float) -> float:
    """Returns the reward of an accuracy in [0, 1] at relative seconds a step and relative parameters."""
    return float(accuracy * seconds**_SPEED * params**_SIZE)


def measured(record: Record, base: Record | None) -> float:
    """Returns the reward with S as it was measured: seconds a training step, compilation excluded.

    Raises:
      UserError: one of the two was not timed, or they were timed on different kinds of device.
    """
    assert base is not None
    if record.device != base.device:
        raise UserError(
            f"step times of {record.device} ({record.config.name}) and {base.device} ({base.config.name}) do not compare:"
            " run a search for 'nas' on one kind of device, or search for 'nas-flops'"
        )
    return reward(accuracy(record), _seconds(record) / _seconds(base), record.params / base.params)


def predicted(record: Record, base: Record | None) -> float:
    """Returns the reward with the FLOPs of a training step in the place of its time: equal on all machines."""
    assert base is not None
    return reward(accuracy(record), _flops(record) / _flops(base), record.params / base.params)


def _seconds(record: Record) -> float:
    if not (record.cost.steps and record.cost.train_seconds > 0):
        raise UserError(f"{record.config.name}: its training was not timed, which the objective 'nas' needs; use 'nas-flops'")
    return record.cost.train_seconds / record.cost.steps


def _flops(record: Record) -> float:
    config = record.config
    assert config.kind == "upstream"
    return config.batch_size * forward_flops(config.model, config.resolution, config.data.classes)  # type: ignore[union-attr]
