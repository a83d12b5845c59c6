"""The parts of a multipart/form-data body (RFC 7578)."""

from __future__ import annotations

from email.message import Message


def parts(content_type: str, body: bytes) -> dict[str, bytes]:
    """Return the content of each part by its name; empty if the body is not multipart."""
    boundary = _header("Content-Type", content_type).get_param("boundary")
    if not isinstance(boundary, str):
        return {}
    found = {}
    for part in (b"\r\n" + body).split(b"\r\n--" + boundary.encode())[1:]:
        head, _, content = part.partition(b"\r\n\r\n")
        for line in head.decode(errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.lower() == "content-disposition":
                found[str(_header("Content-Disposition", value).get_param("name", header="content-disposition"))] = content
    return found


def _header(name: str, value: str) -> Message:
    message = Message()
    message[name] = value
    return message
