"""The emulator's own endpoint, plainly not Salesforce's: /__admin/ to look at the world and change it while it runs.

Owns its paths. Changes nothing by itself: it calls what a test in the same process calls.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from pydantic import BaseModel, ValidationError

from local_stack.salesforce.faults import KINDS
from local_stack.salesforce.wire import Answer, Request
from local_stack.salesforce.world import App, Org, Profile, User

if TYPE_CHECKING:
    from local_stack.salesforce.server import LocalSalesforce

PREFIX = "/__admin/"

Step = Callable[[dict[str, Any]], object]

THINGS: dict[str, type[BaseModel]] = {"orgs": Org, "profiles": Profile, "apps": App, "users": User}
"""The collections of the world. An org cannot be added: it would need an address."""

HELP = {
    "GET /__admin/world": "everything that is set up",
    "POST /__admin/{users|apps|profiles}": "add one",
    "PATCH /__admin/{users|apps|profiles|orgs}/{name}": "change fields of one; an app's certificate by way of its propagation",
    "PATCH /__admin/switches": "change what is unknown of Salesforce",
    "POST /__admin/clock": '{"advance": seconds}',
    "GET, POST, DELETE /__admin/faults": 'what is on order; {"kind": one of kinds, "times": 1, ...}; none',
    "DELETE /__admin/sessions?username=": "end the sessions of a user, or all",
    "GET, DELETE /__admin/journal": "what was asked; forget it",
}


def answer(request: Request, salesforce: LocalSalesforce) -> Answer:
    """Answer a request below PREFIX."""
    what, _, name = request.path.removeprefix(PREFIX).partition("/")
    steps: dict[tuple[str, str, bool], Step] = {
        ("GET", "", False): lambda _: {"there is": HELP, "kinds": list(KINDS), "sites": salesforce.urls},
        ("GET", "world", False): lambda _: salesforce.world,
        ("PATCH", "switches", False): lambda given: _change(salesforce.world.switches, given),
        ("POST", "clock", False): lambda given: {"now": salesforce.clock.advance(float(given["advance"]))},
        ("GET", "faults", False): lambda _: salesforce.faults.ordered,
        ("POST", "faults", False): lambda given: salesforce.faults.order(**given),
        ("DELETE", "faults", False): lambda _: salesforce.faults.clear(),
        ("DELETE", "sessions", False): lambda _: {"ended": salesforce.sessions.end(username=request.query.get("username"))},
        ("GET", "journal", False): lambda _: [entry.shown() for entry in salesforce.journal],
        ("DELETE", "journal", False): lambda _: salesforce.journal.clear(),
    }
    if what in THINGS:
        steps["PATCH", what, True] = lambda given: _change_thing(salesforce, what, unquote(name), given)
        if what != "orgs":
            steps["POST", what, False] = lambda given: _add_thing(salesforce, what, given)
    step = steps.get((request.method, what, bool(name)))
    if step is None:
        return Answer.json({"error": "no such thing", "there is": HELP}, HTTPStatus.NOT_FOUND)
    try:
        found = step(json.loads(request.body or b"{}"))
    except ValidationError as error:
        return Answer.json({"error": json.loads(error.json(include_url=False, include_input=False))}, HTTPStatus.BAD_REQUEST)
    except (KeyError, ValueError, TypeError) as error:
        return Answer.json({"error": f"{type(error).__name__}: {error}"}, HTTPStatus.BAD_REQUEST)
    return Answer.json(_plain(found))


def _change_thing(salesforce: LocalSalesforce, what: str, name: str, given: dict[str, Any]) -> BaseModel:
    world = salesforce.world
    find: dict[str, Callable[[str], BaseModel]] = {
        "orgs": world.org,
        "profiles": world.profile,
        "apps": world.app,
        "users": world.user,
    }
    changed = _change(find[what](name), {field: value for field, value in given.items() if field != "certificate"})
    if what == "apps" and "certificate" in given:
        salesforce.set_certificate(name, given["certificate"])
    return changed


def _add_thing(salesforce: LocalSalesforce, what: str, given: dict[str, Any]) -> BaseModel:
    made = THINGS[what].model_validate(given)
    getattr(salesforce.world, what).append(made)
    return made


def _change(thing: BaseModel, given: dict[str, Any]) -> BaseModel:
    """Change fields, all or none."""
    type(thing).model_validate(thing.model_dump() | given)
    for field, value in given.items():
        setattr(thing, field, value)
    return thing


def _plain(found: object) -> object:
    if isinstance(found, BaseModel):
        return found.model_dump(mode="json")
    return [_plain(each) for each in found] if isinstance(found, list) else found
