"""What an answer of Salesforce must look like to be believed, and what the others mean."""

from __future__ import annotations

import io
from typing import Any, cast

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from salesforce_broker.errors import (
    AppRefused,
    AssertionExpired,
    LoginRateExceeded,
    SalesforceBusy,
    SalesforceError,
    TokenRefused,
    UserRefused,
)
from salesforce_broker.salesforce.access_token import AccessToken
from salesforce_broker.salesforce.client import MAX_RETRY_AFTER_SECONDS, SalesforceClient
from salesforce_broker.salesforce.transport import Reply
from tests.support import builders
from tests.support.builders import refusal, reply
from tests.support.clocks import START, ManualClock
from tests.support.fakes import FakeTransport

HTML = b"<!DOCTYPE html><html>Down for maintenance</html>"


def salesforce(*answers: Reply) -> tuple[SalesforceClient, FakeTransport]:
    """Return Salesforce with these answers, the last one to everything else."""
    transport = FakeTransport(*answers)
    clock = ManualClock().clock()
    client = SalesforceClient(
        cast("Any", transport),
        login_url=builders.LOGIN_URL,
        token_lifetime_seconds=900,
        clock=clock,
    )
    return client, transport


def exchange(answer: Reply) -> AccessToken:
    """Exchange an assertion for that answer."""
    return salesforce(answer)[0].exchange("assertion", ManualClock().clock().deadline(10))


def identity(answer: Reply) -> dict[str, Any]:
    """Ask whose a token is."""
    return salesforce(answer)[0].identity(builders.token(), ManualClock().clock().deadline(10))


def test_a_whole_answer_becomes_a_token() -> None:
    """All five fields, as given."""
    assert builders.token() == exchange(reply(builders.answer()))


def test_the_assertion_goes_to_the_login_url() -> None:
    """To the one token endpoint, whatever the audience is."""
    client, transport = salesforce(reply(builders.answer()))
    client.exchange("assertion", ManualClock().clock().deadline(10))
    assert [f"{builders.LOGIN_URL}/services/oauth2/token"] == transport.urls


@pytest.mark.parametrize("name", ["access_token", "token_type", "instance_url", "id", "scope"])
@pytest.mark.parametrize("value", [None, 7, True, [], {}], ids=repr)
def test_a_missing_or_wrong_typed_field_is_no_success(name: str, value: object) -> None:
    """An answer that is not whole is tried again."""
    with pytest.raises(SalesforceBusy):
        exchange(reply(builders.answer(**{name: value})))


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"access_token": ""}, SalesforceBusy),
        ({"access_token": "a b"}, SalesforceBusy),
        ({"access_token": "a\r\nX-Evil: 1"}, SalesforceBusy),
        ({"access_token": "é"}, SalesforceBusy),
        ({"token_type": "MAC"}, SalesforceBusy),
        ({"id": "https://login.salesforce.com/"}, SalesforceBusy),
        ({"id": "https://login.salesforce.com/id/00D/../../x"}, SalesforceBusy),
        ({"instance_url": "https://evil.example"}, AppRefused),
        ({"instance_url": "http://acme.my.salesforce.com"}, AppRefused),
        ({"instance_url": "https://evil.com\\@acme.my.salesforce.com/"}, AppRefused),
        ({"instance_url": "http://127.0.0.1:8080"}, AppRefused),
        ({"instance_url": "https://login.salesforce.com"}, AppRefused),
        ({"instance_url": "https://trailhead.salesforce.com"}, AppRefused),
        ({"id": "https://evil.example/id/00D000000000001EAA/005000000000001AAA"}, AppRefused),
        ({"id": "https://login.salesforce.com@evil.example/id/00D000000000001EAA/005000000000001AAA"}, AppRefused),
        ({"id": "http://login.salesforce.com/id/00D000000000001EAA/005000000000001AAA"}, AppRefused),
        ({"id": "http://127.0.0.1/id/00D000000000001EAA/005000000000001AAA"}, AppRefused),
        ({"expires_in": 0}, SalesforceBusy),
        ({"expires_in": "-5"}, SalesforceBusy),
    ],
)
def test_an_answer_that_cannot_be_true_is_not_believed(changes: dict[str, str], kind: type[SalesforceError]) -> None:
    """Neither a token that would break a header nor an instance that is not Salesforce's."""
    with pytest.raises(kind):
        exchange(reply(builders.answer(**changes)))


@pytest.mark.parametrize(
    ("name", "url", "handed_on"),
    [
        ("api_instance_url", "https://api.salesforce.com", "https://api.salesforce.com"),
        ("api_instance_url", "https://evil.example", None),
        ("api_instance_url", "https://evil.com\\@api.salesforce.com", None),
        ("sfdc_community_url", "https://acme.my.site.com/partners", "https://acme.my.site.com/partners"),
        ("sfdc_community_url", "https://ACME.my.site.com/partners/", "https://acme.my.site.com/partners"),
        ("sfdc_community_url", "http://acme.my.site.com/partners", None),
        ("sfdc_community_url", "https://partners.acme.example", None),
    ],
)
def test_other_urls_are_handed_on_only_if_they_are_salesforces(
    name: str, url: str, handed_on: str | None, log: io.StringIO
) -> None:
    """A caller may send its token there; the log says which was left out."""
    token = exchange(reply(builders.answer(**{name: url})))
    assert handed_on == token.optional.get(name)
    assert (handed_on is None) == (f'"field":"{name}"' in log.getvalue())


