"""What lies between a caller and the broker: DNS, TLS, proxies and the network, named alike by both transports."""

from __future__ import annotations

import datetime
import select
import socket
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import boto3
import pytest
import trustme

from local_stack.loopback import Loopback
from salesforce_broker_client import Broker, BrokerError, BrokerUnreachable, CallDenied
from tests.support.broker_endpoint import CREDENTIALS, BrokerEndpoint, caller, send_json

TRANSPORTS = ("invoke", "https")
each_transport = pytest.mark.parametrize("transport", TRANSPORTS)
VARIABLES = ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def authority(tmp_path: Path) -> trustme.CA:
    """Return a fresh certificate authority; `ca.pem` in tmp_path has its certificate."""
    made = trustme.CA()
    made.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return made


def serving(certificate: trustme.LeafCert) -> ssl.SSLContext:
    """Return a context that serves with the certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def failures(url: str, monkeypatch: pytest.MonkeyPatch) -> list[BrokerError]:
    """Return the error of each transport."""
    found = []
    for transport in TRANSPORTS:
        with pytest.raises(BrokerError) as caught:
            caller(transport, url, monkeypatch).token(timeout=20)
        found.append(caught.value)
    return found


def same(found: list[BrokerError]) -> BrokerError:
    """Return the error that both transports have raised."""
    assert 1 == len({(type(error), str(error), error.retryable) for error in found})
    return found[0]


def test_a_certificate_that_nobody_vouches_for_is_named(authority: trustme.CA, monkeypatch: pytest.MonkeyPatch) -> None:
    """With AWS_CA_BUNDLE as the cure: where a proxy inspects TLS."""
    with BrokerEndpoint(tls=serving(authority.issue_cert("localhost"))) as endpoint:
        error = same(failures(endpoint.url, monkeypatch))
    assert "TLS: the certificate of localhost is not accepted: unable to get local issuer certificate." == error.description
    assert "AWS_CA_BUNDLE" in error.hint
    assert (BrokerUnreachable, False) == (type(error), error.retryable)


def test_a_certificate_for_another_name_is_named(
    authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As OpenSSL says it."""
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    with BrokerEndpoint(tls=serving(authority.issue_cert("other.example"))) as endpoint:
        error = same(failures(endpoint.url, monkeypatch))
    assert "Hostname mismatch, certificate is not valid for 'localhost'" in error.description


