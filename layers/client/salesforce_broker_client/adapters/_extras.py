"""The error for an extra that is not installed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator


@contextlib.contextmanager
def needs_extra(extra: str, *packages: str) -> Iterator[None]:
    """Import in the block; where one of the extra's packages is missing, raise an ImportError that names the extra."""
    try:
        yield
    except ModuleNotFoundError as error:
        missing = str(error.name).partition(".")[0]
        if missing not in packages:
            raise
        message = f"{missing} is not installed. Install the extra: pip install 'salesforce-broker-client[{extra}]'"
        raise ImportError(message, name=missing) from error
