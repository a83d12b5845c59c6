"""The settings of the token functions: environment variables -> one frozen value, or an error that names the variable.

Reads `os.environ`; so does `operations.config`, and nothing else (the variables of AWS and Powertools aside).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from salesforce_broker import observability
from salesforce_broker.authorization import Grants, MalformedGrants, parse_grants
from salesforce_broker.errors import SettingsInvalid
from salesforce_broker.salesforce.hosts import LoginHost, WrongHost, custom_domain, login_host

DEFAULT_TOKEN_LIFETIME_SECONDS = 900
"""The shortest session time-out that Salesforce lets an admin set: assumed when nothing better is known."""

MIN_TOKEN_LIFETIME_SECONDS = 60
"""JWT-format tokens can be set to one minute; nothing in Salesforce lives shorter."""

MAX_TOKEN_LIFETIME_SECONDS = 24 * 3600
"""The longest session time-out that an admin can set."""

SECRET_ARN = re.compile(r"arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]+")
USERNAME = re.compile(r"(?=.{3,80}\Z)[!-+\--?A-~]+@[!-+\--?A-~]+")
"""A Salesforce username: the form of an e-mail address, at most 80 characters; a comma separates ALLOWED_SUBJECTS."""

Tier = Literal["Standard", "Intelligent-Tiering"]
MAX_PARAMETER_BYTES: dict[Tier, int] = {"Standard": 4096, "Intelligent-Tiering": 8192}
"""By the tiers of SSM's parameters to choose from; the second costs some cents a month for each token over 4 KB."""

_PARAMETER_PREFIX = re.compile(r"(?:/[A-Za-z0-9_.-]+){1,10}")


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that is configurable. `login_url` has no slash at its end; only an Experience Cloud site's has a path."""

    signing_key_secret_arn: str
    login_url: str
    audience: str
    username: str
    client_id: str
    organization_id: str
    allowed_subjects: frozenset[str]
    subject_grants: Grants
    token_lifetime_seconds: int
    token_cache_prefix: str
    token_cache_kms_key_id: str
    token_cache_tier: Tier
    event_bus_name: str
    gateway_token_secret_arn: str

    @property
    def subjects(self) -> tuple[str, ...]:
        """Return every user for whom there can be a token."""
        granted = (subjects for _, subjects in self.subject_grants.subjects)
        return tuple(sorted({self.username, *self.allowed_subjects}.union(*granted) - {""}))


