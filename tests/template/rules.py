"""What the template must keep, whoever edits it: each rule a function that asserts.

They read it raw and as CloudFormation gets it (see `deployed`): with every option, with none, and as it is by default.
Scanners find nothing wrong with most of what is asked for here: an API without authentication, or an alarm that cannot
fire, is valid.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from salesforce_broker import observability
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
SHARING = {"ssm:GetParameters", "ssm:PutParameter", "ssm:DeleteParameter"}
TOKEN_FUNCTION_ROLES = {f"{name}Role" for name in TOKEN_FUNCTIONS}
MAY = {
    "TokenApiFunctionRole": TOKEN_FUNCTION_ACTIONS,
    "TokenFunctionRole": TOKEN_FUNCTION_ACTIONS,
    "RotateKeyFunctionRole": {
        "secretsmanager:GetSecretValue",
        "secretsmanager:PutSecretValue",
        "secretsmanager:UpdateSecretVersionStage",
        "secretsmanager:DescribeSecret",
        "kms:Decrypt",
        "kms:Encrypt",
        "kms:GenerateDataKey",
        "ssm:PutParameter",
        "ssm:GetParameters",
        "ssm:DeleteParameter",
        "events:PutEvents",
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
        "kms:Decrypt",
    },
}
"""What each role may do beyond ALWAYS, and with NETWORK in a VPC: this and no more."""

MAKES_KEYS = {"kms:CreateKey", "kms:TagResource", "kms:CreateAlias", "kms:DescribeKey"}
"""What RotateKeyFunction's may do where keys are made in KMS."""

RESOURCELESS = {"SendTraces", "UseNetwork", "MakeKeyInKms"}
"""Statements whose actions know no resources to name."""

METRICS = {
    "AWS/Lambda": {"FunctionName": {"Errors", "Throttles", "Duration", "Invocations", "ConcurrentExecutions"}},
    "AWS/ApiGateway": {"ApiName": {"5XXError", "4XXError", "Count", "Latency", "IntegrationLatency"}},
}
"""Metrics of AWS that exist under the dimensions used here, by the dimension that names the resource."""

TALKATIVE = re.compile(
    "LOG_EVENT|POWERTOOLS_DEV|POWERTOOLS_DEBUG|CAPTURE_RESPONSE|CAPTURE_ERROR|SSLKEYLOGFILE|AWS_DEBUG|PYTHONHTTPSVERIFY"
)


def rule(function: Rule) -> Rule:
    """Register a rule under its name; what it looks for and does not find breaks it as a wrong value does."""

    @functools.wraps(function)
    def checked(template: Template) -> None:
        try:
            function(template)
        except (LookupError, ValueError) as missing:
            raise AssertionError(f"not there: {missing}") from missing

    RULES[function.__name__] = checked
    return checked


class Template:
    """The template `raw`, and as it is deployed: by default, with every option, and with none."""

    def __init__(self, raw: dict[str, Any]) -> None:
        self.raw = raw

    @functools.cached_property
    def default(self) -> dict[str, Resource]:
        """Resources by logical id, with default parameters."""
        return self._resources(deployed.NEEDED)

    @functools.cached_property
    def everything(self) -> dict[str, Resource]:
        """Likewise, with every option."""
        return self._resources(deployed.EVERYTHING)

    @functools.cached_property
    def nothing(self) -> dict[str, Resource]:
        """Likewise, with none."""
        return self._resources(deployed.NOTHING)

    @property
    def each(self) -> Iterator[dict[str, Resource]]:
        """All three."""
        yield from (self.default, self.everything, self.nothing)

    def _resources(self, parameters: dict[str, str]) -> dict[str, Resource]:
        found: dict[str, Resource] = deployed.deployed(self.raw, parameters)["Resources"]
        return found


def of_type(resources: dict[str, Resource], kind: str) -> dict[str, dict[str, Any]]:
    """Return the properties of all resources of a type."""
    return {name: each["Properties"] for name, each in resources.items() if each["Type"] == kind}


