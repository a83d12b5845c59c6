"""The emergency stop: drilled in the real runtime, and each of its steps failing, with Salesforce beside it."""

from __future__ import annotations

import io
import itertools
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any, Literal, cast

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from local_salesforce import DEFAULT_CONSUMER_KEY, DEFAULT_USERNAME
from local_stack import demo
from local_stack.stack import TOKEN_CACHE_PREFIX, TOKEN_FUNCTIONS, LocalStack
from salesforce_broker import config, observability
from salesforce_broker.clock import Clock
from salesforce_broker.errors import BrokerError, EmergencyIncomplete, InvalidRequest
from salesforce_broker.operations import bootstrap as operations_bootstrap
from salesforce_broker.operations.config import EmergencySettings
from salesforce_broker.operations.emergency.generation import CacheGeneration
from salesforce_broker.operations.emergency.lambda_functions import LambdaFunctions
from salesforce_broker.operations.emergency.workflow import MAX_REQUEST_SECONDS, EmergencyStop
from salesforce_broker.operations.model import Emergency
from salesforce_broker.operations.request import EmergencyAction, EmergencyRequest
from tests.integration.conftest import OTHER_USERNAME, PREFIX, Account
from tests.integration.test_runtime import curl
from tests.support import keys
from tests.support.clocks import ManualClock
from tests.support.events import Context, event_file
from tests.support.fakes import FakeLambda, client_error

API, INVOKE = TOKEN_FUNCTIONS
FOR_EVER = itertools.repeat


def test_the_drill(stack: LocalStack) -> None:
    """Both functions hand out a token and remember it; then none does, none is left, none works; then both do again."""
    url = stack.gateway().url
    handler = boto3.client(
        "lambda",
        endpoint_url=stack.lambda_api().url,
        region_name="eu-central-1",
        aws_access_key_id="local",
        aws_secret_access_key="local",
        config=Config(retries={"total_max_attempts": 1}),
    )

    def over_https() -> tuple[int, dict[str, Any]]:
        return curl(f"{url}/token", method="POST")

    def by_invoke() -> dict[str, Any]:
        answer: dict[str, Any] = json.load(handler.invoke(FunctionName=INVOKE, Qualifier="live", Payload=b"{}")["Payload"])
        return answer

    _, first = over_https()
    assert ("salesforce", "shared") == (first["source"], by_invoke()["source"])
    assert ("memory", "memory") == (over_https()[1]["source"], by_invoke()["source"])
    operator = stack.emergency_stop()

    with ThreadPoolExecutor(1) as one:
        stop = one.submit(operator.invoke, event_file("emergency-stop"))
        refused: ClientError | None = None
        while not stop.done() and refused is None:
            time.sleep(0.05)
            try:
                by_invoke()
            except ClientError as error:
                refused = error
        assert (500, {"message": "Internal server error"}) == over_https()
        assert not stop.done(), "the functions were stopped last"
        assert refused is not None
        assert "TooManyRequestsException" == refused.response["Error"]["Code"]
        assert "ReservedFunctionConcurrentInvocationLimitExceeded" == cast("Any", refused.response)["Reason"]
        stopped = stop.result()

    assert {API: "stopped", INVOKE: "stopped"} == stopped["functions"]
    assert {API: "2", INVOKE: "2"} == stopped["versions"]
    assert first["fingerprint"] in stopped["revoked"][DEFAULT_USERNAME]
    assert {} == stopped["refused"]
    assert stopped["shared_deleted"] >= 1
    assert stack.salesforce.sessions.find(first["access_token"]) is None
    assert [] == stack.aws.client("ssm").get_parameters_by_path(Path=TOKEN_CACHE_PREFIX)["Parameters"]
    assert {"action": "status", "functions": stopped["functions"], "shared": 0} == operator.invoke({"action": "status"})
    assert 500 == over_https()[0]

    assert {"action": "resume", "functions": {API: "running", INVOKE: "running"}} == operator.invoke({"action": "resume"})
    _, second = over_https()
    assert ("salesforce", "shared") == (second["source"], by_invoke()["source"])
    assert second["access_token"] != first["access_token"]
    assert stack.salesforce.sessions.find(second["access_token"])
    assert '"emergency stop"' in stack.logs
    assert demo.leaks(stack, tokens=[first["access_token"], second["access_token"]])


