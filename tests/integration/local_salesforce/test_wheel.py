"""The local Salesforce as others install it: a wheel in an environment of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
import requests

ROOT = Path(__file__).parents[3]
PACKAGE = ROOT / "tools" / "local_salesforce"
MAX_SECONDS = 120
NOT_LOADED = ("cacheprovider", "schemathesis", "hypothesispytest", "anyio")

TEST = """
import time

import jwt
import requests

from local_salesforce import DEFAULT_CONSUMER_KEY, DEFAULT_USERNAME


def test_login(local_salesforce, salesforce_key):
    claims = {"iss": DEFAULT_CONSUMER_KEY, "sub": DEFAULT_USERNAME, "aud": local_salesforce.url, "exp": time.time() + 120}
    assertion = jwt.encode(claims, salesforce_key.private_key, "RS256")
    form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": assertion}
    assert requests.post(local_salesforce.url + "/services/oauth2/token", data=form, timeout=10).ok
"""


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command without the checkout on the path; return its output."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    ended = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=MAX_SECONDS,
    )
    assert 0 == ended.returncode, ended.stdout
    return ended.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel, without a network: hatchling is one of the project's tools."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--no-build-isolation", "--no-deps"]
    run(*command, "--no-index", "--wheel-dir", folder, PACKAGE, cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def environment(wheel: Path) -> Path:
    """Install the wheel into a new environment, which finds its dependencies among the project's tools."""
    folder = wheel.parent / "environment"
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=wheel.parent)
    python = folder / "bin" / "python"
    site_packages = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip())
    (site_packages / "tools.pth").write_text(sysconfig.get_path("purelib"))
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python)
    run(*pip, "install", "--no-deps", "--no-index", wheel, cwd=folder)
    return folder


def test_the_wheel_has_every_module(wheel: Path) -> None:
    """Below local_salesforce, and nothing else but the metadata."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    modules = {f"local_salesforce/{path.relative_to(PACKAGE).as_posix()}" for path in PACKAGE.rglob("*.py")}
    assert modules | {"local_salesforce/py.typed"} == names


def test_its_console_script_serves(environment: Path) -> None:
    """`local-salesforce` prints the address of the first org and answers there."""
    command = [str(environment / "bin" / "local-salesforce"), "--port", "0"]
    with subprocess.Popen(command, cwd=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            name, url = process.stdout.readline().split()
            versions = requests.get(f"{url}/services/data", timeout=30)
            process.send_signal(signal.SIGTERM)
            ended = process.wait(30)
        finally:
            process.kill()
    assert "acme" == name
    assert versions.ok
    assert 130 == ended


@pytest.mark.parametrize(
    "conftest", ["", 'pytest_plugins = ["local_salesforce.pytest_plugin"]'], ids=["installed", "named too"]
)
def test_its_pytest_plugin_needs_no_set_up(environment: Path, tmp_path: Path, conftest: str) -> None:
    """A test has the fixtures because the package is installed; to name the plugin does no harm."""
    (tmp_path / "conftest.py").write_text(conftest)
    (tmp_path / "test_client.py").write_text(TEST)
    # Other plugins among the tools take seconds to load.
    words = ("-m", "pytest", "-q", *(word for name in NOT_LOADED for word in ("-p", f"no:{name}")))
    assert "1 passed" in run(environment / "bin" / "python", *words, cwd=tmp_path)
