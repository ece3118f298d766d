import threading
import time

import pytest

from pipeline.overlap import Behind, ahead, merged, read_ahead


def test_results_come_in_order_and_never_too_many_at_once():
    """However long each takes; what is not yet taken stays within the depth."""
    begun = []

    def work(number):
        begun.append(number)
        time.sleep(0.002 * (number % 3))
        return number * number

    for done, value in enumerate(ahead(work, range(30), threads=3, depth=4)):
        assert value == done * done
        assert len(begun) <= done + 1 + 5


def test_an_iterator_is_read_in_one_thread():
    """A generator may not be entered twice."""
    threads = set()

    def items():
        for number in range(20):
            threads.add(threading.get_ident())
            yield number

    assert list(read_ahead(items(), 5)) == list(range(20))
    assert len(threads) == 1
    assert threading.get_ident() not in threads


def test_an_error_ahead_is_raised_where_the_result_is_taken():
    """Results before it still come."""
    found = []
    with pytest.raises(ZeroDivisionError):
        for value in ahead(lambda number: 6 // number, [3, 2, 0, 1], threads=2, depth=2):
            found.append(value)  # noqa: PERF402 - a part of it is looked at

    assert found == [2, 3]


def test_work_behind_is_done_when_the_block_ends():
    """All of it, and its errors are raised."""
    done = []
    with Behind(threads=2, depth=3) as writers:
        for number in range(20):
            writers.do(lambda number=number: done.append(number))
    assert sorted(done) == list(range(20))

    with pytest.raises(ZeroDivisionError), Behind(threads=1, depth=3) as writers:
        writers.do(lambda: 1 // 0)


def test_what_waits_is_bounded_in_bytes_too():
    """Large pieces of work wait one at a time; leaving the block still does all."""
    done, gate = [], threading.Event()
    with Behind(threads=1, depth=10) as writers:
        threading.Timer(0.2, gate.set).start()
        for number in range(4):
            writers.do(lambda number=number: (gate.wait(), done.append(number))[1], 150_000_000)
            assert len(writers.waiting) == 1
        assert len(done) >= 3
    assert done == [0, 1, 2, 3]


def test_several_iterators_are_merged_as_their_items_come():
    """Each in its own order; one that is silent holds up nobody, an error is told."""
    gate = threading.Event()

    def slow():
        yield "first"
        gate.wait(10)
        yield "last"

    def quick():
        yield from range(5)
        gate.set()

    items = list(merged([slow(), quick()]))
    assert [item for item in items if isinstance(item, int)] == list(range(5))
    assert items.index("first") < items.index("last")

    def broken():
        yield 1
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(merged([broken(), quick()]))


def test_who_leaves_a_merger_waits_for_nobody():
    gate = threading.Event()

    def silent():
        gate.wait(10)
        yield 1

    begin = time.monotonic()
    for _ in merged([silent(), iter([1, 2])]):
        break
    assert time.monotonic() - begin < 2
    gate.set()