class Operator:
    """Who stops an account whose functions are functions that never run; time passes by itself while the stop waits."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.lambda_ = FakeLambda(*TOKEN_FUNCTIONS)
        self.time = ManualClock()
        self.meanwhile: Callable[[], object] = lambda: None

    def do(self, action: str, *, seconds: float = 900, revoke: bool = False, **changes: Any) -> Emergency:
        """Act, with changed settings."""
        settings = EmergencySettings(
            **{
                "functions": TOKEN_FUNCTIONS,
                "signing_key_secret_arn": self.account.secret_arn,
                "reserved_concurrency": None,
                "provisioned_concurrency": 0,
                "token_cache_prefix": PREFIX,
            }
            | changes
        )
        clock = Clock(wall=self.account.salesforce.clock.now, monotonic=lambda: self.time.monotonic, sleep=self._sleep)
        stop = EmergencyStop(
            settings,
            functions=LambdaFunctions(cast("Any", self.lambda_), settings),
            generation=CacheGeneration(boto3.client("secretsmanager"), settings.signing_key_secret_arn),
            parameters=boto3.client("ssm"),
            revocation=lambda: operations_bootstrap._revocation(config.load(), clock),  # noqa: SLF001  built as it is deployed
            clock=clock,
        )
        return stop.answer(EmergencyRequest(EmergencyAction(action), seconds, revoke))

    def left_of(self, action: str, **fields: Any) -> str:
        """Act, where something fails; return the error's description."""
        with pytest.raises(EmergencyIncomplete) as caught:
            self.do(action, **fields)
        assert caught.value.retryable
        assert f"'{action}'" in caught.value.hint
        return caught.value.description

    def _sleep(self, seconds: float) -> None:
        self.time.sleep(seconds)
        self.account.salesforce.clock.advance(seconds)
        if seconds > MAX_REQUEST_SECONDS / 2:
            self.meanwhile()

    @property
    def stopped(self) -> dict[str, bool]:
        """Tell of each function whether Lambda refuses to invoke it."""
        return {name: function.reserved == 0 for name, function in self.lambda_.functions.items()}

    @property
    def live(self) -> dict[str, str]:
        """Tell to which version each alias leads."""
        return {name: function.version("live") for name, function in self.lambda_.functions.items()}

    @property
    def shared(self) -> list[str]:
        """Return the names of what is shared."""
        found = self.account.parameters.get_parameters_by_path(Path=PREFIX)["Parameters"]
        return [parameter["Name"] for parameter in found]


@pytest.fixture
def operator(account: Account) -> Operator:
    """Return who can stop a fresh account, of two users."""
    account.set(ALLOWED_SUBJECTS=OTHER_USERNAME)
    return Operator(account)


@pytest.fixture
def aws_fails(account: Account) -> Iterator[Callable[[str, str], None]]:
    """Return a function that has an operation of AWS (service.Operation) fail from now on, by an error code."""
    del account
    events = boto3._get_default_session().events  # noqa: SLF001  clients copy its hooks
    registered: list[tuple[str, Callable[..., None]]] = []

    def fail(operation: str, code: str) -> None:
        def hook(**_: object) -> None:
            raise client_error(code)

        registered.append((f"before-call.{operation}", hook))
        events.register(*registered[-1])

    yield fail
    for name, hook in registered:
        events.unregister(name, hook)


def token(account: Account, subject: str = DEFAULT_USERNAME, *, handler: ModuleType | None = None) -> str:
    """Have a token handed out, and return it."""
    return str(account.invoke({"sub": subject}, handler=handler)["access_token"])