def test_an_identity_url_is_handed_on_as_rebuilt() -> None:
    """Of a site, too."""
    path = "/id/00D000000000001EAA/005000000000001AAA"
    assert f"https://acme.my.site.com/x{path}" == exchange(reply(builders.answer(id=f"https://ACME.my.site.com/x{path}"))).id


def test_a_site_is_asked_below_its_path() -> None:
    """Its token endpoint, and the one for revocation."""
    transport = FakeTransport(reply(builders.answer()), reply(b""))
    site, clock = "https://acme.my.site.com/partners", ManualClock().clock()
    client = SalesforceClient(cast("Any", transport), login_url=site, token_lifetime_seconds=900, clock=clock)
    client.revoke(client.exchange("assertion", clock.deadline(10)), clock.deadline(10))
    assert [f"{site}/services/oauth2/token", f"{site}/services/oauth2/revoke"] == transport.urls


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("https://globex.my.salesforce.com/services/oauth2/token", "Salesforce redirects to https://globex.my.salesforce.com:"),
        ("https://evil.example/https://globex.my.salesforce.com", "something other than Salesforce's token endpoint answered"),
        ("http://[", "something other than Salesforce's token endpoint answered"),
        ("\xff\x00", "something other than Salesforce's token endpoint answered"),
        ("", "something other than Salesforce's token endpoint answered"),
    ],
)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_names_the_new_host_of_the_org(location: str, words: str, status: int) -> None:
    """A renamed My Domain; what is no host of Salesforce is not repeated."""
    with pytest.raises(AppRefused) as caught:
        exchange(reply(b"", status=status, headers={"Location": location}))
    assert words in caught.value.hint
    assert "evil" not in caught.value.hint


@pytest.mark.parametrize("status", [200, 400, 403, 429, 500, 503])
@pytest.mark.parametrize(
    "body",
    [
        {"error": "invalid_grant", "error_description": "login rate exceeded"},
        {"error": "LOGIN_RATE_EXCEEDED"},
        [{"errorCode": "LOGIN_RATE_EXCEEDED", "message": "Login Rate Exceeded"}],
        {"errorCode": "LOGIN_RATE_EXCEEDED", "message": ""},
        b"LOGIN_RATE_EXCEEDED",
        b"<html>Login Rate Exceeded</html>",
    ],
    ids=repr,
)
def test_too_many_logins_are_recognized_by_code_or_text(body: Any, status: int) -> None:
    """Whatever the status; by 200 nothing is refused."""
    with pytest.raises(SalesforceError) as caught:
        exchange(reply(body, status=status, headers={"Retry-After": "7"}))
    assert (LoginRateExceeded is type(caught.value)) == (status != 200)


@pytest.mark.parametrize("status", [429, 500, 503])
@pytest.mark.parametrize("error", ["invalid_grant", "invalid_client_id", "server_error", "temporarily_unavailable", "x"])
def test_an_oauth_code_does_not_make_an_outage_a_refusal(error: str, status: int) -> None:
    """500 and 503 may carry any."""
    with pytest.raises(SalesforceBusy) as caught:
        exchange(reply({"error": error}, status=status, headers={"Retry-After": "7"}))
    assert 7 == caught.value.retry_after


def test_a_token_that_is_over_says_what_may_be_wrong() -> None:
    """It is no success, is not handed out, and blames no caller's min_ttl."""
    past = jwt.encode({"exp": int(START) - 600}, "x" * 32)
    with pytest.raises(SalesforceBusy, match="over, by its own word") as caught:
        exchange(reply(builders.answer(access_token=past)))
    assert "clock" in caught.value.hint


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (reply(HTML), AppRefused),
        (reply(b"\n  <html>"), AppRefused),
        (reply(b'{"access_token": "00'), SalesforceBusy),
        (reply(b""), SalesforceBusy),
        (reply(b"[" * 60_000), SalesforceBusy),
        (reply(b"\xff\xfe"), SalesforceBusy),
        (reply([]), SalesforceBusy),
        (reply(b"", status=302), AppRefused),
        (reply(b"", status=307, headers={"Location": "https://evil.example"}), AppRefused),
        (reply(b"", status=429), SalesforceBusy),
        (reply(b"", status=500), SalesforceBusy),
        (reply(HTML, status=502), SalesforceBusy),
        (reply(HTML, status=503), SalesforceBusy),
        (reply(b"", status=504), SalesforceBusy),
        (reply(HTML, status=404), AppRefused),
        (reply(b"", status=400), AppRefused),
        (reply({"message": "Forbidden"}, status=403), AppRefused),
        (refusal("invalid_grant", "user is locked"), UserRefused),
        (refusal("invalid_grant"), AppRefused),
        (reply({"error": 7}, status=400), AppRefused),
        (reply({"error": "invalid_grant", "error_description": 7}, status=400), AppRefused),
    ],
)
def test_what_is_no_token_has_its_class(answer: Reply, kind: type[SalesforceError]) -> None:
    """Busy is worth another try, a wrong host is not."""
    with pytest.raises(SalesforceError) as caught:
        exchange(answer)
    assert kind is type(caught.value)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7),
        ("0", 0),
        ("999999999", MAX_RETRY_AFTER_SECONDS),
        ("-1", None),
        ("soon", None),
        ("1e9", None),
        ("Fri, 15 Jan 2027 08:01:00 GMT", 60),
        ("Fri, 15 Jan 2027 07:00:00 GMT", 0),
    ],
)
def test_retry_after_is_read_within_bounds(header: str, seconds: float | None) -> None:
    """Seconds or a date, never more than an hour."""
    with pytest.raises(SalesforceBusy) as caught:
        exchange(reply(b"", status=503, headers={"Retry-After": header}))
    assert seconds == caught.value.retry_after


