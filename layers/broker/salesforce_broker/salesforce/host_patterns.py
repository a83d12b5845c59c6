"""What Salesforce's hosts are called, as regular expressions. Each is compiled at its first use: a cold start needs one or two.

Sources: Salesforce help, "My Domain URL Formats", "My Domain Login URL", "Partitioned Domains"; sfdx-core, `sfdcUrl`.
"""

from __future__ import annotations

LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
POD = r"(?:na|eu|ap|cs|um|gs|ind|usg)[0-9]{1,4}"
INSTANCE = rf"(?:{POD}|[a-z]{{2,4}}[0-9]{{1,4}}s?\.sfdc-[a-z0-9]{{1,20}})"
"""An instance by itself, as before there was My Domain (na139, cs42), or on Hyperforce (usa2s.sfdc-vwfla6)."""

GENERIC = r"(?:login|test)\.(?:salesforce\.com|sfcrmproducts\.cn)"
MY_DOMAIN = (
    # acme, acme--dev.sandbox, acme.develop, .scratch, .trailblaze, .demo, .free, .patch, and acme--dev.cs42 of old
    rf"(?!www\.){LABEL}(?:\.{LABEL})?\.my\.(?:salesforce\.com|salesforce\.mil|sfcrmproducts\.cn)"
    # suffixes that could be chosen for a My Domain once
    rf"|(?!www\.){LABEL}(?:\.{LABEL}){{0,2}}\.(?:cloudforce\.com|cloudforce\.mil|database\.com)"
)
INSTANCE_HOST = rf"{INSTANCE}\.(?:salesforce\.com|salesforce\.mil|sfcrmproducts\.cn)"
SITE = (
    rf"{LABEL}(?:\.{LABEL})?\.my\.(?:site\.com|crmforce\.mil|sfcrmapps\.cn)"
    # before enhanced domains
    rf"|(?!(?:www|my|lightning|vf|file|content|visual|secure|login|test)\.){LABEL}(?:\.{POD})?\.force\.com"
)
SITE_PATH = r"(?:/(?!(?:s|services|login|secur|setup|lightning|apex|vforcesite|sfsites)(?:/|$))[A-Za-z0-9_-]{1,80})?"
"""An Experience Cloud site's own path: one segment, or none. Those left out are pages below a site."""

LOGIN_URL_PATTERN = rf"^https://(?:{GENERIC}|{MY_DOMAIN}|{INSTANCE_HOST}|(?:{SITE}){SITE_PATH})/?$"
"""What `login_host` takes without a note: also the AllowedPattern of the template's parameter SalesforceLoginUrl."""

CUSTOM_DOMAIN_PATTERN = rf"^(?:https://(?:{LABEL}\.){{1,9}}[a-z]{{2,63}}{SITE_PATH}/?)?$"
"""What `custom_domain` takes without a note, or nothing: AllowedPattern of SalesforceCustomDomain."""

INSTANCE_URL_PATTERN = rf"https://(?:{MY_DOMAIN}|(?:{POD}-api\.salesforce\.com|{INSTANCE_HOST})|(?:{SITE}){SITE_PATH})"
ANSWER_URL_PATTERN = (
    rf"https://(?:{GENERIC}|{MY_DOMAIN}|{INSTANCE_HOST}|{SITE}|(?:test\.|dev\.)?api\.salesforce\.(?:com|mil))"
    r"(?:/[A-Za-z0-9_-]{1,80}){0,4}"
)
SALESFORCE_DOMAIN_PATTERN = (
    r"(?:.+\.)?(?:salesforce|force|site|cloudforce|database|visualforce|documentforce|salesforce-[a-z]+)\.(?:com|mil)"
    r"|(?:.+\.)?(?:crmforce\.mil|sfcrm[a-z-]+\.cn)"
)

NO_LOGIN = frozenset(
    [
        *("www", "help", "trust", "status", "developer", "trailhead", "appexchange", "admin", "partners", "investor", "store"),
        *("success", "engineering", "security", "architect", "welcome", "compliance", "ideas", "api", "setup"),
    ]
)
"""Names below salesforce.com that are Salesforce's own sites: nobody's My Domain."""

_ORG = rf"(?P<my>{LABEL}(?:\.{LABEL})?)"
_ORG_AND_PACKAGE = rf"(?P<page>{LABEL}(?:\.{LABEL})?)"
_PARTITION = "sandbox|develop|scratch|trailblaze|demo|free|patch|stage"
_LIGHTNING = "a host of Lightning pages"
_SETUP = "the host of Setup"
_VISUALFORCE = "a host of Visualforce pages or content"

PAGES = (
    (rf"{_ORG}\.lightning\.(?:force|salesforce)\.com", "my.salesforce.com", _LIGHTNING),
    (rf"{_ORG}\.lightning\.(?:crmforce|force|salesforce)\.mil", "my.salesforce.mil", _LIGHTNING),
    (rf"{_ORG}\.lightning\.sfcrm(?:apps|products)\.cn", "my.sfcrmproducts.cn", _LIGHTNING),
    (rf"{_ORG}\.my\.salesforce-setup\.com", "my.salesforce.com", _SETUP),
    (rf"{_ORG}\.my\.(?:salesforce|crmforce)-setup\.mil", "my.salesforce.mil", _SETUP),
    (rf"{_ORG}\.my\.sfcrm(?:apps|products)-setup\.cn", "my.sfcrmproducts.cn", _SETUP),
    (rf"{_ORG}\.my\.salesforce-[a-z]{{2,20}}\.com", "my.salesforce.com", "the host of another service"),
    (rf"{_ORG}\.[a-z-]+\.salesforce-experience\.com", "my.salesforce.com", "the host of Experience Builder"),
    (rf"{_ORG_AND_PACKAGE}\.(?:vf|visual|content)\.force\.com", "my.salesforce.com", _VISUALFORCE),
    (rf"{_ORG_AND_PACKAGE}\.(?:visualforce|documentforce)\.com", "my.salesforce.com", _VISUALFORCE),
    (rf"{_ORG_AND_PACKAGE}\.visualforce\.mil", "my.salesforce.mil", _VISUALFORCE),
    (rf"{_ORG}\.file\.force\.com", "my.salesforce.com", "a host of files"),
    (rf"(?P<my>{LABEL})\.secure\.force\.com", "force.com", "a host of a site's pages"),
    (rf"(?P<my>{POD})-api\.salesforce\.com", "salesforce.com", "a host of an API of old"),
    (
        rf"(?!localhost)(?P<my>{LABEL}(?:\.(?:{_PARTITION}))?)(?:\.my)?(?:\.salesforce(?:\.com)?)?",
        "my.salesforce.com",
        "only part of a host's name",
    ),
)
"""What an org's pages are called in a browser, below what its login host is, and what to call that page's host."""
