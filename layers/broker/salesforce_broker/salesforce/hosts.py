"""Salesforce's hosts: where logins go, where tokens may go, and which host is meant by an address out of a browser.

The only place that takes a URL apart. A URL is rebuilt from parts that were matched, never passed through.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from salesforce_broker.salesforce.host_patterns import (
    ANSWER_URL_PATTERN,
    CUSTOM_DOMAIN_PATTERN,
    GENERIC,
    INSTANCE_HOST,
    INSTANCE_URL_PATTERN,
    LOGIN_URL_PATTERN,
    NO_LOGIN,
    PAGES,
    POD,
    SALESFORCE_DOMAIN_PATTERN,
    SITE,
    SITE_PATH,
)

PRODUCTION_AUDIENCE = "https://login.salesforce.com"
SANDBOX_AUDIENCE = "https://test.salesforce.com"

_LOCAL = re.compile(
    r"(?P<scheme>https?)://(?P<host>localhost|127\.0\.0\.1|\[::1\]|host\.docker\.internal)(?::(?P<port>[0-9]{1,5}))?/?",
    re.IGNORECASE | re.ASCII,
)
"""Where a Salesforce stand-in may run: this machine, or the machine around the container."""

_WRAPPING = " \t\r\n\xa0\u200b\ufeff'\"`<>(){},;\u201c\u201d\u2018\u2019"
"""What gets around an address when it is copied."""

_PARTS = re.compile(
    r"(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.-]{0,20})://|//)?(?P<host>[A-Za-z0-9.-]{1,255})(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>/[!-?A-\[\]-~]*)?",
    re.ASCII,
)
_PAGE_QUERY = re.compile(r"[?#].*", re.DOTALL)
_TOKEN_PATH = re.compile(r"/services/oauth2/(?:token|authorize)/?$|/+$")

_WHERE = "Setup > My Domain shows it as 'Current My Domain URL'"


class WrongHost(ValueError):
    """The text names no login host. `right` is the URL of the one that is meant, or empty; str() says all of it."""

    def __init__(self, problem: str, *, right: str = "", hint: str = "") -> None:
        super().__init__(f"{problem} {hint}".strip())
        self.problem = problem
        self.right = right
        self.hint = hint


@dataclass(frozen=True, slots=True)
class LoginHost:
    """Where logins go. `audience_default` is `aud` where no other is set; `note` says what was corrected, or is empty."""

    url: str
    audience_default: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class _Address:
    scheme: str
    host: str
    path: str
    bare: bool
    """No port but that of https, no query, no fragment."""


def login_host(text: str) -> LoginHost:
    """Return the login host that `text` names; raise WrongHost with the one that is meant.

    Blanks and quotes around it, capital letters, dots at the end, port 443 and the token endpoint's path are corrected with a
    note. What names another host, has another path or lacks https:// is refused: an address of an org's pages is not guessed
    into a setting.
    """
    if local := local_origin(text.strip(_WRAPPING)):
        return LoginHost(local, local)
    address = _taken_apart(text)
    if address is None:
        raise WrongHost("is not the address of a host.", hint=_hint(""))
    url = f"https://{address.host}{address.path}"
    if address.scheme == "https" and address.bare and re.fullmatch(LOGIN_URL_PATTERN, url):
        note = "" if re.fullmatch(LOGIN_URL_PATTERN, text) else f"taken as {url}"
        return LoginHost(url, default_audience(url), note)
    right, what = _meant(address)
    raise WrongHost(_problem(address, right, what), right=right, hint=_hint(right))


def custom_domain(text: str) -> LoginHost:
    """Return the login host under a domain of the customer's own, which serves an Experience Cloud site; raise WrongHost."""
    address = _taken_apart(text)
    if address is None or not address.bare or address.scheme not in {"", "https"}:
        raise WrongHost("is not the https address of a site.", hint=_CUSTOM_DOMAIN_HINT)
    if re.fullmatch(SALESFORCE_DOMAIN_PATTERN, address.host):
        raise WrongHost("is a host of Salesforce's.", hint="Put it into SALESFORCE_LOGIN_URL and leave this one empty.")
    url = f"https://{address.host}{address.path}"
    if not re.fullmatch(CUSTOM_DOMAIN_PATTERN, url):
        raise WrongHost("is not the https address of a site.", hint=_CUSTOM_DOMAIN_HINT)
    return LoginHost(url, url, "" if re.fullmatch(CUSTOM_DOMAIN_PATTERN, text) else f"taken as {url}")


_CUSTOM_DOMAIN_HINT = "Give the Experience Cloud site's URL under your own domain, like https://partners.acme.example/portal."


def default_audience(login_url: str) -> str:
    """Return the `aud` for a login URL: itself, but that instances have no audience of their own."""
    if re.fullmatch(rf"https://{INSTANCE_HOST}", login_url):
        return generic_audience(login_url)
    return login_url


def generic_audience(login_url: str) -> str:
    """Return the generic host for the kind of org that a login URL belongs to: production's or sandboxes'."""
    kind = r"https://(?:test\.|cs[0-9]+\.|[a-z]+[0-9]+s\.sfdc-|[^./]+--[^./]+\.|[^./]+\.(?:sandbox|scratch)\.).*"
    return SANDBOX_AUDIENCE if re.fullmatch(kind, login_url) else PRODUCTION_AUDIENCE