def lives(account: Account, value: str) -> bool:
    """Tell whether Salesforce knows a token."""
    return account.salesforce.sessions.find(value) is not None


def test_a_stop_without_revocation_leaves_sessions_alone(operator: Operator) -> None:
    """It asks Salesforce nothing, and reads no key: everything else is done."""
    first = token(operator.account)
    before = operator.account.salesforce.exchanges()
    ended = operator.do("stop")
    assert {API: True, INVOKE: True} == ended.stopped == operator.stopped
    assert ({API: "2", INVOKE: "2"}, [], 1) == (operator.live, operator.shared, ended.shared)
    assert ({}, {}) == (ended.revoked, ended.refused)
    assert lives(operator.account, first)
    assert before == operator.account.salesforce.exchanges()


def test_all_that_is_shared_is_deleted(operator: Operator) -> None:
    """More than one page and one batch; and nothing beside the prefix."""
    for number in range(23):
        operator.account.parameters.put_parameter(Name=f"{PREFIX}/{number}", Value="x", Type="String")
    operator.account.parameters.put_parameter(Name="/broker/certificate", Value="x", Type="String")
    assert 23 == operator.do("status").shared
    assert 23 == operator.do("stop").shared
    assert [] == operator.shared
    assert operator.account.parameters.get_parameter(Name="/broker/certificate")


def test_where_nothing_is_shared_nothing_is_looked_for(operator: Operator, aws_fails: Callable[[str, str], None]) -> None:
    """An empty prefix."""
    aws_fails("ssm.*", "AccessDeniedException")
    operator.account.set(TOKEN_CACHE_PREFIX=None)
    assert 0 == operator.do("stop", revoke=True, token_cache_prefix="").shared


def test_every_subject_of_the_settings_is_revoked(operator: Operator) -> None:
    """The default one, those for all and those for single callers; also what lies in memory alone."""
    granted = "admin@acme.example"
    role = "arn:aws:iam::123456789012:role/orders"
    operator.account.set(ALLOWED_SUBJECTS=OTHER_USERNAME, SUBJECT_GRANTS=json.dumps({role: [granted, OTHER_USERNAME]}))
    shared = token(operator.account)
    operator.account.set(TOKEN_CACHE_PREFIX=None)
    in_memory = token(operator.account, OTHER_USERNAME)
    operator.account.set(TOKEN_CACHE_PREFIX=PREFIX)
    ended = operator.do("stop", revoke=True)
    assert {DEFAULT_USERNAME, OTHER_USERNAME, granted} == set(ended.revoked)
    assert not lives(operator.account, shared)
    assert not lives(operator.account, in_memory)
    assert not operator.account.salesforce.sessions.end()


def test_what_was_under_way_is_swept_too(operator: Operator) -> None:
    """A request that had begun logs in after the first sweep, and shares its token: that is gone as well."""
    first = token(operator.account)
    later: list[str] = []
    operator.meanwhile = lambda: later.append(token(operator.account))
    ended = operator.do("stop", revoke=True)
    assert 1 == len(later)
    assert first != later[0]
    assert not lives(operator.account, later[0])
    assert ([], 2) == (operator.shared, ended.shared)


def test_the_second_sweep_is_when_nothing_can_be_under_way(operator: Operator) -> None:
    """The functions' time-out after they were stopped, and no later."""
    swept: list[float] = []

    def note(**_: object) -> None:
        swept.append(operator.time.monotonic)

    events = boto3._get_default_session().events  # noqa: SLF001
    events.register("before-call.ssm.GetParametersByPath", note)
    try:
        operator.do("stop")
    finally:
        events.unregister("before-call.ssm.GetParametersByPath", note)
    assert MAX_REQUEST_SECONDS == swept[1] - swept[0]


