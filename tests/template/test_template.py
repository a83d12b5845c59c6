"""Rules that the template must keep, whoever edits it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local_stack import template
from salesforce_broker import request, settings, wiring

ROOT = Path(__file__).parents[2]
TEMPLATE = template.load()
RESOURCES: dict[str, dict[str, Any]] = TEMPLATE["Resources"]
FUNCTIONS = {name: each for name, each in RESOURCES.items() if each["Type"] == "AWS::Serverless::Function"}
GLOBAL_FUNCTION = TEMPLATE["Globals"]["Function"]


def statements() -> Iterator[tuple[str, dict[str, Any]]]:
    """Walk every statement of every role."""
    for name, resource in RESOURCES.items():
        if resource["Type"] == "AWS::IAM::Role":
            for policy in resource["Properties"]["Policies"]:
                for statement in policy["PolicyDocument"]["Statement"]:
                    yield name, statement


def as_list(value: Any) -> list[Any]:
    """Return what IAM allows to be one or many as many."""
    return value if isinstance(value, list) else [value]


@pytest.mark.parametrize(
    "name", ["TokenApiFunction", "TokenFunction", "DependenciesLayer", "RotateKeyFunction", "BrokerLayer", "ClientLayer"]
)
def test_what_users_name_is_there(name: str) -> None:
    """Logical ids that stand in commands and outputs."""
    assert name in RESOURCES


@pytest.mark.parametrize("name", [name for name, each in RESOURCES.items() if each["Type"] == "AWS::Serverless::LayerVersion"])
def test_each_layer_is_built_by_the_makefile_of_its_folder(name: str) -> None:
    """For the functions' Python, among others."""
    layer = RESOURCES[name]
    assert "makefile" == layer["Metadata"]["BuildMethod"]
    assert f"build-{name}:" in (ROOT / layer["Properties"]["ContentUri"] / "Makefile").read_text()
    assert GLOBAL_FUNCTION["Runtime"] in layer["Properties"]["CompatibleRuntimes"]


def test_an_older_version_of_the_client_stays() -> None:
    """Functions of other stacks have it."""
    assert "Retain" == RESOURCES["ClientLayer"]["Properties"]["RetentionPolicy"]


def test_the_outputs_tell_callers_what_they_need() -> None:
    """The client's layer, the two doors, and what to be allowed."""
    outputs = TEMPLATE["Outputs"]
    assert {"Ref": "ClientLayer"} == outputs["ClientLayerArn"]["Value"]
    assert {"Ref": "TokenFunction"} == outputs["TokenFunctionName"]["Value"]
    assert {"Fn::GetAtt": ["TokenFunction", "Arn"]} == outputs["TokenFunctionArn"]["Value"]
    assert {"ApiUrl", "ApiInvokeArn"} <= set(outputs)


def test_our_own_functions_do_not_carry_the_client() -> None:
    """It is for callers."""
    assert {"Ref": "ClientLayer"} not in GLOBAL_FUNCTION["Layers"]
    for function in FUNCTIONS.values():
        assert {"Ref": "ClientLayer"} not in function["Properties"].get("Layers", [])


def test_the_example_may_invoke_the_broker_and_nothing_else() -> None:
    """One function, the client's layer, one statement, and the variable that the client reads."""
    (function,) = template.load(ROOT / "examples" / "orders" / "template.yaml")["Resources"].values()
    properties = function["Properties"]
    assert [{"Ref": "BrokerClientLayerArn"}] == properties["Layers"]
    assert {"SALESFORCE_BROKER_FUNCTION": {"Ref": "BrokerFunctionArn"}} == properties["Environment"]["Variables"]
    (statement,) = properties["Policies"][0]["Statement"]
    assert ("lambda:InvokeFunction", {"Ref": "BrokerFunctionArn"}) == (statement["Action"], statement["Resource"])
    assert GLOBAL_FUNCTION["Runtime"] == properties["Runtime"]


