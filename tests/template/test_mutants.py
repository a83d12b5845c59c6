"""Templates that somebody might write, each insecure or blind in one way: the rule that stands for it must catch it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from local_stack import template
from tests.template.rules import RULES, Template

RAW = template.load()

Change = Callable[[dict[str, Any]], None]


def put(path: str, value: Any) -> Change:
    """Set what lies at `path` (keys and positions, separated by spaces) below Resources."""

    def change(raw: dict[str, Any]) -> None:
        *way, last = path.split()
        found: Any = raw["Resources"]
        for step in way:
            found = found[int(step) if isinstance(found, list) else step]
        found[int(last) if isinstance(found, list) else last] = value

    return change


def drop(path: str) -> Change:
    """Remove what lies at `path`."""

    def change(raw: dict[str, Any]) -> None:
        *way, last = path.split()
        found: Any = raw["Resources"]
        for step in way:
            found = found[int(step) if isinstance(found, list) else step]
        del found[int(last) if isinstance(found, list) else last]

    return change


def replace(old: str, new: str, *, under: str) -> Change:
    """Replace a text, which must be there, in a resource."""

    def change(raw: dict[str, Any]) -> None:
        def walk(value: Any) -> Any:
            if isinstance(value, dict):
                return {key.replace(old, new): walk(each) for key, each in value.items()}
            if isinstance(value, list):
                return [walk(each) for each in value]
            return value.replace(old, new) if isinstance(value, str) else value

        before = raw["Resources"][under]
        raw["Resources"][under] = walk(before)
        assert raw["Resources"][under] != before, "nothing was replaced"

    return change


def statement(role: str, sid: str, **changes: Any) -> Change:
    """Change a statement of a role; None removes a key."""

    def change(raw: dict[str, Any]) -> None:
        found = []
        for policy in raw["Resources"][role]["Properties"]["Policies"]:
            for each in policy["PolicyDocument"]["Statement"]:
                given = each.get("Fn::If", [None, each])[1]
                if given.get("Sid") == sid:
                    found.append(given)
        (one,) = found
        one.update({key: value for key, value in changes.items() if value is not None})
        for key in [key for key, value in changes.items() if value is None]:
            del one[key]

    return change


def add(name: str, kind: str, **properties: Any) -> Change:
    """Add a resource."""
    return put(name, {"Type": kind, "Properties": properties})


def globally(name: str, value: Any) -> Change:
    """Set a property of all functions."""

    def change(raw: dict[str, Any]) -> None:
        raw["Globals"]["Function"][name] = value

    return change


def variable(name: str, value: str) -> Change:
    """Set an environment variable of all functions."""

    def change(raw: dict[str, Any]) -> None:
        raw["Globals"]["Function"]["Environment"]["Variables"][name] = value

    return change


def without_setting(parameter: str) -> Change:
    """Leave a parameter out of what numbers the settings."""

    def change(raw: dict[str, Any]) -> None:
        raw["Resources"]["Settings"]["Properties"]["Content"]["Fn::Join"][1].remove({"Ref": parameter})

    return change


EVENTS = "TokenApiFunction Properties Events"
API = "TokenApi Properties"
ALLOW_ALL = {"Effect": "Allow", "Principal": "*", "Action": "execute-api:Invoke", "Resource": "execute-api:/*"}
STAR = {"AllowedValues": ["DEBUG", "INFO", "WARN"], "Type": "String", "Default": "INFO", "Description": "x"}

MUTANTS: dict[str, tuple[str, Change]] = {
    "one method without IAM": ("every_method_needs_iam", put(f"{EVENTS} GetIdentity Properties Auth", {"Authorizer": "NONE"})),
    "no authorizer at all": ("every_method_needs_iam", drop(f"{API} Auth DefaultAuthorizer")),
    "CORS for a browser": ("no_browser_and_no_api_key", put(f"{API} Cors", "'*'")),
    "an API key as if it were access control": (
        "no_browser_and_no_api_key",
        put(f"{EVENTS} PostToken Properties Auth", {"ApiKeyRequired": True}),
    ),
    "a resource policy that lets in": (
        "nobody_reaches_the_api_past_its_policy",
        put(f"{API} Auth ResourcePolicy CustomStatements 0", ALLOW_ALL),
    ),
    "a private API for every endpoint": (
        "nobody_reaches_the_api_past_its_policy",
        drop(f"{API} Auth ResourcePolicy CustomStatements 1"),
    ),
    "two endpoints as one text": (
        "nobody_reaches_the_api_past_its_policy",
        put(
            f"{API} Auth ResourcePolicy CustomStatements 1 Fn::If 1 Condition StringNotEquals aws:SourceVpce",
            {"Ref": "VpcEndpointIds"},
        ),
    ),
    "an edge-optimized API": ("nobody_reaches_the_api_past_its_policy", put(f"{API} EndpointConfiguration", {"Type": "EDGE"})),
    "TLS 1.0": ("no_old_tls", put(f"{API} SecurityPolicy", "TLS_1_0")),
    "data trace on": ("the_api_shows_and_keeps_no_token", put(f"{API} MethodSettings 0 DataTraceEnabled", True)),  # noqa: FBT003
    "caching on": ("the_api_shows_and_keeps_no_token", put(f"{API} MethodSettings 0 CachingEnabled", True)),  # noqa: FBT003
    "SAM's second stage": ("the_api_shows_and_keeps_no_token", drop(f"{API} OpenApiVersion")),
    "no throttling": ("the_api_is_throttled", drop(f"{API} MethodSettings 0 ThrottlingRateLimit")),
    "the query in the access log": (
        "access_logs_have_no_values",
        replace("$context.resourcePath", "$context.path", under="TokenApi"),
    ),
    "no check in the gateway": ("the_gateway_checks_bodies", drop(f"{EVENTS} PostJwtAuth Properties RequestModel")),
    "unknown fields let through": ("the_gateway_checks_bodies", drop(f"{API} Models TokenRequest additionalProperties")),
    "every action of a service": (
        "statements_name_what_they_allow",
        statement("TokenFunctionRole", "ReadSigningKey", Action="secretsmanager:*"),
    ),
    "every secret": ("statements_name_what_they_allow", statement("TokenFunctionRole", "ReadSigningKey", Resource="*")),
    "every parameter": (
        "statements_name_what_they_allow",
        statement("TokenApiFunctionRole", "ReadCachedToken", Resource={"Fn::Sub": "arn:${AWS::Partition}:ssm:*:*:parameter/*"}),
    ),
    "a statement without a name": (
        "statements_name_what_they_allow",
        statement("RotateKeyFunctionRole", "PublishCertificate", Sid=None),
    ),
    "all but some resources": (
        "statements_name_what_they_allow",
        statement("TokenFunctionRole", "ReadCachedToken", Resource=None, NotResource="arn:aws:ssm:::parameter/x"),
    ),
    "a function that writes the secret": (
        "roles_may_do_this_and_no_more",
        statement(
            "TokenFunctionRole", "ReadSigningKey", Action=["secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue"]
        ),
    ),
    "a cache that nobody shares, readable all the same": (
        "roles_may_do_this_and_no_more",
        lambda raw: raw["Conditions"].update(WithSharedTokenCache={"Fn::Equals": ["true", "true"]}),
    ),
    "a managed policy": (
        "roles_may_do_this_and_no_more",
        put("TokenFunctionRole Properties ManagedPolicyArns", ["arn:aws:iam::aws:policy/AmazonSSMFullAccess"]),
    ),
    "another policy for a role": (
        "roles_may_do_this_and_no_more",
        add(
            "More",
            "AWS::IAM::Policy",
            PolicyName="More",
            Roles=[{"Ref": "TokenFunctionRole"}],
            PolicyDocument={"Statement": []},
        ),
    ),
    "a stop for other functions": (
        "an_emergency_stop_touches_only_the_token_functions",
        statement(
            "EmergencyStopFunctionRole", "StopAndStartTokenFunctions", Resource={"Fn::GetAtt": ["RotateKeyFunction", "Arn"]}
        ),
    ),
    "a stop that may add a layer": (
        "an_emergency_stop_touches_only_the_token_functions",
        statement("EmergencyStopFunctionRole", "TouchTokenFunctions", Condition=None),
    ),
    "a function that may change itself": (
        "an_emergency_stop_touches_only_the_token_functions",
        statement("TokenFunctionRole", "ReadSigningKey", Action="lambda:UpdateFunctionConfiguration"),
    ),
    "a role that signs by IAM, with any key": (
        "keys_in_kms_are_made_for_the_stack",
        statement("TokenFunctionRole", "ReadSigningKey", Action=["secretsmanager:GetSecretValue", "kms:Sign"]),
    ),
    "keys for other stacks": (
        "keys_in_kms_are_made_for_the_stack",
        statement("RotateKeyFunctionRole", "MakeKeyInKms", Condition=None),
    ),
    "a rotation begun from any account": (
        "secrets_manager_and_the_clock_alone_rotate",
        drop("RotationPermission Properties SourceAccount"),
    ),
    "a watch that says something else": (
        "secrets_manager_and_the_clock_alone_rotate",
        put("HourlyKeyCheck Properties Target Input", '{"action": "rollback"}'),
    ),
    "a watch that may invoke the functions": (
        "roles_may_do_this_and_no_more",
        statement("HourlyKeyCheckRole", "InvokeRotateKeyFunction", Action=["lambda:InvokeFunction", "ssm:GetParameters"]),
    ),
    "a role for everybody": (
        "only_lambda_takes_the_roles",
        put("TokenFunctionRole Properties AssumeRolePolicyDocument Statement 0 Principal", {"AWS": "*"}),
    ),
    "one role for both functions": (
        "only_lambda_takes_the_roles",
        put("TokenFunction Properties Role", {"Fn::GetAtt": ["TokenApiFunctionRole", "Arn"]}),
    ),
    "a role outside the fence": ("credentials_are_of_no_use_elsewhere", drop("DenyOutsideFunctions Properties Roles 0")),
    "a fence with a gate": (
        "credentials_are_of_no_use_elsewhere",
        put("DenyOutsideFunctions Properties PolicyDocument Statement 0 Action", ["secretsmanager:*"]),
    ),
    "a fence that locks Lambda out": (
        "credentials_are_of_no_use_elsewhere",
        put("DenyOutsideFunctions Properties PolicyDocument Statement 1 Fn::If 1 Resource", "*"),
    ),
    "a fence for unpublished functions alone": (
        "credentials_are_of_no_use_elsewhere",
        drop("DenyOutsideFunctions Properties PolicyDocument Statement 0 Condition ArnNotLike lambda:SourceFunctionArn 1"),
    ),
    "the history of tokens": (
        "credentials_are_of_no_use_elsewhere",
        drop("DenyOutsideFunctions Properties PolicyDocument Statement 3"),
    ),
    "the key without its services": (
        "the_data_key_works_through_two_services_alone",
        statement(
            "TokenFunctionRole", "UseDataKey", Condition={"StringEquals": {"kms:ViaService": "ssm.eu-central-1.amazonaws.com"}}
        ),
    ),
    "every version of the secret": (
        "the_secret_is_read_by_stage",
        statement("TokenFunctionRole", "ReadSigningKey", Condition={}),
    ),
    "a secret for whom IAM lets": ("nobody_else_reads_the_secret", drop("SigningKeySecretPolicy")),
    "a reader more": (
        "nobody_else_reads_the_secret",
        put(
            "SigningKeySecretPolicy Properties ResourcePolicy Statement 0 Condition ArnNotEquals aws:PrincipalArn 0",
            "arn:aws:iam::123456789012:role/admin",
        ),
    ),
    "a function URL": (
        "nothing_lets_the_world_in",
        put("TokenFunction Properties FunctionUrlConfig", {"AuthType": "NONE"}),
    ),
    "a permission for everybody": (
        "nothing_lets_the_world_in",
        add(
            "Open",
            "AWS::Lambda::Permission",
            Action="lambda:InvokeFunction",
            FunctionName={"Ref": "TokenFunction"},
            Principal="*",
        ),
    ),
    "a role without the boundary": (
        "the_boundary_bounds_every_role",
        drop("RotateKeyFunctionRole Properties PermissionsBoundary"),
    ),
    "a secret that goes with the stack": (
        "what_cannot_be_made_again_outlives_the_stack",
        drop("SigningKeySecret DeletionPolicy"),
    ),
    "a data key that goes with the stack": (
        "what_cannot_be_made_again_outlives_the_stack",
        put("DataKey UpdateReplacePolicy", "Delete"),
    ),
    "a key in the template": ("the_secret_is_created_empty", put("SigningKeySecret Properties SecretString", "{}")),
    "a data key for all accounts": (
        "the_data_key_is_the_accounts",
        put("DataKey Properties KeyPolicy Statement 0 Principal", {"AWS": "*"}),
    ),
    "a data key for all logs": (
        "the_data_key_is_the_accounts",
        put("DataKey Properties KeyPolicy Statement 1 Condition ArnLike", {"kms:EncryptionContext:aws:logs:arn": "*"}),
    ),
    "logs for ever": (
        "logs_are_kept_apart_encrypted_and_for_a_while",
        put("TokenFunctionLogGroup Properties RetentionInDays", None),
    ),
    "logs in the clear": (
        "logs_are_kept_apart_encrypted_and_for_a_while",
        drop("TokenApiFunctionLogGroup Properties KmsKeyId"),
    ),
    "the event in the log": ("no_variable_makes_a_library_talk", variable("POWERTOOLS_LOGGER_LOG_EVENT", "true")),
    "the tracer captures answers": ("no_variable_makes_a_library_talk", variable("POWERTOOLS_TRACER_CAPTURE_RESPONSE", "true")),
    "keys of TLS in a file": ("no_variable_makes_a_library_talk", variable("SSLKEYLOGFILE", "/tmp/keys")),
    "a level that drops audit lines": (
        "no_log_level_drops_the_audit_lines",
        lambda raw: raw["Parameters"].update(LogLevel=STAR),
    ),
    "tokens sent on": (
        "nobody_waits_for_an_asynchronous_token",
        globally(
            "EventInvokeConfig",
            {
                "MaximumRetryAttempts": 0,
                "DestinationConfig": {"OnSuccess": {"Type": "SQS", "Destination": "arn:aws:sqs:eu-central-1:1:q"}},
            },
        ),
    ),
    "tokens asked for again": (
        "nobody_waits_for_an_asynchronous_token",
        globally("EventInvokeConfig", {"MaximumRetryAttempts": 2}),
    ),
    "a function outside the VPC": (
        "functions_are_signed_and_in_the_vpc_where_asked_for",
        put("TokenFunction Properties VpcConfig", {"Ref": "AWS::NoValue"}),
    ),
    "an unsigned function": (
        "functions_are_signed_and_in_the_vpc_where_asked_for",
        drop("RotateKeyFunction Properties CodeSigningConfigArn"),
    ),
    "SnapStart beside provisioned concurrency": (
        "one_way_to_start_warm",
        lambda raw: raw["Rules"]["OneWayToStartWarm"].update(Assertions=[{}]),
    ),
    "a parameter that callers never see": ("a_changed_parameter_reaches_the_callers", without_setting("AllowedSubjects")),
    "a number that nobody looks at": (
        "a_changed_parameter_reaches_the_callers",
        put("TokenFunction Properties VersionDescription", {"Fn::Sub": "live"}),
    ),
    "a layer that callers never see": (
        "a_changed_layer_reaches_the_callers",
        drop("BrokerLayer Properties PublishLambdaVersion"),
    ),
    "an alarm with an impossible dimension": (
        "alarms_can_fire",
        put(
            "TokenThrottlesAlarm Properties Dimensions",
            [{"Name": "FunctionName", "Value": {"Fn::GetAtt": ["TokenFunction", "Arn"]}}],
        ),
    ),
    "an alarm with a dimension more": (
        "alarms_can_fire",
        put(
            "TokenSlowAlarm Properties Dimensions",
            [{"Name": "FunctionName", "Value": {"Ref": "TokenFunction"}}, {"Name": "Alias", "Value": "live"}],
        ),
    ),
    "an alarm of a metric that nobody writes": (
        "alarms_can_fire",
        replace("LoginsPaused", "CircuitClosed", under="LoginsPausedAlarm"),
    ),
    "an alarm of an API of another name": ("alarms_can_fire", put(f"{API} Name", "broker")),
    "an alarm without one of its functions": ("alarms_can_fire", replace("FILL(invoke, 0)", "0", under="LoginBudgetAlarm")),
    "a kind of failed login without alarm": ("alarms_watch_what_fails", drop("UserRefusedAlarm")),
    "an alarm that nobody hears": ("alarms_are_heard", drop("KeyAgeAlarm Properties AlarmActions")),
    "an alarm that is switched off": ("alarms_are_heard", put("LoginRateAlarm Properties ActionsEnabled", False)),  # noqa: FBT003
    "a dashboard without an alarm": (
        "the_dashboard_shows_what_exists",
        replace('"${LoginsPausedAlarm.Arn}",', "", under="Dashboard"),
    ),
}


@pytest.mark.parametrize("name", list(MUTANTS))
def test_a_mutant_is_caught_by_its_rule(name: str) -> None:
    """By an assertion, not by a template that cannot be read."""
    rule, change = MUTANTS[name]
    raw = copy.deepcopy(RAW)
    change(raw)
    with pytest.raises(AssertionError):
        RULES[rule](Template(raw))


def test_every_rule_has_a_mutant() -> None:
    """A rule that nothing breaks is none."""
    assert {rule for rule, _ in MUTANTS.values()} == set(RULES)
