"""Salesforce's hosts: what is a login host, what is meant by another address, and where a token may go."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salesforce_broker.salesforce import host_patterns, hosts
from salesforce_broker.salesforce.hosts import WrongHost, login_host
from tests.support import builders

ORGS = [
    *("acme", "acme--dev.sandbox", "acme-dev-ed.develop", "acme.scratch", "acme.trailblaze", "acme.demo", "acme.free"),
    *("acme.patch", "acme--dev", "acme--dev.cs42", "a", "4acme", "acme-industries-of-the-north--full.sandbox"),
]
"""The first part of a My Domain, with the partition of each kind of org, and with an instance as of old."""

MY_DOMAINS = [f"{org}.my.{suffix}" for org in ORGS for suffix in ("salesforce.com", "salesforce.mil", "sfcrmproducts.cn")]
BRANDS = [f"{org}.{suffix}" for org in ORGS[:9] for suffix in ("cloudforce.com", "cloudforce.mil", "database.com")]
INSTANCES = ["na139.salesforce.com", "cs42.salesforce.com", "eu12.salesforce.com", "usa2s.sfdc-vwfla6.salesforce.com"]
SITE_HOSTS = [
    *("acme.my.site.com", "acme--dev.sandbox.my.site.com", "acme-dev-ed.develop.my.site.com", "acme.my.crmforce.mil"),
    *("acme.my.sfcrmapps.cn", "acme.force.com", "dev-acme.cs42.force.com"),
]
SITES = [host + path for host in SITE_HOSTS for path in ("", "/partners", "/Partner-Portal_2")]
GENERIC = ["login.salesforce.com", "test.salesforce.com", "login.sfcrmproducts.cn", "test.sfcrmproducts.cn"]
LOGIN_HOSTS = [*GENERIC, *MY_DOMAINS, *BRANDS, *INSTANCES, *SITES]

PAGES = {
    "acme.lightning.force.com/lightning/page/home": "acme.my.salesforce.com",
    "acme.lightning.force.com/lightning/r/Account/001/view?x=1#y": "acme.my.salesforce.com",
    "acme--dev.sandbox.lightning.force.com/one/one.app": "acme--dev.sandbox.my.salesforce.com",
    "acme-dev-ed.develop.lightning.force.com": "acme-dev-ed.develop.my.salesforce.com",
    "acme.scratch.lightning.force.com": "acme.scratch.my.salesforce.com",
    "acme.trailblaze.lightning.force.com": "acme.trailblaze.my.salesforce.com",
    "acme.lightning.crmforce.mil": "acme.my.salesforce.mil",
    "acme.lightning.sfcrmapps.cn": "acme.my.sfcrmproducts.cn",
    "acme.my.salesforce-setup.com/lightning/setup/SetupOneHome/home": "acme.my.salesforce.com",
    "acme--dev.sandbox.my.salesforce-setup.com": "acme--dev.sandbox.my.salesforce.com",
    "acme--c.vf.force.com/apex/page": "acme.my.salesforce.com",
    "acme--dev--c.sandbox.vf.force.com": "acme--dev.sandbox.my.salesforce.com",
    "acme--c.na139.visual.force.com/apex/page": "acme.my.salesforce.com",
    "acme--c.na139.content.force.com": "acme.my.salesforce.com",
    "acme--c.documentforce.com": "acme.my.salesforce.com",
    "acme.file.force.com/sfc/servlet": "acme.my.salesforce.com",
    "acme--dev.sandbox.file.force.com": "acme--dev.sandbox.my.salesforce.com",
    "acme.my.salesforce-sites.com/page": "acme.my.salesforce.com",
    "acme.my.salesforce-scrt.com": "acme.my.salesforce.com",
    "acme.builder.salesforce-experience.com/x": "acme.my.salesforce.com",
    "acme.secure.force.com/partners/page": "acme.force.com/partners",
    "na139-api.salesforce.com": "na139.salesforce.com",
    "acme.my.salesforce.com.mcas.ms/home": "acme.my.salesforce.com",
    "acme.my.salesforce.com/home/home.jsp": "acme.my.salesforce.com",
    "acme.my.salesforce.com/services/data/v65.0/": "acme.my.salesforce.com",
    "acme.my.salesforce.com:8443": "acme.my.salesforce.com",
    "acme.my.salesforce.com?startURL=x": "acme.my.salesforce.com",
    "acme.my.site.com/partners/s/login/?x=y": "acme.my.site.com/partners",
    "acme.my.site.com/s/": "acme.my.site.com",
    "acme.salesforce.com": "acme.my.salesforce.com",
    "acme.develop.salesforce.com": "acme.develop.my.salesforce.com",
    "acme.my.salesforce": "acme.my.salesforce.com",
    "acme.my": "acme.my.salesforce.com",
    "acme": "acme.my.salesforce.com",
    "www.acme.my.salesforce.com": "acme.my.salesforce.com",
}
"""What people copy -> the login host that is meant."""

NOT_SALESFORCE = [
    *("evil.example", "acme.my.salesforce.com.evil.example", "evilsalesforce.com", "acme.my.saleforce.com", "salesforce.com"),
    *("www.salesforce.com", "help.salesforce.com", "trailhead.salesforce.com", "status.salesforce.com", "lightning.force.com"),
    *("acme.my.salesforce.gov", "partners.acme.example", "192.0.2.1", "site.com", "my.site.com", "-.my.salesforce.com"),
    *("a.b.c.my.salesforce.com", "acme_x.my.salesforce.com", f"{'a' * 64}.my.salesforce.com", ".my.salesforce.com"),
]

TRICKS = [
    "https://evil.com\\@acme.my.salesforce.com/",
    "https://evil.com@acme.my.salesforce.com",
    "https://acme.my.salesforce.com@evil.com",
    "https://acme.my.salesforce.com.evil.com",
    "https://evilsalesforce.com",
    "https://acme.my.salesforce.com:8443",
    "https://acme.my.salesforce.com#@evil.com",
    "https://acme.my.salesforce.com?x",
    "https://-.salesforce.com",
    "https://.salesforce.com",
    "https://a_b.salesforce.com",
    "http://acme.my.salesforce.com",
    "ftp://acme.my.salesforce.com",
    "//acme.my.salesforce.com",
    "https:///acme.my.salesforce.com",
    "https://acme.my.salesforce.com/../x",
    "https://acme.my.salesforce.com/%2e%2e",
    "https://acme.my.salesforce.com;evil.com",
    "https://acme.my.salesforce.com\x00.evil.com",
    "https://acme.my.salesforce.com\r\nHost: evil.com",
    "https://acmе.my.salesforce.com",  # noqa: RUF001  a Cyrillic letter
    "https://acme。my.salesforce.com",
    "https://[::1].my.salesforce.com",
    "https://" + "a" * 64 + ".salesforce.com",
    "https://" + "a" * 5_000,
    "http://[",
    "https://[::1",
    "javascript:alert(1)",
]


@pytest.mark.parametrize("host", LOGIN_HOSTS)
def test_every_form_of_a_login_host_is_taken(host: str) -> None:
    """As it is, without a note."""
    assert (f"https://{host}", "") == (login_host(f"https://{host}").url, login_host(f"https://{host}").note)
    assert f"https://{host}" == login_host(f"https://{host}/").url


@pytest.mark.parametrize(
    "form",
    [
        "  https://{}  ",
        "'https://{}'",
        '"https://{}/"\n',
        "<https://{}>",
        "\ufeffhttps://{},",
        "\u201chttps://{}\u201d",
        "https://{}/services/oauth2/token",
        "https://{}/services/oauth2/token/",
        "https://{}/services/oauth2/authorize",
        "https://{}//",
    ],
)
def test_what_gets_around_an_address_is_corrected_with_a_note(form: str) -> None:
    """The URL is rebuilt, of every kind of host."""
    taken = [login_host(form.format(host)) for host in LOGIN_HOSTS]
    assert [f"https://{host}" for host in LOGIN_HOSTS] == [each.url for each in taken]
    assert [f"taken as https://{host}" for host in LOGIN_HOSTS] == [each.note for each in taken]


@pytest.mark.parametrize("host", [host for host in LOGIN_HOSTS if "/" not in host])
def test_capitals_dots_and_the_usual_port_are_corrected(host: str) -> None:
    """A host means the same in each of these forms."""
    forms = (f"HTTPS://{host.upper()}", f"https://{host}.", f"https://{host}:443", f"https://{host.title()}./")
    assert {f"https://{host}"} == {login_host(form).url for form in forms}


@pytest.mark.parametrize("scheme", ["https://", "http://", "", "//", "HTTPS://"])
@pytest.mark.parametrize("address", PAGES)
def test_what_is_copied_from_a_browser_is_refused_with_the_host_that_is_right(scheme: str, address: str) -> None:
    """In the error's text."""
    right = f"https://{PAGES[address]}"
    with pytest.raises(WrongHost) as caught:
        login_host(scheme + address)
    assert right == caught.value.right
    assert str(caught.value).endswith(f"Set it to {right}.")
    assert right == login_host(right).url


