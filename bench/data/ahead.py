"""Making things before they are needed, in a thread of their own."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterable
from typing import TypeVar

T = TypeVar("T")
# Seconds after which a maker that waits for room looks whether anybody still wants its things.
_LOOK = 0.1


def ahead(items: Iterable[T], depth: int) -> Generator[T]:
    """Yields `items` in order while up to `depth` more are being made.

    The thread ends with the items, or soon after the iterator is closed. An exception comes up where its item was due.
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
            more, item = made.get()
            if more:
                yield item  # type: ignore[misc]
            elif item is None:
                return
            else:
                raise item  # type: ignore[misc]
    finally:
        wanted.clear()
        maker.join()
        if isinstance(items, Generator):
            items.close()
