"""Names of runs: format a config, parse a name, back and forth without loss.

A probe is `...--cifar100-probe-res_224`. Names of weights from elsewhere, and of whatever is done on the user's own tasks, hold
less than the config does: such names are read only for the fields that they state.

The scheme is the release's: `Ti_16-i21k-300ep-lr_0.001-aug_none-wd_0.03-do_0.0-sd_0.0` for an upstream run and
`...--imagenet2012-steps_20k-lr_0.03-res_384` for its transfer. What the release never varied follows as `-key_value`, only when
it is not the recipe's value, in a fixed order.
"""

from __future__ import annotations

import re
from dataclasses import fields
from decimal import Decimal
from functools import lru_cache
from typing import Any

from bench.errors import UserError, choose_from
from bench.points.checkpoint import SHOWN
from bench.points.config import positional
from bench.points.datasets import UPSTREAM
from bench.points.probe import Probe
from bench.points.transfer import Transfer
from bench.points.upstream import Upstream
from bench.points.variants import BY_PREFIX

_NUMBER = r"\d+(?:\.\d+)?"
_UPSTREAM = re.compile(
    rf"(?P<prefix>\w+)-(?P<dataset>\w+?)(?:_(?P<percent>{_NUMBER})pct)?-(?P<epochs>{_NUMBER})ep-lr_(?P<lr>{_NUMBER})"
    rf"-aug_(?P<aug>\w+)-wd_(?P<wd>{_NUMBER})-do_(?P<do>{_NUMBER})-sd_(?P<sd>{_NUMBER})(?P<extras>(?:-[a-z]+_[\w.]+)*)",
    re.ASCII,
)
_TRANSFER = re.compile(
    rf"(?P<task>\w+)-steps_(?P<steps>\d{{1,12}})(?P<kilo>k?)-lr_(?P<lr>{_NUMBER})-res_(?P<res>\d{{1,12}})"
    r"(?P<extras>(?:-[a-z]+_[\w.]+)*)",
    re.ASCII,
)
_PROBE = re.compile(r"(?P<task>\w+)-probe-res_(?P<res>\d{1,12})(?P<extras>(?:-[a-z]+_[\w.]+)*)", re.ASCII)
_CHECKPOINT = re.compile(rf"(?P<prefix>\w+)-[\w.-]+-w_[0-9a-f]{{{SHOWN}}}", re.ASCII)
_UPSTREAM_EXTRAS = {
    "seed": ("seed", int),
    "batch": ("batch_size", int),
    "warmup": ("warmup_steps", int),
    "res": ("resolution", int),
    "opt": ("optimizer", str),
    "loss": ("loss", str),
    "clip": ("clip", float),
    "dtype": ("dtype", str),
    "ra": ("randaug", str),
    "shards": ("shards", int),
    "mult": ("multiplicity", int),
    "smooth": ("smoothing", float),
    "ema": ("ema", float),
    "acc": ("accumulate", int),
    "sam": ("sam", float),
    "decay": ("decay", str),
    "prog": ("progressive", str),
}
_TRANSFER_EXTRAS = {
    **{key: _UPSTREAM_EXTRAS[key] for key in ("seed", "batch", "warmup", "clip")},
    "wd": ("wd", float),
    "do": ("do", float),
    "sd": ("sd", float),
    "aug": ("aug", str),
    **{key: _UPSTREAM_EXTRAS[key] for key in ("sam", "ema", "smooth", "mult", "opt", "decay")},
    "fit": ("fit", str),
}
_PROBE_EXTRAS: dict[str, tuple[str, type]] = {"seed": ("seed", int)}
# The release prints steps // 1000, so 500 became 0k and 2,500 became 2k.
_KILO = {500: 0, 2_500: 2}
_STEPS = {kilo: steps for steps, kilo in _KILO.items()}


def _decimal(number: float) -> str:
    """Returns the release's spelling of a float: 0.001, 0.0, 1.0; never an exponent."""
    text = format(Decimal(repr(number)), "f")
    return text if "." in text else f"{text}.0"


def _steps(steps: int) -> str:
    if steps in _KILO:
        return f"{_KILO[steps]}k"
    return f"{steps // 1000}k" if steps % 1000 == 0 and steps // 1000 not in _STEPS else str(steps)


def _defaults(kind: type[Upstream | Transfer | Probe]) -> dict[str, Any]:
    return {field.name: field.default for field in fields(kind)}


def _extras(config: Upstream | Transfer | Probe, known: dict[str, tuple[str, type]], recipe: dict[str, Any]) -> str:
    parts = []
    for key, (field, kind) in known.items():
        value = getattr(config, field)
        if value != recipe[field]:
            parts.append(f"-{key}_{positional(value) if kind is float else value}")
    return "".join(parts)


def format_upstream(config: Upstream) -> str:
    """Returns the name of an upstream run."""
    recipe = {**_defaults(Upstream), **Upstream.recipe(config.model, config.dataset, config.optimizer)}
    return (
        f"{config.variant.prefix}-{config.dataset_name}-{positional(config.epochs)}ep-lr_{_decimal(config.lr)}-aug_{config.aug}"
        f"-wd_{_decimal(config.wd)}-do_{_decimal(config.do)}-sd_{_decimal(config.sd)}"
        f"{_extras(config, _UPSTREAM_EXTRAS, recipe)}"
    )


