"""Work that runs ahead and behind: threads with bounded queues, so that memory stays flat.

Decoding, compressing and writing let go of Python's lock, so threads are enough.
"""

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from types import TracebackType
from typing import Self, TypeVar

THREADS = 2  # that work ahead, and as many that work behind
LARGE = 200_000_000  # bytes: of pictures that are larger together, fewer wait

Item = TypeVar("Item")
Result = TypeVar("Result")


def ahead(
    work: Callable[[Item], Result], items: Iterable[Item], threads: int, depth: int
) -> Iterator[Result]:
    """The results of ``work`` in the order of the items, at most ``depth`` in advance."""
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > depth:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def read_ahead(items: Iterator[Item], depth: int) -> Iterator[Item]:
    """The items of an iterator, fetched by one thread in advance."""
    end = object()
    for item in ahead(lambda _: next(items, end), repeat(None), threads=1, depth=depth):
        if item is end:
            return
        yield item  # type: ignore[misc] # it is not the end


def merged(sources: Sequence[Iterator[Item]]) -> Iterator[Item]:
    """The items of several iterators as they come, each fetched by a thread of its own.

    Who leaves early does not wait for a source that is silent: such a thread ends with its next
    item, or with the process.
    """
    end, left = object(), threading.Event()
    come: queue.Queue[object] = queue.Queue(len(sources))

    def fetch(source: Iterator[Item]) -> None:
        try:
            for item in source:
                if left.is_set():
                    return
                come.put(item)
        except BaseException as error:  # noqa: BLE001 - raised again where the items are wanted
            come.put(_Raised(error))
        come.put(end)

    for source in sources:
        threading.Thread(target=fetch, args=(source,), daemon=True).start()
    running = len(sources)
    try:
        while running:
            item = come.get()
            if isinstance(item, _Raised):
                raise item.error
            if item is end:
                running -= 1
            else:
                yield item  # type: ignore[misc] # neither the end nor an error
    finally:
        left.set()
        while not come.empty():  # who waits for room gets it, and sees that nobody is left
            come.get_nowait()


@dataclass(frozen=True)
class _Raised:
    error: BaseException


class Behind:
    """Work that is done later, in order of its coming; leaving the block waits for all of it."""

    def __init__(self, threads: int, depth: int) -> None:
        self.pool, self.depth = ThreadPoolExecutor(threads), depth
        self.waiting: deque[tuple[Future[None], int]] = deque()
        self.held = 0

    def do(self, work: Callable[[], None], size: int = 0) -> None:
        """Have it done; waits, and raises what earlier work raised, when too much is waiting.

        ``size``: bytes that the work holds on to.
        """
        self.waiting.append((self.pool.submit(work), size))
        self.held += size
        while len(self.waiting) > self.depth or (self.held > LARGE and len(self.waiting) > 1):
            self._first()

    def _first(self) -> None:
        future, size = self.waiting.popleft()
        self.held -= size
        future.result()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.pool.shutdown(wait=True, cancel_futures=kind is not None)
        while self.waiting and kind is None:
            self._first()