def test_what_was_shared_before_a_stop_is_void_after_it(operator: Operator) -> None:
    """A copy of a parameter that is put back: before the stop it is served, after the stop it is not, whatever its version."""
    account = operator.account
    copies: dict[str, str] = {}

    def copy() -> None:
        for name in operator.shared:
            copies[name] = account.parameters.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"]

    def put_back() -> dict[str, Any]:
        for name, value in copies.items():
            account.parameters.put_parameter(Name=name, Value=value, Type="SecureString", Overwrite=True)
        return account.invoke({})

    def share_meanwhile() -> None:
        token(account)
        copy()

    first = token(account)
    copy()
    assert ("shared", first) == (put_back()["source"], put_back()["access_token"])
    # Cold, after the stop has begun: it may still share until nothing can be under way.
    operator.meanwhile = share_meanwhile
    operator.do("stop")
    operator.do("resume")
    assert "salesforce" == put_back()["source"]


def test_a_second_stop_begins_another_generation(operator: Operator) -> None:
    """One label for each version in use, the latest; the labels of Secrets Manager stay where they were."""
    account = operator.account
    account.put_secret(keys.secret("next", client_id=DEFAULT_CONSUMER_KEY))
    before = stages(account)
    operator.do("stop")
    first = stages(account)
    operator.do("stop")
    second = stages(account)
    assert 2 == len(before)
    for version_id, found in before.items():
        (one,), (other,) = ({*labels[version_id]} - found for labels in (first, second))
        assert f"-{version_id}" == one[-37:] == other[-37:]
        assert one < other
        assert found <= first[version_id]
        assert found <= second[version_id]


def test_a_secret_that_cannot_be_labelled_is_reported_and_nothing_else_waits(
    operator: Operator, aws_fails: Callable[[str, str], None]
) -> None:
    """Everything else is done; the same action again does what is left."""
    aws_fails("secrets-manager.UpdateSecretVersionStage", "AccessDeniedException")
    left = operator.left_of("stop")
    assert "Not done of 'stop': begin a new generation of the shared cache: AccessDeniedException." == left
    assert {API: True, INVOKE: True} == operator.stopped
    assert [] == operator.shared


def stages(account: Account) -> dict[str, set[str]]:
    """Return the labels of each version of the secret."""
    found = account.secrets.describe_secret(SecretId=account.secret_arn)["VersionIdsToStages"]
    return {version_id: set(labels) for version_id, labels in found.items()}


@pytest.mark.parametrize("state", ["frozen", "inactive"])
def test_a_subject_who_cannot_log_in_is_reported_and_no_failure(
    operator: Operator, state: Literal["frozen", "inactive"]
) -> None:
    """What is shared of its tokens is revoked all the same, and so is everybody else's."""
    shared, other = token(operator.account), token(operator.account, OTHER_USERNAME)
    operator.account.salesforce.user(DEFAULT_USERNAME).state = state
    ended = operator.do("stop", revoke=True)
    assert {DEFAULT_USERNAME: "salesforce_user"} == ended.refused
    assert {DEFAULT_USERNAME, OTHER_USERNAME} <= set(ended.revoked)
    assert not lives(operator.account, shared)
    assert not lives(operator.account, other)


FUNCTION_STEPS = [
    ("delete_provisioned_concurrency_config", "delete provisioned concurrency of"),
    ("put_function_concurrency", "stop"),
    ("get_function_configuration", "touch"),
    ("update_function_configuration", "touch"),
    ("publish_version", "publish"),
    ("update_alias", "update the alias of"),
]


@pytest.mark.parametrize(("operation", "step"), FUNCTION_STEPS)
@pytest.mark.parametrize("handler", TOKEN_FUNCTIONS)
def test_a_step_that_fails_for_one_function_keeps_no_other_from_being_done(
    operator: Operator, operation: str, step: str, handler: str
) -> None:
    """The other handler, what is shared, the sessions; the operator hears what is left, and of nothing else."""
    first = token(operator.account)
    operator.lambda_.fails[operation, handler] = FOR_EVER("AccessDeniedException")
    left = operator.left_of("stop", revoke=True)
    assert f"Not done of 'stop': {step} {handler}: AccessDeniedException." == left
    (other,) = set(TOKEN_FUNCTIONS) - {handler}
    assert operator.stopped == {other: True, handler: operation != "put_function_concurrency"}
    renewed = operation in {"delete_provisioned_concurrency_config", "put_function_concurrency"}
    assert operator.live == {other: "2", handler: "2" if renewed else "1"}
    assert [] == operator.shared
    assert not lives(operator.account, first)