@pytest.mark.parametrize("name", list(FUNCTIONS))
def test_each_function_has_a_role_and_a_log_group_of_its_own(name: str) -> None:
    """With retention, and written into by nobody else."""
    properties = FUNCTIONS[name]["Properties"]
    assert {"Fn::GetAtt": [f"{name}Role", "Arn"]} == properties["Role"]
    assert {"Ref": f"{name}LogGroup"} == properties["LoggingConfig"]["LogGroup"]
    assert RESOURCES[f"{name}LogGroup"]["Properties"]["RetentionInDays"]
    writes = [s for role, s in statements() if role == f"{name}Role" and s["Sid"] == "WriteLogs"]
    assert [{"Fn::GetAtt": [f"{name}LogGroup", "Arn"]}] == [statement["Resource"] for statement in writes]


def test_no_log_level_drops_the_audit_lines() -> None:
    """Lambda drops JSON lines below the level; they are INFO."""
    assert {"DEBUG", "INFO"} == set(TEMPLATE["Parameters"]["LogLevel"]["AllowedValues"])


@pytest.mark.parametrize("name", list(FUNCTIONS))
def test_each_function_is_a_door_that_exists(name: str) -> None:
    """Its folder has the handler, and a makefile with its target."""
    folder = ROOT / FUNCTIONS[name]["Properties"]["CodeUri"]
    assert "def lambda_handler(" in (folder / "handler.py").read_text()
    assert f"build-{name}:" in (folder / "Makefile").read_text()


@pytest.mark.parametrize(("role", "statement"), list(statements()), ids=lambda value: str(value)[:30])
def test_no_statement_is_wider_than_its_purpose(role: str, statement: dict[str, Any]) -> None:
    """A Sid, named actions, and a name for each resource that has one."""
    assert re.fullmatch(r"[A-Z][A-Za-z]+", statement["Sid"]), role
    assert not [action for action in as_list(statement["Action"]) if "*" in action]
    if statement["Sid"] != "SendTraces":
        for resource in as_list(statement["Resource"]):
            assert resource != "*"
            pattern = resource.get("Fn::Sub", "")
            assert not pattern or re.search(r"\$\{AWS::StackName\}/(tokens/\*|certificate)$", pattern)


def test_the_roles_may_do_this_and_no_more() -> None:
    """Doors: read the secret, read and write the tokens, use the key, log and trace. Only the operator's writes the secret."""
    allowed: dict[str, set[str]] = {}
    for role, statement in statements():
        allowed.setdefault(role, set()).update(as_list(statement["Action"]))
    always = {"logs:CreateLogStream", "logs:PutLogEvents", "xray:PutTraceSegments", "xray:PutTelemetryRecords"}
    rotation = {"GetSecretValue", "PutSecretValue", "UpdateSecretVersionStage"}
    assert allowed.pop("RotateKeyFunctionRole") == always | {f"secretsmanager:{action}" for action in rotation} | {
        "kms:Decrypt",
        "kms:GenerateDataKey",
        "ssm:PutParameter",
    }
    assert {"TokenApiFunctionRole", "TokenFunctionRole"} == set(allowed)
    door = always | {
        "secretsmanager:GetSecretValue",
        "ssm:GetParameters",
        "ssm:PutParameter",
        "ssm:DeleteParameter",
        "kms:Decrypt",
        "kms:Encrypt",
        "kms:GenerateDataKey",
    }
    assert [door, door] == list(allowed.values())


def test_the_key_is_used_only_through_the_two_services() -> None:
    """kms:ViaService and the encryption context, so that stolen credentials decrypt nothing by themselves."""
    for _, statement in statements():
        if "kms:" in str(statement["Action"]):
            conditions = str(statement["Condition"])
            assert "kms:ViaService" in conditions
            assert "kms:EncryptionContext:" in conditions


