"""What to change, and where: the parts of hints that depend on the settings in force."""

from __future__ import annotations

from dataclasses import dataclass

from salesforce_broker.salesforce.hosts import (
    SANDBOX_AUDIENCE,
    default_audience,
    generic_audience,
    is_generic,
    is_site,
    redirected_login_url,
)


@dataclass(frozen=True, slots=True)
class HintContext:
    """The settings that hints read. `client_id_is_set`: by SALESFORCE_CLIENT_ID, not by the secret."""

    login_url: str
    audience: str
    client_id_is_set: bool = False

    @property
    def audience_is_set(self) -> bool:
        """Tell whether SALESFORCE_AUDIENCE makes a difference."""
        return self.audience != default_audience(self.login_url)


def for_audience(context: HintContext) -> str:
    """Say which audience to try instead of the one in use."""
    login_url, audience = context.login_url, context.audience
    generic, used = generic_audience(login_url), f"The audience in use is {audience}."
    if context.audience_is_set:
        if is_generic(audience) and audience != generic and not is_generic(login_url):
            kind = "a sandbox or scratch org" if generic == SANDBOX_AUDIENCE else "a production org"
            return f"{used} {login_url} is {kind}: set SALESFORCE_AUDIENCE to {generic}, or remove it."
        return f"{used} Remove SALESFORCE_AUDIENCE, so that it is {default_audience(login_url)}."
    if is_generic(login_url):
        return f"{used} It does not know every org: set SALESFORCE_LOGIN_URL to the org's My Domain."
    if is_site(login_url):
        return f"{used} It must be the site's URL with its path, as Setup > Digital Experiences > All Sites shows it."
    return (
        f"{used} Some orgs (Government Cloud, Trailhead playgrounds) want another one: set SALESFORCE_AUDIENCE to {generic}"
        " and leave SALESFORCE_LOGIN_URL as it is."
    )


def for_missing_app(context: HintContext) -> str:
    """Say where the app is looked for, and where it may be."""
    if is_generic(context.login_url):
        return (
            "Set SALESFORCE_LOGIN_URL to the org's My Domain, like https://acme.my.salesforce.com:"
            f" {context.login_url} does not know External Client Apps."
        )
    if is_generic(context.audience):
        return (
            f"Remove SALESFORCE_AUDIENCE, so that it is {default_audience(context.login_url)}: {context.audience} does not know"
            " External Client Apps."
        )
    return (
        f"Install the app in the org of {context.login_url} (Setup > External Client App Manager), or set the login URL to the"
        f" org that has it, and compare {client_id_place(context)} with the app's consumer key."
    )


def for_client_id(context: HintContext) -> str:
    """Say which consumer key is in use, and where the app is looked for."""
    advice = (
        f"Compare {client_id_place(context)} with the app's consumer key, and the login URL {context.login_url} with its org."
    )
    return f"{advice} The org's My Domain as SALESFORCE_LOGIN_URL is surest." if is_generic(context.login_url) else advice


def client_id_place(context: HintContext) -> str:
    """Name the place of the consumer key that is in use."""
    if context.client_id_is_set:
        return "SALESFORCE_CLIENT_ID (template parameter SalesforceClientId)"
    return "'client_id' in the secret"


def for_unapproved_user(context: HintContext) -> str:
    """Say what makes a user approved, and known."""
    return (
        "In the app's policies set Permitted Users to 'Admin approved users are pre-authorized' and give it a permission set or"
        " profile of the user; give the app the scope refresh_token (Perform requests at any time) beside api, without which"
        f" some orgs call every user so; check the username (not the e-mail) and that {context.login_url} is the user's org."
        " After a change wait up to 10 minutes."
    )


def for_malformed_request(context: HintContext) -> str:
    """Say which settings shape the request."""
    return f"Check SALESFORCE_LOGIN_URL ({context.login_url}) and the audience ({context.audience})."


def for_sporadic_refusals(context: HintContext) -> str:
    """Say what helps where test.salesforce.com refuses now and then; empty for any other login host."""
    if context.login_url != SANDBOX_AUDIENCE:
        return ""
    return (
        " If it comes and goes: test.salesforce.com answers with sporadic refusals; the sandbox's My Domain as"
        " SALESFORCE_LOGIN_URL, like https://acme--dev.sandbox.my.salesforce.com, does not."
    )


def for_wrong_host(context: HintContext, location: str = "") -> str:
    """Say what to do where something else answers; `location` is where it redirects to, which may be anything."""
    target = redirected_login_url(location, login_url=context.login_url)
    if target:
        return (
            f"Salesforce redirects to {target}: set SALESFORCE_LOGIN_URL (template parameter SalesforceLoginUrl) to it."
            " Redirects are not followed."
        )
    return f"Check SALESFORCE_LOGIN_URL: something other than Salesforce's token endpoint answered at {context.login_url}."