@pytest.mark.parametrize("host", MY_DOMAINS)
@pytest.mark.parametrize(
    "form", ["{}", "http://{}", "//{}", "https://{}/lightning/page/home", "https://{}:8443", "https://{}?x"]
)
def test_a_login_host_with_more_or_less_to_it_is_named(host: str, form: str) -> None:
    """It is not taken: nobody meant to write that."""
    with pytest.raises(WrongHost) as caught:
        login_host(form.format(host))
    assert f"https://{host}" == caught.value.right


@pytest.mark.parametrize("host", NOT_SALESFORCE)
def test_what_is_no_host_for_logins_is_refused_with_the_place_to_look(host: str) -> None:
    """Without guessing."""
    with pytest.raises(WrongHost) as caught:
        login_host(f"https://{host}")
    assert "" == caught.value.right
    assert "Setup > My Domain" in str(caught.value)


@pytest.mark.parametrize("url", TRICKS)
def test_tricks_with_urls_are_refused(url: str) -> None:
    """Neither userinfo nor backslashes nor suffixes get past, for logins as for tokens."""
    with pytest.raises(WrongHost):
        login_host(url)
    assert hosts.instance_origin(url, login_url=builders.LOGIN_URL) is None
    assert hosts.answer_url(url, login_url=builders.LOGIN_URL) is None
    assert hosts.local_origin(url) is None


