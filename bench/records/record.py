"""The result record: what one finished run leaves behind, committed once and never changed.

Measurements are in long form (split, metric, n, value), so that a new metric is a new row and never a new format.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.errors import UserError
from bench.points import KINDS, Probe, Transfer, Upstream
from bench.points.fields import from_mapping, one_of, type_fields, typed
from bench.records.atomic import Waits, read_json, write_json
from bench.records.schema import STATUSES

RECORD_VERSION = 1
SPLITS = ("train", "val", "test")
FILE = "record.json"


@dataclass(frozen=True)
class Measurement:
    """A measured value: of which split (`val`, `test`), which metric, over how many examples, at which step."""

    split: str
    metric: str
    n: int
    value: float
    step: int

    def __post_init__(self) -> None:
        type_fields(self, {"split": str, "metric": str, "n": int, "value": float, "step": int})


@dataclass(frozen=True)
class Cost:
    """What a run cost: wall-clock seconds by phase (summed over attempts), steps, images seen, model FLOPs of training.

    `attempt` is the name of the attempt that ended it, "" outside of a sweep. Of a run that was one of several `lanes` of a
    program, seconds are its share of theirs. `skipped` says of every checkpoint that was passed over what was wrong with it.
    """

    train_seconds: float = 0.0
    eval_seconds: float = 0.0
    compile_seconds: float = 0.0
    attempts: int = 1
    steps: int = 0
    images: int = 0
    train_flops: float = 0.0
    eval_images_per_second: float = 0.0
    attempt: str = ""
    lanes: int = 1
    skipped: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "skipped", tuple(typed("Cost", "skipped", each, str) for each in self.skipped))
        type_fields(self, {"attempt": str})
        type_fields(self, dict.fromkeys(("attempts", "steps", "images", "lanes"), int))
        type_fields(self, dict.fromkeys(("train_seconds", "eval_seconds", "compile_seconds"), float))
        type_fields(self, dict.fromkeys(("train_flops", "eval_images_per_second"), float))


@dataclass(frozen=True)
class Record:
    """A finished run.

    Attributes:
      config: the whole config; `name` and `digest` are derived from it and checked on reading.
      status: `ok`, `diverged` (a loss that was not finite) or `pruned` (a search ended it early; without a test score);
        measurements of the latter two stop where training did.
      measurements: in the order in which they were taken.
      params: number of parameters.
      data: facts of the data used: number of examples of each split, fingerprint of all of it and of each split.
      device: kind of device.
      code_version: version of this package.
      cost: see `Cost`; the only part that may differ between two runs of one config.
      why: for a diverged or pruned run, what happened; for a probe, which scores it lacks and for what reason.
    """

    config: Upstream | Transfer | Probe
    status: str
    measurements: tuple[Measurement, ...]
    params: int
    data: Mapping[str, Any]
    device: str
    code_version: str
    cost: Cost = field(default_factory=Cost)
    why: str = ""

    def __post_init__(self) -> None:
        type_fields(self, {"params": int, **dict.fromkeys(("status", "device", "code_version", "why"), str)})
        one_of("Record", "status", self.status, STATUSES)
        for key, kind in {**dict.fromkeys(SPLITS, int), "fingerprint": str}.items():
            if key not in self.data:
                raise UserError(f"Record: field 'data' lacks {key!r}")
            typed("Record", f"data.{key}", self.data[key], kind)

    def last(self, split: str, metric: str = "accuracy") -> Measurement | None:
        """Returns the latest measurement of a split, None where there is none."""
        found = [m for m in self.measurements if (m.split, m.metric) == (split, metric)]
        return found[-1] if found else None

    def best(self, split: str, metric: str = "accuracy") -> float | None:
        """Returns the highest value measured on a split during training."""
        return max((m.value for m in self.measurements if (m.split, m.metric) == (split, metric)), default=None)

    def to_dict(self) -> dict[str, Any]:
        """Returns plain JSON values."""
        return {
            "version": RECORD_VERSION,
            "kind": self.config.kind,
            "name": self.config.name,
            "digest": self.config.digest,
            **asdict(self),
        }

    def commit(self, folder: Path, *, patient: bool | Waits = False) -> bool:
        """Writes the record into `folder`, durably and only if none is there; returns whether this one was taken.

        `patient` as of `bench.records.atomic.write`.
        """
        return write_json(folder / FILE, self.to_dict(), exclusive=True, patient=patient)


def read_record(path: Path) -> Record:
    """Reads a committed record.

    Raises:
      UserError: unreadable, or as `from_dict`.
    """
    return from_dict(read_json(path), path)


def from_dict(values: Mapping[str, Any], path: Path | str) -> Record:
    """Returns the record that `Record.to_dict` made plain; `path` says in complaints where it stands.

    Raises:
      UserError: no record, of another version, or its digest is not the one of its config (another code's result).
    """
    value = dict(values)
    for key in ("version", "kind", "name", "digest", "config", "measurements", "cost"):
        if key not in value:
            raise UserError(f"{path}: not a valid record (missing field {key!r})")
    version, kind, name, digest = (value.pop(key) for key in ("version", "kind", "name", "digest"))
    try:
        if version != RECORD_VERSION:
            raise UserError(f"version {version} is not {RECORD_VERSION}")
        one_of("Record", "kind", kind, KINDS)
        value["config"] = KINDS[kind].from_dict(value["config"])
        value["measurements"] = tuple(from_mapping(Measurement, m) for m in value["measurements"])
        value["cost"] = from_mapping(Cost, value["cost"])
        record = from_mapping(Record, value)
    except (UserError, AttributeError, TypeError) as error:  # the latter two: a number where an object belongs
        raise UserError(f"{path}: not a valid record ({error})") from None
    if (record.config.name, record.config.digest) != (name, digest):
        raise UserError(
            f"{path}: {name} was made under digest {digest}, but this code gives {record.config.name} the digest"
            f" {record.config.digest}; results of two codes are never mixed: use another folder or remove this one"
        )
    return record
