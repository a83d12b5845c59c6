"""Where a secret may be, and why: nowhere else. Takes it out of what is searched.

| Place | Secret | Reason |
|---|---|---|
| `access_token` of a token function's answer | access token | it is what the caller asked for |
| form field `assertion` to the token endpoint | assertion | the JWT bearer flow (RFC 7523) |
| form field `token` to the revocation endpoint | access token | token revocation (RFC 7009) |
| header `Authorization` to Salesforce | access token | the identity URL and the Metadata API (RFC 6750) |
| `SecretString` of PutSecretValue | private key, sealing key | the secret is where they are kept |
| `Message` of Sign | header and claims of an assertion | KMS signs them; without the signature they open nothing |
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

_AUTHORIZATION = re.compile(rb"(?im)^(Authorization: Bearer ).*$")
_FORM_FIELDS = re.compile(rb"(?:\A|(?<=&))(?:assertion|token)=[^&]*")
_PARAMETERS = {"PutSecretValue": "SecretString", "Sign": "Message"}
_ZIP = b"PK\x03\x04"


def in_answer(answer: object) -> object:
    """Return an answer without the token that its caller asked for."""
    if isinstance(answer, dict) and answer.get("statusCode") == 200:
        return answer | {"body": json.dumps(in_answer(json.loads(answer["body"])))}
    if isinstance(answer, dict) and "fingerprint" in answer and "access_token" in answer:
        return {name: value for name, value in answer.items() if name != "access_token"}
    return answer


def in_aws_call(operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return a call's parameters without what it is for."""
    return {name: value for name, value in parameters.items() if name != _PARAMETERS.get(operation)}


def in_http_request(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield by sink what one piece of a request to Salesforce holds beside what it is for."""
    if _ZIP in data:
        yield "upload", data
        with contextlib.suppress(zipfile.BadZipFile), zipfile.ZipFile(io.BytesIO(data[data.index(_ZIP) :])) as package:
            for name in package.namelist():
                yield "upload", name.encode() + b"\n" + package.read(name)
        return
    head = data.partition(b"\r\n")[0]
    if head.endswith(b"HTTP/1.1"):
        yield "request to Salesforce", _AUTHORIZATION.sub(rb"\1", data)
    else:
        yield "request to Salesforce", _FORM_FIELDS.sub(b"", data)
