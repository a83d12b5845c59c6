"""A Broker that is made before a fork serves parent and children: as under gunicorn, celery, uWSGI and multiprocessing."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import pickle
import select
import signal
import sys
import threading
import time
import traceback
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import pytest

from salesforce_broker_client import Broker, fork
from salesforce_broker_client.transports.aws_session import AwsSession
from tests.support.broker_answers import NOW, answer
from tests.support.broker_endpoint import BrokerEndpoint, caller
from tests.support.threads import together

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork"),
    # What Python warns of is what is tested here.
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]

CHILDREN = 8
CALLS = 5
TRANSPORTS = pytest.mark.parametrize("transport", ["invoke", "https"])


def users(name: str) -> list[str]:
    """Return the users that a process asks for."""
    return [f"{name}-{number}@acme.example" for number in range(CALLS)]


def tokens(broker: Broker, name: str) -> list[str]:
    """Ask for the tokens of a process's own users."""
    return [broker.token(user, timeout=10).access_token for user in users(name)]


def expected(name: str) -> list[str]:
    """Return what `tokens` returns where nothing is mixed up."""
    return [f"00D!{user}" for user in users(name)]


def forked(work: Callable[[], object]) -> Callable[[], Any]:
    """Fork a child that does the work; return what waits for its end and returns its result, or raises its error."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            content = pickle.dumps(work())
        except BaseException:  # noqa: BLE001  told to the parent
            content = pickle.dumps(RuntimeError(traceback.format_exc()))
        os.write(writing, content)
        os._exit(0)
    os.close(writing)

    def wait() -> Any:
        if not select.select([reading], [], [], 60)[0]:
            os.kill(child, signal.SIGKILL)
        with os.fdopen(reading, "rb") as pipe:
            result = pickle.loads(pipe.read())  # noqa: S301  the child is this test
        os.waitpid(child, 0)
        if isinstance(result, RuntimeError):
            raise result
        return result

    return wait


@pytest.fixture
def endpoint() -> Iterator[BrokerEndpoint]:
    """Return a broker that takes a moment for each answer, so that calls of parent and children are under way at once."""

    def take_a_moment(_: object) -> bool:
        time.sleep(0.01)
        return False

    with BrokerEndpoint(take_a_moment) as found:
        yield found


@TRANSPORTS
def test_forked_children_get_their_own_tokens(
    transport: str, endpoint: BrokerEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By connections of their own, though the parent has kept one and uses it meanwhile; as gunicorn with --preload."""
    broker = caller(transport, endpoint.url, monkeypatch)
    broker.token()
    names = [f"child-{number}" for number in range(CHILDREN)]
    waiting = [forked(lambda name=name: tokens(broker, name)) for name in names]  # type: ignore[misc]
    mine = tokens(broker, "parent")
    assert [expected(name) for name in names] == [wait() for wait in waiting]
    assert expected("parent") == mine
    used = [{port for user in users(name) for port in endpoint.ports[user]} for name in ["parent", *names]]
    assert all(one.isdisjoint(other) for one, other in itertools.combinations(used, 2))