def test_a_step_that_failed_is_done_by_the_same_action_again(operator: Operator) -> None:
    """Whatever was done before is done once more, and harms nothing."""
    operator.lambda_.fails["put_function_concurrency", API] = iter(["AccessDeniedException"])
    assert f"stop {API}" in operator.left_of("stop", revoke=True)
    assert {API: True, INVOKE: True} == operator.do("stop", revoke=True).stopped
    assert {API: True, INVOKE: True} == operator.do("stop", revoke=True).stopped
    assert {API: "4", INVOKE: "4"} == operator.live
    assert {API: False, INVOKE: False} == operator.do("resume").stopped == operator.stopped


@pytest.mark.parametrize(("operation", "step"), FUNCTION_STEPS)
def test_what_lambda_is_busy_with_is_tried_again(operator: Operator, operation: str, step: str) -> None:
    """A deployment is under way, or the API is asked too often: for seconds, then it is left."""
    operator.lambda_.fails[operation, API] = iter(["ResourceConflictException", "TooManyRequestsException"])
    assert {API: "2", INVOKE: "2"} == operator.do("stop").versions
    operator.lambda_.fails[operation, API] = FOR_EVER("ResourceConflictException")
    assert f"Not done of 'stop': {step} {API}: ResourceConflictException." == operator.left_of("stop")


def test_environments_that_are_kept_warm_are_given_up_and_restored(operator: Operator) -> None:
    """Lambda would refuse to stop a function that has some; the end of the stop brings back what the template says."""
    for function in operator.lambda_.functions.values():
        function.reserve(50)
        function.provision("live", 2)
    operator.do("stop")
    assert [(0, 0), (0, 0)] == [(each.reserved, each.provisioned) for each in operator.lambda_.functions.values()]
    operator.do("resume", reserved_concurrency=50, provisioned_concurrency=2)
    assert [(50, 2), (50, 2)] == [(each.reserved, each.provisioned) for each in operator.lambda_.functions.values()]


def test_a_function_whose_provisioned_environments_are_still_counted_is_stopped_soon(operator: Operator) -> None:
    """Lambda says that the number is invalid until it has let them go."""
    operator.lambda_.fails["put_function_concurrency", API] = iter(["InvalidParameterValueException"] * 3)
    assert operator.do("stop").stopped[API]


def test_a_snapshot_is_waited_for(operator: Operator) -> None:
    """Minutes, with SnapStart; the sweep comes after it."""
    operator.lambda_.states = ["Pending"] * 300
    assert {API: "2", INVOKE: "2"} == operator.do("stop").versions
    operator.lambda_.states = ["Pending"] * 10_000
    left = operator.left_of("stop")
    assert f"Not done of 'stop': update the alias of {API}: NotReady; update the alias of {INVOKE}: NotReady." == left
    operator.lambda_.states = ["Failed"]
    assert f"Not done of 'stop': update the alias of {API}: Failed." == operator.left_of("stop")


@pytest.mark.parametrize(
    ("operation", "step"),
    [("ssm.GetParametersByPath", "delete the shared tokens"), ("ssm.DeleteParameters", "delete the shared tokens")],
)
def test_shared_copies_that_cannot_be_deleted_are_reported(
    operator: Operator, aws_fails: Callable[[str, str], None], operation: str, step: str
) -> None:
    """The functions are stopped and renewed, and the token is revoked."""
    first = token(operator.account)
    aws_fails(operation, "AccessDeniedException")
    assert f"Not done of 'stop': {step}: AccessDeniedException." == operator.left_of("stop", revoke=True)
    assert ({API: True, INVOKE: True}, {API: "2", INVOKE: "2"}) == (operator.stopped, operator.live)
    assert not lives(operator.account, first)


