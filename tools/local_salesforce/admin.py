"""The emulator's own API below /__admin/, which Salesforce does not have: look at the world and change it while it runs."""

from __future__ import annotations

import hashlib
import json
import traceback
from collections.abc import Callable
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

from pydantic import BaseModel, ValidationError

from local_salesforce.emulator import Emulator
from local_salesforce.faults import KINDS, MAX_SECONDS
from local_salesforce.sessions import Session
from local_salesforce.wire import Answer, Request
from local_salesforce.world import App, Org, Profile, User

PREFIX = "/__admin/"

Step = Callable[[dict[str, Any]], object]

COLLECTIONS: dict[str, type[BaseModel]] = {"orgs": Org, "profiles": Profile, "apps": App, "users": User}

HELP = {
    "GET /__admin/world": "everything that is set up",
    "POST /__admin/{orgs|users|apps|profiles}": "add one; an org or site gets an address",
    "PATCH /__admin/{orgs|users|apps|profiles}/{name}": "change fields of one; a certificate propagates",
    "DELETE /__admin/{users|apps|profiles}/{name}": "remove one",
    "?org={name}": "which app or user, where several orgs have one of that name",
    "PATCH /__admin/switches": "change what is unknown of Salesforce",
    "POST /__admin/clock": '{"advance": seconds}',
    "PUT /__admin/latency": '{"seconds": of each token request}',
    "GET, POST, DELETE /__admin/faults": 'show, order or drop faults: {"kind": one of kinds, "times": 1, ...}',
    "GET, DELETE /__admin/sessions?username=": "show the living sessions; end those of a user, or all",
    "GET, DELETE /__admin/journal": "show the requests; forget them",
    "GET, DELETE /__admin/logins": "show the login attempts with their checks; forget them",
}


class NotThere(Exception):
    """A name that the world does not have."""


class AdminApi:
    """Answers the requests below PREFIX; `serve_orgs` opens the addresses of new orgs and sites."""

    def __init__(self, emulator: Emulator, serve_orgs: Callable[[], None]) -> None:
        self._emulator = emulator
        self._serve_orgs = serve_orgs

    def answer(self, request: Request) -> Answer:
        """Answer a request; whatever is wrong with it is a 400 or 404 that says so in plain text."""
        collection, _, name = request.path.removeprefix(PREFIX).partition("/")
        step = self._step(request, collection, unquote(name))
        if step is None:
            return _error("there is no such resource", HTTPStatus.NOT_FOUND)
        try:
            return Answer.json(_plain(step(_fields(request))))
        except NotThere as error:
            return _error(str(error), HTTPStatus.NOT_FOUND)
        except ValidationError as error:
            return _error("; ".join(_reason(each) for each in error.errors(include_url=False, include_input=False)))
        except (ValueError, TypeError) as error:
            return _error(str(error))
        except Exception as error:  # noqa: BLE001  a defect is shown and answered, and never a dropped connection
            traceback.print_exc()
            return _error(f"the local Salesforce has a defect: {type(error).__name__}", HTTPStatus.INTERNAL_SERVER_ERROR)

    def _step(self, request: Request, collection: str, name: str) -> Step | None:
        emulator = self._emulator
        steps: dict[tuple[str, str, bool], Step] = {
            ("GET", "", False): lambda _: {"resources": HELP, "kinds": list(KINDS), "sites": emulator.urls},
            ("GET", "world", False): lambda _: emulator.world,
            ("PATCH", "switches", False): lambda fields: _change(emulator.world.switches, fields),
            ("POST", "clock", False): lambda fields: {"now": emulator.clock.advance(_number(fields, "advance"))},
            ("PUT", "latency", False): self._set_latency,
            ("GET", "faults", False): lambda _: emulator.faults.ordered,
            ("POST", "faults", False): self._order_fault,
            ("DELETE", "faults", False): lambda _: emulator.faults.clear(),
            ("GET", "sessions", False): lambda _: [_session(each) for each in emulator.sessions.living()],
            ("DELETE", "sessions", False): lambda _: {"ended": emulator.sessions.end(username=request.query.get("username"))},
            ("GET", "journal", False): lambda _: [entry.shown() for entry in emulator.journal],
            ("DELETE", "journal", False): lambda _: emulator.journal.clear(),
            ("GET", "logins", False): lambda _: [attempt.shown() for attempt in emulator.login_attempts],
            ("DELETE", "logins", False): lambda _: emulator.login_attempts.clear(),
        }
        if collection in COLLECTIONS:
            org = request.query.get("org")
            steps["POST", collection, False] = lambda fields: self._add(collection, fields)
            steps["PATCH", collection, True] = lambda fields: self._change(collection, name, org, fields)
            if collection != "orgs":
                steps["DELETE", collection, True] = lambda _: self._remove(collection, name, org)
        return steps.get((request.method, collection, bool(name)))

    def _set_latency(self, fields: dict[str, Any]) -> object:
        seconds = _number(fields, "seconds")
        if not 0 <= seconds <= MAX_SECONDS:
            raise ValueError(f"seconds: from 0 to {MAX_SECONDS}")
        self._emulator.latency = seconds
        return {"seconds": seconds}

    def _order_fault(self, fields: dict[str, Any]) -> object:
        kind = fields.get("kind", "")
        if not isinstance(kind, str) or (kind and kind not in KINDS):
            raise ValueError(f"kind: there is no fault {kind!r}; there are {', '.join(KINDS)}")
        return self._emulator.faults.order(**{name: value for name, value in fields.items() if name != "kind"}, kind=kind)

    def _find(self, collection: str, name: str, org: str | None) -> BaseModel:
        world = self._emulator.world
        finders: dict[str, Callable[[], BaseModel]] = {
            "orgs": lambda: world.org(name),
            "profiles": lambda: world.profile(name),
            "apps": lambda: world.app(name, org),
            "users": lambda: world.user(name, org),
        }
        try:
            return finders[collection]()
        except KeyError:
            raise NotThere(f"there is no {collection.removesuffix('s')} {name!r}") from None

    def _add(self, collection: str, fields: dict[str, Any]) -> BaseModel:
        things: list[BaseModel] = getattr(self._emulator.world, collection)
        thing = COLLECTIONS[collection].model_validate(fields)
        things.append(thing)
        try:
            self._emulator.world.check()
        except ValueError:
            things.remove(thing)
            raise
        self._serve_orgs()
        return thing

    def _remove(self, collection: str, name: str, org: str | None) -> BaseModel:
        things: list[BaseModel] = getattr(self._emulator.world, collection)
        thing = self._find(collection, name, org)
        at = next(place for place, each in enumerate(things) if each is thing)
        del things[at]
        try:
            self._emulator.world.check()
        except ValueError:
            things.insert(at, thing)
            raise
        return thing

    def _change(self, collection: str, name: str, org: str | None, fields: dict[str, Any]) -> BaseModel:
        thing = self._find(collection, name, org)
        if collection in {"orgs", "profiles"} and fields.get("name", name) != name:
            raise ValueError("name: cannot be changed")
        before = thing.model_copy()
        _change(thing, {field: value for field, value in fields.items() if field != "certificate"})
        try:
            self._emulator.world.check()
            if isinstance(thing, App) and "certificate" in fields:
                self._emulator.set_certificate(thing.consumer_key, fields["certificate"], org=thing.org)
        except ValueError:
            _change(thing, dict(before))
            raise
        self._serve_orgs()
        return thing


