"""Settings: what makes sense, and the name of what does not."""

from __future__ import annotations

import io
import json

import pytest

from salesforce_broker import config
from salesforce_broker.errors import SettingsInvalid
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


def test_local_urls_serve_local_work() -> None:
    """Loopback and the machine around a container, plain HTTP and any port."""
    for url in ("http://127.0.0.1:8080", "http://localhost:1", "http://host.docker.internal:9", "http://[::1]:2"):
        assert url == config.load(builders.environment(SALESFORCE_LOGIN_URL=url)).login_url


@pytest.mark.parametrize(
    ("value", "right"),
    [
        ("https://acme.lightning.force.com/lightning/page/home", "https://acme.my.salesforce.com"),
        ("https://acme--dev.sandbox.my.salesforce-setup.com/", "https://acme--dev.sandbox.my.salesforce.com"),
        ("acme.my.salesforce.com", "https://acme.my.salesforce.com"),
        ("http://acme.my.salesforce.com", "https://acme.my.salesforce.com"),
    ],
)
@pytest.mark.parametrize("name", ["SALESFORCE_LOGIN_URL", "SALESFORCE_AUDIENCE"])
def test_the_host_that_is_right_is_named(name: str, value: str, right: str) -> None:
    """Of the login URL as of the audience."""
    with pytest.raises(SettingsInvalid, match=name) as caught:
        config.load(builders.environment(**{name: value}))
    assert f"Set it to {right}." == caught.value.hint


def test_a_corrected_setting_is_said_once_in_the_log(log: io.StringIO) -> None:
    """Which, and as what it was taken."""
    settings = config.load(
        builders.environment(SALESFORCE_LOGIN_URL=" 'https://Acme.my.Salesforce.com/services/oauth2/token'\n")
    )
    assert builders.LOGIN_URL == settings.login_url
    line = json.loads(log.getvalue())
    assert ("SALESFORCE_LOGIN_URL", f"taken as {builders.LOGIN_URL}") == (line["setting"], line["note"])


def test_a_site_is_asked_below_its_path_and_is_its_own_audience() -> None:
    """Experience Cloud."""
    site = "https://acme.my.site.com/partners"
    settings = config.load(builders.environment(SALESFORCE_LOGIN_URL=site + "/"))
    assert (site, site) == (settings.login_url, settings.audience)


def test_an_instance_has_the_generic_audience() -> None:
    """Nothing is issued for an instance's own URL."""
    settings = config.load(builders.environment(SALESFORCE_LOGIN_URL="https://cs42.salesforce.com"))
    assert ("https://cs42.salesforce.com", "https://test.salesforce.com") == (settings.login_url, settings.audience)


def test_a_custom_domain_takes_the_logins() -> None:
    """The My Domain stays in SALESFORCE_LOGIN_URL."""
    site = "https://partners.acme.example/portal"
    settings = config.load(builders.environment(SALESFORCE_CUSTOM_DOMAIN=site))
    assert (site, site) == (settings.login_url, settings.audience)


@pytest.mark.parametrize(
    "value",
    [
        "https://127.0.0.1",
        "http://partners.acme.example",
        "https://localhost",
        "https://acme.my.site.com/x",
        "https://acme.my.salesforce.com",
        "https://partners.acme.example/a/b",
        "https://partners.acme.example:8443",
        "https://u@partners.acme.example",
        "https://evil.com\\@partners.acme.example",
    ],
)
def test_what_is_no_custom_domain_is_refused_by_name(value: str) -> None:
    """Salesforce's own hosts belong into the other setting."""
    with pytest.raises(SettingsInvalid, match="SALESFORCE_CUSTOM_DOMAIN") as caught:
        config.load(builders.environment(SALESFORCE_CUSTOM_DOMAIN=value))
    assert caught.value.hint
