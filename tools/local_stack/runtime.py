"""The Lambda runtime of one machine: AWS's runtime interface client under the emulator that SAM CLI ships. No Docker.

Owns one execution environment: its processes, its clean environment variables, its log. Does not build (see `build`).
An environment serves one invocation at a time, as a real one does, and is cold at its first.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import http.client
import json
import os
import platform
import secrets
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

TIMEOUT_SECONDS = 20
"""Of a function, unless its variables say otherwise; the template's."""

START_SECONDS = 30
"""For the emulator to listen, on a machine that is busy with other things."""

PORTS = range(20_000, 32_000)
"""Below those that Linux gives to connections and to whoever asks for any port: they cannot take one that was found free."""

INVOKE_PATH = "/2015-03-31/functions/function/invocations"
PR_SET_PDEATHSIG = 1  # linux/prctl.h

LAMBDA_MACHINE = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}


@dataclass(frozen=True, slots=True)
class Code:
    """What an environment runs: the function's folder, its layers' `python` folders in order, and the interpreter."""

    function: Path
    layers: tuple[Path, ...]
    python: Path
    runtime_client: Path
    emulator: Path


class FunctionError(Exception):
    """The function raised: `type` is its errorType, `message` its errorMessage, `trace` its stackTrace."""

    def __init__(self, kind: str, message: str, trace: list[str]) -> None:
        super().__init__(f"{kind}: {message}")
        self.type = kind
        self.message = message
        self.trace = trace


class LambdaRuntime:
    """One execution environment, from the `with` block's start to its end."""

    def __init__(self, name: str, code: Code, environment: Mapping[str, str]) -> None:
        """`environment` is all that the function sees beside what Lambda sets itself."""
        self._name = name
        self._code = code
        self._environment = environment
        self._seconds = int(environment.get("AWS_LAMBDA_FUNCTION_TIMEOUT", TIMEOUT_SECONDS))
        self._one_at_a_time = threading.Lock()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  lives as long as the environment; the system deletes it
        self._said = ""
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0

    def __enter__(self) -> Self:
        self._port, api_port = _free_ports(2)
        path = [self._code.function, *self._code.layers, self._code.runtime_client]
        self._process = subprocess.Popen(  # noqa: S603  our own command line
            [
                str(self._code.emulator),
                "--runtime-interface-emulator-address",
                f"127.0.0.1:{self._port}",
                "--runtime-api-address",
                f"127.0.0.1:{api_port}",
                str(self._code.python),
                "-m",
                "awslambdaric",
                "handler.lambda_handler",
            ],
            cwd=self._code.function,
            env={
                "PATH": "/usr/local/bin:/usr/bin:/bin",
                "LANG": "en_US.UTF-8",
                "TZ": ":UTC",
                "PYTHONPATH": os.pathsep.join(map(str, path)),
                "PYTHONNOUSERSITE": "1",
                "PYTHONDONTWRITEBYTECODE": "1",  # /var/task and /opt are read-only in Lambda
                "AWS_LAMBDA_FUNCTION_NAME": self._name,
                "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
                "AWS_LAMBDA_FUNCTION_TIMEOUT": str(self._seconds),
                **self._environment,
            },
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_die_with_parent,  # noqa: PLW1509  no threads hold locks that a prctl needs
        )
        self._wait_until_it_listens()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._process is not None:
            # The group, because the emulator has started the interpreter.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None
            self._said = self.log
        self._log.close()

    def retire(self) -> None:
        """End it once it is idle."""
        with self._one_at_a_time:
            self.__exit__(None, None, None)

    def invoke(self, payload: object) -> Any:
        """Invoke the function; return what it returns, raise FunctionError for what it raises."""
        content = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        with self._one_at_a_time:
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=2 * self._seconds)
            with contextlib.closing(connection):
                connection.request("POST", INVOKE_PATH, content)
                answer = json.loads(connection.getresponse().read())
        # The emulator answers 200 to either; these two fields together are the runtime's, not a function's.
        if isinstance(answer, dict) and {"errorMessage", "errorType"} <= set(answer):
            raise FunctionError(answer["errorType"], answer["errorMessage"], answer.get("stackTrace", []))
        return answer

    @property
    def log(self) -> str:
        """Everything that the environment has written so far."""
        if self._log.closed:
            return self._said
        size = os.fstat(self._log.fileno()).st_size
        return os.pread(self._log.fileno(), size, 0).decode(errors="replace")

    def _wait_until_it_listens(self) -> None:
        give_up = time.monotonic() + START_SECONDS
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._port), timeout=1):
                return
            assert self._process is not None
            if self._process.poll() is not None or time.monotonic() > give_up:
                raise RuntimeError(f"The runtime interface emulator did not start:\n{self.log}")
            time.sleep(0.02)


def emulator_in(sam_site_packages: Path) -> Path:
    """Return the emulator for this machine that SAM CLI ships."""
    return sam_site_packages / "samcli" / "local" / "rapid" / f"aws-lambda-rie-{LAMBDA_MACHINE[platform.machine().lower()]}"


def _free_ports(count: int) -> list[int]:
    """Return ports that were free a moment ago; all are held until the last is known, so that they differ."""
    with contextlib.ExitStack() as stack:
        listeners: list[socket.socket] = []
        while len(listeners) < count:
            try:
                listeners.append(stack.enter_context(socket.create_server(("127.0.0.1", secrets.choice(PORTS)))))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
        return [listener.getsockname()[1] for listener in listeners]


def _die_with_parent() -> None:
    """Have the kernel end the emulator if this process is killed; on other systems than Linux do without."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