def statements(resources: dict[str, Resource]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Walk every statement that is in a role itself."""
    for name, properties in of_type(resources, "AWS::IAM::Role").items():
        for policy in properties.get("Policies", []):
            for statement in policy["PolicyDocument"]["Statement"]:
                yield name, statement


def as_list(value: Any) -> list[Any]:
    """Return what may be one or many as many."""
    return value if isinstance(value, list) else [value]


def arn(name: str) -> dict[str, Any]:
    """Return the ARN of a resource, as the template writes it."""
    return {"Fn::GetAtt": [name, "Arn"]}


def body(resources: dict[str, Resource]) -> dict[str, Any]:
    """Return the API's definition."""
    found: dict[str, Any] = resources["TokenApi"]["Properties"]["Body"]
    return found


# The API


@rule
def every_method_needs_iam(template: Template) -> None:
    """Of every path; the authorizer is IAM's."""
    for resources in template.each:
        definition = body(resources)
        methods = [method for path in definition["paths"].values() for method in path.values()]
        assert methods
        assert all(method["security"] == [{"AWS_IAM": []}] for method in methods)
        assert definition["components"]["securitySchemes"]["AWS_IAM"]["x-amazon-apigateway-authtype"] == "awsSigv4"


@rule
def no_browser_and_no_api_key(template: Template) -> None:
    """No CORS, no preflight method, no key that looks like access control."""
    for resources in template.each:
        assert "options" not in {name for path in body(resources)["paths"].values() for name in path}
        assert "api_key" not in json.dumps(resources)
        assert "Access-Control" not in json.dumps(resources)


@rule
def nobody_reaches_the_api_past_its_policy(template: Template) -> None:
    """Only denials; other accounts always, and all but the endpoints where the API is private; never edge-optimized."""
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
def no_old_tls(template: Template) -> None:
    """TLS 1.2 with forward secrecy, or better; the host name counts."""
    for resources in template.each:
        properties = resources["TokenApi"]["Properties"]
        assert re.match(r"SecurityPolicy_TLS13_1_[23]_", properties["SecurityPolicy"])
        assert properties["EndpointAccessMode"] == "STRICT"


@rule
def the_api_shows_and_keeps_no_token(template: Template) -> None:
    """Data trace and caching off, on the only stage there is."""
    for resources in template.each:
        (stage,) = of_type(resources, "AWS::ApiGateway::Stage").values()
        assert not stage.get("CacheClusterEnabled")
        for method in stage["MethodSettings"]:
            assert (method["DataTraceEnabled"], method["CachingEnabled"]) == (False, False)
        for deployment in of_type(resources, "AWS::ApiGateway::Deployment").values():
            assert "StageName" not in deployment, "a second stage"


@rule
def the_api_is_throttled(template: Template) -> None:
    """Every method of every path."""
    for resources in template.each:
        (stage,) = of_type(resources, "AWS::ApiGateway::Stage").values()
        (method,) = [each for each in stage["MethodSettings"] if (each["ResourcePath"], each["HttpMethod"]) == ("/*", "*")]
        assert 0 < method["ThrottlingRateLimit"] <= method["ThrottlingBurstLimit"] <= 1000


@rule
def access_logs_have_no_values(template: Template) -> None:
    """The route, not the path with its query; nothing of a body or of a header."""
    (stage,) = of_type(template.everything, "AWS::ApiGateway::Stage").values()
    written = set(re.findall(r"\$context\.[A-Za-z.]+", stage["AccessLogSetting"]["Format"]))
    assert written <= {f"$context.{name}" for name in (
        "requestId", "identity.userArn", "httpMethod", "resourcePath", "status", "responseLatency"
    )}  # fmt: skip


@rule
def the_gateway_checks_bodies(template: Template) -> None:
    """By the model, on every POST; what it refuses is answered in the broker's own form."""
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
def statements_name_what_they_allow(template: Template) -> None:
    """A Sid, named actions, and a name for each resource that has one."""
    for resources in template.each:
        for role, statement in statements(resources):
            assert re.fullmatch(r"[A-Z][A-Za-z]+", statement.get("Sid", "")), role
            assert (
                {"Sid", "Effect", "Action", "Resource"}
                <= set(statement)
                <= {"Sid", "Effect", "Action", "Resource", "Condition"}
            )
            assert not [action for action in as_list(statement["Action"]) if "*" in action], statement["Sid"]
            if statement["Sid"] not in RESOURCELESS:
                for resource in as_list(statement["Resource"]):
                    assert resource != "*", statement["Sid"]
                    pattern = resource.get("Fn::Sub", "") if isinstance(resource, dict) else ""
                    assert not pattern or re.search(
                        r"\$\{AWS::StackName\}/(tokens|tokens/\*|certificate)$|:event-bus/default$"
                        r"|^\$\{Token(Api)?Function\.Arn\}:(live|\*)$|:alias/salesforce-token-broker/\$\{AWS::StackName\}/\*$|:key/\*$",
                        pattern,
                    )


@rule
def roles_may_do_this_and_no_more(template: Template) -> None:
    """Functions: read the key, read and write tokens. Only the operator's writes the secret. No managed policy adds to it."""
    for resources, network in ((template.default, set()), (template.everything, NETWORK), (template.nothing, set())):
        allowed: dict[str, set[str]] = {}
        for role, statement in statements(resources):
            if statement["Effect"] == "Allow":
                allowed.setdefault(role, set()).update(as_list(statement["Action"]))
        assert {"lambda:InvokeFunction"} == allowed.pop("HourlyKeyCheckRole")
        expected = {role: may | ALWAYS | network for role, may in MAY.items()}
        if resources is template.nothing:
            keyless = {role: {each for each in may if not each.startswith("kms:")} for role, may in expected.items()}
            expected = {role: may - SHARING if role in TOKEN_FUNCTION_ROLES else may for role, may in keyless.items()}
            # Its other parameter is the certificate's.
            expected["RotateKeyFunctionRole"] -= SHARING - {"ssm:PutParameter"}
        if resources is template.everything:
            expected["RotateKeyFunctionRole"] |= MAKES_KEYS
        assert expected == allowed
        assert "ManagedPolicyArns" not in json.dumps(of_type(resources, "AWS::IAM::Role"))
        attached = set(of_type(resources, "AWS::IAM::Policy")) | set(of_type(resources, "AWS::IAM::ManagedPolicy"))
        assert attached == {"DenyOutsideFunctions"}


@rule
def an_emergency_stop_touches_only_the_token_functions(template: Template) -> None:
    """Nobody but its role may change a function, it may change the functions only, and it puts no foreign layer into them."""
    functions = [arn(name) for name in TOKEN_FUNCTIONS] + [
        {"Fn::Sub": f"${{{name}.Arn}}:{qualifier}"} for name in TOKEN_FUNCTIONS for qualifier in ("live", "*")
    ]
    for resources in template.each:
        changes = [
            (role, each)
            for role, each in statements(resources)
            if "lambda:" in str(each["Action"]) and role != "HourlyKeyCheckRole"
        ]
        assert {"EmergencyStopFunctionRole"} == {role for role, _ in changes}
        for _, statement in changes:
            assert not [resource for resource in as_list(statement["Resource"]) if resource not in functions], statement["Sid"]
            if "lambda:UpdateFunctionConfiguration" in as_list(statement["Action"]):
                layers = statement["Condition"]["ForAllValues:StringEquals"]["lambda:Layer"]
                assert all(layers == resources[name]["Properties"]["Layers"] for name in TOKEN_FUNCTIONS)


@rule
def only_lambda_takes_the_roles(template: Template) -> None:
    """And each function has one of its own; the clock has the only other."""
    for resources in template.each:
        for name, properties in of_type(resources, "AWS::IAM::Role").items():
            (trust,) = properties["AssumeRolePolicyDocument"]["Statement"]
            service = "scheduler" if name == "HourlyKeyCheckRole" else "lambda"
            assert (trust["Principal"], trust["Action"]) == ({"Service": f"{service}.amazonaws.com"}, "sts:AssumeRole")
        functions = of_type(resources, "AWS::Lambda::Function")
        assert set(functions) == FUNCTIONS
        assert {name: arn(f"{name}Role") for name in functions} == {name: each["Role"] for name, each in functions.items()}


@rule
def credentials_are_of_no_use_elsewhere(template: Template) -> None:
    """Every role is fenced: secrets, parameters and keys only from its functions, no history, no network from within."""
    for resources in template.each:
        fence = resources["DenyOutsideFunctions"]["Properties"]
        assert [{"Ref": f"{name}Role"} for name in sorted(FUNCTIONS)] == sorted(fence["Roles"], key=lambda role: role["Ref"])
        denied = {statement["Sid"]: statement for statement in fence["PolicyDocument"]["Statement"]}
        assert {statement["Effect"] for statement in denied.values()} == {"Deny"}
        own = [arn(name) for name in FUNCTIONS] + [{"Fn::Sub": f"${{{name}.Arn}}:*"} for name in FUNCTIONS]
        elsewhere, within = denied["NothingFromElsewhere"], denied["NoNetworkFromWithin"]
        assert {"secretsmanager:*", "ssm:*", "lambda:*"} == set(elsewhere["Action"])
        assert sorted(own, key=str) == sorted(elsewhere["Condition"]["ArnNotLike"]["lambda:SourceFunctionArn"], key=str)
        assert sorted(own, key=str) == sorted(within["Condition"]["ArnLike"]["lambda:SourceFunctionArn"], key=str)
        if resources is not template.nothing:
            key = denied["NoKeyFromElsewhere"]
            # Lambda decrypts variables as the role, from elsewhere, with a key of its own.
            assert (key["Action"], key["Resource"], key["Condition"]) == ("kms:*", arn("DataKey"), elsewhere["Condition"])
        assert {"ssm:GetParameterHistory", "ssm:LabelParameterVersion"} <= set(denied["NoOldTokens"]["Action"])
        assert "Condition" not in denied["NoOldTokens"]


@rule
def the_data_key_works_through_two_services_alone(template: Template) -> None:
    """kms:ViaService and the encryption context: stolen credentials decrypt nothing by themselves."""
    for role, statement in statements(template.everything):
        if arn("DataKey") in as_list(statement["Resource"]):
            condition = str(statement["Condition"])
            assert "kms:ViaService" in condition, role
            assert "kms:EncryptionContext:" in condition, role


@rule
def keys_in_kms_are_made_for_the_stack(template: Template) -> None:
    """By one role, with the stack's tag; nobody signs by IAM (a key's own policy says who does), and nobody from elsewhere."""
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
    fence = denied["NoSignatureFromElsewhere"]
    assert (fence["Action"], fence["Resource"]) == ("kms:Sign", "*")
    assert fence["Condition"] == denied["NothingFromElsewhere"]["Condition"]
    variables = template.default["RotateKeyFunction"]["Properties"]["Environment"]["Variables"]
    assert sorted(variables["SIGNER_ROLE_ARNS"]["Fn::Join"][1], key=str) == sorted((arn(role) for role in MAY), key=str)


@rule
def secrets_manager_and_the_clock_alone_rotate(template: Template) -> None:
    """Secrets Manager of this account, where a schedule is wished for; and one schedule, whose words are fixed."""
    for resources in template.each:
        for permission in of_type(resources, "AWS::Lambda::Permission").values():
            if permission["Principal"] == "secretsmanager.amazonaws.com":
                assert permission["SourceAccount"] == {"Ref": "AWS::AccountId"}
                assert permission["FunctionName"] == {"Ref": "RotateKeyFunction"}
        watch = resources["HourlyKeyCheck"]["Properties"]
        assert watch["ScheduleExpression"] == "cron(0 * * * ? *)", "the watch counts in hours"
        assert (watch["Target"]["Arn"], watch["Target"]["RoleArn"]) == (arn("RotateKeyFunction"), arn("HourlyKeyCheckRole"))
        assert json.loads(watch["Target"]["Input"]) == {"action": "check", "at": "<aws.scheduler.scheduled-time>"}
    schedule = template.everything["RotationSchedule"]["Properties"]
    assert (schedule["SecretId"], schedule["RotateImmediatelyOnUpdate"]) == ({"Ref": "SigningKeySecret"}, False)
    assert schedule["RotationLambdaARN"] == arn("RotateKeyFunction")
    assert not of_type(template.default, "AWS::SecretsManager::RotationSchedule")


@rule
def the_secret_is_read_by_stage(template: Template) -> None:
    """Of the versions that are kept only those that sign."""
    for resources in template.each:
        for role, statement in statements(resources):
            if "secretsmanager:GetSecretValue" in as_list(statement["Action"]):
                stages = statement["Condition"]["StringEquals"]["secretsmanager:VersionStage"]
                assert set(stages) == {"AWSCURRENT", "AWSPENDING", "AWSPREVIOUS"}, role


@rule
def nobody_else_reads_the_secret(template: Template) -> None:
    """Its own policy says so, to administrators too."""
    for resources in template.each:
        (policy,) = of_type(resources, "AWS::SecretsManager::ResourcePolicy").values()
        assert (policy["SecretId"], policy["BlockPublicPolicy"]) == ({"Ref": "SigningKeySecret"}, True)
        (statement,) = policy["ResourcePolicy"]["Statement"]
        assert (statement["Effect"], statement["Principal"]) == ("Deny", "*")
        assert "secretsmanager:GetSecretValue" in as_list(statement["Action"])
        readers = statement["Condition"]["ArnNotEquals"]["aws:PrincipalArn"]
        assert sorted(readers, key=str) == sorted((arn(role) for role in MAY), key=str)


@rule
def nothing_lets_the_world_in(template: Template) -> None:
    """No function URL, no permission but API Gateway's and Secrets Manager's, no shared layer."""
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
def the_boundary_bounds_every_role(template: Template) -> None:
    """Where there is one."""
    roles = of_type(template.everything, "AWS::IAM::Role")
    assert {deployed.EVERYTHING["PermissionsBoundaryArn"]} == {each["PermissionsBoundary"] for each in roles.values()}
    assert not [each for each in of_type(template.default, "AWS::IAM::Role").values() if "PermissionsBoundary" in each]


# What is kept, and where it is written


@rule
def what_cannot_be_made_again_outlives_the_stack(template: Template) -> None:
    """Deleting the stack, or replacing the resource, keeps the secret and the key that it is encrypted with."""
    for name in ("SigningKeySecret", "DataKey"):
        resource = template.default[name]
        assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == ("Retain", "Retain"), name


@rule
def the_secret_is_created_empty(template: Template) -> None:
    """A key in a template, or in a parameter, would be a key in a hundred places."""
    assert not {"SecretString", "GenerateSecretString"} & set(template.default["SigningKeySecret"]["Properties"])
    assert not [name for name, each in template.raw["Parameters"].items() if each.get("NoEcho") or "PrivateKey" in name]


@rule
def the_data_key_is_the_accounts(template: Template) -> None:
    """IAM decides, and the log service may use it for this stack's logs; it is renewed each year."""
    properties = template.default["DataKey"]["Properties"]
    assert properties["EnableKeyRotation"] is True
    by_sid = {statement["Sid"]: statement for statement in properties["KeyPolicy"]["Statement"]}
    assert set(by_sid) == {"LeaveToIam", "EncryptLogs"}
    assert by_sid["LeaveToIam"]["Principal"] == {"AWS": {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"}}
    assert "${AWS::StackName}" in str(by_sid["EncryptLogs"]["Condition"]["ArnLike"])
    assert template.default["SigningKeySecret"]["Properties"]["KmsKeyId"] == arn("DataKey")
    assert "DataKey" not in json.dumps(template.nothing)


@rule
def logs_are_kept_apart_encrypted_and_for_a_while(template: Template) -> None:
    """Each function writes into a group of its own, and into no other."""
    for resources in template.each:
        groups = of_type(resources, "AWS::Logs::LogGroup")
        assert all(group["RetentionInDays"] for group in groups.values())
        assert resources is template.nothing or all(group["KmsKeyId"] == arn("DataKey") for group in groups.values())
        for name, properties in of_type(resources, "AWS::Lambda::Function").items():
            assert properties["LoggingConfig"]["LogGroup"] == {"Ref": f"{name}LogGroup"}
            writes = [each for role, each in statements(resources) if role == f"{name}Role" and each["Sid"] == "WriteLogs"]
            assert [arn(f"{name}LogGroup")] == [statement["Resource"] for statement in writes]


@rule
def no_variable_makes_a_library_talk(template: Template) -> None:
    """No event in the log, no capture of answers in a trace, no debug mode, no keys of TLS in a file."""
    for resources in template.each:
        for name, properties in of_type(resources, "AWS::Lambda::Function").items():
            assert not TALKATIVE.search(" ".join(properties["Environment"]["Variables"])), name
            assert properties["TracingConfig"] == {"Mode": "Active"}


@rule
def no_log_level_drops_the_audit_lines(template: Template) -> None:
    """Lambda drops JSON lines below the level; they are INFO."""
    assert set(template.raw["Parameters"]["LogLevel"]["AllowedValues"]) == {"DEBUG", "INFO"}
    for properties in of_type(template.default, "AWS::Lambda::Function").values():
        assert properties["LoggingConfig"]["ApplicationLogLevel"] == "INFO"


@rule
def nobody_waits_for_an_asynchronous_token(template: Template) -> None:
    """No retries, and no destination or queue that a token or a payload could be written to."""
    for resources in template.each:
        configured = of_type(resources, "AWS::Lambda::EventInvokeConfig")
        assert len(configured) == len(FUNCTIONS)
        for properties in configured.values():
            assert (properties["MaximumRetryAttempts"], properties.get("DestinationConfig") or {}) == (0, {})
        for properties in of_type(resources, "AWS::Lambda::Function").values():
            assert "DeadLetterConfig" not in properties


# Options


@rule
def functions_are_signed_and_in_the_vpc_where_asked_for(template: Template) -> None:
    """All of them, and none where not."""
    for name, properties in of_type(template.everything, "AWS::Lambda::Function").items():
        assert properties["CodeSigningConfigArn"] == deployed.EVERYTHING["CodeSigningConfigArn"], name
        assert properties["VpcConfig"]["SubnetIds"] == deployed.EVERYTHING["SubnetIds"].split(","), name
    for properties in of_type(template.default, "AWS::Lambda::Function").values():
        assert not {"CodeSigningConfigArn", "VpcConfig"} & set(properties)


@rule
def one_way_to_start_warm(template: Template) -> None:
    """Provisioned concurrency or SnapStart, of the functions alone; a deployment with both is refused."""
    for name in TOKEN_FUNCTIONS:
        assert template.everything[f"{name}Aliaslive"]["Properties"]["ProvisionedConcurrencyConfig"]
        assert template.everything[name]["Properties"]["SnapStart"] == {"ApplyOn": "None"}
        assert template.nothing[name]["Properties"]["SnapStart"] == {"ApplyOn": "PublishedVersions"}
        assert "ProvisionedConcurrencyConfig" not in template.nothing[f"{name}Aliaslive"]["Properties"]
    either = template.raw["Rules"]["OneWayToStartWarm"]
    assert either["RuleCondition"] == {"Fn::Equals": [{"Ref": "SnapStart"}, "true"]}
    assert either["Assertions"][0]["Assert"] == {"Fn::Equals": [{"Ref": "ProvisionedConcurrency"}, "0"]}


@rule
def a_changed_parameter_reaches_the_callers(template: Template) -> None:
    """SAM publishes no version for one: all that a function is made of is in the content whose number is in its description."""
    content = json.dumps(template.raw["Resources"]["Settings"]["Properties"]["Content"])
    counted = set(re.findall(r'\{"Ref": "([A-Za-z]+)"\}', content))
    shared = json.dumps(template.raw["Globals"]["Function"])
    conditions = template.raw["Conditions"]
    for name in TOKEN_FUNCTIONS:
        properties = template.raw["Resources"][name]["Properties"]
        own = {
            key: value
            for key, value in properties.items()
            if key not in {"ReservedConcurrentExecutions", "ProvisionedConcurrencyConfig"}
        }
        made_of = shared + json.dumps(own)
        named = set(re.findall(r'\{"Fn::If": \["([A-Za-z]+)"', made_of)) - {"WithCustomerKey"}
        parameters = set(re.findall(r'"Ref": "([A-Za-z]+)"', made_of + json.dumps([conditions[each] for each in named])))
        assert parameters & set(template.raw["Parameters"]) <= counted, name
        number = "${Settings.VersionNumber}"
        assert number in properties["Description"]["Fn::Sub"]
        assert number in properties["VersionDescription"]["Fn::Sub"]
    assert '{"Fn::If": ["WithCustomerKey", {"Fn::GetAtt": ["DataKey", "Arn"]}, ""]}' in content


@rule
def a_changed_layer_reaches_the_callers(template: Template) -> None:
    """Another content of a layer, of a function or of their shared properties is another version."""
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
    """Walk namespace, name and dimensions of every metric of an alarm."""
    stats = [each["MetricStat"]["Metric"] for each in alarm.get("Metrics", []) if "MetricStat" in each] or [alarm]
    for each in stats:
        yield each["Namespace"], each["MetricName"], {given["Name"]: given["Value"] for given in each["Dimensions"]}


@rule
def alarms_can_fire(template: Template) -> None:
    """Each metric exists, under exactly the dimensions that it is written with."""
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
def alarms_watch_what_fails(template: Template) -> None:
    """Errors by function, throttles, logins, pauses, the shared cache, p99, key, certificate."""
    watched: set[tuple[str, str]] = set()
    for alarm in of_type(template.default, "AWS::CloudWatch::Alarm").values():
        for _, metric, dimensions in metrics_of(alarm):
            of = dimensions.get("function_name") or dimensions.get("FunctionName") or {"Ref": "TokenApi"}
            watched.add((metric, of["Ref"]))
    own = [name for name in observability.METRICS if name.startswith("LoginFailed.")]
    own += ["LoginAttempt", "LoginsPaused", "SharedCacheDegraded", "KeyAgeDays", "CertificateDaysLeft"]
    assert {(metric, handler) for metric in (*own, "Throttles", "Duration") for handler in TOKEN_FUNCTIONS} <= watched
    assert {("Errors", name) for name in FUNCTIONS - {"TokenApiFunction"}} | {("5XXError", "TokenApi")} <= watched


@rule
def alarms_are_heard(template: Template) -> None:
    """By the topic, when they begin and when they end; missing data is silence, not an alarm."""
    for alarm in of_type(template.everything, "AWS::CloudWatch::Alarm").values():
        assert alarm["AlarmActions"] == alarm["OKActions"] == [deployed.EVERYTHING["AlarmTopicArn"]]
    for name, alarm in of_type(template.default, "AWS::CloudWatch::Alarm").items():
        assert not {"AlarmActions", "OKActions"} & set(alarm), name
        assert alarm["TreatMissingData"] == "notBreaching", name
        assert alarm.get("ActionsEnabled", True), name
        assert alarm["AlarmDescription"], name


@rule
def the_dashboard_shows_what_exists(template: Template) -> None:
    """Every alarm, and metrics that are written."""
    resources = template.default
    board = resources["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    widgets = json.loads(board)["widgets"]
    (alarms,) = [widget["properties"]["alarms"] for widget in widgets if widget["type"] == "alarm"]
    assert {f"${{{name}.Arn}}" for name in of_type(resources, "AWS::CloudWatch::Alarm")} == set(alarms)
    shown = [metric for widget in widgets if widget["type"] == "metric" for metric in widget["properties"]["metrics"]]
    for namespace, metric, *rest in shown:
        if namespace == observability.METRICS_NAMESPACE:
            assert metric in observability.METRICS
            assert rest[:3] == ["service", observability.SERVICE, "function_name"]
        else:
            assert metric in METRICS[namespace][rest[0]]
    assert set(re.findall(r"\$\{([A-Za-z]+)", board)) - {"AWS"} <= set(resources) | set(template.raw["Parameters"])