@TRANSPORTS
def test_a_connection_that_is_shared_would_be_seen(
    transport: str, endpoint: BrokerEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the reset, the child uses the parent's connection: what the test above would find."""
    broker = caller(transport, endpoint.url, monkeypatch)
    broker.token("parent@acme.example")
    monkeypatch.setattr(fork, "_registered", weakref.WeakSet())
    forked(lambda: broker.token("child@acme.example", timeout=10).access_token)()
    assert endpoint.ports["parent@acme.example"] == endpoint.ports["child@acme.example"]


def ask_in_worker(name: str) -> list[str]:
    """Do a task of a pool's worker."""
    return tokens(INHERITED[0], name)


INHERITED: list[Broker] = []
"""What workers find at their fork, as module-level objects of an application that was loaded before."""


@TRANSPORTS
@pytest.mark.parametrize("pool", ["multiprocessing.Process", "multiprocessing.Pool", "ProcessPoolExecutor"])
def test_workers_of_a_pool_get_their_own_tokens(
    transport: str, pool: str, endpoint: BrokerEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As celery's prefork pool: workers that take one task after another, beside a parent that goes on."""
    broker = caller(transport, endpoint.url, monkeypatch)
    broker.token()
    monkeypatch.setattr(sys.modules[__name__], "INHERITED", [broker])
    context = multiprocessing.get_context("fork")
    names = [f"task-{number}" for number in range(6)]
    if pool == "ProcessPoolExecutor":
        with ProcessPoolExecutor(3, mp_context=context) as executor:
            found = list(executor.map(ask_in_worker, names))
    elif pool == "multiprocessing.Pool":
        with context.Pool(3) as workers:
            found = workers.map(ask_in_worker, names)
    else:
        results = context.SimpleQueue()
        processes = [context.Process(target=lambda name=name: results.put(ask_in_worker(name))) for name in names]
        for process in processes:
            process.start()
        found = sorted(results.get() for _ in processes)
        for process in processes:
            process.join()
    assert [expected(name) for name in names] == found
    assert expected("parent") == tokens(broker, "parent")


@TRANSPORTS
def test_a_lock_that_is_held_at_the_fork_blocks_no_child(transport: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The parent's thread is waiting for that user's token; the child asks for itself."""
    inside, go = threading.Event(), threading.Event()

    def hold_the_first(_: object) -> bool:
        if not inside.is_set():
            inside.set()
            go.wait(30)
        return False

    with BrokerEndpoint(hold_the_first) as endpoint:
        broker = caller(transport, endpoint.url, monkeypatch)
        thread = threading.Thread(target=broker.token, args=("a@acme.example",))
        thread.start()
        assert inside.wait(10)
        wait = forked(lambda: broker.token("a@acme.example", timeout=10).access_token)
        assert "00D!a@acme.example" == wait()
        go.set()
        thread.join()


def test_no_lock_of_the_session_is_held_in_a_child() -> None:
    """Another thread is looking for credentials at the fork, which takes its time."""
    session, held, go = AwsSession(), threading.Event(), threading.Event()

    def look() -> None:
        with session._lock:  # noqa: SLF001  as `sign` does
            held.set()
            go.wait(30)

    thread = threading.Thread(target=look)
    thread.start()
    assert held.wait(10)
    assert forked(lambda: session._lock.acquire(timeout=5))()  # noqa: SLF001  likewise
    go.set()
    thread.join()


@TRANSPORTS
def test_forks_at_any_moment_do_no_harm(transport: str, endpoint: BrokerEndpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """Thirty of them, while eight threads call without a pause."""
    broker = caller(transport, endpoint.url, monkeypatch)
    broker.token()
    over = threading.Event()
    numbers = itertools.count()

    def call() -> None:
        while not over.is_set():
            user = f"thread-{next(numbers)}@acme.example"
            assert f"00D!{user}" == broker.token(user, timeout=10).access_token

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    try:
        for number in range(30):
            name = f"child-{number}"
            assert expected(name) == forked(lambda name=name: tokens(broker, name))()  # type: ignore[misc]
    finally:
        over.set()
        for thread in threads:
            thread.join()


def test_children_do_not_renew_at_the_same_moment() -> None:
    """A token that they inherit has another moment of renewal in each, between 60 and 90 % of its life."""
    broker = Broker("TokenFunction")
    broker._transport.call = lambda *_: answer(sub="a@acme.example", expires_at=NOW)  # type: ignore[method-assign]  # noqa: SLF001
    broker.token()

    def renewal() -> float:
        held = broker._cache.get(None)  # noqa: SLF001  what is in memory
        assert held
        return held.renewal

    moments = [renewal(), *(forked(renewal)() for _ in range(8))]
    assert len(moments) == len(set(moments))
    assert 0.6 * 900 <= min(moments)
    assert max(moments) <= 0.9 * 900


def test_a_child_keeps_what_is_held_and_pinned() -> None:
    """A token in memory is used on, and an answer for another user is refused."""
    broker = Broker("TokenFunction")
    broker._transport.call = lambda *_: answer(sub="a@acme.example")  # type: ignore[method-assign]  # noqa: SLF001
    token = broker.token()

    def of_another() -> str:
        broker._transport.call = lambda *_: answer(sub="b@acme.example")  # type: ignore[method-assign]  # noqa: SLF001
        broker._cache.drop(None)  # noqa: SLF001  as if it had ended
        try:
            broker.token()
        except Exception as error:  # noqa: BLE001  told to the parent
            return type(error).__name__
        return "accepted"

    assert token.access_token == forked(lambda: broker.token().access_token)()
    assert "AnswerInvalid" == forked(of_another)()


def test_threads_of_a_child_share_one_call(endpoint: BrokerEndpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """As those of the parent do."""
    broker = caller("https", endpoint.url, monkeypatch)
    broker.token()
    found = forked(lambda: {token.access_token for token in together(20, lambda: broker.token("a@acme.example"))})()
    assert {"00D!a@acme.example"} == found
    assert 1 == len(endpoint.ports["a@acme.example"])
