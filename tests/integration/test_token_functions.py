"""Both functions as they stand in functions/, over AWS in process (moto) and the local Salesforce on a socket."""

from __future__ import annotations

import io
import json
import logging
import time
from typing import Any

import pytest

from local_salesforce import DEFAULT_CONSUMER_KEY, DEFAULT_USERNAME
from local_salesforce.world import User
from salesforce_broker import observability
from salesforce_broker.errors import AccessDenied, AppRefused, BrokerError, InvalidRequest, SigningKeyUnusable, UserRefused
from tests.integration.conftest import OTHER_USERNAME, PREFIX, Account
from tests.support import keys
from tests.support.events import Context, api_event, event_file


def test_a_token_comes_from_a_login_then_memory_then_the_shared_cache(account: Account) -> None:
    """First Salesforce, then memory, then (another environment, another handler) SSM: one login in all."""
    handler = account.open("token_api")
    status, first = account.call(event_file("api-token"), handler=handler)
    _, second = account.call(event_file("api-token"), handler=handler)
    third = account.invoke(event_file("invoke-token"))
    assert (200, "salesforce", "memory", "shared") == (status, first["source"], second["source"], third["source"])
    assert 1 == len({first["access_token"], second["access_token"], third["access_token"]})
    assert (1, 1) == (account.salesforce.exchanges(), account.salesforce.logins())


def test_a_request_at_the_alias_is_answered(account: Account) -> None:
    """POST /api/jwtauth {"sub": ...}."""
    status, body = account.call(event_file("api-jwtauth"))
    assert (200, "Bearer") == (status, body["token_type"])
    assert account.salesforce.sessions.use(body["access_token"])


def test_another_user_gets_a_token_of_its_own(account: Account) -> None:
    """Several users under one app."""
    _, body = account.call(event_file("api-token-for-user"))
    session = account.salesforce.sessions.use(body["access_token"])
    assert session is not None
    assert OTHER_USERNAME == session.user.username
    assert body["access_token"] == account.invoke(event_file("invoke-token-for-user"))["access_token"]


def test_identity_tells_who(account: Account) -> None:
    """At both functions, without the token."""
    status, over_https = account.call(event_file("api-identity"))
    invoked = account.invoke(event_file("invoke-identity"))
    assert (200, DEFAULT_USERNAME, DEFAULT_USERNAME) == (status, over_https["username"], invoked["username"])
    assert "access_token" not in over_https.keys() | invoked.keys()
    assert "mobile_phone" not in over_https


def test_identity_survives_a_killed_session(account: Account) -> None:
    """An administrator ended the session: the broker finds out and gets another."""
    handler = account.open("token_api")
    account.call(event_file("api-token"), handler=handler)
    account.salesforce.sessions.end()
    status, body = account.call(event_file("api-identity"), handler=handler)
    assert (200, DEFAULT_USERNAME, 2) == (status, body["username"], account.salesforce.logins())


def test_health_needs_neither_key_nor_salesforce(account: Account) -> None:
    """An account without a usable secret is healthy as a function."""
    account.put_secret("{}")
    status, body = account.call(event_file("api-health"))
    assert (200, "ok") == (status, body["status"])
    assert 0 == account.salesforce.exchanges()


def test_the_shared_token_is_a_secure_string_that_shows_nothing(account: Account) -> None:
    """One parameter below the prefix, sealed."""
    _, body = account.call(event_file("api-token"))
    (parameter,) = account.parameters.get_parameters_by_path(Path=PREFIX, WithDecryption=True)["Parameters"]
    assert "SecureString" == parameter["Type"]
    assert body["access_token"] not in parameter["Value"]


def test_a_poisoned_parameter_is_replaced(account: Account) -> None:
    """The request succeeds, and so does the next environment's."""
    account.call(event_file("api-token"))
    (parameter,) = account.parameters.get_parameters_by_path(Path=PREFIX)["Parameters"]
    account.parameters.put_parameter(Name=parameter["Name"], Value="poison", Type="SecureString", Overwrite=True)
    sources = [account.call(event_file("api-token"))[1]["source"] for _ in range(2)]
    assert ["salesforce", "shared"] == sources


