"""A URL given as a function's name, an ARN given as a URL, and the like, are found out before anything is sent."""

from __future__ import annotations

import pytest

from salesforce_broker_client import Broker

API = "https://abc.execute-api.eu-west-1.amazonaws.com/v1"


@pytest.mark.parametrize(
    ("function_name", "text"),
    [
        (API, "pass the API as url"),
        (API.removeprefix("https://"), "pass the API as url"),
        ("https://abc.lambda-url.eu-west-1.on.aws/", "pass the API as url"),
        ("arn:aws:execute-api:eu-west-1:123456789012:abc/v1/POST/token", "something else than a Lambda function"),
        ("arn:aws:iam::123456789012:role/broker", "something else than a Lambda function"),
        ("arn:aws:cloudformation:eu-west-1:123456789012:stack/broker/1", "something else than a Lambda function"),
    ],
)
@pytest.mark.parametrize("where", ["argument", "environment"])
def test_what_is_no_function_is_refused(function_name: str, text: str, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what it is instead."""
    monkeypatch.setenv("SALESFORCE_BROKER_FUNCTION", function_name)
    with pytest.raises(ValueError, match=text):
        Broker(function_name if where == "argument" else None)


@pytest.mark.parametrize("url", ["arn:aws:lambda:eu-west-1:123456789012:function:broker", "arn:aws:execute-api:x:1:abc"])
def test_an_arn_is_no_url(url: str) -> None:
    """It says what to pass instead."""
    with pytest.raises(ValueError, match="That is an ARN: pass a function as function_name"):
        Broker(url=url)


@pytest.mark.parametrize("url", ["broker", "TokenFunction:live", "123456789012:function:broker"])
def test_a_functions_name_is_no_url(url: str) -> None:
    """It says what a URL looks like."""
    with pytest.raises(ValueError, match="not of the form https://HOST/STAGE"):
        Broker(url=url)


@pytest.mark.parametrize(
    "function_name",
    ["broker", "broker:live", "123456789012:function:broker:1", "arn:aws-us-gov:lambda:us-gov-west-1:123456789012:function:b"],
)
def test_names_and_arns_of_functions_are_taken(function_name: str) -> None:
    """In all their forms."""
    assert Broker(function_name)


@pytest.mark.parametrize("url", [API, f"{API}/", f" {API}\n", "https://tokens.acme.example", "http://127.0.0.1:5000/v1"])
def test_urls_of_apis_are_taken(url: str) -> None:
    """With what a copy and paste leaves around them."""
    assert Broker(url=url)
