"""Mutated templates, each insecure or broken in one way: the named rule must fail."""

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
    """Set the value at `path` (keys and positions, separated by spaces) below Resources."""

    def change(raw: dict[str, Any]) -> None:
        *parents, last = path.split()
        found: Any = raw["Resources"]
        for step in parents:
            found = found[int(step) if isinstance(found, list) else step]
        found[int(last) if isinstance(found, list) else last] = value

    return change


def drop(path: str) -> Change:
    """Remove the value at `path`."""

    def change(raw: dict[str, Any]) -> None:
        *parents, last = path.split()
        found: Any = raw["Resources"]
        for step in parents:
            found = found[int(step) if isinstance(found, list) else step]
        del found[int(last) if isinstance(found, list) else last]

    return change


def replace(old: str, new: str, *, under: str) -> Change:
    """Replace a text, which must occur, in a resource."""

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
                plain = each.get("Fn::If", [None, each])[1]
                if plain.get("Sid") == sid:
                    found.append(plain)
        (one,) = found
        one.update({key: value for key, value in changes.items() if value is not None})
        for key in [key for key, value in changes.items() if value is None]:
            del one[key]

    return change


def add(name: str, kind: str, **properties: Any) -> Change:
    """Add a resource."""
    return put(name, {"Type": kind, "Properties": properties})


def set_global(name: str, value: Any) -> Change:
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
    """Leave a parameter out of the content of Settings."""

    def change(raw: dict[str, Any]) -> None:
        raw["Resources"]["Settings"]["Properties"]["Content"]["Fn::Join"][1].remove({"Ref": parameter})

    return change


EVENTS = "TokenApiFunction Properties Events"
API = "TokenApi Properties"
ALLOW_EVERYBODY = {"Effect": "Allow", "Principal": "*", "Action": "execute-api:Invoke", "Resource": "execute-api:/*"}
LEVELS_WITH_WARN = {"AllowedValues": ["DEBUG", "INFO", "WARN"], "Type": "String", "Default": "INFO", "Description": "x"}

