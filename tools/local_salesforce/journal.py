"""What happened: requests, and login attempts with their checks; bounded, and without tokens and assertions."""

from __future__ import annotations

import dataclasses
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Generic, TypeVar

from local_salesforce.wire import TOKEN_PATH, Answer, Request

MAX_ENTRIES = 10_000
MAX_LOGIN_ATTEMPTS = 1_000


@dataclass(frozen=True, slots=True)
class Entry:
    """One request."""

    site: str
    method: str
    path: str
    status: int
    subject: str = ""
    token_id: str = ""
    error: str = ""

    def shown(self) -> dict[str, Any]:
        """Return it as JSON."""
        return dataclasses.asdict(self)


Item = TypeVar("Item")


class Log(Generic[Item]):
    """The newest items, oldest first; may be read while others write."""

    def __init__(self, max_items: int) -> None:
        self._items: deque[Item] = deque(maxlen=max_items)
        self._lock = threading.Lock()

    def append(self, item: Item) -> None:
        """Add an item; beyond the bound the oldest one goes."""
        with self._lock:
            self._items.append(item)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._items.clear()

    def __len__(self) -> int:
        with self._lock:
            return len(self._items)

    def __getitem__(self, index: int) -> Item:
        with self._lock:
            return self._items[index]

    def __iter__(self) -> Iterator[Item]:
        with self._lock:
            return iter(list(self._items))


class Journal(Log[Entry]):
    """The newest requests, and how many token requests there were since the journal was last cleared."""

    def __init__(self) -> None:
        super().__init__(MAX_ENTRIES)
        self.exchanges = 0
        self.logins = 0

    def note(self, request: Request, answer: Answer) -> None:
        """Keep what may be kept of a request."""
        entry = Entry(
            request.site.name, request.method, request.path, answer.status, answer.subject, answer.token_id, answer.error
        )
        with self._lock:
            self._items.append(entry)
            self.exchanges += entry.path == TOKEN_PATH
            self.logins += entry.path == TOKEN_PATH and entry.status == HTTPStatus.OK

    def clear(self) -> None:
        """Forget the requests, and count from zero."""
        with self._lock:
            self._items.clear()
            self.exchanges = self.logins = 0