def test_no_ssm_at_all_costs_no_request(account: Account) -> None:
    """A closed port where SSM should be."""
    account.set(AWS_ENDPOINT_URL_SSM="http://127.0.0.1:9", AWS_IGNORE_CONFIGURED_ENDPOINT_URLS="false")
    status, body = account.call(event_file("api-token"))
    assert (200, "salesforce") == (status, body["source"])


def set_user(username: str, **changes: Any) -> Any:
    """Return a step that changes a user."""

    def step(account: Account) -> None:
        user: User = account.salesforce.user(username)
        for name, value in changes.items():
            setattr(user, name, value)

    return step


REFUSALS = {
    "unassigned": (set_user(DEFAULT_USERNAME, permission_sets=[]), 502, "salesforce_config"),
    "inactive": (set_user(DEFAULT_USERNAME, state="inactive"), 502, "salesforce_user"),
    "frozen": (set_user(DEFAULT_USERNAME, state="frozen"), 502, "salesforce_user"),
    "login-range": (set_user(DEFAULT_USERNAME, profile="Head Office"), 502, "salesforce_user"),
    "unknown-user": (lambda a: a.set(SALESFORCE_USERNAME="nobody@acme.example"), 502, "salesforce_config"),
    "no-certificate": (
        lambda a: a.salesforce.set_certificate(DEFAULT_CONSUMER_KEY, None),
        502,
        "salesforce_config",
    ),
    "other-certificate": (
        lambda a: a.salesforce.set_certificate(DEFAULT_CONSUMER_KEY, keys.certificate("next")),
        502,
        "salesforce_key",
    ),
    "unknown-app": (lambda a: a.put_secret(keys.secret(client_id="3MVG9.other")), 502, "salesforce_config"),
    "audience": (lambda a: a.set(SALESFORCE_AUDIENCE="https://other.my.salesforce.com"), 502, "salesforce_config"),
    "login-audience": (lambda a: a.set(SALESFORCE_AUDIENCE="https://login.salesforce.com"), 502, "salesforce_config"),
    "clock": (lambda a: a.salesforce.clock.advance(3600), 502, "salesforce_clock"),
    "maintenance": (
        lambda a: a.salesforce.faults.order("maintenance", times=3, headers={"Retry-After": "0"}),
        503,
        "salesforce_busy",
    ),
    "rate": (
        lambda a: a.salesforce.faults.order(status=400, body='{"error": "rate_limit_exceeded"}'),
        503,
        "salesforce_rate",
    ),
    "redirect": (
        lambda a: a.salesforce.faults.order("redirect", status=307, headers={"Location": a.salesforce.url}),
        502,
        "salesforce_config",
    ),
    "captive-proxy": (
        lambda a: a.salesforce.faults.order("html"),
        502,
        "salesforce_config",
    ),
    "foreign-instance": (
        lambda a: a.salesforce.faults.order(other_fields={"instance_url": "https://evil.example"}),
        502,
        "salesforce_config",
    ),
}


@pytest.mark.parametrize(("step", "status", "error"), list(REFUSALS.values()), ids=list(REFUSALS))
def test_salesforce_error_is_mapped_and_recovers(account: Account, step: Any, status: int, error: str) -> None:
    """Each trouble has its error and status at one handler and its exception at the other; where it ends, so does the error."""
    step(account)
    answered, body = account.call(event_file("api-token"))
    assert (status, error) == (answered, body["error"])
    assert body["hint"] or body["retryable"]
    assert account.salesforce.exchanges() <= 3


def test_a_fault_that_has_gone_is_forgotten(account: Account) -> None:
    """The same environment answers on the first request after the fault."""
    handler = account.open("token_api")
    account.salesforce.faults.order("maintenance", times=3)
    assert 503 == account.call(event_file("api-token"), handler=handler)[0]
    assert 200 == account.call(event_file("api-token"), handler=handler)[0]


