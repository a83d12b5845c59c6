"""The template as CloudFormation gets it: after the SAM transform, with its conditions decided by parameters.

Owns reading it that way. Values that only a deployment knows (ARNs, generated names) stay the intrinsic functions they are.
"""

from __future__ import annotations

import copy
import json
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
}
"""Every condition holds, but for SnapStart, which goes with no provisioned concurrency."""

NOTHING = NEEDED | {"SharedTokenCache": "false", "EncryptionKey": "aws", "SnapStart": "true"}
"""No condition holds, but for SnapStart."""

REGION = "eu-central-1"
_NO_VALUE = {"Ref": "AWS::NoValue"}


def transformed(raw: Mapping[str, Any], parameters: Mapping[str, str] = NEEDED) -> dict[str, Any]:
    """Return what SAM makes of the template `raw`, with code that lies in S3 as after `sam package`."""
    packaged = copy.deepcopy(dict(raw))
    for name, resource in packaged["Resources"].items():
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
    values = {name: parameters.get(name, str(each.get("Default", ""))) for name, each in made["Parameters"].items()}
    conditions = made.get("Conditions", {})

    def holds(condition: Any) -> bool:
        (name, given), *_ = condition.items()
        match name:
            case "Condition":
                return holds(conditions[given])
            case "Fn::Equals":
                return str(value(given[0])) == str(value(given[1]))
            case "Fn::Not":
                return not holds(given[0])
            case "Fn::And":
                return all(map(holds, given))
            case "Fn::Or":
                return any(map(holds, given))
        raise NotImplementedError(name)

    def value(given: Any) -> Any:
        if isinstance(given, list):
            found = [value(each) for each in given]
            return [each for each in found if each != _NO_VALUE]
        if not isinstance(given, dict):
            return given
        if set(given) == {"Fn::If"}:
            condition, then, otherwise = given["Fn::If"]
            return value(then if holds(conditions[condition]) else otherwise)
        if set(given) == {"Ref"} and given["Ref"] in values:
            kind = made["Parameters"][given["Ref"]]["Type"]
            return values[given["Ref"]].split(",") if kind == "CommaDelimitedList" else values[given["Ref"]]
        if set(given) == {"Fn::Join"} and isinstance(joined := value(given["Fn::Join"][1]), list):
            separator = given["Fn::Join"][0]
            return separator.join(joined) if all(isinstance(each, str) for each in joined) else {"Fn::Join": [separator, joined]}
        if set(given) == {"Fn::Split"} and isinstance(text := value(given["Fn::Split"][1]), str):
            return text.split(given["Fn::Split"][0])
        found = {name: value(each) for name, each in given.items()}
        return {name: each for name, each in found.items() if each != _NO_VALUE}

    made["Resources"] = {
        name: value(resource)
        for name, resource in made["Resources"].items()
        if "Condition" not in resource or holds(conditions[resource["Condition"]])
    }
    return made


if __name__ == "__main__":
    json.dump(transformed(template.load()), sys.stdout, indent=1)
