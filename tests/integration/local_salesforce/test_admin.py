"""What is not Salesforce's: the admin endpoint, worlds in files, TLS, the command, the pytest plugin."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
import requests

from local_salesforce import (
    DEFAULT_CONSUMER_KEY,
    DEFAULT_USERNAME,
    KeyMaterial,
    LocalSalesforce,
    Switches,
    World,
    key_material,
)
from local_salesforce.faults import KINDS
from tests.integration.local_salesforce.conftest import Desk

ROOT = Path(__file__).parents[3]
WORLD = """
orgs:
  - {name: shop, id: 00D000000000007, my_domain: "https://shop.my.salesforce.com", session_minutes: 15}
profiles:
  - {name: Salesforce Integration, login_ranges: [127.0.0.0/8]}
apps:
  - consumer_key: 3MVG9.shop
    org: shop
    kind: connected_app
    permitted_users: self_authorize
    approved_by: [till@shop.example]
users:
  - {username: till@shop.example, id: "005000000000007", org: shop}
switches: {grace_after_exp: 0, polls_of_a_deployment: 3}
"""


def admin(desk: Desk, method: str, path: str, body: object = None) -> Any:
    """Call the admin endpoint."""
    return desk.session.request(method, f"{desk.salesforce.url}/__admin/{path}", json=body, timeout=30).json()


def test_it_tells_what_there_is(desk: Desk) -> None:
    """At its root, and instead of a 404."""
    assert desk.salesforce.urls == admin(desk, "GET", "")["sites"]
    assert "POST /__admin/clock" in admin(desk, "GET", "nothing")["resources"]
    assert DEFAULT_USERNAME in [user["username"] for user in admin(desk, "GET", "world")["users"]]


def test_it_changes_things_at_run_time(desk: Desk) -> None:
    """Users, apps, orgs, profiles, switches; a mistake changes nothing and is named."""
    assert "frozen" == admin(desk, "PATCH", f"users/{DEFAULT_USERNAME}", {"state": "frozen"})["state"]
    assert "inactive user" == desk.log_in().json()["error_description"]
    mistake = admin(desk, "PATCH", f"users/{DEFAULT_USERNAME}", {"state": "active", "colour": "red"})
    assert "colour" in json.dumps(mistake)
    assert "frozen" == desk.salesforce.user(DEFAULT_USERNAME).state
    admin(desk, "PATCH", f"users/{DEFAULT_USERNAME}", {"state": "active"})
    admin(desk, "PATCH", f"apps/{DEFAULT_CONSUMER_KEY}", {"scopes": "full", "token_padding": 1})
    admin(desk, "PATCH", "orgs/acme", {"session_minutes": 15})
    admin(desk, "PATCH", "profiles/Head%20Office", {"login_ranges": []})
    admin(desk, "PATCH", "switches", {"grace_after_exp": 0})
    assert ("full", 200) == (desk.log_in().json()["scope"], desk.log_in(sub="elsewhere@acme.example").status_code)
    assert "expired authorization code" == desk.log_in(exp=int(desk.salesforce.clock.now()) - 5).json()["error_description"]
    assert "there is no user 'nobody@acme.example'" == admin(desk, "PATCH", "users/nobody@acme.example", {})["error"]


def test_it_adds_things(desk: Desk) -> None:
    """A user, an app, a profile."""
    admin(desk, "POST", "profiles", {"name": "Minimum"})
    admin(desk, "POST", "users", {"username": "new@acme.example", "id": "005000000000099", "org": "acme", "profile": "Minimum"})
    app = {"consumer_key": "3MVG9.new", "org": "acme", "certificate": desk.key.certificate}
    admin(desk, "POST", "apps", app)
    assert desk.log_in(iss="3MVG9.new", sub="new@acme.example").ok


def test_it_replaces_a_certificate_by_way_of_its_propagation(desk: Desk) -> None:
    """As an upload in Setup does."""
    other = key_material.make()
    admin(desk, "PATCH", "switches", {"certificate_propagation": 600})
    admin(desk, "PATCH", f"apps/{DEFAULT_CONSUMER_KEY}", {"certificate": other.certificate})
    assert {200, 400} == {Desk(desk.salesforce, other).log_in().status_code for _ in range(20)}


def test_it_moves_the_clock_ends_sessions_and_tells_what_was_asked(desk: Desk) -> None:
    """Two hours in a millisecond."""
    token = desk.token()
    before = desk.salesforce.clock.now()
    assert 7200 <= admin(desk, "POST", "clock", {"advance": 7200})["now"] - before < 7300
    assert not desk.alive(token)
    token = desk.token()
    assert {"ended": 0} == admin(desk, "DELETE", "sessions?username=orders@acme.example")
    assert {"ended": 1} == admin(desk, "DELETE", f"sessions?username={DEFAULT_USERNAME}")
    assert not desk.alive(token)
    journal = admin(desk, "GET", "journal")
    login = {"site": "acme", "path": "/services/oauth2/token", "status": 200, "subject": DEFAULT_USERNAME}
    assert login.items() <= journal[0].items()
    assert token not in json.dumps(journal)
    admin(desk, "DELETE", "journal")
    assert [] == admin(desk, "GET", "journal")


def test_it_orders_faults(desk: Desk) -> None:
    """By kind, with any field; shows and clears them."""
    admin(desk, "POST", "faults", {"kind": "maintenance", "times": 5, "user": DEFAULT_USERNAME})
    assert 503 == desk.log_in().status_code
    assert [4] == [fault["times"] for fault in admin(desk, "GET", "faults")]
    admin(desk, "DELETE", "faults")
    assert desk.log_in().ok
    assert "earthquake" in admin(desk, "POST", "faults", {"kind": "earthquake"})["error"]


@pytest.mark.parametrize("form", ["yaml", "json"])
def test_a_world_comes_from_a_file(tmp_path: Path, form: str, salesforce_key: KeyMaterial) -> None:
    """YAML or JSON."""
    path = tmp_path / f"world.{form}"
    path.write_text(WORLD)
    if form == "json":
        path.write_text(World.load(path).model_dump_json())
    world = World.load(path)
    world.app("3MVG9.shop").certificate = salesforce_key.certificate
    with LocalSalesforce(world) as salesforce:
        desk = Desk(salesforce, salesforce_key)
        answer = desk.log_in(site="shop", iss="3MVG9.shop", sub="till@shop.example")
        assert ("00D000000000007", 200) == (answer.json()["access_token"][:15], answer.status_code)


@pytest.mark.parametrize(
    "mistake", ["session_minutes: 5", "colour: red", "sandbox: perhaps"], ids=["out of range", "unknown", "no boolean"]
)
def test_a_mistake_in_a_file_is_named(tmp_path: Path, mistake: str) -> None:
    """Rather than to be ignored."""
    path = tmp_path / "world.yaml"
    path.write_text(WORLD.replace("session_minutes: 15", mistake))
    with pytest.raises(ValueError, match=mistake.partition(":")[0]):
        World.load(path)


def test_it_speaks_tls_with_a_made_ca(tmp_path: Path, salesforce_key: KeyMaterial) -> None:
    """A client that trusts the CA logs in, another one does not; answers name https."""
    with LocalSalesforce(World.default(salesforce_key.certificate), tls=True) as salesforce:
        trusted = tmp_path / "ca.pem"
        trusted.write_bytes(salesforce.ca_pem)
        desk = Desk(salesforce, salesforce_key)
        with pytest.raises(requests.exceptions.SSLError):
            desk.log_in()
        desk.session.verify = str(trusted)
        answer = desk.log_in().json()
        assert salesforce.url == answer["instance_url"]
        assert answer["instance_url"].startswith("https://127.0.0.1:")
        assert desk.alive(answer["access_token"])


def test_answers_name_the_public_host(salesforce_key: KeyMaterial) -> None:
    """For clients in a container."""
    with LocalSalesforce(World.default(salesforce_key.certificate), public_host="host.docker.internal") as salesforce:
        assert salesforce.url.startswith("http://host.docker.internal:")


def test_the_command_serves_until_it_is_interrupted(tmp_path: Path, salesforce_key: KeyMaterial) -> None:
    """`python -m local_salesforce` prints the addresses, users and apps of the world."""
    (tmp_path / "world.yaml").write_text(WORLD)
    (tmp_path / "server.crt").write_text(salesforce_key.certificate)
    command = [sys.executable, "-m", "local_salesforce", "--port", "0"]
    command += ["--world", str(tmp_path / "world.yaml"), "--certificate", str(tmp_path / "server.crt")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "tools")}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            lines = []
            for line in process.stdout:
                lines.append(line.split())
                if line.startswith("admin"):
                    break
            app = requests.get(f"{lines[0][1]}/__admin/world", timeout=30).json()["apps"][0]
            process.send_signal(signal.SIGINT)
            ended = process.wait(30)
        finally:
            process.kill()
    sites = ["shop", "shop.lightning.force.com", "shop.my.salesforce-setup.com", "login", "test"]
    assert [*sites, "app", "user", "admin"] == [words[0] for words in lines]
    assert salesforce_key.certificate == app["certificate"]
    assert 130 == ended


@pytest.mark.parametrize(
    ("text", "reason"),
    [(WORLD.replace("session_minutes: 15", "colour: red"), "orgs.0.colour: "), (WORLD + "secret: [unclosed", "line ")],
    ids=["no world", "no YAML"],
)
def test_a_world_file_that_cannot_be_used_is_an_error(tmp_path: Path, text: str, reason: str) -> None:
    """Said in one line that names the file and the place, and does not quote it."""
    path = tmp_path / "world.yaml"
    path.write_text(text)
    command = [sys.executable, "-m", "local_salesforce", "--port", "0", "--world", str(path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "tools")}
    ended = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    (line,) = ended.stderr.splitlines()
    assert 1 == ended.returncode
    assert line.startswith(f"FAILED: {path}: {reason}")
    assert "red" not in line.partition(str(path))[2]
    assert "unclosed" not in line


def test_a_port_that_is_taken_is_an_error(tmp_path: Path, desk: Desk) -> None:
    """Said in one line."""
    port = desk.salesforce.url.rpartition(":")[2]
    command = [sys.executable, "-m", "local_salesforce", "--port", port]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "tools")}
    ended = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert (1, 1) == (ended.returncode, len(ended.stderr.splitlines()))


def test_it_stands_on_its_own() -> None:
    """It imports nothing of the local stack beside it, nor of the broker."""
    names = "import local_salesforce.__main__, local_salesforce.pytest_plugin, sys; print(*sys.modules)"
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'tools'}:{ROOT / 'layers' / 'broker'}"}
    ended = subprocess.run([sys.executable, "-c", names], env=environment, capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in ended.stdout.split()}
    assert "local_salesforce" in loaded
    assert {"local_stack", "salesforce_broker", "boto3", "moto", "werkzeug"}.isdisjoint(loaded)


GRADES = r"doc|code|issue|measured|2nd|\?"


def test_its_page_lists_every_switch_and_fault() -> None:
    """docs/local-salesforce.md, with each default and its grade of evidence."""
    page = (ROOT / "docs" / "local-salesforce.md").read_text()
    for name, default in Switches().model_dump().items():
        shown = json.dumps(default).strip('"').replace("null", "none")
        assert re.search(rf"\| `{name}` \| {re.escape(shown)} \| \[({GRADES})\] \|", page), name
    assert [] == [kind for kind in KINDS if f"`{kind}`" not in page]


def test_the_examples_of_its_page_work() -> None:
    """docs/local-salesforce.md: the test of a client, word for word, in a project of its own."""
    page = (ROOT / "docs" / "local-salesforce.md").read_text()
    examples = {found[1]: found[2] for found in re.finditer(r"```python\n# (\S+\.py)\n(.*?)```", page, re.DOTALL)}
    assert {"conftest.py", "test_my_client.py"} == set(examples)
    with tempfile.TemporaryDirectory() as folder:
        for name, text in examples.items():
            (Path(folder) / name).write_text(text)
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "tools"), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        ended = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    assert 0 == ended.returncode, ended.stdout
    assert "1 passed" in ended.stdout
