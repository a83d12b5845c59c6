"""simple-salesforce with tokens of the broker."""

from __future__ import annotations

from typing import Any

from tests.unit.client.adapters.conftest import A, B, Script
from tests.unit.client.conftest import Start


def test_simple_salesforces_bulk_renews_itself(start: Start) -> None:
    """Though it keeps the token that it began with in a header of its own."""
    over = (400, b'{"exceptionCode":"InvalidSessionId","exceptionMessage":"Invalid session id"}')
    caller, script = start(A, B), Script(over, (200, b'{"id":"750"}'))
    client = caller.broker.simple_salesforce()
    client.session.mount("https://", script)
    bulk: Any = client.bulk
    assert {"id": "750"} == bulk.Account._create_job("insert", use_serial=False)  # noqa: SLF001  the first request of any
    assert ["00D!first", "00D!second"] == [headers["X-SFDC-Session"] for headers in script.headers]