@given(
    st.text() | st.sampled_from(TRICKS + list(PAGES) + LOGIN_HOSTS).flatmap(lambda url: st.text().map(lambda end: url + end))
)
def test_whatever_comes_in_a_plain_url_comes_out_or_nothing(text: str) -> None:
    """Of settings and of answers; what is said to be right is."""
    for url in (text, f"https://{text}", f"http://{text}"):
        found = [hosts.right_login_url(url), hosts.local_origin(url)]
        found += [hosts.instance_origin(url, login_url=builders.LOGIN_URL), hosts.answer_url(url, login_url=builders.LOGIN_URL)]
        found += [hosts.redirected_login_url(url, login_url=builders.LOGIN_URL)]
        try:
            found.append(login_host(url).url)
        except WrongHost as wrong:
            found.append(wrong.right)
        for each in filter(None, found):
            assert re.fullmatch(r"https?://(\[::1\]|[a-z0-9.-]+)(:[0-9]+)?(/[A-Za-z0-9_-]+){0,4}", each)


MATRIX = [
    f"{scheme}{host}{end}"
    for scheme, host, end in itertools.product(
        ("https://", "http://", "", "https://evil.com\\@", "https://evil.com@"),
        (*LOGIN_HOSTS, *PAGES, *NOT_SALESFORCE),
        ("", "/", "/x/y", ":443", " ", "\n", ".evil.com", "?x"),
    )
]


def test_the_templates_pattern_takes_what_needs_no_correction_and_nothing_else() -> None:
    """CloudFormation refuses before a deployment what the functions would refuse or correct."""
    pattern = re.compile(host_patterns.LOGIN_URL_PATTERN)
    for url in MATRIX:
        try:
            taken = login_host(url)
        except WrongHost:
            assert not pattern.fullmatch(url), url
            continue
        assert bool(pattern.fullmatch(url)) == (not taken.note), url


@pytest.mark.parametrize("unsafe", [r"\A", r"\Z", "(?P<", "(?i", r"\d", r"\w"])
def test_the_templates_patterns_mean_the_same_to_cloudformation(unsafe: str) -> None:
    """Its regular expressions are Java's."""
    for pattern in (host_patterns.LOGIN_URL_PATTERN, host_patterns.CUSTOM_DOMAIN_PATTERN):
        assert unsafe not in pattern
        assert pattern.startswith("^")
        assert pattern.endswith("$")


@pytest.mark.parametrize(
    ("url", "taken"),
    [
        ("https://partners.acme.example/portal", "https://partners.acme.example/portal"),
        (" https://Partners.Acme.example/ ", "https://partners.acme.example"),
        ("partners.acme.example/portal/services/oauth2/token", "https://partners.acme.example/portal"),
    ],
)
def test_a_custom_domain_is_taken_by_its_own_setting(url: str, taken: str) -> None:
    """With a site's path."""
    host = hosts.custom_domain(url)
    assert (taken, taken) == (host.url, host.audience_default)
    assert bool(host.note) != bool(re.fullmatch(host_patterns.CUSTOM_DOMAIN_PATTERN, url))


