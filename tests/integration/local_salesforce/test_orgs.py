"""Orgs as they differ: one consumer key in several, Experience Cloud sites, Lightning and Setup hosts, audiences, scopes."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from local_salesforce import DEFAULT_CONNECTED_APP_KEY, DEFAULT_CONSUMER_KEY, DEFAULT_USERNAME, App, Org, User, key_material
from tests.integration.local_salesforce.conftest import Desk, said

TOKEN = "/services/oauth2/token"
SITE = "acme.my.site.com/partners"
LIGHTNING = "acme.lightning.force.com"
SETUP = "acme.my.salesforce-setup.com"
NOT_APPROVED = (400, "invalid_grant", "user hasn't approved this consumer")


def add_scratch_org(desk: Desk, number: int) -> str:
    """Add a scratch org with the same consumer key and a user of its own; return the username."""
    world, name = desk.salesforce.world, f"scratch{number}"
    my_domain = f"https://{name}.scratch.my.salesforce.com"
    world.orgs.append(Org(name=name, id=f"00D00000000{number:04}", my_domain=my_domain, sandbox=True))
    app = {"consumer_key": "3MVG9.hub", "org": name, "kind": "connected_app", "certificate": desk.key.certificate}
    world.apps.append(App.model_validate(app))
    world.users.append(User(username=f"test@{name}.example", id=f"00500000001{number:04}", org=name))
    desk.salesforce.serve_orgs()
    return f"test@{name}.example"


def test_one_consumer_key_serves_several_orgs(desk: Desk) -> None:
    """At each My Domain its own org; at the test host the org of the user."""
    first, second = add_scratch_org(desk, 1), add_scratch_org(desk, 2)
    for site in ("scratch2", "test"):
        answer = desk.log_in(site=site, iss="3MVG9.hub", sub=second, aud=desk.salesforce.urls[site]).json()
        assert "00D000000000002" == answer["access_token"][:15]
        assert desk.salesforce.urls["scratch2"] == answer["instance_url"]
    wrong = desk.log_in(site="scratch2", iss="3MVG9.hub", sub=first, aud=desk.salesforce.urls["scratch2"])
    assert NOT_APPROVED == said(wrong)


def test_each_org_has_a_certificate_of_its_own_for_the_same_key(desk: Desk) -> None:
    """A refreshed sandbox has a copy of the app, which is changed alone."""
    users = [add_scratch_org(desk, 1), add_scratch_org(desk, 2)]
    desk.salesforce.set_certificate("3MVG9.hub", key_material.make().certificate, org="scratch2")
    answers = [desk.log_in(site="test", iss="3MVG9.hub", sub=user, aud="https://test.salesforce.com") for user in users]
    assert [200, 400] == [answer.status_code for answer in answers]
    assert "invalid assertion" == said(answers[1])[2]


def test_a_site_has_its_token_endpoint_below_its_path(desk: Desk) -> None:
    """And its audience is its URL, path included, or the local address for it."""
    desk.salesforce.world.org("acme").sites.append(f"https://{SITE}")
    desk.salesforce.serve_orgs()
    url = desk.salesforce.urls[SITE]
    assert "/partners" == urlsplit(url).path
    for audience in (f"https://{SITE}", f"https://{SITE}/", url):
        answer = desk.log_in(site=SITE, aud=audience)
        assert 200 == answer.status_code, answer.text
        assert desk.salesforce.url == answer.json()["instance_url"]


@pytest.mark.parametrize(
    "audience", ["https://acme.my.site.com", "https://acme.my.salesforce.com", "https://acme.my.site.com/x"]
)
def test_a_site_takes_no_other_audience(desk: Desk, audience: str) -> None:
    """Neither without its path nor the My Domain."""
    desk.salesforce.world.org("acme").sites.append(f"https://{SITE}")
    desk.salesforce.serve_orgs()
    assert (400, "invalid_grant", "audience is invalid") == said(desk.log_in(site=SITE, aud=audience))


def test_a_site_serves_nothing_beside_its_path(desk: Desk) -> None:
    """A page that says so: the path was forgotten."""
    desk.salesforce.world.org("acme").sites.append(f"https://{SITE}")
    desk.salesforce.serve_orgs()
    origin = desk.salesforce.urls[SITE].removesuffix("/partners")
    answer = desk.session.post(origin + TOKEN, timeout=30)
    assert 404 == answer.status_code
    assert answer.headers["Content-Type"].startswith("text/html")


@pytest.mark.parametrize("host", [LIGHTNING, SETUP])
def test_a_lightning_or_setup_host_redirects_to_the_login_page(desk: Desk, host: str) -> None:
    """Whatever is asked for, and nobody is logged in."""
    answer = desk.log_in(site=host)
    location = urlsplit(answer.headers["Location"])
    assert 302 == answer.status_code
    assert desk.salesforce.url == f"{location.scheme}://{location.netloc}"
    assert [TOKEN] == parse_qs(location.query)["startURL"]
    assert 0 == desk.salesforce.logins()


def test_a_lightning_host_that_answers_with_a_page_is_a_switch(desk: Desk) -> None:
    """Status 200, HTML, and a script that leads to the login page."""
    desk.salesforce.world.switches.lightning_answer = "html"
    answer = desk.log_in(site=LIGHTNING)
    assert 200 == answer.status_code
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "window.location.replace" in answer.text


def test_an_org_that_wants_the_login_hosts_audience_is_a_switch(desk: Desk) -> None:
    """At its My Domain, as GovCloud and Trailhead orgs do; for both kinds of app."""
    desk.salesforce.world.switches.my_domain_audience_is_refused = True
    for key in (DEFAULT_CONSUMER_KEY, DEFAULT_CONNECTED_APP_KEY):
        assert (400, "invalid_grant", "audience is invalid") == said(desk.log_in(iss=key))
        assert desk.log_in(iss=key, aud="https://login.salesforce.com").ok


@pytest.mark.parametrize("scope", ["refresh_token", "offline_access"])
def test_approval_that_needs_the_scope_refresh_token_is_a_switch(desk: Desk, scope: str) -> None:
    """Without it the user counts as not approved."""
    desk.salesforce.world.switches.refresh_token_scope_is_required = True
    assert NOT_APPROVED == said(desk.log_in())
    desk.salesforce.world.app(DEFAULT_CONSUMER_KEY).scopes = f"api id {scope}"
    assert desk.log_in().ok


def test_a_renamed_my_domain_is_the_only_audience(desk: Desk) -> None:
    """The old name is invalid."""
    desk.salesforce.world.org("acme").my_domain = "https://acme-renamed.my.salesforce.com"
    assert (400, "invalid_grant", "audience is invalid") == said(desk.log_in(aud="https://acme.my.salesforce.com"))
    assert desk.log_in(aud="https://acme-renamed.my.salesforce.com").ok
    assert DEFAULT_USERNAME == desk.salesforce.journal[-1].subject
