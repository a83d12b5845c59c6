"""The REST API: versions, resources, query, sobjects, limits.

Texts: Salesforce REST API Developer Guide, "Status Codes and Error Responses".
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from local_salesforce.addresses import Addresses
from local_salesforce.data.metadata_api import MetadataApi
from local_salesforce.data.records import TYPES, Invalid, Records, Row
from local_salesforce.sessions import Session, Sessions
from local_salesforce.wire import Answer, Request
from local_salesforce.world import User

WINTER_26 = 65
OLDEST, NEWEST = 31, 68
"""The versions that are served: Salesforce has retired those before 31.0; 68.0 is Winter '27."""

DAILY_REQUESTS = 15_000
BATCH_ROWS = 2000
"""In one answer to a query; `nextRecordsUrl` leads to the rest."""

_VERSIONED = re.compile(r"/services/data/v(?P<version>\d+)\.0(?:/(?P<resource>.*))?")
_STATUS = {"NOT_FOUND": HTTPStatus.NOT_FOUND}
"""The status of an error code; the others have 400."""


class DataApi:
    """What a session may do."""

    def __init__(self, sessions: Sessions, records: Records, metadata: MetadataApi, addresses: Addresses) -> None:
        self._sessions = sessions
        self._records = records
        self._metadata = metadata
        self._addresses = addresses
        self._requests = itertools.count(1)
        self._used = 0
        self._more: dict[str, tuple[str, list[Row]]] = {}

    def answer(self, request: Request) -> Answer:
        """Answer a request that no OAuth endpoint has answered."""
        if request.path.rstrip("/") == "/services/data":
            return Answer.json([_version(number) for number in range(OLDEST, NEWEST + 1)])
        session = self._sessions.use(request.bearer, request.address) if request.bearer else None
        if session is None or request.site.org is None or session.user.org != request.site.org.name:
            return Answer.errors(HTTPStatus.UNAUTHORIZED, "INVALID_SESSION_ID", "Session expired or invalid")
        if not session.app.attached_to_agent:
            return Answer.errors(HTTPStatus.UNAUTHORIZED, "INVALID_SESSION_ID", "Connected app is not attached to Agent")
        if not {"api", "full"} & set(session.app.scopes.split()):
            words = "This session is not valid for use with the REST API"
            return Answer.errors(HTTPStatus.UNAUTHORIZED, "INVALID_SESSION_ID", words)
        self._used = next(self._requests)
        try:
            answer = self._resource(request, session)
        except Invalid as invalid:
            more = {"fields": invalid.fields} if invalid.fields else {}
            answer = Answer.errors(_STATUS.get(invalid.code, HTTPStatus.BAD_REQUEST), invalid.code, invalid.message, **more)
        return answer.with_headers(Sforce_Limit_Info=f"api-usage={self._used}/{DAILY_REQUESTS}")

    def _resource(self, request: Request, session: Session) -> Answer:
        found = _VERSIONED.fullmatch(request.path.rstrip("/"))
        if found is None or not OLDEST <= int(found["version"]) <= NEWEST:
            raise _not_found()
        assert request.site.org is not None
        org = request.site.org
        base = f"/services/data/v{found['version']}.0"
        # The Tooling API answers queries in the same form.
        kind, *rest = (found["resource"] or "").removeprefix("tooling/").split("/")
        resources: dict[str, Callable[[], Answer]] = {
            "": lambda: Answer.json(
                {name: f"{base}/{name}" for name in ("sobjects", "query", "queryAll", "limits", "metadata")}
                | {"identity": self._addresses.identity_url(session.user, org)}
            ),
            "query": lambda: self._query(request, base, rest),
            "queryAll": lambda: self._query(request, base, rest),
            "limits": lambda: Answer.json(
                {"DailyApiRequests": {"Max": DAILY_REQUESTS, "Remaining": DAILY_REQUESTS - self._used}}
            ),
            "sobjects": lambda: self._sobjects(request, base, rest, session.user),
            "metadata": lambda: self._metadata.answer(request, base, rest, session.user),
        }
        if kind not in resources:
            raise _not_found()
        return resources[kind]()

    def _query(self, request: Request, base: str, rest: list[str]) -> Answer:
        assert request.site.org is not None
        if rest:
            if rest[0] not in self._more:
                raise Invalid("INVALID_QUERY_LOCATOR", "invalid query locator")
            name, rows = self._more.pop(rest[0])
            total = len(rows)
        else:
            if "q" not in request.query:
                raise Invalid("MALFORMED_QUERY", "A query string has to be specified")
            if request.query.get("columns") == "true":
                return self._columns(request)
            name, rows, count = self._records.query(request.site.org, request.query["q"])
            if count is not None:
                return Answer.json({"totalSize": count, "done": True, "records": []})
            total = len(rows)
        body: dict[str, Any] = {"totalSize": total, "done": len(rows) <= BATCH_ROWS}
        if not body["done"]:
            locator = f"01g000000000{next(self._requests):06}-{BATCH_ROWS}"
            self._more[locator] = (name, rows[BATCH_ROWS:])
            body["nextRecordsUrl"] = f"{base}/query/{locator}"
        body["records"] = [_attributes(base, name, row) | row for row in rows[:BATCH_ROWS]]
        return Answer.json(body)

    def _columns(self, request: Request) -> Answer:
        """Describe a query's columns instead of running it: the Salesforce CLI asks for that."""
        assert request.site.org is not None
        name, rows, count = self._records.query(request.site.org, request.query["q"])
        fields = [] if count is not None or not rows else list(rows[0])
        columns = [
            {"aggregate": False, "apexType": "String", "columnName": field, "displayName": field, "joinColumns": []}
            for field in fields
        ]
        return Answer.json({"columnMetadata": columns, "entityName": name, "groupBy": False, "idSelected": "Id" in fields})

    def _sobjects(self, request: Request, base: str, rest: list[str], user: User) -> Answer:
        assert request.site.org is not None
        org, method = request.site.org, request.method
        if not rest:
            names = [{"name": name, "keyPrefix": kind.prefix, "urls": {}} for name, kind in TYPES.items()]
            return Answer.json({"encoding": "UTF-8", "maxBatchSize": 200, "sobjects": names})
        name, kind = self._records.type(rest[0])
        if rest[1:] == ["describe"] and method == "GET":
            fields = [{"name": field, "label": field, "type": "string"} for field in ("Id", *kind.fields)]
            return Answer.json({"name": name, "keyPrefix": kind.prefix, "createable": kind.creatable, "fields": fields})
        if len(rest) == 1 and method == "POST":
            created = self._records.create(org, name, _object(request), user)
            return Answer.json({"id": created, "success": True, "errors": []}, HTTPStatus.CREATED).with_headers(
                Location=f"{base}/sobjects/{name}/{quote(created)}"
            )
        if len(rest) == 2 and method in {"GET", "PATCH", "DELETE"}:  # noqa: PLR2004  type and id
            return self._record(request, base, name, rest[1], user)
        words = f"HTTP Method '{method}' not allowed. Allowed are HEAD,GET,PATCH,DELETE"
        return Answer.errors(HTTPStatus.METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", words)

    def _record(self, request: Request, base: str, name: str, record_id: str, user: User) -> Answer:
        assert request.site.org is not None
        org = request.site.org
        if request.method == "GET":
            row = self._records.get(org, name, record_id)
            wanted = [field for field in request.query.get("fields", "").split(",") if field]
            return Answer.json(_attributes(base, name, row) | {field: row[field] for field in wanted or row if field in row})
        if request.method == "PATCH":
            self._records.update(org, name, record_id, _object(request), user)
        else:
            self._records.delete(org, name, record_id)
        return Answer(HTTPStatus.NO_CONTENT)


def _version(number: int) -> dict[str, str]:
    """Describe a version; there are three a year, of which the Winter release comes first and has the next year's name."""
    year, season = divmod(number - WINTER_26, 3)
    label = f"{('Winter', 'Spring', 'Summer')[season]} '{26 + year}"
    return {"label": label, "url": f"/services/data/v{number}.0", "version": f"{number}.0"}


def _attributes(base: str, name: str, row: Row) -> Row:
    return {"attributes": {"type": name, "url": f"{base}/sobjects/{name}/{row['Id']}"} if "Id" in row else {"type": name}}


def _object(request: Request) -> Row:
    try:
        fields = json.loads(request.body)
    except ValueError:
        fields = None
    if not isinstance(fields, dict):
        raise Invalid("JSON_PARSER_ERROR", "The HTTP entity body is required, but this request has no entity body.")
    fields.pop("attributes", None)
    return fields


def _not_found() -> Invalid:
    return Invalid("NOT_FOUND", "The requested resource does not exist")