@pytest.mark.parametrize(
    ("host", "audience"),
    [
        ("na139.salesforce.com", "https://login.salesforce.com"),
        ("cs42.salesforce.com", "https://test.salesforce.com"),
        ("usa2s.sfdc-vwfla6.salesforce.com", "https://test.salesforce.com"),
        ("usa2.sfdc-vwfla6.salesforce.com", "https://login.salesforce.com"),
        *((host, f"https://{host}") for host in (*GENERIC, *MY_DOMAINS, *SITES)),
    ],
)
def test_the_audience_is_the_url_itself_but_for_instances(host: str, audience: str) -> None:
    """An instance has none of its own."""
    assert audience == login_host(f"https://{host}").audience_default


@pytest.mark.parametrize(
    ("org", "generic"),
    [
        ("acme.my.salesforce.com", "login"),
        ("acme--dev.sandbox.my.salesforce.com", "test"),
        ("acme--dev.my.salesforce.com", "test"),
        ("acme.scratch.my.salesforce.com", "test"),
        ("acme.develop.my.salesforce.com", "login"),
        ("acme.trailblaze.my.salesforce.com", "login"),
        ("test.salesforce.com", "test"),
        ("login.salesforce.com", "login"),
    ],
)
def test_the_generic_audience_is_that_of_the_orgs_kind(org: str, generic: str) -> None:
    """Sandboxes and scratch orgs are known at test.salesforce.com."""
    assert f"https://{generic}.salesforce.com" == hosts.generic_audience(f"https://{org}")


@pytest.mark.parametrize("host", [*MY_DOMAINS, *BRANDS, *INSTANCES, *SITES, "na139-api.salesforce.com"])
def test_tokens_go_to_hosts_of_orgs(host: str) -> None:
    """In whatever case they are written."""
    for url in (f"https://{host}", f"https://{host}/"):
        assert f"https://{host}" == hosts.instance_origin(url, login_url=builders.LOGIN_URL)


@pytest.mark.parametrize("host", [*GENERIC, *NOT_SALESFORCE, *(page for page in PAGES if page != "na139-api.salesforce.com")])
def test_tokens_go_nowhere_else(host: str) -> None:
    """Neither to pages nor to Salesforce's other sites nor to login.salesforce.com."""
    assert hosts.instance_origin(f"https://{host}", login_url=builders.LOGIN_URL) is None


@pytest.mark.parametrize(
    ("url", "taken"),
    [
        ("https://api.salesforce.com", True),
        ("https://test.api.salesforce.com", True),
        ("https://login.salesforce.com", True),
        ("https://acme.my.site.com/partners", True),
        ("https://acme.my.salesforce.com/", True),
        ("https://partners.acme.example/portal", False),
        ("https://api.salesforce.com.evil.example", False),
        ("https://evil.example", False),
        ("http://127.0.0.1:8080", False),
        (7, False),
        (None, False),
    ],
)
def test_other_urls_of_an_answer_must_be_salesforces(url: object, taken: bool) -> None:
    """Or at the host that logins go to, which a custom domain is."""
    assert taken == (hosts.answer_url(url, login_url=builders.LOGIN_URL) is not None)
    if url == "https://partners.acme.example/portal":
        assert url == hosts.answer_url(url, login_url="https://partners.acme.example/portal")


def test_an_instance_on_this_machine_is_trusted_only_locally() -> None:
    """An answer of the real Salesforce cannot send a token to loopback."""
    local = "http://127.0.0.1:8080"
    assert local == hosts.instance_origin(local, login_url="http://127.0.0.1:9090")
    assert hosts.instance_origin(local, login_url=builders.LOGIN_URL) is None
    assert hosts.instance_origin(None, login_url=builders.LOGIN_URL) is None


@pytest.mark.parametrize(
    ("location", "right"),
    [
        ("https://globex.my.salesforce.com/services/oauth2/token", "https://globex.my.salesforce.com"),
        ("https://acme--dev.sandbox.my.salesforce.com/", "https://acme--dev.sandbox.my.salesforce.com"),
        ("https://acme.lightning.force.com/", ""),
        ("https://acme.my.salesforce.com/other", ""),
        ("/services/oauth2/token", ""),
        ("http://[", ""),
        ("", ""),
        ("https://evil.example/", ""),
        ("http://globex.my.salesforce.com", ""),
    ],
)
def test_a_redirect_names_another_org_host_or_nothing(location: str, right: str) -> None:
    """A renamed My Domain, or enhanced domains; garbage is harmless."""
    assert right == hosts.redirected_login_url(location, login_url=builders.LOGIN_URL)
