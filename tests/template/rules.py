"""Rules of the template: each is a function that asserts one property.

Rules read the raw template and what CloudFormation gets (see `deployed`): with every option, with none, with defaults.
Scanners accept most of what these rules reject: an API without authentication, or an alarm on a metric that does not exist.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from salesforce_broker import observability
from salesforce_broker.api import request
from salesforce_broker.keys.generation import STOP_LABEL
from tests.template import deployed

Resource = dict[str, Any]
Rule = Callable[["Template"], None]

RULES: dict[str, Rule] = {}

TOKEN_FUNCTIONS = {"TokenApiFunction", "TokenFunction"}
OPERATORS = {"RotateKeyFunction", "EmergencyStopFunction"}
FUNCTIONS = TOKEN_FUNCTIONS | OPERATORS

ALWAYS = {"logs:CreateLogStream", "logs:PutLogEvents", "xray:PutTraceSegments", "xray:PutTelemetryRecords"}
NETWORK = {
    "ec2:CreateNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:DeleteNetworkInterface",
    "ec2:AssignPrivateIpAddresses",
    "ec2:UnassignPrivateIpAddresses",
}
TOKEN_FUNCTION_ACTIONS = {
    "secretsmanager:GetSecretValue",
    "ssm:GetParameters",
    "ssm:PutParameter",
    "ssm:DeleteParameter",
    "kms:Decrypt",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "events:PutEvents",
}
SHARED_CACHE_ACTIONS = {"ssm:GetParameters", "ssm:PutParameter", "ssm:DeleteParameter"}
TOKEN_FUNCTION_ROLES = {f"{name}Role" for name in TOKEN_FUNCTIONS}
ALLOWED = {
    "TokenApiFunctionRole": TOKEN_FUNCTION_ACTIONS,
    "TokenFunctionRole": TOKEN_FUNCTION_ACTIONS,
    "RotateKeyFunctionRole": {
        "secretsmanager:GetSecretValue",
        "secretsmanager:PutSecretValue",
        "secretsmanager:UpdateSecretVersionStage",
        "secretsmanager:DescribeSecret",
        "kms:Decrypt",
        "kms:GenerateDataKey",
        "ssm:PutParameter",
        "events:PutEvents",
        "lambda:GetFunctionConcurrency",
    },
    "EmergencyStopFunctionRole": {
        "lambda:GetFunctionConcurrency",
        "lambda:PutFunctionConcurrency",
        "lambda:DeleteFunctionConcurrency",
        "lambda:PutProvisionedConcurrencyConfig",
        "lambda:DeleteProvisionedConcurrencyConfig",
        "lambda:UpdateFunctionConfiguration",
        "lambda:GetFunctionConfiguration",
        "lambda:PublishVersion",
        "lambda:UpdateAlias",
        "ssm:GetParametersByPath",
        "ssm:GetParameters",
        "ssm:DeleteParameters",
        "secretsmanager:GetSecretValue",
        "secretsmanager:DescribeSecret",
        "secretsmanager:UpdateSecretVersionStage",
        "kms:Decrypt",
    },
}
"""Actions that each role allows, beside ALWAYS and, in a VPC, NETWORK."""

CREATE_KMS_KEYS = {
    "kms:CreateKey",
    "kms:TagResource",
    "kms:CreateAlias",
    "kms:DescribeKey",
    "kms:ScheduleKeyDeletion",
    "tag:GetResources",
}
"""Actions that RotateKeyFunction's role also allows if keys are created in KMS."""

WITHOUT_RESOURCE = {"SendTraces", "UseNetwork", "CreateKmsKey", "FindKmsKeys"}
"""Statements whose actions do not support resource-level permissions."""

METRICS = {
    "AWS/Lambda": {"FunctionName": {"Errors", "Throttles", "Duration", "Invocations", "ConcurrentExecutions"}},
    "AWS/ApiGateway": {"ApiName": {"5XXError", "4XXError", "Count", "Latency", "IntegrationLatency"}},
}
"""AWS metrics by namespace and by the dimension that names the resource."""

DEBUG_VARIABLES = re.compile(
    "LOG_EVENT|POWERTOOLS_DEV|POWERTOOLS_DEBUG|CAPTURE_RESPONSE|CAPTURE_ERROR|SSLKEYLOGFILE|AWS_DEBUG|PYTHONHTTPSVERIFY"
)


def rule(function: Rule) -> Rule:
    """Register a rule under its name; a missing key fails the rule as a wrong value does."""

    @functools.wraps(function)
    def checked(template: Template) -> None:
        try:
            function(template)
        except (LookupError, ValueError) as missing:
            raise AssertionError(f"missing: {missing}") from missing

    RULES[function.__name__] = checked
    return checked