def format_transfer(config: Transfer) -> str:
    """Returns the name of a transfer run."""
    recipe = {**_defaults(Transfer), "warmup_steps": Transfer.recipe_warmup(config.steps)}
    return (
        f"{config.upstream.name}--{config.task}-steps_{_steps(config.steps)}-lr_{_decimal(config.lr)}-res_{config.resolution}"
        f"{_extras(config, _TRANSFER_EXTRAS, recipe)}"
    )


def format_probe(config: Probe) -> str:
    """Returns the name of a probe."""
    extras = _extras(config, _PROBE_EXTRAS, _defaults(Probe))
    return f"{config.upstream.name}--{config.task}-probe-res_{config.resolution}{extras}"


def _parse_extras(name: str, text: str, known: dict[str, tuple[str, type]]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for part in text.split("-")[1:]:
        key, _, value = part.partition("_")
        if key not in known:
            raise UserError(f"name {name!r}: unknown part {part!r}; {choose_from(key, known)}")
        field, kind = known[key]
        try:
            values[field] = kind(value)
        except ValueError:
            raise UserError(f"name {name!r}: {part!r} must hold a value of type {kind.__name__}") from None
    return values


def _canonical(name: str, config: Upstream | Transfer | Probe) -> None:
    if config.name != name:
        raise UserError(f"name {name!r} is not in canonical form; did you mean {config.name!r}?")


@lru_cache(maxsize=4096)  # the 51,509 transfer names of the release hold only 759 upstream names
def parse_upstream(name: str) -> Upstream:
    """Returns the config of an upstream name.

    Raises:
      UserError: the name does not follow the scheme, holds an impossible value, or is not the canonical spelling.
    """
    match = _UPSTREAM.fullmatch(name)
    if match is None:
        raise UserError(
            f"name {name!r} does not follow the scheme MODEL-SET-EPOCHSep-lr_X-aug_LEVEL-wd_X-do_X-sd_X[-key_value...]"
        )
    part = match.groupdict()
    if part["prefix"] not in BY_PREFIX:
        raise UserError(f"name {name!r}: unknown model {part['prefix']!r}; {choose_from(part['prefix'], BY_PREFIX)}")
    if part["dataset"] not in UPSTREAM:
        raise UserError(f"name {name!r}: unknown upstream set {part['dataset']!r}; {choose_from(part['dataset'], UPSTREAM)}")
    config = Upstream(
        model=BY_PREFIX[part["prefix"]].name,
        dataset=part["dataset"],
        fraction=float(Decimal(part["percent"]) / 100) if part["percent"] else 1.0,
        aug=part["aug"],
        epochs=float(part["epochs"]),
        lr=float(part["lr"]),
        wd=float(part["wd"]),
        do=float(part["do"]),
        sd=float(part["sd"]),
        **_parse_extras(name, part["extras"], _UPSTREAM_EXTRAS),
    )
    _canonical(name, config)
    return config


def checkpoint_model(name: str) -> str | None:
    """Returns the model of weights from elsewhere by their name (see `Checkpoint.name`), None where it is no such name."""
    match = _CHECKPOINT.fullmatch(name)
    return BY_PREFIX[match["prefix"]].name if match and match["prefix"] in BY_PREFIX else None


def transfer_fields(name: str) -> tuple[str, dict[str, Any]]:
    """Returns the upstream run's name and the fields that a transfer's name states, whatever its task and its upstream run.

    Raises:
      UserError: the name does not follow the scheme.
    """
    upstream, separator, rest = name.partition("--")
    match = _TRANSFER.fullmatch(rest)
    if not separator or match is None:
        raise UserError(f"name {name!r} does not follow the scheme UPSTREAM--TASK-steps_N-lr_X-res_N[-key_value...]")
    part = match.groupdict()
    steps = int(part["steps"])
    return upstream, {
        "task": part["task"],
        "steps": _STEPS.get(steps, steps * 1000) if part["kilo"] else steps,
        "lr": float(part["lr"]),
        "resolution": int(part["res"]),
        **_parse_extras(name, part["extras"], _TRANSFER_EXTRAS),
    }


def parse_transfer(name: str) -> Transfer:
    """Returns the config of a transfer name; raises `UserError` as `parse_upstream` does."""
    upstream, fields = transfer_fields(name)
    config = Transfer(upstream=parse_upstream(upstream), **fields)
    _canonical(name, config)
    return config


def parse_probe(name: str) -> Probe:
    """Returns the config of a probe's name; raises `UserError` as `parse_upstream` does."""
    upstream, separator, rest = name.partition("--")
    match = _PROBE.fullmatch(rest)
    if not separator or match is None:
        raise UserError(f"name {name!r} does not follow the scheme UPSTREAM--TASK-probe-res_N[-key_value...]")
    extras = _parse_extras(name, match["extras"], _PROBE_EXTRAS)
    config = Probe(upstream=parse_upstream(upstream), task=match["task"], resolution=int(match["res"]), **extras)
    _canonical(name, config)
    return config


def parse(name: str) -> Upstream | Transfer | Probe:
    """Returns the config of a name of any kind."""
    if "--" not in name:
        return parse_upstream(name)
    return parse_probe(name) if _PROBE.fullmatch(name.partition("--")[2]) else parse_transfer(name)
