"""The template as CloudFormation gets it: after the SAM transform, with conditions evaluated for given parameters.

Values that only a deployment knows (ARNs, generated names) stay intrinsic functions.
"""

from __future__ import annotations

import copy
import json
import logging
import sys
from collections.abc import Mapping
from typing import Any

import boto3
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

from local_stack import template

REQUIRED = {"SalesforceLoginUrl": "https://acme.my.salesforce.com"}
"""Parameters without a default."""

EVERYTHING = REQUIRED | {
    "SharedTokenCache": "true",
    "VpcEndpointIds": "vpce-0a1b2c3d,vpce-4e5f6a7b",
    "SubnetIds": "subnet-0a1b2c3d,subnet-4e5f6a7b",
    "SecurityGroupIds": "sg-0a1b2c3d",
    "EncryptionKey": "customer",
    "PermissionsBoundaryArn": "arn:aws:iam::123456789012:policy/boundary",
    "BreakGlassRoleArn": "arn:aws:iam::123456789012:role/break-glass",
    "CodeSigningConfigArn": "arn:aws:lambda:eu-central-1:123456789012:code-signing-config:csc-0a1b2c3d",
    "ReservedConcurrency": "50",
    "ProvisionedConcurrency": "2",
    "ApiAccessLogs": "true",
    "AlarmTopicArn": "arn:aws:sns:eu-central-1:123456789012:alarms",
    "KeyStore": "kms",
    "RotationDays": "90",
    "SalesforceOtherClientId": "3MVG9.other",
    "SalesforceAppName": "Broker",
    "SalesforceOtherAppName": "Other_Broker",
    "SalesforceAdminSecretArn": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:admin-AbCdEf",
    "SalesforceAdminUsername": "admin@acme.example",
}
"""Every condition holds except SnapStart, which excludes provisioned concurrency."""

NOTHING = REQUIRED | {"SharedTokenCache": "false", "EncryptionKey": "aws", "SnapStart": "true"}
"""No condition holds except SnapStart."""

logging.getLogger("samtranslator").setLevel(logging.ERROR)  # it warns about feature toggles

REGION = "eu-central-1"
_NO_VALUE = {"Ref": "AWS::NoValue"}


def transformed(raw: Mapping[str, Any], parameters: Mapping[str, str] = REQUIRED) -> dict[str, Any]:
    """Return the SAM transform of `raw`, with code in S3 as after `sam package`."""
    packaged = copy.deepcopy(dict(raw))
    for resource in packaged["Resources"].values():
        properties = resource["Properties"]
        for code in {"CodeUri", "ContentUri"} & set(properties):
            if not properties[code].startswith("s3://"):
                properties[code] = f"s3://artifacts/{properties[code]}"
    translator = Translator({}, Parser(), boto_session=boto3.Session(region_name=REGION))
    result: dict[str, Any] = translator.translate(packaged, dict(parameters))
    return result


def deployed(raw: Mapping[str, Any], parameters: Mapping[str, str] = REQUIRED) -> dict[str, Any]:
    """Return the transformed template without the resources and values that conditions exclude for `parameters`."""
    result = transformed(raw, parameters)
    values = _Values(result, parameters)
    result["Resources"] = {
        name: values.of(resource)
        for name, resource in result["Resources"].items()
        if "Condition" not in resource or values.holds({"Condition": resource["Condition"]})
    }
    return result


class _Values:
    """Evaluates the intrinsic functions that depend on parameters only."""

    def __init__(self, template: dict[str, Any], parameters: Mapping[str, str]) -> None:
        self._conditions = template.get("Conditions", {})
        self._parameters = {
            name: parameters.get(name, str(each.get("Default", ""))) for name, each in template["Parameters"].items()
        }
        self._lists = {name for name, each in template["Parameters"].items() if each["Type"] == "CommaDelimitedList"}

    def holds(self, condition: dict[str, Any]) -> bool:
        """Evaluate a condition or a condition function."""
        ((name, argument),) = condition.items()
        if name == "Condition":
            return self.holds(self._conditions[argument])
        if name == "Fn::Equals":
            return str(self.of(argument[0])) == str(self.of(argument[1]))
        if name == "Fn::And":
            return all(map(self.holds, argument))
        assert name == "Fn::Not", f"{name} is not implemented"
        return not self.holds(argument[0])

    def of(self, value: Any) -> Any:
        """Evaluate a value; leave out AWS::NoValue."""
        if isinstance(value, list):
            return [each for each in map(self.of, value) if each != _NO_VALUE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            return self._function(*value.items())
        return self._fields(value)

    def _fields(self, value: dict[str, Any]) -> dict[str, Any]:
        found = {name: self.of(each) for name, each in value.items()}
        return {name: each for name, each in found.items() if each != _NO_VALUE}

    def _function(self, function: tuple[str, Any]) -> Any:
        name, argument = function
        if name == "Ref" and argument in self._parameters:
            return self._parameters[argument].split(",") if argument in self._lists else self._parameters[argument]
        if name == "Fn::If":
            return self.of(argument[1] if self.holds({"Condition": argument[0]}) else argument[2])
        if name in {"Fn::Join", "Fn::Split"}:
            separator, joined = argument[0], self.of(argument[1])
            if name == "Fn::Split" and isinstance(joined, str):
                return joined.split(separator)
            if isinstance(joined, list) and all(isinstance(each, str) for each in joined):
                return separator.join(joined)
        return self._fields({name: argument})


if __name__ == "__main__":
    json.dump(transformed(template.load()), sys.stdout, indent=1)