def test_a_clock_that_is_behind_is_corrected(account: Account) -> None:
    """Salesforce is nine minutes ahead: one refusal, one re-sign."""
    account.salesforce.clock.advance(540)
    status, _ = account.call(event_file("api-token"))
    assert (200, 2) == (status, account.salesforce.exchanges())


def test_a_rotated_key_is_found_in_the_same_environment(account: Account) -> None:
    """Another key in the secret, its certificate on the app: one refusal, one look at the secret."""
    handler = account.open("token_api")
    account.call(event_file("api-token"), handler=handler)
    account.put_secret(keys.secret("next", client_id=DEFAULT_CONSUMER_KEY))
    account.salesforce.set_certificate(DEFAULT_CONSUMER_KEY, keys.certificate("next"))
    status, body = account.call(api_event(body=json.dumps({"sub": OTHER_USERNAME})), handler=handler)
    assert (200, "salesforce") == (status, body["source"])


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("SIGNING_KEY_SECRET_ARN", None),
        ("SALESFORCE_LOGIN_URL", None),
        ("SALESFORCE_LOGIN_URL", "https://evil.example"),
        ("SALESFORCE_AUDIENCE", "acme"),
        ("SALESFORCE_USERNAME", "acme"),
        ("ALLOWED_SUBJECTS", "*"),
        ("TOKEN_LIFETIME_SECONDS", "soon"),
        ("TOKEN_CACHE_PREFIX", "tokens"),
    ],
)
def test_a_bad_setting_is_named_and_heals(account: Account, setting: str, value: str | None) -> None:
    """The container lives; every answer names the setting; once it makes sense, so does the answer."""
    before = {"SALESFORCE_LOGIN_URL": account.salesforce.url, "SIGNING_KEY_SECRET_ARN": account.secret_arn}.get(setting)
    account.set(**{setting: value})
    handler = account.open("token_api")
    status, body = account.call(event_file("api-token"), handler=handler)
    assert (500, "broker_misconfigured", False) == (status, body["error"], body["retryable"])
    assert setting in body["error_description"]
    account.set(**{setting: before})
    if setting != "SALESFORCE_USERNAME":
        assert 200 == account.call(event_file("api-token"), handler=handler)[0]


@pytest.mark.parametrize("text", ["not json", "{}", keys.certificate(), keys.pem(keys.rsa_key(bits=1024))])
def test_an_unusable_secret_is_named_and_heals(account: Account, text: str) -> None:
    """No redeployment: the next request reads the mended secret."""
    account.put_secret(text)
    handler = account.open("token_api")
    status, body = account.call(event_file("api-token"), handler=handler)
    assert (500, "signing_key_unusable") == (status, body["error"])
    account.put_secret(keys.secret(client_id=DEFAULT_CONSUMER_KEY))
    assert 200 == account.call(event_file("api-token"), handler=handler)[0]


def test_an_empty_secret_says_what_to_put_there(account: Account) -> None:
    """As the template creates it."""
    arn = account.secrets.create_secret(Name="empty")["ARN"]
    account.set(SIGNING_KEY_SECRET_ARN=arn)
    status, body = account.call(event_file("api-token"))
    assert (503, "signing_key_unavailable", False) == (status, body["error"], body["retryable"])
    assert "private_key" in body["hint"]


def test_the_invoke_function_raises_the_same_errors(account: Account) -> None:
    """The class says the kind, the text is the answer."""
    kinds: dict[type[BrokerError], dict[str, Any]] = {
        InvalidRequest: {"unknown": 1},
        AccessDenied: {"sub": "nobody@acme.example"},
    }
    for kind, payload in kinds.items():
        with pytest.raises(kind) as caught:
            account.invoke(payload)
        assert kind.code == json.loads(str(caught.value))["error"]
    account.salesforce.set_certificate(DEFAULT_CONSUMER_KEY, None)
    with pytest.raises(AppRefused):
        account.invoke({})
    account.put_secret("{}")
    with pytest.raises(SigningKeyUnusable):
        account.invoke({})


