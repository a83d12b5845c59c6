"""Where a token and a request may be sent: URLs are parsed strictly and built again."""

from __future__ import annotations

import random
from urllib.parse import urlsplit

import pytest
import urllib3.util

from salesforce_broker_client import Broker, origin


@pytest.mark.parametrize(
    ("url", "differs"),
    [
        ("https://acme.my.salesforce.com", False),
        ("https://acme.my.salesforce.com/services", False),
        ("https://ACME.my.salesforce.com/services", False),
        ("https://acme.my.salesforce.com.evil.example/", True),
        ("https://acme.my.salesforce.com@evil.example/", True),
        ("https://acme.my.salesforce.com:8443/", True),
        ("http://acme.my.salesforce.com/", True),
        ("https://evil.example/?https://acme.my.salesforce.com/", True),
        ("https://acme.my.salesforce.com:443/services", False),
        ("https://acme.my.salesforce.com?q=1", False),
        ("https://acme.my.salesforce.com\\@evil.example/", True),
        ("https://evil.example\\@acme.my.salesforce.com/", True),
        ("https://user@acme.my.salesforce.com/", True),
        ("https://acme.my.salesforce.com:99999/", True),
        ("https://acme.my.salesforce.com\n.evil.example/", True),
        ("https:/acme.my.salesforce.com/", True),
        ("//acme.my.salesforce.com/", True),
        ("", True),
    ],
)
def test_a_token_goes_to_its_instance_only(url: str, differs: bool) -> None:
    """Scheme, host and port, whole."""
    assert differs == origin.differs(url, "https://acme.my.salesforce.com")


@pytest.mark.parametrize(
    ("value", "url"),
    [
        ("https://acme.my.salesforce.com", "https://acme.my.salesforce.com"),
        ("https://ACME.my.salesforce.com:443", "https://acme.my.salesforce.com"),
        ("https://acme.my.salesforce.com:8443", "https://acme.my.salesforce.com:8443"),
        ("http://localhost:8080", "http://localhost:8080"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://host.docker.internal:8080", "http://host.docker.internal:8080"),
        ("http://acme.my.salesforce.com", None),
        ("https://acme.my.salesforce.com/", None),
        ("https://acme.my.salesforce.com:0", None),
        ("https://evil.example\\@acme.my.salesforce.com", None),
        ("http://evil.example\\@localhost", None),
        ("http://evil.example#@localhost", None),
        ("http://localhost@evil.example", None),
        ("http://localhost.evil.example", None),
        (" https://acme.my.salesforce.com", None),
        (7, None),
        (None, None),
    ],
)
def test_an_instance_url_is_an_origin_over_tls_or_on_this_machine(value: object, url: str | None) -> None:
    """Built again of its parts."""
    assert url == origin.instance_url(value)


@pytest.mark.parametrize(
    "url",
    [
        "http://broker.example",
        "http://evil.example\\@localhost",
        "http://evil.example\\@localhost/v1",
        "http://localhost:80@evil.example/",
        "http://localhost.evil.example/",
        "https://user:secret@broker.example/v1",
        "https://broker.example/v1?stage=x",
        "https://broker.example/v1#x",
        "https://broker.example/v1/../../x y",
        "https://broker.example\t/v1",
        "ftp://broker.example",
        "broker.example/v1",
        "https://",
    ],
)
def test_a_url_that_is_not_plainly_the_brokers_is_refused(url: str) -> None:
    """Before anything is sent there."""
    with pytest.raises(ValueError, match="The broker's URL"):
        Broker(url=url)


def test_what_is_accepted_has_one_reading() -> None:
    """Of 20,000 mutilated URLs, those that are accepted have the same host for every parser that is in use here."""
    pieces = [
        "https://",
        "http://",
        "localhost",
        "evil.example",
        "acme.my.salesforce.com",
        "127.0.0.1",
        "@",
        "\\",
        "/",
        "?",
        "#",
        ":",
    ]
    pieces += ["443", "80", "%2f", "%40", ".", " ", "\t", "[", "]", "::1", "\x00", "\u3002", "\uff0f"]
    chosen = random.Random(7)
    accepted = 0
    for _ in range(20_000):
        url = chosen.choice(pieces[:2]) + "".join(chosen.choice(pieces) for _ in range(chosen.randint(1, 5)))
        parsed = origin.Origin.parse(url)
        if parsed is None:
            continue
        accepted += 1
        assert parsed[0].host == str(urlsplit(url).hostname)
        assert parsed[0].host == str(urllib3.util.parse_url(url).host)
    assert accepted > 1000