def test_a_certificate_that_has_expired_is_named(
    authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which a wrong clock of this machine looks like, too."""
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    past = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    with BrokerEndpoint(tls=serving(authority.issue_cert("localhost", not_after=past))) as endpoint:
        error = same(failures(endpoint.url, monkeypatch))
    assert "certificate has expired" in error.description
    assert "clock" in error.hint


def test_a_server_without_tls_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not as a lost connection."""
    with BrokerEndpoint() as endpoint:
        error = same(failures(endpoint.url.replace("http://127.0.0.1", "https://localhost"), monkeypatch))
    assert error.description.startswith("TLS with localhost failed: ")


@each_transport
@pytest.mark.parametrize("variable", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "ca_bundle"])
def test_a_ca_bundle_is_used(
    transport: str, variable: str, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the environment or the profile, as in boto3."""
    if variable == "ca_bundle":
        (tmp_path / "config").write_text(f"[default]\nca_bundle = {tmp_path}/ca.pem\n")
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    else:
        monkeypatch.setenv(variable, str(tmp_path / "ca.pem"))
    with BrokerEndpoint(tls=serving(authority.issue_cert("localhost"))) as endpoint:
        broker = caller(transport, endpoint.url, monkeypatch, session=boto3.Session(**CREDENTIALS))
        assert "00D!a@acme.example" == broker.token("a@acme.example").access_token


def test_a_ca_bundle_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """By its path."""
    monkeypatch.setenv("AWS_CA_BUNDLE", "/nowhere/ca.pem")
    error = same(failures("https://localhost:9", monkeypatch))
    assert (CallDenied, "There is no CA bundle at /nowhere/ca.pem.") == (type(error), error.description)


@pytest.mark.parametrize(
    ("number", "description", "retryable"),
    [
        (socket.EAI_NONAME, "DNS knows no address of broker.example.", False),
        (socket.EAI_AGAIN, "DNS does not answer for broker.example.", True),
    ],
)
def test_a_name_that_does_not_resolve_is_named(
    number: int, description: str, retryable: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that does not exist, and a resolver that does not answer."""

    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(number, "as the resolver has it")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    error = same(failures("https://broker.example", monkeypatch))
    assert (description, retryable) == (error.description, error.retryable)


def test_a_port_at_which_nobody_listens_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to look at."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    error = same(failures(url, monkeypatch))
    assert ("Nothing accepts connections at 127.0.0.1.", True) == (error.description, error.retryable)
    assert "security groups" in error.hint


@pytest.mark.parametrize("number", [113, 101])
def test_a_network_without_a_route_is_named(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """EHOSTUNREACH and ENETUNREACH, as the kernel reports them."""

    def fail(*_: object, **__: object) -> None:
        raise OSError(number, "as the kernel has it")

    monkeypatch.setattr("urllib3.util.connection.create_connection", fail)
    assert "There is no route to broker.example." == same(failures("https://broker.example", monkeypatch)).description


class Proxy(Loopback):
    """A proxy: tunnels to `to` whatever host is named, or refuses with a status. `seen`: requests and their credentials."""

    def __init__(self, to: str = "", *, refuses: int = 0) -> None:
        self.seen: list[tuple[str, str, str]] = []
        seen = self.seen
        address = ("localhost", int(to.rpartition(":")[2] or 0))

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_CONNECT(self) -> None:
                seen.append((self.command, self.path, self.headers.get("Proxy-Authorization", "")))
                if refuses:
                    send_json(self, refuses, {})
                    self.close_connection = True
                    return
                self.send_response(200)
                self.end_headers()
                with socket.create_connection(address) as there:
                    pass_on(self.connection, there)
                self.close_connection = True

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                seen.append((self.command, self.path, self.headers.get("Proxy-Authorization", "")))
                send_json(self, refuses, {})

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        super().__init__(Handler)


def pass_on(one: socket.socket, other: socket.socket) -> None:
    """Hand bytes on both ways until one side ends."""
    while True:
        for readable in select.select([one, other], [], [])[0]:
            content = readable.recv(65536)
            if not content:
                return
            (other if readable is one else one).sendall(content)


@pytest.fixture
def endpoint(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BrokerEndpoint]:
    """Return a broker that calls itself broker.example, by TLS that callers trust."""
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    with BrokerEndpoint(tls=serving(authority.issue_cert("broker.example"))) as found:
        yield found


@each_transport
def test_a_proxy_is_used(transport: str, endpoint: BrokerEndpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a tunnel, with its user and password; what goes through is encrypted for the broker. Connections are kept."""
    with Proxy(endpoint.url) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url.replace("http://", "http://user:pass%40word@"))
        broker = caller(transport, "https://broker.example", monkeypatch)
        assert "00D!a@acme.example" == broker.token("a@acme.example").access_token
        assert "00D!b@acme.example" == broker.token("b@acme.example").access_token
    assert [("CONNECT", "broker.example:443", "Basic dXNlcjpwYXNzQHdvcmQ=")] == proxy.seen


@each_transport
def test_no_proxy_is_used_for_hosts_that_need_none(transport: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By NO_PROXY."""
    with BrokerEndpoint() as endpoint, Proxy(refuses=502) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        assert caller(transport, endpoint.url, monkeypatch).token()
    assert [] == proxy.seen


@pytest.mark.parametrize(
    ("status", "text", "retryable"),
    [
        (407, "it wants a user and a password", False),
        (403, "it does not allow this host", False),
        (502, "it cannot reach this host", True),
        (418, "status 418", False),
    ],
)
def test_a_proxys_refusal_is_named(status: int, text: str, retryable: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the proxy's, not the broker's."""
    with Proxy(refuses=status) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        error = same(failures("https://broker.example", monkeypatch))
    assert f"The proxy refused a tunnel to broker.example: {text}." == error.description
    assert retryable == error.retryable
    assert 2 == len(proxy.seen)


def test_a_proxy_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the proxy, not as the broker."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{taken.getsockname()[1]}")
    error = same(failures("https://broker.example", monkeypatch))
    assert "Nothing accepts connections at the proxy on the way to broker.example." == error.description


@each_transport
def test_a_token_goes_through_no_proxy_unencrypted(transport: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The URL of a broker is https but on this machine."""
    if transport == "https":
        with pytest.raises(ValueError, match="not https"):
            Broker(url="http://broker.example")
    with Proxy(refuses=403) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        with pytest.raises(BrokerUnreachable):
            caller(transport, "https://broker.example", monkeypatch).token()
    assert ["CONNECT"] == [method for method, _, _ in proxy.seen]


def test_a_refusal_of_awss_is_named_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it comes over the wire: by Lambda's header and by API Gateway's."""
    text = "The security token included in the request is expired"

    def refuse(handler: BaseHTTPRequestHandler) -> bool:
        send_json(handler, 403, {"message": text}, x_amzn_ErrorType="ExpiredTokenException")
        return True

    with BrokerEndpoint(refuse) as endpoint:
        error = same(failures(endpoint.url, monkeypatch))
    assert (CallDenied, "The caller's AWS credentials have expired.") == (type(error), error.description)


def test_threads_go_through_one_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose connections they share, a few of which are kept."""
    with BrokerEndpoint() as endpoint:
        broker = caller("https", endpoint.url, monkeypatch)
        threads = [threading.Thread(target=broker.token, args=(f"{number}@acme.example",)) for number in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert broker.token("last@acme.example")
    assert 13 == len(endpoint.arrived)