def _fields(request: Request) -> dict[str, Any]:
    try:
        fields = json.loads(request.body or b"{}")
    except (ValueError, RecursionError):
        raise ValueError("the body is no JSON") from None
    if not isinstance(fields, dict):
        raise TypeError("the body is no JSON object")
    return fields


def _number(fields: dict[str, Any], name: str) -> float:
    value = fields.get(name)
    if set(fields) != {name} or isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f'{name}: send {{"{name}": a number}}')
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"{name}: the number is too large") from None


def _change(thing: BaseModel, fields: dict[str, Any]) -> BaseModel:
    """Change fields: all, or none where one is not valid."""
    valid = type(thing).model_validate(dict(thing) | fields)
    for field in fields:
        setattr(thing, field, getattr(valid, field))
    return thing


def _session(session: Session) -> dict[str, Any]:
    """Describe a session by what may be shown: a fingerprint in place of the token."""
    return {
        "username": session.user.username,
        "org": session.user.org,
        "consumer_key": session.app.consumer_key,
        "address": session.address,
        "fingerprint": hashlib.sha256(session.token.encode()).hexdigest()[:16],
        "began": session.began,
        "last_used": session.last_used,
        "ends": session.ends,
    }


def _error(reason: str, status: int = HTTPStatus.BAD_REQUEST) -> Answer:
    return Answer.json({"error": reason, "resources": HELP} if status == HTTPStatus.NOT_FOUND else {"error": reason}, status)


def _reason(error: Any) -> str:
    field = ".".join(str(part) for part in error["loc"])
    text = str(error["msg"]).removeprefix("Value error, ")
    return f"{field}: {text}" if field else text


def _plain(found: object) -> object:
    if isinstance(found, BaseModel):
        return found.model_dump(mode="json")
    return [_plain(each) for each in found] if isinstance(found, list) else found
