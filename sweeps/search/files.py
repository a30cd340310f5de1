"""The proposals of a search on disk, `WORKDIR/proposals/NNNNNN.json`: written once, before anybody trains them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from bench.errors import UserError
from bench.points import Upstream
from bench.records.atomic import read_json, write_json

_FOLDER = "proposals"


class Proposal(NamedTuple):
    """A proposed point.

    Attributes:
      config: the run.
      params: the values of the search's axes, before rounding.
      attributes: what the sampler wants to remember of it.
    """

    config: Upstream
    params: Mapping[str, Any]
    attributes: Mapping[str, Any]


def path(workdir: Path, number: int) -> Path:
    """Returns the file of proposal `number`, counted from 0."""
    return workdir / _FOLDER / f"{number + 1:06d}.json"


def write(workdir: Path, number: int, proposal: Proposal) -> None:
    """Writes a proposal, durably.

    Raises:
      UserError: it is there already.
    """
    config = proposal.config
    value = {"name": config.name, "digest": config.digest, "config": config.to_dict()}
    value |= {"params": dict(proposal.params), "attributes": dict(proposal.attributes)}
    if not write_json(path(workdir, number), value, exclusive=True):
        raise UserError(f"{path(workdir, number)} was written by somebody else: one coordinator a folder")


def read(workdir: Path) -> Iterator[Proposal]:
    """Yields all proposals, in their order.

    Raises:
      UserError: one is missing or damaged, or this code makes another run of its config.
    """
    found = sorted((workdir / _FOLDER).glob("[0-9]*.json"))
    for number, file in enumerate(found):
        if file != (wanted := path(workdir, number)):
            raise UserError(f"{wanted} is missing, but {file.name} is there: the folder was damaged")
        value = read_json(file)
        try:
            config = Upstream.from_dict(value["config"])
            proposal = Proposal(config, value["params"], value["attributes"])
            digest = value["digest"]
        except (KeyError, TypeError, AttributeError, UserError) as error:
            raise UserError(f"{file}: not a valid proposal ({error})") from None
        if config.digest != digest:
            raise UserError(
                f"{file}: {config.name} was proposed under digest {digest}, but is now {config.digest}: the code changed;"
                " results of two codes are never mixed: use another --workdir"
            )
        yield proposal


def configs(workdir: Path) -> list[Upstream]:
    """Returns every proposed run, each once, in the order of proposing; raises `UserError` as `read` does."""
    return list({proposal.config.name: proposal.config for proposal in read(workdir)}.values())
