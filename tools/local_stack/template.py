"""What the local stack needs to know of template.yaml: the routes of the API and the functions' variables.

Owns reading it as data. Does not resolve intrinsic functions: a tag becomes {tag: value}, as in the JSON form.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

TEMPLATE = Path(__file__).parents[2] / "template.yaml"


class _Loader(yaml.SafeLoader):
    """SafeLoader that knows CloudFormation's short tags."""


def _tagged(loader: _Loader, tag: str, node: yaml.Node) -> dict[str, Any]:
    name = tag if tag in {"Ref", "Condition"} else f"Fn::{tag}"
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
        return {name: value.split(".", 1) if tag == "GetAtt" else value}
    if isinstance(node, yaml.SequenceNode):
        return {name: loader.construct_sequence(node, deep=True)}
    assert isinstance(node, yaml.MappingNode)
    return {name: loader.construct_mapping(node, deep=True)}


_Loader.add_multi_constructor("!", _tagged)


def load(path: Path = TEMPLATE) -> dict[str, Any]:
    """Read a template."""
    template: dict[str, Any] = yaml.load(path.read_text(), _Loader)  # noqa: S506  a SafeLoader
    return template


def routes(template: dict[str, Any]) -> set[tuple[str, str]]:
    """Return (method, path) of every API event."""
    events = [
        event["Properties"]
        for resource in template["Resources"].values()
        if resource["Type"] == "AWS::Serverless::Function"
        for event in resource["Properties"].get("Events", {}).values()
        if event["Type"] == "Api"
    ]
    return {(event["Method"], event["Path"]) for event in events}
