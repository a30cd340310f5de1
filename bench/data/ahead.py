"""Making things before they are needed, in a thread of their own."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterable
from typing import TypeVar

T = TypeVar("T")
# Seconds after which a maker that waits for room looks whether anybody still wants its things, and after which who waits for a
# thing is asked whether it still does.
_LOOK = 0.1
# Seconds that a maker in the midst of a thing is waited for when nobody wants it any more.
_LEAVE = 2.0


def ahead(items: Iterable[T], depth: int, waiting: Callable[[], None] | None = None) -> Generator[T]:
    """Yields `items` in order while up to `depth` more are being made.

    The thread ends with the items, or soon after the iterator is closed: when the item that it is at is made. An exception
    comes up where its item was due; so does one of `waiting`, which is called again and again while an item is waited for.
    """
    made: queue.Queue[tuple[bool, T | BaseException | None]] = queue.Queue(depth)
    wanted = threading.Event()
    wanted.set()

    def put(more: bool, item: T | BaseException | None) -> None:
        while wanted.is_set():
            try:
                made.put((more, item), timeout=_LOOK)
            except queue.Full:
                continue
            return

    def make() -> None:
        try:
            for item in items:
                put(True, item)
                if not wanted.is_set():
                    return
            put(False, None)
        except BaseException as error:
            put(False, error)

    maker = threading.Thread(target=make, name="ahead", daemon=True)
    maker.start()
    try:
        while True:
            try:
                more, item = made.get(timeout=_LOOK if waiting else None)
            except queue.Empty:
                assert waiting is not None
                waiting()
                continue
            if more:
                yield item  # type: ignore[misc]
            elif item is None:
                return
            else:
                raise item  # type: ignore[misc]
    finally:
        wanted.clear()
        maker.join(_LEAVE)
        if isinstance(items, Generator) and not maker.is_alive():
            items.close()
