"""The artifact that `sam build` makes, for this machine; and what it takes to run it here.

Owns calling SAM CLI and finding an interpreter. Does not start anything (see `runtime`).
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from local_stack.runtime import LAMBDA_MACHINE, Code, emulator_in

ROOT = Path(__file__).parents[2]
UV = Path(sys.executable).parent / "uv"
SAM_ENVIRONMENT = ROOT / ".venv-sam"
RUNTIME_REQUIREMENTS = ROOT / "requirements" / "runtime.txt"

LAMBDA_PYTHON = "3.13"
"""The template's Runtime."""

LAYERS = ("DependenciesLayer", "BrokerLayer")
CALLER_LAYERS = ("DependenciesLayer", "ClientLayer")

Say = Callable[[str], None]


class BuildFailed(Exception):
    """A build step failed; the text is what it printed."""


class Build:
    """A built tree and an interpreter for it."""

    def __init__(self, folder: Path, python: Path, runtime_client: Path) -> None:
        self._folder = folder
        self._python = python
        self._runtime_client = runtime_client

    def code(self, function: str) -> Code:
        """Return what it takes to run the function of that logical id."""
        return self._code(self._folder / function, LAYERS)

    def caller(self, folder: Path) -> Code:
        """Return what it takes to run a caller's function that uses the client's layer, and requests and boto3."""
        return self._code(folder, CALLER_LAYERS)

    def _code(self, function: Path, layers: tuple[str, ...]) -> Code:
        (site_packages,) = SAM_ENVIRONMENT.glob("lib/python*/site-packages")
        folders = tuple(self._folder / layer / "python" for layer in layers)
        return Code(function, folders, self._python, self._runtime_client, emulator_in(site_packages))


def build(say: Say, built: Path | None = None) -> Build:
    """Run `sam build` for this machine, or take the tree `built` as it is; in a folder beside what is to be deployed."""
    version, python = _interpreter(say)
    folder = built.resolve() if built else ROOT / ".aws-sam" / f"local-{version}"
    if built is None:
        say(f"Building with `sam build` for Python {version} on {platform.machine()} (the first time takes longer) ...")
        architecture = LAMBDA_MACHINE[platform.machine().lower()]
        _run(
            str(SAM_ENVIRONMENT / "bin" / "sam"),
            "build",
            "--build-dir",
            str(folder),
            "--parameter-overrides",
            f"Architecture={architecture}",
            ARCH=architecture,
            RUNTIME_PYTHON=version,
            SAM_CLI_TELEMETRY="0",
            AWS_DEFAULT_REGION="eu-central-1",  # SAM looks for one, even where it asks AWS nothing
        )
    runtime_client = ROOT / ".build" / f"runtime-{version}"
    _run(
        str(UV), "pip", "install", "--quiet", "--require-hashes", "--only-binary", ":all:", "--python-version", version,
        "--target", str(runtime_client), "-r", str(RUNTIME_REQUIREMENTS),
    )  # fmt: skip
    return Build(folder, python, runtime_client)


def _interpreter(say: Say) -> tuple[str, Path]:
    """Find Lambda's Python; where there is none take the one that runs this, and say so."""
    found = subprocess.run(  # noqa: S603  our own command line
        [str(UV), "python", "find", "--no-python-downloads", "--no-project", LAMBDA_PYTHON],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if found.returncode == 0:
        return LAMBDA_PYTHON, Path(found.stdout.strip())
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    say(f"No Python {LAMBDA_PYTHON} on this machine: building for and running on Python {version} instead.")
    return version, Path(sys.executable)


def _run(*command: str, **environment: str) -> None:
    done = subprocess.run(  # noqa: S603  our own command line
        command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise BuildFailed(f"{' '.join(command[:2])} failed:\n{done.stdout}{done.stderr}")
