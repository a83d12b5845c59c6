"""Threads that call at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

Answer = TypeVar("Answer")


def together(count: int, call: Callable[[], Answer]) -> list[Answer]:
    """Call from that many threads at once; return what they got, in the order in which they got it."""
    start = threading.Barrier(count)
    answers: list[Answer] = []

    def ask() -> None:
        start.wait()
        answers.append(call())

    threads = [threading.Thread(target=ask) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers
