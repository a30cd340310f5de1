"""What a folder remembers of its sweep: tells one that has grown from one that has changed, and gives the sweep back.

Values added to an axis extend a sweep: every finished point is a point of the new one. Anything else is another study.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

from bench.points import KINDS, Checkpoint
from sweeps.axes import UP, By, Grid, Values, When, fields_of
from sweeps.follow import rule_of
from sweeps.space import Sweep

Skeleton = Mapping[str, Any]


class Extension(NamedTuple):
    """The new sweep has all points of the old; `added` says in one line what more, and is empty where they are equal."""

    added: str


class Change(NamedTuple):
    """The new sweep is another study; `changed` says in one line why."""

    changed: str


class _ChangedError(Exception):
    pass


def skeleton(sweep: Sweep) -> dict[str, Any]:
    """Returns the axes of a sweep as plain JSON values."""
    grids = {"upstream": sweep.upstream_grids, "transfer": sweep.transfer_grids}
    search = {"search": sweep.search.skeleton()} if sweep.search else {}
    more = {"given": [c.to_dict() for c in sweep.given], "probe": sweep.probe}
    if rule := sweep.follow:
        more["follow"] = {"rule": rule.name, **rule.to_dict()}
    return {**{kind: [_grid(g) for g in each] for kind, each in grids.items()}, **more, **search}


def _grid(grid: Grid) -> dict[str, Any]:
    # A fixed value is an axis that has one, so that a second one can be added.
    fixed = {n: _by(v) if isinstance(v, By) else [v] for n, v in grid.fixed.items()}
    axes = {n: _axis(v) for n, v in grid.axes.items()}
    return {"axes": {**axes, **fixed}, "of": {n: list(v) for n, v in grid.of.items()}}


def _by(by: By) -> dict[str, Any]:
    # Pairs, because keys may be numbers.
    return {"by": by.field, "values": [[k, list(v) if isinstance(v, list | tuple) else [v]] for k, v in by.values.items()]}


def _axis(spec: Values) -> Any:
    if isinstance(spec, By):
        return _by(spec)
    if isinstance(spec, When):
        return {"when": spec.field, "among": list(spec.among), "values": list(spec.values), "otherwise": spec.otherwise}
    return list(spec)


def restored(name: str, saved: Skeleton) -> Sweep:
    """Returns the sweep of a skeleton, for one that no module of `sweeps.named` describes; searches are not restored."""
    return Sweep(
        name,
        "",
        upstream=[_restored(grid) for grid in saved["upstream"]],
        transfer=[_restored(grid) for grid in saved["transfer"]],
        given=tuple(Checkpoint.from_dict(each) for each in saved["given"]),
        probe=saved["probe"],
        follow=rule_of(saved["follow"]) if "follow" in saved else None,
    )


def _restored(grid: Mapping[str, Any]) -> Grid:
    axes: dict[str, Values] = {}
    fixed: dict[str, Any] = {}
    for names in sorted(grid["axes"], key=lambda names: _depth(grid["axes"], names)):
        spec = grid["axes"][names]
        if isinstance(spec, list):
            several, value = len(spec) > 1, spec if len(spec) > 1 else spec[0]
        elif "when" in spec:
            several, value = True, When(spec["when"], spec["among"], spec["values"], spec["otherwise"])
        else:
            several = any(len(values) > 1 for _, values in spec["values"])
            value = By(spec["by"], {key: values if several else values[0] for key, values in spec["values"]})
        if several:
            axes[names] = value
        else:
            fixed |= dict.fromkeys(fields_of(names), value)
    return Grid(axes, fixed, grid["of"])


def _depth(axes: Mapping[str, Any], names: str) -> int:
    """Returns how many axes come before one because it depends on them; a file does not keep their order."""
    spec = axes[names]
    field = None if isinstance(spec, list) else spec.get("by", spec.get("when"))
    return sum(1 + _depth(axes, other) for other in axes if field in fields_of(other))


def extends(old: Skeleton, new: Skeleton) -> Extension | Change:
    """Compares what `skeleton` gave for the sweep of a folder with what it gives now."""
    added: list[str] = []
    try:
        for kind in ("upstream", "transfer"):
            if len(old[kind]) != len(new[kind]):
                raise _ChangedError(f"it had {len(old[kind])} grids of {kind} runs and has {len(new[kind])}")
            for before, after in zip(old[kind], new[kind], strict=True):
                added += _Comparison(kind, old, before).grid(after)
        added += _list("checkpoints", _names(old), _names(new))
        if old.get("probe", False) != new["probe"]:
            if not new["probe"]:
                raise _ChangedError("it has no probes any more")
            added.append("probes")
        if old.get("follow") != new.get("follow"):
            raise _ChangedError("what follows from its results is decided in another way")
        if old.get("search") != new.get("search"):
            raise _ChangedError("it searches in another way")
    except _ChangedError as changed:
        return Change(str(changed))
    return Extension("; ".join(dict.fromkeys(added)))


def _names(whole: Skeleton) -> list[str]:
    return [Checkpoint.from_dict(each).name for each in whole.get("given", [])]


def _list(name: str, old: list[Any], new: list[Any]) -> list[str]:
    """Returns what was added to a list of values; raises `_ChangedError` where one is gone."""
    gone, more = [v for v in old if v not in new], [v for v in new if v not in old]
    if gone and len(old) == len(new) == 1:
        raise _ChangedError(f"{name} was {old[0]} and is {new[0]}")
    if gone:
        raise _ChangedError(f"{name} has no {', '.join(map(str, gone))} any more")
    return [f"{name} {', '.join(map(str, more))}"] if more else []


def _anywhere(spec: Any) -> list[Any]:
    if isinstance(spec, list):
        return spec
    if "by" in spec:
        return [value for _, values in spec["values"] for value in values]
    return [*spec["values"], *([] if spec["otherwise"] is None else [spec["otherwise"]])]


class _Comparison:
    """Compares two grids axis by axis; methods return what was added and raise `_ChangedError` where more has happened."""

    def __init__(self, kind: str, whole: Skeleton, old: Mapping[str, Any]) -> None:
        self._kind, self._whole, self._old = kind, whole, old
        self._defaults = {f.name: f.default for f in dataclasses.fields(KINDS[kind])}

    def grid(self, new: Mapping[str, Any]) -> list[str]:
        added: list[str] = []
        before, after = self._old["axes"], new["axes"]
        for name in dict.fromkeys([*before, *after]):
            old_spec, new_spec = before.get(name, self._default(name)), after.get(name, self._default(name))
            if old_spec is None or new_spec is None:
                raise _ChangedError(f"{name} is {'new' if old_spec is None else 'gone'} in its {self._kind} runs")
            added += self._spec(name, old_spec, new_spec)
        if self._old["of"].keys() != new["of"].keys():
            raise _ChangedError(f"other {self._kind} runs are chosen by their upstream runs")
        for name, values in self._old["of"].items():
            added += _list(f"{self._kind} runs of {name}", values, new["of"][name])
        return added

    def _default(self, name: str) -> list[Any] | None:
        found = {self._defaults.get(f, dataclasses.MISSING) for f in fields_of(name)}
        return None if len(found) > 1 or dataclasses.MISSING in found else list(found)

    def _values(self, field: str) -> list[Any]:
        """Returns the values that a field had, wherever it was an axis."""
        own = not field.startswith(UP)
        grids = [self._old] if own else self._whole["upstream"]
        specs = (s for g in grids for n, s in g["axes"].items() if field.removeprefix(UP) in fields_of(n))
        return list(dict.fromkeys(value for spec in specs for value in _anywhere(spec)))

    def _spec(self, name: str, old: Any, new: Any) -> list[str]:
        if isinstance(old, list) and isinstance(new, list):
            return _list(name, old, new)
        if isinstance(new, Mapping) and "by" in new:
            values = [tuple(pair) for pair in new["values"]]
            after = dict(values)
            if isinstance(old, list):
                # One value for all became one for each of another field's values.
                before = dict.fromkeys(self._values(new["by"]), old)
            elif old.get("by") == new["by"]:
                before = dict(tuple(pair) for pair in old["values"])
            else:
                raise _ChangedError(f"{name} depends on something else")
            if gone := [key for key in before if key not in after]:
                raise _ChangedError(f"{name} has no value for {new['by']}={gone[0]} any more")
            return [line for key, was in before.items() for line in _list(f"{name} of {key}", was, after[key])]
        if isinstance(old, Mapping) and isinstance(new, Mapping) and old.get("when") == new.get("when") is not None:
            if old["otherwise"] != new["otherwise"]:
                raise _ChangedError(f"{name} was {old['otherwise']} elsewhere and is {new['otherwise']}")
            parents = self._values(new["when"])
            if any((v in old["among"]) != (v in new["among"]) for v in parents):
                raise _ChangedError(f"{name} exists for other values of {new['when']}")
            return _list(name, old["values"], new["values"])
        raise _ChangedError(f"{name} depends on something else")