def test_an_expired_assertion_brings_salesforces_clock() -> None:
    """The Date of the refusal."""
    with pytest.raises(AssertionExpired) as caught:
        exchange(refusal("invalid_grant", "expired authorization code", Date="Fri, 15 Jan 2027 08:00:00 GMT"))
    assert START == caught.value.server_time


@given(st.binary(max_size=200), st.sampled_from([200, 302, 400, 403, 404, 429, 500, 503]))
def test_no_body_makes_another_exception(body: bytes, status: int) -> None:
    """A hostile upstream gets a SalesforceError for its pains."""
    with pytest.raises(SalesforceError) as caught:
        exchange(reply(body, status=status))
    assert caught.value.__cause__ is None


def test_identity_tells_who_and_no_more() -> None:
    """Addresses and phone numbers stay with Salesforce."""
    document = {"user_id": "005", "username": "u", "mobile_phone": "+1", "addr_street": "x", "active": True}
    assert {"user_id": "005", "username": "u", "active": True} == identity(reply(document))


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (reply(b"Bad_OAuth_Token", status=403), TokenRefused),
        (reply([{"errorCode": "INVALID_SESSION_ID"}], status=401), TokenRefused),
        (reply(b"Missing_OAuth_Token", status=403), AppRefused),
        (reply(b"Invalid_Scope", status=403), AppRefused),
        (reply(HTML, status=503), SalesforceBusy),
        (reply(b"", status=301), AppRefused),
        (reply(HTML), AppRefused),
    ],
)
def test_identity_tells_a_dead_token_from_other_trouble(answer: Reply, kind: type[SalesforceError]) -> None:
    """Only a dead token is worth a new one."""
    with pytest.raises(SalesforceError) as caught:
        identity(answer)
    assert kind is type(caught.value)


UNSUPPORTED = refusal("unsupported_token_type", "this token type is not supported")
UNSUPPORTED_AS_A_FORM = reply(
    b"error=unsupported_token_type&error_description=this%20token%20type%20is%20not%20supported", status=400
)
BAD_TOKEN = reply(b"Bad_OAuth_Token", status=403)


@pytest.mark.parametrize(
    "answers",
    [
        [reply(b"")],
        [refusal("invalid_token", "invalid token")],
        [reply(b"error=invalid_token&error_description=invalid%20token", status=400)],
        [UNSUPPORTED, BAD_TOKEN],
        [UNSUPPORTED_AS_A_FORM, BAD_TOKEN],
    ],
)
def test_a_token_that_is_over_is_revoked(answers: list[Reply]) -> None:
    """By this or before; the endpoint needs no client authentication, and gets the token in a form."""
    client, transport = salesforce(*answers)
    client.revoke(builders.token(), ManualClock().clock().deadline(10))
    assert f"{builders.LOGIN_URL}/services/oauth2/revoke" == transport.urls[0]
    assert [{"token": "00D000000000001!first"}] == transport.forms


@pytest.mark.parametrize(
    ("answers", "kind"),
    [
        ([UNSUPPORTED, reply({"id": "x"})], AppRefused),
        ([UNSUPPORTED_AS_A_FORM, reply({"id": "x"})], AppRefused),
        ([UNSUPPORTED, reply(b"", status=500)], SalesforceBusy),
        ([reply(b"", status=500)], SalesforceBusy),
        ([reply(b"", status=429)], SalesforceBusy),
        ([refusal("unknown_error", "retry your request")], SalesforceBusy),
        ([reply(HTML, status=400)], AppRefused),
        ([reply(b"", status=302)], AppRefused),
        ([reply({"error": "invalid_token"}, status=500)], SalesforceError),
    ],
)
def test_a_token_that_may_live_is_not_revoked(answers: list[Reply], kind: type[SalesforceError]) -> None:
    """Of what cannot be revoked, or is said not to be, Salesforce itself is asked whether it lives."""
    client, _ = salesforce(*answers)
    with pytest.raises(kind):
        client.revoke(builders.token(), ManualClock().clock().deadline(10))
