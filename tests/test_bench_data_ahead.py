import threading
import time

import pytest

from bench.data.ahead import ahead


def makers():
    return [t for t in threading.enumerate() if t.name == "ahead"]


@pytest.mark.parametrize("depth", [1, 2, 7])
def test_everything_comes_once_and_in_order(depth):
    assert list(ahead(iter(range(50)), depth)) == list(range(50))
    assert list(ahead([], depth)) == []
    assert makers() == []


def test_no_more_than_depth_is_made_before_it_is_wanted():
    made = []

    def items():
        for i in range(20):
            made.append(i)
            yield i

    found = ahead(items(), 3)
    assert next(found) == 0
    deadline = time.monotonic() + 10
    while len(made) < 5 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.05)
    # One taken, three waiting, one in the maker's hands.
    assert made == [0, 1, 2, 3, 4]
    found.close()
    assert makers() == []
    assert len(made) <= 6


def test_an_exception_comes_up_where_its_item_was_due():
    def items():
        yield 1
        yield 2
        raise KeyError("here")

    found = ahead(items(), 5)
    assert [next(found), next(found)] == [1, 2]
    with pytest.raises(KeyError, match="here"):
        next(found)
    assert makers() == []


def test_things_are_made_by_another_thread_while_the_consumer_is_busy():
    working, seen = threading.Event(), []

    def items():
        yield 0
        seen.append(threading.current_thread() is threading.main_thread())
        working.set()
        yield 1

    found = ahead(items(), 1)
    next(found)
    assert working.wait(10)
    assert seen == [False]
    assert list(found) == [1]


def test_what_makes_the_items_is_closed_with_the_iterator():
    closed = []

    def items():
        try:
            yield from range(100)
        finally:
            closed.append(threading.current_thread().name)

    found = ahead(items(), 2)
    next(found)
    found.close()
    assert len(closed) == 1
