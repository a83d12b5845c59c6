"""The log says what happened and never what must not be said."""

from __future__ import annotations

import io
import json
import logging

import pytest

from salesforce_broker import observability
from salesforce_broker.errors import AccessDenied


@pytest.mark.parametrize("library", ["botocore.parsers", "boto3.resources", "urllib3.connectionpool", "requests"])
def test_libraries_do_not_talk_whatever_the_level(library: str) -> None:
    """botocore at DEBUG prints the body of GetSecretValue."""
    logging.getLogger().setLevel(logging.DEBUG)
    try:
        assert not logging.getLogger(library).isEnabledFor(logging.INFO)
    finally:
        logging.getLogger().setLevel(logging.WARNING)


def test_a_refusal_is_logged_with_its_code(log: io.StringIO) -> None:
    """One line of JSON: code, description, hint."""
    observability.report(AccessDenied("no", hint="ask"))
    line = json.loads(log.getvalue())
    assert ("access_denied", "no", "ask") == (line["error"], line["error_description"], line["hint"])


def test_a_defect_is_logged_by_place_and_not_by_message(log: io.StringIO) -> None:
    """The type and the lines, not what a library wrote into its exception."""
    try:
        raise ValueError("s3cret")
    except ValueError as error:
        observability.report(error)
    assert "s3cret" not in log.getvalue()
    assert "test_observability.py" in log.getvalue()
