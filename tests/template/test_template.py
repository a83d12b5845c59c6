"""The template obeys its rules (see `rules`) and fits the code, the folders and the tools that it names."""

from __future__ import annotations

import inspect
import itertools
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from local_stack import stack, template
from salesforce_broker import __version__, bootstrap, config
from salesforce_broker.api import request
from salesforce_broker.operations import config as operations_config
from salesforce_broker.operations.emergency import lambda_functions, workflow
from salesforce_broker.salesforce import host_patterns
from tests.template.rules import RULES, Template

ROOT = Path(__file__).parents[2]
TEMPLATE = template.load()
RESOURCES: dict[str, dict[str, Any]] = TEMPLATE["Resources"]
FUNCTIONS = {name: each for name, each in RESOURCES.items() if each["Type"] == "AWS::Serverless::Function"}
GLOBAL_FUNCTION = TEMPLATE["Globals"]["Function"]


@pytest.fixture(scope="module")
def read() -> Template:
    """Read the template once for all rules."""
    return Template(TEMPLATE)


@pytest.mark.parametrize("name", list(RULES))
def test_a_rule_holds(read: Template, name: str) -> None:
    """Every rule holds; test_mutants shows that each can fail."""
    RULES[name](read)


@pytest.mark.parametrize(
    "name",
    [
        "TokenApiFunction",
        "TokenFunction",
        "DependenciesLayer",
        "RotateKeyFunction",
        "EmergencyStopFunction",
        "BrokerLayer",
        "ClientLayer",
    ],
)
def test_logical_ids_that_users_type_exist(name: str) -> None:
    """Commands and outputs name these logical ids."""
    assert name in RESOURCES


@pytest.mark.parametrize("name", [name for name, each in RESOURCES.items() if each["Type"] == "AWS::Serverless::LayerVersion"])
def test_each_layer_is_built_by_the_makefile_of_its_folder(name: str) -> None:
    """Every layer has a makefile target and supports the functions' Python version."""
    layer = RESOURCES[name]
    assert "makefile" == layer["Metadata"]["BuildMethod"]
    assert f"build-{name}:" in (ROOT / layer["Properties"]["ContentUri"] / "Makefile").read_text()
    assert GLOBAL_FUNCTION["Runtime"] in layer["Properties"]["CompatibleRuntimes"]


def test_an_older_version_of_the_client_stays() -> None:
    """Functions of other stacks may still use an older version."""
    assert "Retain" == RESOURCES["ClientLayer"]["Properties"]["RetentionPolicy"]


def test_outputs_have_what_callers_need() -> None:
    """Outputs name the client's layer, the two functions and the ARNs to grant."""
    outputs = TEMPLATE["Outputs"]
    assert {"Ref": "ClientLayer"} == outputs["ClientLayerArn"]["Value"]
    assert {"Fn::Sub": "${TokenFunction}:live"} == outputs["TokenFunctionName"]["Value"]
    assert {"Ref": "TokenFunction.Alias"} == outputs["TokenFunctionArn"]["Value"]
    assert {"ApiUrl", "ApiInvokeArn"} <= set(outputs)


def test_our_own_functions_do_not_carry_the_client() -> None:
    """The client's layer is for callers only."""
    assert {"Ref": "ClientLayer"} not in GLOBAL_FUNCTION["Layers"]
    for function in FUNCTIONS.values():
        assert {"Ref": "ClientLayer"} not in function["Properties"].get("Layers", [])


def test_the_example_may_invoke_the_broker_and_nothing_else() -> None:
    """The example has one function, the client's layer, one statement and the variable that the client reads."""
    (function,) = template.load(ROOT / "examples" / "orders" / "template.yaml")["Resources"].values()
    properties = function["Properties"]
    assert [{"Ref": "BrokerClientLayerArn"}] == properties["Layers"]
    assert {"SALESFORCE_BROKER_FUNCTION": {"Ref": "BrokerFunctionArn"}} == properties["Environment"]["Variables"]
    (statement,) = properties["Policies"][0]["Statement"]
    assert ("lambda:InvokeFunction", {"Ref": "BrokerFunctionArn"}) == (statement["Action"], statement["Resource"])
    assert GLOBAL_FUNCTION["Runtime"] == properties["Runtime"]


@pytest.mark.parametrize("name", list(FUNCTIONS))
def test_each_function_has_a_handler(name: str) -> None:
    """The function's folder has the handler and a makefile with its target."""
    folder = ROOT / FUNCTIONS[name]["Properties"]["CodeUri"]
    assert "def lambda_handler(" in (folder / "handler.py").read_text()
    assert f"build-{name}:" in (folder / "Makefile").read_text()


def test_routes_of_the_template_and_of_the_handler_are_the_same() -> None:
    """A route that only one of them has would answer 403 or 404."""
    assert set(request.ROUTES) == template.routes(TEMPLATE)


@pytest.mark.parametrize(
    ("parameter", "pattern"),
    [
        ("SalesforceLoginUrl", host_patterns.LOGIN_URL_PATTERN),
        ("SalesforceCustomDomain", host_patterns.CUSTOM_DOMAIN_PATTERN),
    ],
)
def test_a_deployment_accepts_the_hosts_that_the_code_accepts(parameter: str, pattern: str) -> None:
    """Word for word: what the code would only correct or refuse is refused before it is deployed."""
    assert pattern == TEMPLATE["Parameters"][parameter]["AllowedPattern"]