def test_a_defect_never_shows_its_message(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever breaks inside, both functions answer internal_error."""
    handler, other = account.open("token_api"), account.open("token_invoke")

    def broken(*_: object) -> None:
        raise ValueError("s3cret")

    monkeypatch.setattr("salesforce_broker.salesforce.jwt_bearer.sign_assertion", broken)
    monkeypatch.setattr("salesforce_broker.tokens.service.authorize", broken)
    status, body = account.call(event_file("api-token"), handler=handler)
    assert (500, "internal_error") == (status, body["error"])
    assert "s3cret" not in json.dumps(body)
    with pytest.raises(BrokerError) as caught:
        account.invoke({}, handler=other)
    assert "s3cret" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_nothing_secret_is_said_at_any_level(
    account: Account, log: io.StringIO, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Every logger at DEBUG, good requests and bad: no key, no assertion, no token in stdout, stderr or the log."""
    caplog.set_level(logging.DEBUG)
    handler = account.open("token_api")
    tokens = [
        account.call(event_file(name), handler=handler)[1]["access_token"] for name in ("api-token", "api-token-for-user")
    ]
    account.call(event_file("api-identity"), handler=handler)
    account.invoke({})
    for break_it in (REFUSALS["clock"][0], REFUSALS["other-certificate"][0], REFUSALS["captive-proxy"][0]):
        break_it(account)
        account.call(api_event(body='{"rejected": "0123456789abcdef", "sub": "elsewhere@acme.example"}'))
    account.put_secret('{"private_key": "s3cret"}')
    account.call(event_file("api-token"))
    captured = capfd.readouterr()
    said = captured.out + captured.err + caplog.text + log.getvalue()
    assert "token issued" in log.getvalue()
    assert "CloudWatchMetrics" in captured.out
    key_lines = keys.pem(keys.rsa_key()).splitlines()[1:-1]
    assert not [needle for needle in [*tokens, *key_lines, "eyJhbGciOi", "s3cret"] if needle in said]


@pytest.mark.parametrize("level", ["INFO", "ERROR"])
def test_each_token_leaves_a_line_about_itself(account: Account, log: io.StringIO, level: str) -> None:
    """Who asked, for whom, from where it came, its fingerprint and its end; whatever the level of the log."""
    observability.logger.setLevel(level)
    try:
        _, body = account.call(event_file("api-token"))
    finally:
        observability.logger.setLevel("INFO")
    lines = [json.loads(line) for line in log.getvalue().splitlines() if "token issued" in line]
    assert 1 == len(lines)
    assert {
        "caller": "arn:aws:sts::123456789012:assumed-role/orders-service/orders",
        "entry_point": "api",
        "function_request_id": Context.aws_request_id,
        "outcome": "issued",
        "subject": DEFAULT_USERNAME,
        "source": "salesforce",
        "fingerprint": body["fingerprint"],
        "expires_at": body["expires_at"],
    }.items() <= lines[0].items()


def test_each_refusal_leaves_a_line_too(account: Account, log: io.StringIO) -> None:
    """The caller's, and Salesforce's: who, for whom, why."""
    account.invoke({})
    with pytest.raises(AccessDenied):
        account.invoke({"sub": "nobody@acme.example"})
    account.salesforce.user(DEFAULT_USERNAME).state = "locked"
    account.salesforce.sessions.end()
    account.parameters.delete_parameter(Name=account.parameters.describe_parameters()["Parameters"][0]["Name"])
    with pytest.raises(UserRefused):
        account.invoke({"min_ttl": 0})
    lines = [json.loads(line) for line in log.getvalue().splitlines() if '"message":"token ' in line]
    assert [
        ("token issued", DEFAULT_USERNAME, "issued"),
        ("token refused", "nobody@acme.example", "access_denied"),
        ("token refused", DEFAULT_USERNAME, "salesforce_user"),
    ] == [(line["message"], line["subject"], line["outcome"]) for line in lines]
    assert {("invoke", Context.invoked_function_arn)} == {(line["entry_point"], line["caller"]) for line in lines}


def test_what_cannot_be_written_down_is_not_handed_out(account: Account, log: io.StringIO) -> None:
    """No line, no token: neither from Salesforce nor from memory."""
    handler = account.open("token_api")
    assert 200 == account.call(event_file("api-token"), handler=handler)[0]
    log.close()
    status, body = account.call(event_file("api-token"), handler=handler)
    assert (500, "internal_error") == (status, body["error"])


def test_a_grant_is_for_its_caller_only(account: Account) -> None:
    """By the role that API Gateway reports, and by the alias that Lambda reports; nothing in the payload changes either."""
    account.set(
        ALLOWED_SUBJECTS="",
        SUBJECT_GRANTS=json.dumps(
            {
                "arn:aws:iam::123456789012:role/orders-*": [OTHER_USERNAME],
                "arn:aws:lambda:eu-central-1:123456789012:function:broker:live": ["locked@acme.example"],
            }
        ),
    )
    body = json.dumps({"sub": OTHER_USERNAME})
    other = api_event(body=body)
    for role, status in (("billing/orders-eu", 403), ("orders-eu/session", 200)):
        other["requestContext"]["identity"]["userArn"] = f"arn:aws:sts::123456789012:assumed-role/{role}"
        assert status == account.call(other)[0]
    with pytest.raises(AccessDenied):
        account.invoke({"sub": OTHER_USERNAME})
    with pytest.raises(UserRefused):  # granted, and refused by Salesforce
        account.invoke({"sub": "locked@acme.example"})
    forged = {"sub": OTHER_USERNAME, "requestContext": other["requestContext"]}
    with pytest.raises(InvalidRequest):
        account.invoke(forged)


def metrics(written: str) -> list[dict[str, Any]]:
    """Return what was said to CloudWatch, a flush each."""
    lines = [json.loads(line) for line in written.splitlines() if line.startswith("{")]
    return [line for line in lines if "_aws" in line]


def test_the_age_of_the_key_comes_with_the_first_request(account: Account, capfd: pytest.CaptureFixture[str]) -> None:
    """It is pulled before; and again whenever the secret has been looked at."""
    secret = json.loads(keys.secret(client_id=DEFAULT_CONSUMER_KEY))
    account.put_secret(json.dumps(secret | {"certificate": keys.certificate()}))
    handler = account.open("token_invoke")
    account.invoke({}, handler=handler)
    account.invoke({}, handler=handler)
    first, second = metrics(capfd.readouterr().out)
    ((age,), (left,)) = first["KeyAgeDays"], first["CertificateDaysLeft"]
    assert 0 <= age < 1
    assert abs(left - (keys.certificate_ends() - time.time()) / 86400) < 1
    assert ([1], [1]) == (first["LoginAttempt"], first["TokenIssued.salesforce"])
    assert not {"KeyAgeDays", "CertificateDaysLeft", "LoginAttempt"} & set(second)


def test_an_invocation_past_api_gateway_is_refused(account: Account) -> None:
    """A forged event names another caller, but lacks the gateway token; with the token the same event is answered."""
    arn = account.secrets.create_secret(Name="gateway-token", SecretString="generated")["ARN"]
    account.set(GATEWAY_TOKEN_SECRET_ARN=arn)
    handler = account.open("token_api")
    status, refused = account.call(event_file("api-token"), handler=handler)
    assert (403, "access_denied") == (status, refused["error"])
    assert 0 == account.salesforce.exchanges()
    event = event_file("api-token") | {"stageVariables": {"gatewayToken": "generated"}}
    assert 200 == account.call(event, handler=handler)[0]


def test_a_gateway_token_that_cannot_be_read_is_an_error_and_heals(account: Account) -> None:
    """No event passes until the secret can be read; then the same environment answers."""
    arn = account.secrets.create_secret(Name="gateway-token", SecretString="generated")["ARN"]
    account.set(GATEWAY_TOKEN_SECRET_ARN=arn.replace("gateway-token", "another-secret"))
    handler = account.open("token_api")
    event = event_file("api-token") | {"stageVariables": {"gatewayToken": "generated"}}
    status, failed = account.call(event, handler=handler)
    assert (503, "signing_key_unavailable") == (status, failed["error"])
    account.set(GATEWAY_TOKEN_SECRET_ARN=arn)
    assert 200 == account.call(event, handler=handler)[0]