@pytest.mark.parametrize("name", ["SigningKeySecret", "DataKey"])
def test_what_cannot_be_made_again_outlives_the_stack(name: str) -> None:
    """Deleting the stack, or replacing the resource, keeps it."""
    assert ("Retain", "Retain") == (RESOURCES[name]["DeletionPolicy"], RESOURCES[name]["UpdateReplacePolicy"])


def test_the_secret_is_created_empty() -> None:
    """A key in a template would be a key in a hundred places."""
    assert not {"SecretString", "GenerateSecretString"} & set(RESOURCES["SigningKeySecret"]["Properties"])


def test_every_method_needs_iam() -> None:
    """Scanners find nothing wrong with an API without authentication."""
    assert "AWS_IAM" == RESOURCES["TokenApi"]["Properties"]["Auth"]["DefaultAuthorizer"]
    for function in FUNCTIONS.values():
        for event in function["Properties"].get("Events", {}).values():
            assert "Auth" not in event["Properties"]
            assert {"Ref": "TokenApi"} == event["Properties"]["RestApiId"]


def test_the_api_logs_and_caches_no_token() -> None:
    """Data trace and caching off; the access log has the route, not the path with its query."""
    properties = RESOURCES["TokenApi"]["Properties"]
    assert "Cors" not in properties
    for method in properties["MethodSettings"]:
        assert (False, False) == (method["DataTraceEnabled"], method["CachingEnabled"])
    log_format = properties["AccessLogSetting"]["Fn::If"][1]["Format"]
    assert not re.search(r"context\.path\b|requestTime|querystring|body", log_format)


def test_routes_of_the_template_and_of_the_door_are_the_same() -> None:
    """A route that only one of them knows would answer 403 or 404."""
    assert set(request.ROUTES) == template.routes(TEMPLATE)


def test_variables_of_the_template_and_of_the_settings_are_the_same() -> None:
    """What the template sets is read, and what is read is set."""
    read = set(re.findall(r'environment(?:\.get\(|\[)"([A-Z_]+)"', inspect.getsource(settings))) - {"SSLKEYLOGFILE"}
    declared = [GLOBAL_FUNCTION, *(function["Properties"] for function in FUNCTIONS.values())]
    assert read == {name for each in declared for name in each.get("Environment", {}).get("Variables", {})} - {"RES_OPTIONS"}


def test_no_variable_makes_a_library_talk() -> None:
    """No event in the log, no capture of answers, no debug mode."""
    text = (ROOT / "template.yaml").read_text()
    assert not re.search("LOG_EVENT|POWERTOOLS_DEV|POWERTOOLS_DEBUG|CAPTURE_RESPONSE|SSLKEYLOGFILE|AWS_DEBUG", text)


def test_a_cold_start_pull_fits_into_lambdas_ten_seconds() -> None:
    """Attempts and time-outs of the secret's client, with its pause between them."""
    config = vars(wiring.SECRETS_MANAGER)
    attempts = config["retries"]["total_max_attempts"]
    longest_pause = 1  # of botocore's standard mode, before the second attempt
    assert attempts * (config["connect_timeout"] + config["read_timeout"]) + (attempts - 1) * longest_pause < 10


def test_the_function_ends_before_api_gateway_hangs_up() -> None:
    """29 seconds."""
    assert GLOBAL_FUNCTION["Timeout"] < 29


def test_nobody_waits_for_an_asynchronous_token() -> None:
    """No retries, no destination that a token could be written to."""
    assert {"MaximumRetryAttempts": 0} == GLOBAL_FUNCTION["EventInvokeConfig"]


def test_every_parameter_is_described_checked_and_grouped() -> None:
    """What `sam deploy --guided` asks for."""
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
def test_patterns_of_parameters_let_through_what_the_settings_accept(parameter: str, good: list[str], bad: list[str]) -> None:
    """A mistake is found at deployment, not at the first request."""
    pattern = re.compile(TEMPLATE["Parameters"][parameter]["AllowedPattern"])
    assert [] == [value for value in good if not pattern.search(value)]
    assert [] == [value for value in bad if pattern.search(value)]
