"""Executors that a caller may pass: what runs on them must not show in any result."""

from __future__ import annotations

from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import Callable, Dict, Iterator

#: Name to how to make one.
EXECUTORS: Dict[str, Callable[[], Executor]] = {
    "one thread": lambda: ThreadPoolExecutor(1),
    "three threads": lambda: ThreadPoolExecutor(3),
    "the caller's own thread": lambda: Inline(),
}


class Inline(Executor):
    """Runs each call at once, where it is submitted."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Return a future that is done."""
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001 (as every executor)
            future.set_exception(error)
        return future


@contextmanager
def executor(name: str) -> Iterator[Executor]:
    """Make one, and see that it still takes calls when it was used."""
    made = EXECUTORS[name]()
    with made:
        yield made
        assert made.submit(lambda: 7).result() == 7