def test_shared_copies_that_cannot_be_read_are_reported(operator: Operator, aws_fails: Callable[[str, str], None]) -> None:
    """They are deleted all the same; the login finds the token."""
    first = token(operator.account)
    aws_fails("ssm.GetParameters", "AccessDeniedException")
    assert "decrypt the shared tokens" in operator.left_of("stop", revoke=True)
    assert [] == operator.shared
    assert not lives(operator.account, first)


def test_without_the_key_everything_else_is_done(operator: Operator, aws_fails: Callable[[str, str], None]) -> None:
    """Nothing can be revoked, and the answer names the users."""
    token(operator.account)
    aws_fails("secretsmanager.GetSecretValue", "AccessDeniedException")
    left = operator.left_of("stop", revoke=True)
    for step in (
        "decrypt the shared tokens",
        f"revoke the tokens of {DEFAULT_USERNAME}",
        f"revoke the tokens of {OTHER_USERNAME}",
    ):
        assert f"{step}: signing_key_unavailable" in left
    assert ([], {API: True, INVOKE: True}) == (operator.shared, operator.stopped)
    assert {API: "2", INVOKE: "2"} == operator.live


def test_settings_that_make_no_sense_prevent_no_stop(operator: Operator) -> None:
    """The functions may run with older ones; only the revocation needs them."""
    operator.account.set(SUBJECT_GRANTS="{}}")
    left = operator.left_of("stop", revoke=True)
    assert "prepare the revocation: broker_misconfigured, SUBJECT_GRANTS" in left
    assert ({API: True, INVOKE: True}, {API: "2", INVOKE: "2"}) == (operator.stopped, operator.live)


def test_a_salesforce_that_is_down_is_reported(operator: Operator) -> None:
    """By subject; once it is back the same action revokes."""
    first = token(operator.account)
    operator.account.salesforce.faults.order("empty_500", times=None)
    left = operator.left_of("stop", revoke=True)
    assert f"revoke the tokens of {DEFAULT_USERNAME}: salesforce_busy" in left
    assert f"revoke the tokens of {OTHER_USERNAME}: salesforce_busy" in left
    assert not lives(operator.account, first), "the shared copy was revoked: only logins fail"
    assert {API: "2", INVOKE: "2"} == operator.live


def test_a_revocation_that_failed_is_made_good_by_the_second_sweep(operator: Operator) -> None:
    """Nothing is left then, though the shared copy is gone by that time."""
    operator.account.salesforce.world.switches.optional_answer_fields = True
    first = token(operator.account)
    operator.account.salesforce.user(DEFAULT_USERNAME).state = "frozen"
    operator.account.salesforce.faults.order("empty_500", path="/services/oauth2/revoke", times=1)
    ended = operator.do("stop", revoke=True)
    assert 1 == len(ended.revoked[DEFAULT_USERNAME])
    assert not lives(operator.account, first)


def test_a_shared_copy_under_another_version_of_the_key_is_opened(operator: Operator) -> None:
    """While the key is being changed; nobody could log in to find the token otherwise."""
    first = token(operator.account)
    operator.account.put_secret(keys.secret("other", client_id=DEFAULT_CONSUMER_KEY))
    operator.account.salesforce.user(DEFAULT_USERNAME).state = "frozen"
    operator.do("stop", revoke=True)
    assert not lives(operator.account, first)


def test_a_stop_without_time_left_says_so(operator: Operator) -> None:
    """The functions are stopped first of all."""
    token(operator.account)
    assert "delete the shared tokens again: no time was left" in operator.left_of("stop", seconds=10)
    assert ({API: True, INVOKE: True}, []) == (operator.stopped, operator.shared)