class Template:
    """The raw template, and its resources as deployed with defaults, with every option and with none."""

    def __init__(self, raw: dict[str, Any]) -> None:
        self.raw = raw

    @functools.cached_property
    def default(self) -> dict[str, Resource]:
        """Resources by logical id, with default parameters."""
        return self._resources(deployed.REQUIRED)

    @functools.cached_property
    def everything(self) -> dict[str, Resource]:
        """Resources with every option."""
        return self._resources(deployed.EVERYTHING)

    @functools.cached_property
    def nothing(self) -> dict[str, Resource]:
        """Resources without any option."""
        return self._resources(deployed.NOTHING)

    @property
    def each(self) -> Iterator[dict[str, Resource]]:
        """Resources with defaults, with every option and with none."""
        yield from (self.default, self.everything, self.nothing)

    def _resources(self, parameters: dict[str, str]) -> dict[str, Resource]:
        found: dict[str, Resource] = deployed.deployed(self.raw, parameters)["Resources"]
        return found


def of_type(resources: dict[str, Resource], kind: str) -> dict[str, dict[str, Any]]:
    """Return the properties of all resources of a type."""
    return {name: each["Properties"] for name, each in resources.items() if each["Type"] == kind}


def statements(resources: dict[str, Resource]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield role and statement of every inline policy of a role."""
    for name, properties in of_type(resources, "AWS::IAM::Role").items():
        for policy in properties.get("Policies", []):
            for statement in policy["PolicyDocument"]["Statement"]:
                yield name, statement


def as_list(value: Any) -> list[Any]:
    """Return `value` as a list."""
    return value if isinstance(value, list) else [value]


def arn(name: str) -> dict[str, Any]:
    """Return the intrinsic function for the ARN of a resource."""
    return {"Fn::GetAtt": [name, "Arn"]}


def body(resources: dict[str, Resource]) -> dict[str, Any]:
    """Return the API's definition."""
    found: dict[str, Any] = resources["TokenApi"]["Properties"]["Body"]
    return found


# The API


@rule
def every_method_requires_iam(template: Template) -> None:
    """Every method of every path has the IAM authorizer."""
    for resources in template.each:
        definition = body(resources)
        methods = [method for path in definition["paths"].values() for method in path.values()]
        assert methods
        assert all(method["security"] == [{"AWS_IAM": []}] for method in methods)
        assert definition["components"]["securitySchemes"]["AWS_IAM"]["x-amazon-apigateway-authtype"] == "awsSigv4"


@rule
def no_cors_and_no_api_key(template: Template) -> None:
    """No CORS headers, no OPTIONS method and no API key."""
    for resources in template.each:
        assert "options" not in {name for path in body(resources)["paths"].values() for name in path}
        assert "api_key" not in json.dumps(resources)
        assert "Access-Control" not in json.dumps(resources)


@rule
def resource_policy_only_denies(template: Template) -> None:
    """It denies other accounts and, for a private API, other VPC endpoints; the API is never edge-optimized."""
    for resources in template.each:
        policy = body(resources)["x-amazon-apigateway-policy"]["Statement"]
        assert {"Deny"} == {statement["Effect"] for statement in policy}
        assert {"StringNotEquals": {"aws:PrincipalAccount": {"Ref": "AWS::AccountId"}}} in [
            each["Condition"] for each in policy
        ]
    private = template.everything["TokenApi"]["Properties"]
    endpoints = deployed.EVERYTHING["VpcEndpointIds"].split(",")
    assert {"Types": ["PRIVATE"], "VpcEndpointIds": endpoints} == private["EndpointConfiguration"]
    denied = [each["Condition"] for each in private["Body"]["x-amazon-apigateway-policy"]["Statement"]]
    assert {"StringNotEquals": {"aws:SourceVpce": endpoints}} in denied
    assert template.default["TokenApi"]["Properties"]["EndpointConfiguration"] == {"Types": ["REGIONAL"]}


@rule
def api_requires_tls_1_2(template: Template) -> None:
    """TLS 1.2 with forward secrecy or TLS 1.3, in strict endpoint access mode."""
    for resources in template.each:
        properties = resources["TokenApi"]["Properties"]
        assert re.match(r"SecurityPolicy_TLS13_1_[23]_", properties["SecurityPolicy"])
        assert properties["EndpointAccessMode"] == "STRICT"


@rule
def api_neither_logs_nor_caches_bodies(template: Template) -> None:
    """Data trace and caching are off, on the only stage."""
    for resources in template.each:
        (stage,) = of_type(resources, "AWS::ApiGateway::Stage").values()
        assert not stage.get("CacheClusterEnabled")
        for method in stage["MethodSettings"]:
            assert (method["DataTraceEnabled"], method["CachingEnabled"]) == (False, False)
        for deployment in of_type(resources, "AWS::ApiGateway::Deployment").values():
            assert "StageName" not in deployment, "a second stage"


@rule
def api_is_throttled(template: Template) -> None:
    """Throttling applies to every method of every path."""
    for resources in template.each:
        (stage,) = of_type(resources, "AWS::ApiGateway::Stage").values()
        (method,) = [each for each in stage["MethodSettings"] if (each["ResourcePath"], each["HttpMethod"]) == ("/*", "*")]
        assert 0 < method["ThrottlingRateLimit"] <= method["ThrottlingBurstLimit"] <= 1000


@rule
def access_logs_contain_no_request_values(template: Template) -> None:
    """Access logs have the route, not the path with its query, and nothing of a body or a header."""
    (stage,) = of_type(template.everything, "AWS::ApiGateway::Stage").values()
    written = set(re.findall(r"\$context\.[A-Za-z.]+", stage["AccessLogSetting"]["Format"]))
    assert written <= {f"$context.{name}" for name in (
        "requestId", "identity.userArn", "httpMethod", "resourcePath", "status", "responseLatency"
    )}  # fmt: skip


@rule
def api_gateway_validates_bodies(template: Template) -> None:
    """Every POST has the model; a rejected body is answered in the broker's own error format."""
    for resources in template.each:
        definition = body(resources)
        for path in definition["paths"].values():
            if "post" in path:
                content = path["post"]["requestBody"]["content"]["application/json"]
                assert {"$ref": "#/components/schemas/tokenrequest"} == content["schema"]
                validator = definition["x-amazon-apigateway-request-validators"][
                    path["post"]["x-amazon-apigateway-request-validator"]
                ]
                assert validator["validateRequestBody"] is True
        assert definition["components"]["schemas"]["tokenrequest"]["additionalProperties"] is False
        answers = definition["x-amazon-apigateway-gateway-responses"]
        for refused in ("BAD_REQUEST_BODY", "BAD_REQUEST_PARAMETERS"):
            assert '"error": "invalid_request"' in answers[refused]["responseTemplates"]["application/json"]


# Roles and policies


@rule
def statements_name_actions_and_resources(template: Template) -> None:
    """Every statement has a Sid, lists its actions and names its resources where the actions support that."""
    for resources in template.each:
        for role, statement in statements(resources):
            assert re.fullmatch(r"[A-Z][A-Za-z]+", statement.get("Sid", "")), role
            assert (
                {"Sid", "Effect", "Action", "Resource"}
                <= set(statement)
                <= {"Sid", "Effect", "Action", "Resource", "Condition"}
            )
            assert not [action for action in as_list(statement["Action"]) if "*" in action], statement["Sid"]
            if statement["Sid"] not in WITHOUT_RESOURCE:
                for resource in as_list(statement["Resource"]):
                    assert resource != "*", statement["Sid"]
                    pattern = resource.get("Fn::Sub", "") if isinstance(resource, dict) else ""
                    assert not pattern or re.search(
                        r"\$\{AWS::StackName\}/(tokens|tokens/\*|certificate)$|:event-bus/default$"
                        r"|^\$\{Token(Api)?Function\.Arn\}:(live|\*)$|:alias/salesforce-token-broker/\$\{AWS::StackName\}/\*$|:key/\*$",
                        pattern,
                    )


@rule
def roles_allow_only_expected_actions(template: Template) -> None:
    """Token functions read the key and share tokens; only RotateKeyFunction writes the secret; no managed policies."""
    for resources, network in ((template.default, set()), (template.everything, NETWORK), (template.nothing, set())):
        allowed: dict[str, set[str]] = {}
        for role, statement in statements(resources):
            if statement["Effect"] == "Allow":
                allowed.setdefault(role, set()).update(as_list(statement["Action"]))
        assert {"lambda:InvokeFunction"} == allowed.pop("HourlyKeyCheckRole")
        expected = {role: actions | ALWAYS | network for role, actions in ALLOWED.items()}
        if resources is template.nothing:
            keyless = {role: {each for each in actions if not each.startswith("kms:")} for role, actions in expected.items()}
            expected = {
                role: actions - SHARED_CACHE_ACTIONS if role in TOKEN_FUNCTION_ROLES else actions
                for role, actions in keyless.items()
            }
        if resources is template.everything:
            expected["RotateKeyFunctionRole"] |= CREATE_KMS_KEYS
        assert expected == allowed
        assert "ManagedPolicyArns" not in json.dumps(of_type(resources, "AWS::IAM::Role"))
        attached = set(of_type(resources, "AWS::IAM::Policy")) | set(of_type(resources, "AWS::IAM::ManagedPolicy"))
        assert attached == {"DenyOutsideFunctions"}


@rule
def emergency_stop_changes_only_token_functions(template: Template) -> None:
    """Only its role changes functions, it changes only token functions, and it cannot add another layer."""
    functions = [arn(name) for name in TOKEN_FUNCTIONS] + [
        {"Fn::Sub": f"${{{name}.Arn}}:{qualifier}"} for name in TOKEN_FUNCTIONS for qualifier in ("live", "*")
    ]
    for resources in template.each:
        changes = [
            (role, each)
            for role, each in statements(resources)
            if "lambda:" in str(each["Action"]) and each["Sid"] not in {"InvokeRotateKeyFunction", "SeeEmergencyStop"}
        ]
        assert {"EmergencyStopFunctionRole"} == {role for role, _ in changes}
        for _, statement in changes:
            assert not [resource for resource in as_list(statement["Resource"]) if resource not in functions], statement["Sid"]
            if "lambda:UpdateFunctionConfiguration" in as_list(statement["Action"]):
                layers = statement["Condition"]["ForAllValues:StringEquals"]["lambda:Layer"]
                assert all(layers == resources[name]["Properties"]["Layers"] for name in TOKEN_FUNCTIONS)


@rule
def only_lambda_assumes_function_roles(template: Template) -> None:
    """Every function has a role of its own; the scheduler assumes the only other role."""
    for resources in template.each:
        for name, properties in of_type(resources, "AWS::IAM::Role").items():
            (trust,) = properties["AssumeRolePolicyDocument"]["Statement"]
            service = "scheduler" if name == "HourlyKeyCheckRole" else "lambda"
            assert (trust["Principal"], trust["Action"]) == ({"Service": f"{service}.amazonaws.com"}, "sts:AssumeRole")
        functions = of_type(resources, "AWS::Lambda::Function")
        assert set(functions) == FUNCTIONS
        assert {name: arn(f"{name}Role") for name in functions} == {name: each["Role"] for name, each in functions.items()}


@rule
def credentials_work_only_inside_functions(template: Template) -> None:
    """DenyOutsideFunctions is attached to every role: secrets, parameters and keys only from functions, no history, no EC2."""
    for resources in template.each:
        policy = resources["DenyOutsideFunctions"]["Properties"]
        assert [{"Ref": f"{name}Role"} for name in sorted(FUNCTIONS)] == sorted(policy["Roles"], key=lambda role: role["Ref"])
        denied = {statement["Sid"]: statement for statement in policy["PolicyDocument"]["Statement"]}
        assert {statement["Effect"] for statement in denied.values()} == {"Deny"}
        own = [arn(name) for name in FUNCTIONS] + [{"Fn::Sub": f"${{{name}.Arn}}:*"} for name in FUNCTIONS]
        outside, inside = denied["DenyCallsOutsideFunctions"], denied["DenyEc2InsideFunctions"]
        assert {"secretsmanager:*", "ssm:*", "lambda:*"} == set(outside["Action"])
        assert sorted(own, key=str) == sorted(outside["Condition"]["ArnNotLike"]["lambda:SourceFunctionArn"], key=str)
        assert sorted(own, key=str) == sorted(inside["Condition"]["ArnLike"]["lambda:SourceFunctionArn"], key=str)
        if resources is not template.nothing:
            key = denied["DenyDataKeyOutsideFunctions"]
            # Lambda itself decrypts environment variables with the role and another key, from outside the function.
            assert (key["Action"], key["Resource"], key["Condition"]) == ("kms:*", arn("DataKey"), outside["Condition"])
        assert {"ssm:GetParameterHistory", "ssm:LabelParameterVersion"} <= set(denied["DenyParameterHistory"]["Action"])
        assert "Condition" not in denied["DenyParameterHistory"]


@rule
def data_key_works_only_through_two_services(template: Template) -> None:
    """Every use of the data key has conditions on kms:ViaService and the encryption context."""
    for role, statement in statements(template.everything):
        if arn("DataKey") in as_list(statement["Resource"]):
            condition = str(statement["Condition"])
            assert "kms:ViaService" in condition, role
            assert "kms:EncryptionContext:" in condition, role


@rule
def kms_keys_belong_to_the_stack(template: Template) -> None:
    """One role creates them with the stack's tag; no role policy allows kms:Sign, and it is denied outside functions."""
    for resources in template.each:
        for role, statement in statements(resources):
            actions = as_list(statement["Action"])
            assert "kms:Sign" not in actions, role
            if "kms:CreateKey" in actions:
                assert (role, statement["Effect"]) == ("RotateKeyFunctionRole", "Allow")
                tag = statement["Condition"]["StringEquals"]["aws:RequestTag/salesforce-token-broker:stack"]
                assert tag == {"Ref": "AWS::StackName"}
    denied = {
        each["Sid"]: each for each in template.everything["DenyOutsideFunctions"]["Properties"]["PolicyDocument"]["Statement"]
    }
    sign = denied["DenySignOutsideFunctions"]
    assert (sign["Action"], sign["Resource"]) == ("kms:Sign", "*")
    assert sign["Condition"] == denied["DenyCallsOutsideFunctions"]["Condition"]
    variables = template.default["RotateKeyFunction"]["Properties"]["Environment"]["Variables"]
    assert sorted(variables["SIGNER_ROLE_ARNS"]["Fn::Join"][1], key=str) == sorted((arn(role) for role in ALLOWED), key=str)


@rule
def only_secrets_manager_and_the_schedule_rotate(template: Template) -> None:
    """Secrets Manager of this account if RotationDays is set, and one schedule with a constant payload."""
    for resources in template.each:
        for permission in of_type(resources, "AWS::Lambda::Permission").values():
            if permission["Principal"] == "secretsmanager.amazonaws.com":
                assert permission["SourceAccount"] == {"Ref": "AWS::AccountId"}
                assert permission["FunctionName"] == {"Ref": "RotateKeyFunction"}
        schedule = resources["HourlyKeyCheck"]["Properties"]
        assert schedule["ScheduleExpression"] == "cron(0 * * * ? *)", "the check runs on the hour"
        assert (schedule["Target"]["Arn"], schedule["Target"]["RoleArn"]) == (
            arn("RotateKeyFunction"),
            arn("HourlyKeyCheckRole"),
        )
        assert json.loads(schedule["Target"]["Input"]) == {"action": "check", "at": "<aws.scheduler.scheduled-time>"}
    rotation = template.everything["RotationSchedule"]["Properties"]
    assert (rotation["SecretId"], rotation["RotateImmediatelyOnUpdate"]) == ({"Ref": "SigningKeySecret"}, False)
    assert rotation["RotationLambdaARN"] == arn("RotateKeyFunction")
    assert not of_type(template.default, "AWS::SecretsManager::RotationSchedule")


@rule
def secret_is_read_by_version_stage(template: Template) -> None:
    """Roles read only the versions with a stage, not older ones; of the gateway token only the current one."""
    for resources in template.each:
        for role, statement in statements(resources):
            if "secretsmanager:GetSecretValue" in as_list(statement["Action"]):
                stages = as_list(statement["Condition"]["StringEquals"]["secretsmanager:VersionStage"])
                of_the_key = {"AWSCURRENT", "AWSPENDING", "AWSPREVIOUS"}
                assert set(stages) == ({"AWSCURRENT"} if statement["Sid"] == "ReadGatewayToken" else of_the_key), role


@rule
def only_functions_read_the_secret(template: Template) -> None:
    """The secret's resource policy denies reading to every other principal, administrators included."""
    for resources in template.each:
        (policy,) = of_type(resources, "AWS::SecretsManager::ResourcePolicy").values()
        assert (policy["SecretId"], policy["BlockPublicPolicy"]) == ({"Ref": "SigningKeySecret"}, True)
        statement = denials(policy)["DenyReadOutsideFunctions"]
        assert as_list(statement["Action"]) == ["secretsmanager:GetSecretValue"]
        readers = statement["Condition"]["ArnNotEquals"]["aws:PrincipalArn"]
        assert sorted(readers, key=str) == sorted((arn(role) for role in ALLOWED), key=str)


@rule
def only_rotation_writes_the_secret(template: Template) -> None:
    """The secret's resource policy denies writing to every other principal; a parameter adds one role."""
    for resources in template.each:
        (policy,) = of_type(resources, "AWS::SecretsManager::ResourcePolicy").values()
        statement = denials(policy)["DenyWriteOutsideRotation"]
        assert set(statement["Action"]) == {"secretsmanager:PutSecretValue", "secretsmanager:UpdateSecret"}
        break_glass = [deployed.EVERYTHING["BreakGlassRoleArn"]] if resources is template.everything else []
        assert statement["Condition"] == {"ArnNotEquals": {"aws:PrincipalArn": [arn("RotateKeyFunctionRole"), *break_glass]}}
        labels = denials(policy)["DenyLabelsOutsideOperations"]
        operators = [arn("RotateKeyFunctionRole"), arn("EmergencyStopFunctionRole")]
        assert labels["Action"] == "secretsmanager:UpdateSecretVersionStage"
        assert labels["Condition"] == {"ArnNotEquals": {"aws:PrincipalArn": [*operators, *break_glass]}}
        (stop,) = [
            each
            for role, each in statements(resources)
            if role == "EmergencyStopFunctionRole" and "UpdateSecretVersionStage" in str(each["Action"])
        ]
        assert stop["Condition"] == {"StringLike": {"secretsmanager:VersionStage": f"{STOP_LABEL}*"}}, "it moves no key"


def denials(policy: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the statements of a resource policy by Sid; each denies something to every principal."""
    found: list[dict[str, Any]] = policy["ResourcePolicy"]["Statement"]
    assert all((each["Effect"], each["Principal"], each["Resource"]) == ("Deny", "*", "*") for each in found)
    return {each["Sid"]: each for each in found}


@rule
def api_gateway_identifies_itself(template: Template) -> None:
    """The stage adds a generated value to every event; only the function behind the API reads the same secret."""
    for resources in template.each:
        generated = resources["GatewayTokenSecret"]["Properties"]["GenerateSecretString"]
        assert generated["PasswordLength"] >= 32
        assert generated["ExcludePunctuation"] is True, "a stage variable takes no other characters"
        (stage,) = of_type(resources, "AWS::ApiGateway::Stage").values()
        resolved = {"Fn::Sub": "{{resolve:secretsmanager:${GatewayTokenSecret}:SecretString}}"}
        assert stage["Variables"] == {request.GATEWAY_TOKEN: resolved}
        variables = {
            name: each["Environment"]["Variables"] for name, each in of_type(resources, "AWS::Lambda::Function").items()
        }
        readers = {name: each.get("GATEWAY_TOKEN_SECRET_ARN") for name, each in variables.items()}
        assert readers == dict.fromkeys(FUNCTIONS) | {"TokenApiFunction": {"Ref": "GatewayTokenSecret"}}
        allowed = [role for role, each in statements(resources) if {"Ref": "GatewayTokenSecret"} in as_list(each["Resource"])]
        assert allowed == ["TokenApiFunctionRole"]


@rule
def no_public_access(template: Template) -> None:
    """No function URL, no permission except for API Gateway and Secrets Manager, no public layer."""
    for resources in template.each:
        for permission in of_type(resources, "AWS::Lambda::Permission").values():
            match permission["Principal"]:
                case "apigateway.amazonaws.com":
                    assert permission["SourceArn"]["Fn::Sub"][1]["__ApiId__"] == {"Ref": "TokenApi"}
                case principal:
                    assert (principal, permission["SourceAccount"]) == (
                        "secretsmanager.amazonaws.com",
                        {"Ref": "AWS::AccountId"},
                    )
        kinds = {resource["Type"] for resource in resources.values()}
        assert not kinds & {"AWS::Lambda::Url", "AWS::Lambda::LayerVersionPermission", "AWS::SSM::ResourcePolicy"}


@rule
def every_role_has_the_permissions_boundary(template: Template) -> None:
    """Every role has the boundary if the parameter is set, and none otherwise."""
    roles = of_type(template.everything, "AWS::IAM::Role")
    assert {deployed.EVERYTHING["PermissionsBoundaryArn"]} == {each["PermissionsBoundary"] for each in roles.values()}
    assert not [each for each in of_type(template.default, "AWS::IAM::Role").values() if "PermissionsBoundary" in each]


# Data at rest and logs


@rule
def secret_and_data_key_are_retained(template: Template) -> None:
    """The secret and the KMS key that encrypts it survive deletion of the stack and replacement."""
    for name in ("SigningKeySecret", "DataKey"):
        resource = template.default[name]
        assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == ("Retain", "Retain"), name


@rule
def secret_is_created_empty(template: Template) -> None:
    """No private key is in the template or in a parameter."""
    assert not {"SecretString", "GenerateSecretString"} & set(template.default["SigningKeySecret"]["Properties"])
    assert not [name for name, each in template.raw["Parameters"].items() if each.get("NoEcho") or "PrivateKey" in name]


@rule
def data_key_is_limited_to_the_account(template: Template) -> None:
    """IAM policies of the account apply, CloudWatch Logs may use it for this stack's logs, and it rotates every year."""
    properties = template.default["DataKey"]["Properties"]
    assert properties["EnableKeyRotation"] is True
    by_sid = {statement["Sid"]: statement for statement in properties["KeyPolicy"]["Statement"]}
    assert set(by_sid) == {"EnableIamPolicies", "EncryptLogs"}
    assert by_sid["EnableIamPolicies"]["Principal"] == {"AWS": {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"}}
    assert "${AWS::StackName}" in str(by_sid["EncryptLogs"]["Condition"]["ArnLike"])
    assert template.default["SigningKeySecret"]["Properties"]["KmsKeyId"] == arn("DataKey")
    assert "DataKey" not in json.dumps(template.nothing)


@rule
def log_groups_are_separate_encrypted_and_expire(template: Template) -> None:
    """Every function writes to a log group of its own and to no other."""
    for resources in template.each:
        groups = of_type(resources, "AWS::Logs::LogGroup")
        assert all(group["RetentionInDays"] for group in groups.values())
        assert resources is template.nothing or all(group["KmsKeyId"] == arn("DataKey") for group in groups.values())
        for name, properties in of_type(resources, "AWS::Lambda::Function").items():
            assert properties["LoggingConfig"]["LogGroup"] == {"Ref": f"{name}LogGroup"}
            writes = [each for role, each in statements(resources) if role == f"{name}Role" and each["Sid"] == "WriteLogs"]
            assert [arn(f"{name}LogGroup")] == [statement["Resource"] for statement in writes]


@rule
def no_variable_enables_debug_output(template: Template) -> None:
    """No variable logs events, captures answers in traces, enables a debug mode or writes TLS keys to a file."""
    for resources in template.each:
        for name, properties in of_type(resources, "AWS::Lambda::Function").items():
            assert not DEBUG_VARIABLES.search(" ".join(properties["Environment"]["Variables"])), name
            assert properties["TracingConfig"] == {"Mode": "Active"}


@rule
def every_log_level_keeps_audit_lines(template: Template) -> None:
    """Lambda drops JSON lines below the log level, and audit lines have level INFO."""
    assert set(template.raw["Parameters"]["LogLevel"]["AllowedValues"]) == {"DEBUG", "INFO"}
    for properties in of_type(template.default, "AWS::Lambda::Function").values():
        assert properties["LoggingConfig"]["ApplicationLogLevel"] == "INFO"


@rule
def asynchronous_invocations_are_neither_retried_nor_stored(template: Template) -> None:
    """No retries, no destination and no dead-letter queue that could store a token or a payload."""
    for resources in template.each:
        configured = of_type(resources, "AWS::Lambda::EventInvokeConfig")
        assert len(configured) == len(FUNCTIONS)
        for properties in configured.values():
            assert (properties["MaximumRetryAttempts"], properties.get("DestinationConfig") or {}) == (0, {})
        for properties in of_type(resources, "AWS::Lambda::Function").values():
            assert "DeadLetterConfig" not in properties


# Options


@rule
def code_signing_and_vpc_apply_to_every_function(template: Template) -> None:
    """Every function is signed and in the VPC if the parameters are set, and none otherwise."""
    for name, properties in of_type(template.everything, "AWS::Lambda::Function").items():
        assert properties["CodeSigningConfigArn"] == deployed.EVERYTHING["CodeSigningConfigArn"], name
        assert properties["VpcConfig"]["SubnetIds"] == deployed.EVERYTHING["SubnetIds"].split(","), name
    for properties in of_type(template.default, "AWS::Lambda::Function").values():
        assert not {"CodeSigningConfigArn", "VpcConfig"} & set(properties)


@rule
def snap_start_excludes_provisioned_concurrency(template: Template) -> None:
    """Token functions have provisioned concurrency or SnapStart; a deployment with both is refused."""
    for name in TOKEN_FUNCTIONS:
        assert template.everything[f"{name}Aliaslive"]["Properties"]["ProvisionedConcurrencyConfig"]
        assert template.everything[name]["Properties"]["SnapStart"] == {"ApplyOn": "None"}
        assert template.nothing[name]["Properties"]["SnapStart"] == {"ApplyOn": "PublishedVersions"}
        assert "ProvisionedConcurrencyConfig" not in template.nothing[f"{name}Aliaslive"]["Properties"]
    either = template.raw["Rules"]["SnapStartOrProvisionedConcurrency"]
    assert either["RuleCondition"] == {"Fn::Equals": [{"Ref": "SnapStart"}, "true"]}
    assert either["Assertions"][0]["Assert"] == {"Fn::Equals": [{"Ref": "ProvisionedConcurrency"}, "0"]}


@rule
def changed_parameter_publishes_a_version(template: Template) -> None:
    """SAM does not do this: every parameter of a token function is in the settings whose version is in its description."""
    content = json.dumps(template.raw["Resources"]["Settings"]["Properties"]["Content"])
    in_settings = set(re.findall(r'\{"Ref": "([A-Za-z]+)"\}', content))
    shared = json.dumps(template.raw["Globals"]["Function"])
    conditions = template.raw["Conditions"]
    for name in TOKEN_FUNCTIONS:
        properties = template.raw["Resources"][name]["Properties"]
        own = {
            key: value
            for key, value in properties.items()
            if key not in {"ReservedConcurrentExecutions", "ProvisionedConcurrencyConfig"}
        }
        definition = shared + json.dumps(own)
        named = set(re.findall(r'\{"Fn::If": \["([A-Za-z]+)"', definition)) - {"WithCustomerKey"}
        parameters = set(re.findall(r'"Ref": "([A-Za-z]+)"', definition + json.dumps([conditions[each] for each in named])))
        assert parameters & set(template.raw["Parameters"]) <= in_settings, name
        number = "${Settings.VersionNumber}"
        assert number in properties["Description"]["Fn::Sub"]
        assert number in properties["VersionDescription"]["Fn::Sub"]
    assert '{"Fn::If": ["WithCustomerKey", {"Fn::GetAtt": ["DataKey", "Arn"]}, ""]}' in content


@rule
def changed_layer_publishes_a_version(template: Template) -> None:
    """A changed layer, function or shared property publishes another version."""
    before = versions(template.raw)
    assert len(before) == len(TOKEN_FUNCTIONS)
    for change in ("DependenciesLayer", "BrokerLayer"):
        changed = json.loads(json.dumps(template.raw))
        changed["Resources"][change]["Properties"]["ContentUri"] = "s3://artifacts/another"
        assert not before & versions(changed), change
    changed = json.loads(json.dumps(template.raw))
    changed["Globals"]["Function"]["MemorySize"] = 2048
    assert not before & versions(changed)


def versions(raw: dict[str, Any]) -> set[str]:
    """Return the logical ids of the published versions."""
    return set(of_type(deployed.transformed(raw)["Resources"], "AWS::Lambda::Version"))


# Alarms


def metrics_of(alarm: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield namespace, name and dimensions of every metric of an alarm."""
    stats = [each["MetricStat"]["Metric"] for each in alarm.get("Metrics", []) if "MetricStat" in each] or [alarm]
    for each in stats:
        yield each["Namespace"], each["MetricName"], {dimension["Name"]: dimension["Value"] for dimension in each["Dimensions"]}


@rule
def alarm_metrics_exist(template: Template) -> None:
    """Every metric of an alarm exists with exactly these dimensions."""
    for resources in template.each:
        functions = [{"Ref": name} for name in of_type(resources, "AWS::Lambda::Function")]
        for name, alarm in of_type(resources, "AWS::CloudWatch::Alarm").items():
            for namespace, metric, dimensions in metrics_of(alarm):
                if namespace == observability.METRICS_NAMESPACE:
                    assert metric in observability.METRICS, name
                    assert set(dimensions) == {"service", "function_name"}, name
                    assert dimensions["service"] == observability.SERVICE, name
                    assert dimensions["function_name"] in functions, name
                    continue
                (identity,) = METRICS[namespace]
                assert metric in METRICS[namespace][identity], name
                if identity == "ApiName":
                    (stage,) = of_type(resources, "AWS::ApiGateway::Stage").values()
                    api = resources["TokenApi"]["Properties"]["Name"]
                    assert dimensions == {"ApiName": api, "Stage": stage["StageName"]}, name
                else:
                    assert set(dimensions) == {"FunctionName"}, name
                    assert dimensions["FunctionName"] in functions, name
            used = set(
                re.findall(r"[a-z]+(?![a-z(])", " ".join(each.get("Expression", "") for each in alarm.get("Metrics", [])))
            )
            assert used == {each["Id"] for each in alarm.get("Metrics", []) if "MetricStat" in each}, name


@rule
def alarms_cover_every_failure(template: Template) -> None:
    """Errors, throttles, failed logins, login budget, shared cache, latency, key age and certificate have alarms."""
    watched: set[tuple[str, str]] = set()
    for alarm in of_type(template.default, "AWS::CloudWatch::Alarm").values():
        for _, metric, dimensions in metrics_of(alarm):
            of = dimensions.get("function_name") or dimensions.get("FunctionName") or {"Ref": "TokenApi"}
            watched.add((metric, of["Ref"]))
    own = [name for name in observability.METRICS if name.startswith("LoginFailed.")]
    own += ["LoginAttempt", "LoginsPaused", "SharedCacheDegraded", "KeyAgeDays", "CertificateDaysLeft"]
    assert {(metric, handler) for metric in (*own, "Throttles", "Duration") for handler in TOKEN_FUNCTIONS} <= watched
    once = {("5XXError", "TokenApi"), ("GatewayMismatch", "TokenApiFunction"), ("PendingKey", "RotateKeyFunction")}
    assert {("Errors", name) for name in FUNCTIONS - {"TokenApiFunction"}} | once <= watched


@rule
def alarms_notify_the_topic(template: Template) -> None:
    """Alarms notify AlarmTopicArn on ALARM and OK; missing data is treated as not breaching."""
    for alarm in of_type(template.everything, "AWS::CloudWatch::Alarm").values():
        assert alarm["AlarmActions"] == alarm["OKActions"] == [deployed.EVERYTHING["AlarmTopicArn"]]
    for name, alarm in of_type(template.default, "AWS::CloudWatch::Alarm").items():
        assert not {"AlarmActions", "OKActions"} & set(alarm), name
        assert alarm["TreatMissingData"] == "notBreaching", name
        assert alarm.get("ActionsEnabled", True), name
        assert alarm["AlarmDescription"], name


@rule
def dashboard_shows_existing_metrics_and_alarms(template: Template) -> None:
    """The dashboard shows every alarm, and only metrics that exist."""
    resources = template.default
    dashboard = resources["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    widgets = json.loads(dashboard)["widgets"]
    (alarms,) = [widget["properties"]["alarms"] for widget in widgets if widget["type"] == "alarm"]
    assert {f"${{{name}.Arn}}" for name in of_type(resources, "AWS::CloudWatch::Alarm")} == set(alarms)
    shown = [metric for widget in widgets if widget["type"] == "metric" for metric in widget["properties"]["metrics"]]
    for namespace, metric, *rest in shown:
        if namespace == observability.METRICS_NAMESPACE:
            assert metric in observability.METRICS
            assert rest[:3] == ["service", observability.SERVICE, "function_name"]
        else:
            assert metric in METRICS[namespace][rest[0]]
    assert set(re.findall(r"\$\{([A-Za-z]+)", dashboard)) - {"AWS"} <= set(resources) | set(template.raw["Parameters"])
