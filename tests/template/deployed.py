"""The template as CloudFormation gets it: after the SAM transform, with its conditions decided by parameters.

Owns reading it that way. Values that only a deployment knows (ARNs, generated names) stay the intrinsic functions they are.
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

NEEDED = {"SalesforceLoginUrl": "https://acme.my.salesforce.com"}
"""Parameters without a default."""

EVERYTHING = NEEDED | {
    "SharedTokenCache": "true",
    "VpcEndpointIds": "vpce-0a1b2c3d,vpce-4e5f6a7b",
    "SubnetIds": "subnet-0a1b2c3d,subnet-4e5f6a7b",
    "SecurityGroupIds": "sg-0a1b2c3d",
    "EncryptionKey": "customer",
    "PermissionsBoundaryArn": "arn:aws:iam::123456789012:policy/boundary",
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
"""Every condition holds, but for SnapStart, which goes with no provisioned concurrency."""

NOTHING = NEEDED | {"SharedTokenCache": "false", "EncryptionKey": "aws", "SnapStart": "true"}
"""No condition holds, but for SnapStart."""

logging.getLogger("samtranslator").setLevel(logging.ERROR)  # else lines about toggles of the service itself

REGION = "eu-central-1"
_NO_VALUE = {"Ref": "AWS::NoValue"}


def transformed(raw: Mapping[str, Any], parameters: Mapping[str, str] = NEEDED) -> dict[str, Any]:
    """Return what SAM makes of the template `raw`, with code that lies in S3 as after `sam package`."""
    packaged = copy.deepcopy(dict(raw))
    for resource in packaged["Resources"].values():
        properties = resource["Properties"]
        for code in {"CodeUri", "ContentUri"} & set(properties):
            if not properties[code].startswith("s3://"):
                properties[code] = f"s3://artifacts/{properties[code]}"
    translator = Translator({}, Parser(), boto_session=boto3.Session(region_name=REGION))
    made: dict[str, Any] = translator.translate(packaged, dict(parameters))
    return made


def deployed(raw: Mapping[str, Any], parameters: Mapping[str, str] = NEEDED) -> dict[str, Any]:
    """Return the transformed template as it is deployed with `parameters`: without what their conditions leave out."""
    made = transformed(raw, parameters)
    values = _Values(made, parameters)
    made["Resources"] = {
        name: values.of(resource)
        for name, resource in made["Resources"].items()
        if "Condition" not in resource or values.holds({"Condition": resource["Condition"]})
    }
    return made


class _Values:
    """Works out the intrinsic functions that parameters alone decide."""

    def __init__(self, template: dict[str, Any], parameters: Mapping[str, str]) -> None:
        self._conditions = template.get("Conditions", {})
        self._parameters = {
            name: parameters.get(name, str(each.get("Default", ""))) for name, each in template["Parameters"].items()
        }
        self._lists = {name for name, each in template["Parameters"].items() if each["Type"] == "CommaDelimitedList"}

    def holds(self, condition: dict[str, Any]) -> bool:
        """Decide a condition, or the function that it is made of."""
        ((name, given),) = condition.items()
        if name == "Condition":
            return self.holds(self._conditions[given])
        if name == "Fn::Equals":
            return str(self.of(given[0])) == str(self.of(given[1]))
        if name == "Fn::And":
            return all(map(self.holds, given))
        assert name == "Fn::Not", f"{name} is not known here"
        return not self.holds(given[0])

    def of(self, given: Any) -> Any:
        """Return a value without what has none."""
        if isinstance(given, list):
            return [each for each in map(self.of, given) if each != _NO_VALUE]
        if not isinstance(given, dict):
            return given
        if len(given) == 1:
            return self._function(*given.items())
        return self._fields(given)

    def _fields(self, given: dict[str, Any]) -> dict[str, Any]:
        found = {name: self.of(each) for name, each in given.items()}
        return {name: each for name, each in found.items() if each != _NO_VALUE}

    def _function(self, only: tuple[str, Any]) -> Any:
        name, given = only
        if name == "Ref" and given in self._parameters:
            return self._parameters[given].split(",") if given in self._lists else self._parameters[given]
        if name == "Fn::If":
            return self.of(given[1] if self.holds({"Condition": given[0]}) else given[2])
        if name in {"Fn::Join", "Fn::Split"}:
            separator, joined = given[0], self.of(given[1])
            if name == "Fn::Split" and isinstance(joined, str):
                return joined.split(separator)
            if isinstance(joined, list) and all(isinstance(each, str) for each in joined):
                return separator.join(joined)
        return self._fields({name: given})


if __name__ == "__main__":
    json.dump(transformed(template.load()), sys.stdout, indent=1)