def test_a_stop_that_cannot_be_written_down_is_a_stop(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is reported; the end of a stop is not done."""
    monkeypatch.setattr(observability, "audit", broken_stream)
    assert "Not done of 'stop': write the audit line: OSError." == operator.left_of("stop")
    with pytest.raises(OSError, match="No space"):
        operator.do("resume")
    assert {API: True, INVOKE: True} == operator.stopped


def broken_stream(*_: object, **__: object) -> None:
    """Fail as a stream does."""
    raise OSError("No space left")


@pytest.mark.parametrize(
    ("operation", "step"),
    [("delete_function_concurrency", "start"), ("put_provisioned_concurrency_config", "restore provisioned concurrency of")],
)
def test_a_function_that_cannot_be_started_is_named(operator: Operator, operation: str, step: str) -> None:
    """The other one is."""
    operator.do("stop")
    operator.lambda_.fails[operation, API] = FOR_EVER("AccessDeniedException")
    left = operator.left_of("resume", provisioned_concurrency=2)
    assert f"Not done of 'resume': {step} {API}: AccessDeniedException." == left
    assert not operator.stopped[INVOKE]
    assert 2 == operator.lambda_.functions[INVOKE].provisioned
    assert operator.stopped[API] == (step == "start")


def test_status_is_reported_or_its_failure_named(operator: Operator, aws_fails: Callable[[str, str], None]) -> None:
    """Each handler by itself."""
    token(operator.account)
    operator.lambda_.functions[API].reserve(0)
    ended = operator.do("status")
    assert ({API: True, INVOKE: False}, 1) == (ended.stopped, ended.shared)
    operator.lambda_.fails["get_function_concurrency", API] = FOR_EVER("AccessDeniedException")
    aws_fails("ssm.GetParametersByPath", "ThrottlingException")
    left = operator.left_of("status")
    assert (
        f"Not done of 'status': look at {API}: AccessDeniedException; look at the shared tokens: ThrottlingException." == left
    )


def test_actions_leave_a_line_and_no_secret(operator: Operator, log: io.StringIO) -> None:
    """Who looks for a stop finds it, with its kind; tokens by their fingerprints."""
    first = token(operator.account)
    ended = operator.do("stop", revoke=True)
    operator.do("resume")
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    (stop,) = [line for line in lines if line["message"] == "emergency stop"]
    assert ("operator", True) == (stop["entry_point"], stop["revoke"])
    assert [line for line in lines if line["message"] == "emergency over"]
    revoked = {line["fingerprint"] for line in lines if line["message"] == "token revoked"}
    assert revoked == {fingerprint for fingerprints in ended.revoked.values() for fingerprint in fingerprints}
    assert "step failed" not in {line["message"] for line in lines}
    assert first not in log.getvalue() + repr(ended)


@pytest.mark.parametrize(
    "payload",
    [
        None,
        [],
        {},
        {"action": "halt"},
        {"action": ["stop"]},
        {"action": "stop", "revoke": "yes"},
        {"action": "stop", "revoke": 1},
        {"action": "stop", "revoke": None},
        {"action": "stop", "colour": "red"},
        {"action": "resume", "revoke": True},
        {"action": "status", "revoke": False},
    ],
)
def test_an_operators_mistake_stops_nothing(account: Account, payload: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is named."""
    monkeypatch.setattr(operations_bootstrap, "emergency_stop", lambda: pytest.fail("something was done"))
    with pytest.raises(InvalidRequest):
        account.open("emergency_stop").lambda_handler(payload, Context())


def test_a_defect_shows_nothing(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last resort, as at the other functions."""
    monkeypatch.setattr(operations_bootstrap, "emergency_stop", broken_stream)
    with pytest.raises(BrokerError) as caught:
        account.open("emergency_stop").lambda_handler({"action": "status"}, Context())
    assert "internal_error" == json.loads(str(caught.value))["error"]
    assert "No space" not in str(caught.value)