def test_variables_of_the_template_and_of_the_settings_are_the_same() -> None:
    """The code reads every variable that the template sets, and no other."""
    read = set(
        re.findall(r'environment(?:\.get\(|\[)"([A-Z_]+)"', inspect.getsource(config) + inspect.getsource(operations_config))
    ) - {
        "SSLKEYLOGFILE",
        "AWS_LAMBDA_INITIALIZATION_TYPE",
    }
    declared = [GLOBAL_FUNCTION, *(function["Properties"] for function in FUNCTIONS.values())]
    assert read == {name for each in declared for name in each.get("Environment", {}).get("Variables", {})} - {"RES_OPTIONS"}


def test_a_cold_start_pull_fits_into_lambdas_ten_seconds() -> None:
    """Reading the key and then the gateway token takes less than 10 s: attempts, time-outs and the pauses between attempts."""
    max_pause = 1  # of botocore's standard mode, before the second attempt
    seconds = 0
    for each in (vars(bootstrap.SECRETS_MANAGER), vars(bootstrap.GATEWAY_TOKEN)):
        attempts = each["retries"]["total_max_attempts"]
        seconds += attempts * (each["connect_timeout"] + each["read_timeout"]) + (attempts - 1) * max_pause
    assert seconds < 10


def test_the_local_gateway_sends_the_gateway_token_as_the_stage_does() -> None:
    """Template, function and local stack name the stage variable alike."""
    assert stack.GATEWAY_TOKEN == request.GATEWAY_TOKEN
    assert [request.GATEWAY_TOKEN] == list(RESOURCES["TokenApi"]["Properties"]["Variables"])


def test_the_function_ends_before_api_gateway_times_out() -> None:
    """API Gateway gives up after 29 s."""
    assert GLOBAL_FUNCTION["Timeout"] < 29


def test_an_emergency_stop_knows_the_token_functions() -> None:
    """The emergency stop has both names, their alias and the maximum duration of a request."""
    variables = FUNCTIONS["EmergencyStopFunction"]["Properties"]["Environment"]["Variables"]
    functions = [name for name, function in FUNCTIONS.items() if "AutoPublishAlias" in function["Properties"]]
    assert {"Fn::Join": [",", [{"Ref": name} for name in functions]]} == variables["TOKEN_FUNCTIONS"]
    assert {lambda_functions.ALIAS} == {FUNCTIONS[name]["Properties"]["AutoPublishAlias"] for name in functions}
    assert not [name for name in functions if "Timeout" in FUNCTIONS[name]["Properties"]]
    assert GLOBAL_FUNCTION["Timeout"] == workflow.MAX_REQUEST_SECONDS


def test_every_parameter_is_described_checked_and_grouped() -> None:
    """Every parameter has a description, a constraint and a group, as `sam deploy --guided` shows them."""
    groups = TEMPLATE["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    grouped = [name for group in groups for name in group["Parameters"]]
    assert sorted(TEMPLATE["Parameters"]) == sorted(grouped)
    for parameter in TEMPLATE["Parameters"].values():
        assert parameter["Description"]
        assert {"AllowedPattern", "AllowedValues", "MinValue"} & set(parameter)


@pytest.mark.parametrize(
    ("parameter", "good", "bad"),
    [
        (
            "SalesforceLoginUrl",
            ["https://acme.my.salesforce.com", "https://acme--dev.sandbox.my.salesforce.com/"],
            ["http://acme.my.salesforce.com", "https://evil.example", "https://salesforce.com.evil.example", ""],
        ),
        ("SalesforceUsername", ["", "a@b.c"], ["a", "a@b.c,d@e.f", "a @b.c"]),
        ("AllowedSubjects", ["", "a@b.c", "a@b.c,d@e.f"], ["*", "a@b.c, d@e.f", "a@b.c,"]),
        ("SalesforceAudience", ["", "https://login.salesforce.com"], ["login.salesforce.com"]),
    ],
)
def test_parameter_patterns_accept_what_the_settings_accept(parameter: str, good: list[str], bad: list[str]) -> None:
    """A malformed parameter fails the deployment, not the first request."""
    pattern = re.compile(TEMPLATE["Parameters"][parameter]["AllowedPattern"])
    assert [] == [value for value in good if not pattern.search(value)]
    assert [] == [value for value in bad if pattern.search(value)]


def test_skipped_scanner_checks_have_a_reason() -> None:
    """At most six checks are skipped, each below a comment that says why."""
    skipped = []
    for file in ("checkov.yaml", "cfnlint.yaml"):
        lines = (Path(__file__).parent / file).read_text().splitlines()
        for before, line in itertools.pairwise(lines):
            if re.fullmatch(r"  - [A-Z0-9_]+", line):
                assert before.startswith("  # "), line
                skipped.append(line)
    assert 0 < len(skipped) <= 6


def test_serverless_repository_metadata_is_correct() -> None:
    """License and readme exist, and the version is the project's."""
    metadata = TEMPLATE["Metadata"]["AWS::ServerlessRepo::Application"]
    assert (ROOT / metadata["LicenseUrl"]).is_file()
    assert (ROOT / metadata["ReadmeUrl"]).is_file()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert __version__ == metadata["SemanticVersion"] == project["version"]
    assert metadata["SpdxLicenseId"] == project["license"]


def test_each_stage_is_a_stack_of_its_own() -> None:
    """Every stage has a stack name of its own and overrides only existing parameters."""
    stages = {name: each for name, each in tomllib.loads((ROOT / "samconfig.toml").read_text()).items() if name != "version"}
    assert {"default", "staging", "production"} <= set(stages)
    assert len(stages) == len({stage["global"]["parameters"]["stack_name"] for stage in stages.values()})
    for stage in stages.values():
        overrides = stage["deploy"]["parameters"].get("parameter_overrides", "")
        assert set(re.findall(r"(\w+)=", overrides)) <= set(TEMPLATE["Parameters"])