def load(environment: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings; raise SettingsInvalid naming the first that is missing or malformed."""
    if environment.get("SSLKEYLOGFILE"):
        raise SettingsInvalid(
            "SSLKEYLOGFILE is set: it would write the keys of every TLS connection to a file.",
            hint="Remove SSLKEYLOGFILE from the function's environment.",
        )
    login = _login(environment)
    return Settings(
        signing_key_secret_arn=_secret_arn(environment),
        login_url=login.url,
        audience=_audience(environment) or login.audience_default,
        username=_username(environment),
        client_id=environment.get("SALESFORCE_CLIENT_ID", ""),
        organization_id=_organization_id(environment),
        allowed_subjects=_allowed_subjects(environment),
        subject_grants=_subject_grants(environment),
        token_lifetime_seconds=_token_lifetime(environment),
        token_cache_prefix=token_cache_prefix(environment),
        token_cache_kms_key_id=environment.get("TOKEN_CACHE_KMS_KEY_ID", ""),
        token_cache_tier=_token_cache_tier(environment),
        event_bus_name=environment.get("EVENT_BUS_NAME", ""),
        gateway_token_secret_arn=_gateway_token_secret_arn(environment),
    )


def before_snapshot(environment: Mapping[str, str] = os.environ) -> bool:
    """Tell whether this is an import for SnapStart's snapshot."""
    return environment.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start"


def _secret_arn(environment: Mapping[str, str]) -> str:
    arn = environment.get("SIGNING_KEY_SECRET_ARN", "")
    if not SECRET_ARN.fullmatch(arn):
        raise SettingsInvalid(
            f"SIGNING_KEY_SECRET_ARN is {'not the ARN of a Secrets Manager secret' if arn else 'missing'}.",
            hint="Set it to the ARN of the secret with the private key (stack output SigningKeySecretArn).",
        )
    return arn


def _gateway_token_secret_arn(environment: Mapping[str, str]) -> str:
    """Return the ARN; empty where nothing but loopback can reach the function, as with `sam local`."""
    arn = environment.get("GATEWAY_TOKEN_SECRET_ARN", "")
    if arn and not SECRET_ARN.fullmatch(arn):
        raise SettingsInvalid(
            "GATEWAY_TOKEN_SECRET_ARN is not the ARN of a Secrets Manager secret.",
            hint="Deploy the template, which sets it; set it to an empty value for sam local.",
        )
    return arn


def _login(environment: Mapping[str, str]) -> LoginHost:
    """Read where logins go: SALESFORCE_LOGIN_URL, or a site under a domain of the customer's own that is set beside it."""
    value = environment.get("SALESFORCE_LOGIN_URL", "")
    if not value:
        raise SettingsInvalid(
            "SALESFORCE_LOGIN_URL is missing.",
            hint="Give the org's My Domain, like https://acme.my.salesforce.com (template parameter SalesforceLoginUrl).",
        )
    login = _host("SALESFORCE_LOGIN_URL", value, login_host)
    own = environment.get("SALESFORCE_CUSTOM_DOMAIN", "")
    return _host("SALESFORCE_CUSTOM_DOMAIN", own, custom_domain) if own else login


def _host(name: str, value: str, read: Callable[[str], LoginHost]) -> LoginHost:
    try:
        host = read(value)
    except WrongHost as wrong:
        raise SettingsInvalid(f"{name} {wrong.problem}", hint=wrong.hint) from None
    if host.note:
        observability.logger.warning("setting corrected", setting=name, note=host.note)
    return host


def _audience(environment: Mapping[str, str]) -> str:
    """Return the audience: a login host as that is written, anything else as given, since Salesforce compares strings."""
    value = environment.get("SALESFORCE_AUDIENCE", "")
    if not value:
        return ""
    try:
        return login_host(value).url
    except WrongHost as wrong:
        if wrong.right:
            raise SettingsInvalid(f"SALESFORCE_AUDIENCE {wrong.problem}", hint=wrong.hint) from None
    if not re.fullmatch(r"https?://[!-~]{1,250}", value):
        raise SettingsInvalid(
            "SALESFORCE_AUDIENCE is not a URL.",
            hint="Leave it empty to use the login URL, or give https://login.salesforce.com, https://test.salesforce.com,"
            " the My Domain or the Experience Cloud site, scheme included.",
        )
    return value


def _username(environment: Mapping[str, str]) -> str:
    value = environment.get("SALESFORCE_USERNAME", "")
    if value and not USERNAME.fullmatch(value):
        raise SettingsInvalid(
            "SALESFORCE_USERNAME is not a Salesforce username.",
            hint="Give the username (the form of an e-mail address), not the user's e-mail or id; empty for no default.",
        )
    return value


def _organization_id(environment: Mapping[str, str]) -> str:
    value = environment.get("SALESFORCE_ORG_ID", "")
    if value and not re.fullmatch(r"00D[A-Za-z0-9]{12}(?:[A-Z0-5]{3})?", value):
        raise SettingsInvalid(
            "SALESFORCE_ORG_ID is not the id of an org.",
            hint="Give the 15 or 18 characters of Setup > Company Information; if it is empty, the first login pins the org.",
        )
    return value


def _allowed_subjects(environment: Mapping[str, str]) -> frozenset[str]:
    value = environment.get("ALLOWED_SUBJECTS", "")
    subjects = value.split(",") if value else []
    for position, subject in enumerate(subjects, start=1):
        if not USERNAME.fullmatch(subject):
            raise SettingsInvalid(
                f"ALLOWED_SUBJECTS: entry {position} is not a Salesforce username.",
                hint="Give usernames separated by commas, without spaces.",
            )
    return frozenset(subjects)


def _subject_grants(environment: Mapping[str, str]) -> Grants:
    try:
        return parse_grants(environment.get("SUBJECT_GRANTS", ""), is_subject=USERNAME.fullmatch)
    except MalformedGrants as malformed:
        raise SettingsInvalid(
            f"SUBJECT_GRANTS {malformed}.",
            hint='Give {"arn:aws:iam::123456789012:role/orders-*": ["orders@acme.example"]}; * only at the end of a name.',
        ) from None


def _token_lifetime(environment: Mapping[str, str]) -> int:
    value = environment.get("TOKEN_LIFETIME_SECONDS", "") or str(DEFAULT_TOKEN_LIFETIME_SECONDS)
    if re.fullmatch(r"[0-9]{1,6}", value, re.ASCII):
        seconds = int(value)
        if MIN_TOKEN_LIFETIME_SECONDS <= seconds <= MAX_TOKEN_LIFETIME_SECONDS:
            return seconds
    raise SettingsInvalid(
        "TOKEN_LIFETIME_SECONDS is not a number of seconds from 60 to 86400.",
        hint="Give the shortest session time-out that applies to the integration user, in seconds; 900 is always safe.",
    )


def token_cache_prefix(environment: Mapping[str, str]) -> str:
    """Return the path of the shared tokens' parameters; empty for none."""
    value = environment.get("TOKEN_CACHE_PREFIX", "")
    if value and not _PARAMETER_PREFIX.fullmatch(value):
        raise SettingsInvalid(
            "TOKEN_CACHE_PREFIX is not a path of SSM parameters.",
            hint="Give a path like /salesforce-token-broker/tokens, or leave it empty to do without the shared cache.",
        )
    return value


def _token_cache_tier(environment: Mapping[str, str]) -> Tier:
    value = environment.get("TOKEN_CACHE_TIER", "") or "Standard"
    for tier in MAX_PARAMETER_BYTES:
        if tier == value:
            return tier
    raise SettingsInvalid(
        "TOKEN_CACHE_TIER is neither Standard nor Intelligent-Tiering.",
        hint="Leave it empty for Standard; Intelligent-Tiering shares larger tokens too (JWT-format), and costs.",
    )