def is_generic(login_url: str) -> bool:
    """Tell whether it is login.salesforce.com or test.salesforce.com (or China's), which serve many orgs."""
    return re.fullmatch(rf"https://{GENERIC}", login_url) is not None


def is_site(login_url: str) -> bool:
    """Tell whether it is an Experience Cloud site, under Salesforce's domain or the customer's own."""
    return re.fullmatch(rf"https://(?:{SITE}){SITE_PATH}", login_url) is not None or not (
        re.fullmatch(LOGIN_URL_PATTERN, login_url) or local_origin(login_url)
    )


def right_login_url(text: str) -> str:
    """Return the login URL that an address means, or an empty string; takes any text."""
    address = _taken_apart(text)
    return _meant(address)[0] if address else ""


def redirected_login_url(location: str, *, login_url: str) -> str:
    """Return the login URL that a redirect of `login_url` points to, if that is another host of Salesforce's; else empty."""
    if not location.startswith("https://"):
        return ""
    right = right_login_url(location)
    return "" if right == login_url else right


def local_origin(url: str) -> str | None:
    """Take `url` apart and rebuild it as an origin; None unless it is on this machine (http or https, any port)."""
    parts = _LOCAL.fullmatch(url)
    if parts is None:
        return None
    port = f":{int(parts['port'])}" if parts["port"] else ""
    return f"{parts['scheme'].lower()}://{parts['host'].lower()}{port}"


def instance_origin(url: object, *, login_url: str) -> str | None:
    """Rebuild an `instance_url`; None where a token must not go: not an org's host, or local where login is not.

    A site's keeps its path, below which its API is.
    """
    return _rebuilt(url, INSTANCE_URL_PATTERN, login_url=login_url)


def answer_url(url: object, *, login_url: str) -> str | None:
    """Rebuild one of the other URLs of an answer; None unless it is Salesforce's, or at the host that login goes to."""
    return _rebuilt(url, ANSWER_URL_PATTERN, login_url=login_url, at_login_host=True)


def _rebuilt(url: object, allowed: str, *, login_url: str, at_login_host: bool = False) -> str | None:
    if not isinstance(url, str):
        return None
    parts = re.fullmatch(r"(https?://(?:[A-Za-z0-9.-]{1,255}|\[::1\])(?::[0-9]{1,5})?)((?:/[A-Za-z0-9_-]{1,80}){0,4})/?", url)
    if parts is None:
        return None
    origin, path = parts[1].lower(), parts[2]
    if local_origin(login_url) and (local := local_origin(origin)):
        return f"{local}{path}"
    origin = origin.removesuffix(":443")
    if at_login_host and origin == "/".join(login_url.split("/")[:3]):
        return f"{origin}{path}"
    return f"{origin}{path}" if re.fullmatch(allowed, f"{origin}{path}") else None


def _taken_apart(text: str) -> _Address | None:
    """Take an address apart as people copy it; None where it holds what an address does not, or a trick."""
    text = text.strip(_WRAPPING)
    plain = _PAGE_QUERY.sub("", text)
    parts = _PARTS.fullmatch(plain)
    if parts is None or len(text) > 2_000 or re.search(r"[^!-~]|[\\@]", text):  # noqa: PLR2004  longer than any address
        return None
    return _Address(
        scheme=(parts["scheme"] or "").lower(),
        host=parts["host"].lower().rstrip("."),
        path=_TOKEN_PATH.sub("", _TOKEN_PATH.sub("", parts["path"] or "")),
        bare=plain == text and parts["port"] in {None, "443"},
    )


def _meant(address: _Address) -> tuple[str, str]:
    """Return the login URL that is meant, and what the host is; both empty where that is not known."""
    host = address.host.removesuffix(".mcas.ms").removeprefix("www.")
    site = next((f"/{part}" for part in address.path.split("/") if part), "")
    for url in (f"https://{host}{site}", f"https://{host}"):
        if re.fullmatch(LOGIN_URL_PATTERN, url):
            return url, ""
    if host.endswith(".salesforce.com") and host.partition(".")[0] in NO_LOGIN:
        return "", "a site of Salesforce's own"
    for pattern, suffix, what in PAGES:
        if found := re.fullmatch(pattern, host):
            names = found.groupdict()
            name = names.get("my") or _without_package(names["page"])
            url = f"https://{name}.{suffix}{site if suffix == 'force.com' else ''}"
            return (url, what) if re.fullmatch(LOGIN_URL_PATTERN, url) else ("", what)
    return "", ""


def _without_package(name: str) -> str:
    """Leave the package (acme--c) and an instance of old (acme--c.na139) out of a page's host."""
    label, dot, partition = name.partition(".")
    label = label.rpartition("--")[0] or label
    return label if re.fullmatch(POD, partition) else f"{label}{dot}{partition}"


def _problem(address: _Address, right: str, what: str) -> str:
    if what:
        return f"is {what}, not a login host."
    if not right:
        return "is not a host at which Salesforce logs users in."
    return "does not begin with https://." if address.scheme != "https" else "has more to it than the login host."


def _hint(right: str) -> str:
    if right:
        return f"Set it to {right}."
    return (
        f"Give the org's My Domain, for example https://acme.my.salesforce.com ({_WHERE}). A site under a domain of your own"
        " goes into SALESFORCE_CUSTOM_DOMAIN."
    )
