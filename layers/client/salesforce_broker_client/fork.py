"""What a forked child must not share with its parent: locks, connections and renewal times.

os.fork copies a lock in the state in which another thread of the parent holds it, and a connection that the parent goes on to
use. gunicorn, celery, uWSGI and multiprocessing fork workers from a process that may have called the broker already.
"""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class Forkable(Protocol):
    """Holds something that belongs to one process."""

    def reset_after_fork(self) -> None:
        """Replace it; runs in the child, where no other thread exists yet, and takes no lock."""


_registered: weakref.WeakSet[Forkable] = weakref.WeakSet()


def register(holder: Forkable) -> None:
    """Have the holder reset in every child that is forked while it exists."""
    _registered.add(holder)


def _reset_all() -> None:
    for holder in list(_registered):
        holder.reset_after_fork()


if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(after_in_child=_reset_all)