MUTANTS: dict[str, tuple[str, Change]] = {
    "one method without IAM": (
        "every_method_requires_iam",
        put(f"{EVENTS} GetIdentity Properties Auth", {"Authorizer": "NONE"}),
    ),
    "no authorizer at all": ("every_method_requires_iam", drop(f"{API} Auth DefaultAuthorizer")),
    "CORS for a browser": ("no_cors_and_no_api_key", put(f"{API} Cors", "'*'")),
    "an API key as access control": (
        "no_cors_and_no_api_key",
        put(f"{EVENTS} PostToken Properties Auth", {"ApiKeyRequired": True}),
    ),
    "a resource policy that allows": (
        "resource_policy_only_denies",
        put(f"{API} Auth ResourcePolicy CustomStatements 0", ALLOW_EVERYBODY),
    ),
    "a private API without endpoint restriction": (
        "resource_policy_only_denies",
        drop(f"{API} Auth ResourcePolicy CustomStatements 1"),
    ),
    "two endpoints as one string": (
        "resource_policy_only_denies",
        put(
            f"{API} Auth ResourcePolicy CustomStatements 1 Fn::If 1 Condition StringNotEquals aws:SourceVpce",
            {"Ref": "VpcEndpointIds"},
        ),
    ),
    "an edge-optimized API": ("resource_policy_only_denies", put(f"{API} EndpointConfiguration", {"Type": "EDGE"})),
    "TLS 1.0": ("api_requires_tls_1_2", put(f"{API} SecurityPolicy", "TLS_1_0")),
    "data trace on": ("api_neither_logs_nor_caches_bodies", put(f"{API} MethodSettings 0 DataTraceEnabled", True)),  # noqa: FBT003
    "caching on": ("api_neither_logs_nor_caches_bodies", put(f"{API} MethodSettings 0 CachingEnabled", True)),  # noqa: FBT003
    "SAM's second stage": ("api_neither_logs_nor_caches_bodies", drop(f"{API} OpenApiVersion")),
    "no throttling": ("api_is_throttled", drop(f"{API} MethodSettings 0 ThrottlingRateLimit")),
    "the query in the access log": (
        "access_logs_contain_no_request_values",
        replace("$context.resourcePath", "$context.path", under="TokenApi"),
    ),
    "no body validation in API Gateway": (
        "api_gateway_validates_bodies",
        drop(f"{EVENTS} PostJwtAuth Properties RequestModel"),
    ),
    "unknown fields allowed": ("api_gateway_validates_bodies", drop(f"{API} Models TokenRequest additionalProperties")),
    "every action of a service": (
        "statements_name_actions_and_resources",
        statement("TokenFunctionRole", "ReadSigningKey", Action="secretsmanager:*"),
    ),
    "every secret": ("statements_name_actions_and_resources", statement("TokenFunctionRole", "ReadSigningKey", Resource="*")),
    "every parameter": (
        "statements_name_actions_and_resources",
        statement("TokenApiFunctionRole", "ReadCachedToken", Resource={"Fn::Sub": "arn:${AWS::Partition}:ssm:*:*:parameter/*"}),
    ),
    "a statement without a name": (
        "statements_name_actions_and_resources",
        statement("RotateKeyFunctionRole", "PublishCertificate", Sid=None),
    ),
    "NotResource instead of Resource": (
        "statements_name_actions_and_resources",
        statement("TokenFunctionRole", "ReadCachedToken", Resource=None, NotResource="arn:aws:ssm:::parameter/x"),
    ),
    "a function that writes the secret": (
        "roles_allow_only_expected_actions",
        statement(
            "TokenFunctionRole", "ReadSigningKey", Action=["secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue"]
        ),
    ),
    "cache permissions without a shared cache": (
        "roles_allow_only_expected_actions",
        lambda raw: raw["Conditions"].update(WithSharedTokenCache={"Fn::Equals": ["true", "true"]}),
    ),
    "a managed policy": (
        "roles_allow_only_expected_actions",
        put("TokenFunctionRole Properties ManagedPolicyArns", ["arn:aws:iam::aws:policy/AmazonSSMFullAccess"]),
    ),
    "an additional policy for a role": (
        "roles_allow_only_expected_actions",
        add(
            "More",
            "AWS::IAM::Policy",
            PolicyName="More",
            Roles=[{"Ref": "TokenFunctionRole"}],
            PolicyDocument={"Statement": []},
        ),
    ),
    "an emergency stop of other functions": (
        "emergency_stop_changes_only_token_functions",
        statement(
            "EmergencyStopFunctionRole", "StopAndStartTokenFunctions", Resource={"Fn::GetAtt": ["RotateKeyFunction", "Arn"]}
        ),
    ),
    "an emergency stop that may add a layer": (
        "emergency_stop_changes_only_token_functions",
        statement("EmergencyStopFunctionRole", "UpdateDescriptions", Condition=None),
    ),
    "a function that may change itself": (
        "emergency_stop_changes_only_token_functions",
        statement("TokenFunctionRole", "ReadSigningKey", Action="lambda:UpdateFunctionConfiguration"),
    ),
    "a role that may sign with any key": (
        "kms_keys_belong_to_the_stack",
        statement("TokenFunctionRole", "ReadSigningKey", Action=["secretsmanager:GetSecretValue", "kms:Sign"]),
    ),
    "KMS keys without the stack's tag": (
        "kms_keys_belong_to_the_stack",
        statement("RotateKeyFunctionRole", "CreateKmsKey", Condition=None),
    ),
    "a rotation permission for any account": (
        "only_secrets_manager_and_the_schedule_rotate",
        drop("RotationPermission Properties SourceAccount"),
    ),
    "an hourly check with another payload": (
        "only_secrets_manager_and_the_schedule_rotate",
        put("HourlyKeyCheck Properties Target Input", '{"action": "rollback"}'),
    ),
    "an hourly check with more permissions": (
        "roles_allow_only_expected_actions",
        statement("HourlyKeyCheckRole", "InvokeRotateKeyFunction", Action=["lambda:InvokeFunction", "ssm:GetParameters"]),
    ),
    "a role that everybody may assume": (
        "only_lambda_assumes_function_roles",
        put("TokenFunctionRole Properties AssumeRolePolicyDocument Statement 0 Principal", {"AWS": "*"}),
    ),
    "one role for both functions": (
        "only_lambda_assumes_function_roles",
        put("TokenFunction Properties Role", {"Fn::GetAtt": ["TokenApiFunctionRole", "Arn"]}),
    ),
    "a role without DenyOutsideFunctions": (
        "credentials_work_only_inside_functions",
        drop("DenyOutsideFunctions Properties Roles 0"),
    ),
    "DenyOutsideFunctions without SSM and Lambda": (
        "credentials_work_only_inside_functions",
        put("DenyOutsideFunctions Properties PolicyDocument Statement 0 Action", ["secretsmanager:*"]),
    ),
    "DenyOutsideFunctions for every KMS key": (
        "credentials_work_only_inside_functions",
        put("DenyOutsideFunctions Properties PolicyDocument Statement 1 Fn::If 1 Resource", "*"),
    ),
    "DenyOutsideFunctions without published versions": (
        "credentials_work_only_inside_functions",
        drop("DenyOutsideFunctions Properties PolicyDocument Statement 0 Condition ArnNotLike lambda:SourceFunctionArn 1"),
    ),
    "parameter history allowed": (
        "credentials_work_only_inside_functions",
        drop("DenyOutsideFunctions Properties PolicyDocument Statement 3"),
    ),
    "the data key without an encryption context": (
        "data_key_works_only_through_two_services",
        statement(
            "TokenFunctionRole", "UseDataKey", Condition={"StringEquals": {"kms:ViaService": "ssm.eu-central-1.amazonaws.com"}}
        ),
    ),
    "every version of the secret readable": (
        "secret_is_read_by_version_stage",
        statement("TokenFunctionRole", "ReadSigningKey", Condition={}),
    ),
    "a secret without a resource policy": ("only_functions_read_the_secret", drop("SigningKeySecretPolicy")),
    "an additional reader of the secret": (
        "only_functions_read_the_secret",
        put(
            "SigningKeySecretPolicy Properties ResourcePolicy Statement 0 Condition ArnNotEquals aws:PrincipalArn 0",
            "arn:aws:iam::123456789012:role/admin",
        ),
    ),
    "a function URL": (
        "no_public_access",
        put("TokenFunction Properties FunctionUrlConfig", {"AuthType": "NONE"}),
    ),
    "a permission for everybody": (
        "no_public_access",
        add(
            "Open",
            "AWS::Lambda::Permission",
            Action="lambda:InvokeFunction",
            FunctionName={"Ref": "TokenFunction"},
            Principal="*",
        ),
    ),
    "a role without the boundary": (
        "every_role_has_the_permissions_boundary",
        drop("RotateKeyFunctionRole Properties PermissionsBoundary"),
    ),
    "a writer for whom IAM decides": (
        "only_rotation_writes_the_secret",
        drop("SigningKeySecretPolicy Properties ResourcePolicy Statement 1"),
    ),
    "an additional writer of the secret": (
        "only_rotation_writes_the_secret",
        put(
            "SigningKeySecretPolicy Properties ResourcePolicy Statement 1 Condition ArnNotEquals aws:PrincipalArn 1",
            "arn:aws:iam::123456789012:role/admin",
        ),
    ),
    "labels that everybody moves": (
        "only_rotation_writes_the_secret",
        drop("SigningKeySecretPolicy Properties ResourcePolicy Statement 2"),
    ),
    "a value that everybody writes": (
        "only_rotation_writes_the_secret",
        drop("SigningKeySecretPolicy Properties ResourcePolicy Statement 1 Action 1"),
    ),
    "a stop that moves keys": (
        "only_rotation_writes_the_secret",
        statement("EmergencyStopFunctionRole", "LabelSigningKey", Condition={}),
    ),
    "a denial for one principal only": (
        "only_rotation_writes_the_secret",
        put("SigningKeySecretPolicy Properties ResourcePolicy Statement 1 Principal", {"AWS": "arn:aws:iam::1:root"}),
    ),
    "a stage without the gateway token": ("api_gateway_identifies_itself", drop(f"{API} Variables")),
    "a gateway token in the template": ("api_gateway_identifies_itself", put(f"{API} Variables gatewayToken", "secret")),
    "a function that requires no gateway token": (
        "api_gateway_identifies_itself",
        drop("TokenApiFunction Properties Environment"),
    ),
    "a gateway token for every function": (
        "api_gateway_identifies_itself",
        variable("GATEWAY_TOKEN_SECRET_ARN", "arn:aws:secretsmanager:eu-central-1:123456789012:secret:x"),
    ),
    "a short gateway token": (
        "api_gateway_identifies_itself",
        put("GatewayTokenSecret Properties GenerateSecretString PasswordLength", 8),
    ),
    "old gateway tokens": (
        "secret_is_read_by_version_stage",
        statement(
            "TokenApiFunctionRole",
            "ReadGatewayToken",
            Condition={"StringEquals": {"secretsmanager:VersionStage": ["AWSCURRENT", "AWSPREVIOUS"]}},
        ),
    ),
    "no alarm for invocations past API Gateway": ("alarms_cover_every_failure", drop("GatewayMismatchAlarm")),
    "a secret deleted with the stack": (
        "secret_and_data_key_are_retained",
        drop("SigningKeySecret DeletionPolicy"),
    ),
    "a data key deleted with the stack": (
        "secret_and_data_key_are_retained",
        put("DataKey UpdateReplacePolicy", "Delete"),
    ),
    "a private key in the template": ("secret_is_created_empty", put("SigningKeySecret Properties SecretString", "{}")),
    "a data key for every principal": (
        "data_key_is_limited_to_the_account",
        put("DataKey Properties KeyPolicy Statement 0 Principal", {"AWS": "*"}),
    ),
    "a data key for every log group": (
        "data_key_is_limited_to_the_account",
        put("DataKey Properties KeyPolicy Statement 1 Condition ArnLike", {"kms:EncryptionContext:aws:logs:arn": "*"}),
    ),
    "logs without retention": (
        "log_groups_are_separate_encrypted_and_expire",
        put("TokenFunctionLogGroup Properties RetentionInDays", None),
    ),
    "logs without encryption": (
        "log_groups_are_separate_encrypted_and_expire",
        drop("TokenApiFunctionLogGroup Properties KmsKeyId"),
    ),
    "the event in the log": ("no_variable_enables_debug_output", variable("POWERTOOLS_LOGGER_LOG_EVENT", "true")),
    "answers in traces": ("no_variable_enables_debug_output", variable("POWERTOOLS_TRACER_CAPTURE_RESPONSE", "true")),
    "TLS keys in a file": ("no_variable_enables_debug_output", variable("SSLKEYLOGFILE", "/tmp/keys")),
    "a log level that drops audit lines": (
        "every_log_level_keeps_audit_lines",
        lambda raw: raw["Parameters"].update(LogLevel=LEVELS_WITH_WARN),
    ),
    "a destination for tokens": (
        "asynchronous_invocations_are_neither_retried_nor_stored",
        set_global(
            "EventInvokeConfig",
            {
                "MaximumRetryAttempts": 0,
                "DestinationConfig": {"OnSuccess": {"Type": "SQS", "Destination": "arn:aws:sqs:eu-central-1:1:q"}},
            },
        ),
    ),
    "retries of asynchronous invocations": (
        "asynchronous_invocations_are_neither_retried_nor_stored",
        set_global("EventInvokeConfig", {"MaximumRetryAttempts": 2}),
    ),
    "a function outside the VPC": (
        "code_signing_and_vpc_apply_to_every_function",
        put("TokenFunction Properties VpcConfig", {"Ref": "AWS::NoValue"}),
    ),
    "an unsigned function": (
        "code_signing_and_vpc_apply_to_every_function",
        drop("RotateKeyFunction Properties CodeSigningConfigArn"),
    ),
    "SnapStart beside provisioned concurrency": (
        "snap_start_excludes_provisioned_concurrency",
        lambda raw: raw["Rules"]["SnapStartOrProvisionedConcurrency"].update(Assertions=[{}]),
    ),
    "a parameter that is not in Settings": ("changed_parameter_publishes_a_version", without_setting("AllowedSubjects")),
    "a version description without the settings version": (
        "changed_parameter_publishes_a_version",
        put("TokenFunction Properties VersionDescription", {"Fn::Sub": "live"}),
    ),
    "a layer that publishes no version": (
        "changed_layer_publishes_a_version",
        drop("BrokerLayer Properties PublishLambdaVersion"),
    ),
    "an alarm with a wrong dimension value": (
        "alarm_metrics_exist",
        put(
            "TokenThrottlesAlarm Properties Dimensions",
            [{"Name": "FunctionName", "Value": {"Fn::GetAtt": ["TokenFunction", "Arn"]}}],
        ),
    ),
    "an alarm with an additional dimension": (
        "alarm_metrics_exist",
        put(
            "TokenSlowAlarm Properties Dimensions",
            [{"Name": "FunctionName", "Value": {"Ref": "TokenFunction"}}, {"Name": "Alias", "Value": "live"}],
        ),
    ),
    "an alarm on a metric that does not exist": (
        "alarm_metrics_exist",
        replace("LoginsPaused", "CircuitClosed", under="LoginsPausedAlarm"),
    ),
    "an alarm on an API of another name": ("alarm_metrics_exist", put(f"{API} Name", "broker")),
    "an alarm that ignores one function": ("alarm_metrics_exist", replace("FILL(invoke, 0)", "0", under="LoginBudgetAlarm")),
    "a failed login without an alarm": ("alarms_cover_every_failure", drop("UserRefusedAlarm")),
    "an alarm without actions": ("alarms_notify_the_topic", drop("KeyAgeAlarm Properties AlarmActions")),
    "an alarm with disabled actions": ("alarms_notify_the_topic", put("LoginRateAlarm Properties ActionsEnabled", False)),  # noqa: FBT003
    "a dashboard without an alarm": (
        "dashboard_shows_existing_metrics_and_alarms",
        replace('"${LoginsPausedAlarm.Arn}",', "", under="Dashboard"),
    ),
}


@pytest.mark.parametrize("name", list(MUTANTS))
def test_a_mutant_is_caught_by_its_rule(name: str) -> None:
    """The rule fails with an assertion, not because the template cannot be read."""
    rule, change = MUTANTS[name]
    raw = copy.deepcopy(RAW)
    change(raw)
    with pytest.raises(AssertionError):
        RULES[rule](Template(raw))


def test_every_rule_has_a_mutant() -> None:
    """Every rule has a mutant that breaks it."""
    assert {rule for rule, _ in MUTANTS.values()} == set(RULES)
