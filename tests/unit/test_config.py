"""Settings: what makes sense, and the name of what does not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salesforce_broker import config
from salesforce_broker.errors import SettingsInvalid
from salesforce_broker.salesforce import hosts
from tests.support import builders


def test_sensible_settings_are_read() -> None:
    """Defaults: the audience is the login URL, 900 s, no shared cache."""
    settings = config.load(builders.environment())
    assert builders.settings(token_cache_prefix="") == settings


def test_audience_and_login_url_are_separate() -> None:
    """An org may need its own audience."""
    settings = config.load(builders.environment(SALESFORCE_AUDIENCE="https://login.salesforce.com"))
    assert (builders.LOGIN_URL, "https://login.salesforce.com") == (settings.login_url, settings.audience)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SIGNING_KEY_SECRET_ARN", ""),
        ("SIGNING_KEY_SECRET_ARN", "my-secret"),
        ("SALESFORCE_LOGIN_URL", ""),
        ("SALESFORCE_LOGIN_URL", "acme.my.salesforce.com"),
        ("SALESFORCE_LOGIN_URL", "http://acme.my.salesforce.com"),
        ("SALESFORCE_LOGIN_URL", "https://evil.example"),
        ("SALESFORCE_LOGIN_URL", "https://salesforce.com.evil.example"),
        ("SALESFORCE_LOGIN_URL", "https://acme.my.salesforce.com/path"),
        ("SALESFORCE_AUDIENCE", "login.salesforce.com"),
        ("SALESFORCE_AUDIENCE", '["https://login.salesforce.com"]'),
        ("SALESFORCE_USERNAME", "integration"),
        ("ALLOWED_SUBJECTS", "a@b.c, d@e.f"),
        ("ALLOWED_SUBJECTS", "a@b.c,"),
        ("ALLOWED_SUBJECTS", "*"),
        ("SUBJECT_GRANTS", "{}}"),
        ("SUBJECT_GRANTS", '{"*": ["a@b.c"]}'),
        ("TOKEN_LIFETIME_SECONDS", "15m"),
        ("TOKEN_LIFETIME_SECONDS", "0"),
        ("TOKEN_LIFETIME_SECONDS", "-900"),
        ("TOKEN_LIFETIME_SECONDS", "999999999"),
        ("TOKEN_LIFETIME_SECONDS", "٩٠٠"),
        ("TOKEN_CACHE_PREFIX", "tokens"),
        ("TOKEN_CACHE_PREFIX", "/tokens/"),
        ("TOKEN_CACHE_PREFIX", "/to kens"),
        ("TOKEN_CACHE_TIER", "Advanced!"),
        ("SSLKEYLOGFILE", "/tmp/keys"),
        ("GATEWAY_TOKEN_SECRET_ARN", "gateway-token"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(name: str, value: str) -> None:
    """The description names the setting, the hint says what to put there."""
    with pytest.raises(SettingsInvalid, match=name) as caught:
        config.load(builders.environment(**{name: value}))
    assert caught.value.hint
    assert not caught.value.retryable


@pytest.mark.parametrize(
    "url",
    [
        "https://acme.my.salesforce.com",
        "https://acme.my.salesforce.com/",
        "https://acme.my.salesforce.com:443",
        "https://Acme.My.Salesforce.com",
        "https://acme--dev.sandbox.my.salesforce.com",
        "https://login.salesforce.com",
        "https://test.salesforce.com",
        "https://acme.my.site.com",
        "https://acme.my.salesforce.mil",
    ],
)
def test_hosts_of_salesforce_are_accepted(url: str) -> None:
    """Rebuilt as an origin in lower case."""
    origin = hosts.salesforce_origin(url)
    assert origin is not None
    assert origin == url.lower().removesuffix("/").removesuffix(":443")


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.com\\@acme.my.salesforce.com/",
        "https://evil.com@acme.my.salesforce.com",
        "https://acme.my.salesforce.com@evil.com",
        "https://acme.my.salesforce.com.evil.com",
        "https://evilsalesforce.com",
        "https://acme.my.salesforce.com:8443",
        "https://acme.my.salesforce.com#@evil.com",
        "https://acme.my.salesforce.com?x",
        "https://acme.my.salesforce.com\n",
        "https://-.salesforce.com",
        "https://.salesforce.com",
        "https://a_b.salesforce.com",
        "http://acme.my.salesforce.com",
        "ftp://acme.my.salesforce.com",
        "//acme.my.salesforce.com",
        "https://" + "a" * 64 + ".salesforce.com",
    ],
)
def test_tricks_with_urls_are_refused(url: str) -> None:
    """Neither userinfo nor backslashes nor suffixes get past."""
    assert hosts.salesforce_origin(url) is None
    assert hosts.local_origin(url) is None


@given(st.text())
def test_an_origin_holds_nothing_but_scheme_and_host(url: str) -> None:
    """Whatever comes in, what goes out is a plain origin or nothing."""
    for origin in (hosts.salesforce_origin("https://" + url), hosts.local_origin("http://" + url)):
        assert origin is None or not set(origin.split("://", 1)[1]) & set("/\\@?# ")


def test_local_urls_serve_local_work() -> None:
    """Loopback and the machine around a container, plain HTTP and any port."""
    for url in ("http://127.0.0.1:8080", "http://localhost:1", "http://host.docker.internal:9", "http://[::1]:2"):
        assert url == config.load(builders.environment(SALESFORCE_LOGIN_URL=url)).login_url


def test_an_instance_on_this_machine_is_trusted_only_locally() -> None:
    """An answer of the real Salesforce cannot send a token to loopback."""
    local = "http://127.0.0.1:8080"
    assert local == hosts.instance_origin(local, login_url="http://127.0.0.1:9090")
    assert hosts.instance_origin(local, login_url=builders.LOGIN_URL) is None
    assert hosts.instance_origin(None, login_url=builders.LOGIN_URL) is None
