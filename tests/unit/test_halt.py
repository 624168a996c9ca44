"""The stop between two effects: order, holding, dropping; what counts as an effect, over HTTP and in files."""

from __future__ import annotations

import sqlite3
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from email.message import Message
from http.client import RemoteDisconnected
from pathlib import Path

import pytest

from lab.aws.exchange import Answer, Request, Server
from lab.halt import gate
from lab.halt.effects import Effect, Effects, Stop
from lab.halt.files import Files
from lab.halt.gate import Gate

SOON = 5.0


@contextmanager
def served(application: Callable[[Request], Answer | None]) -> Iterator[str]:
    """A server of *application*; its address."""
    server = Server(("127.0.0.1", 0), application)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


class World:
    """An API server that remembers what was written."""

    def __init__(self) -> None:
        self.written: list[str] = []

    def __call__(self, request: Request) -> Answer:
        if request.path.endswith("refused"):
            return Answer(409, (), b"")
        if request.method != "GET":
            self.written.append(request.path)
        return Answer(200, (("X-Told", "yes"),), b"done")


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def effects() -> Effects:
    return Effects()


@pytest.fixture
def way(world: World, effects: Effects) -> Iterator[str]:
    """The address at which *world* is reached through a gate."""
    with served(world) as target:
        made = Gate(target, {"": "engine"}, effects)
        with served(made) as address:
            yield address
        made.close()


def write(address: str, path: str, method: str = "PUT") -> int:
    request = urllib.request.Request(f"{address}/{path}", b"{}", method=method)
    with urllib.request.urlopen(request, timeout=SOON) as answer:
        assert answer.read() == b"done"
        return int(answer.status)


def later(call: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    return thread


def until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + SOON
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_write_that_succeeds_is_an_effect_and_nothing_else_is(way: str, effects: Effects, world: World) -> None:
    write(way, "api/v1/namespaces/n/pods/one")
    write(way, "apis/apps/v1/namespaces/n/statefulsets/two?dryRun=All")
    with urllib.request.urlopen(f"{way}/api/v1/pods", timeout=SOON) as read:
        assert (read.status, read.headers["X-Told"]) == (200, "yes")
    with pytest.raises(urllib.error.HTTPError) as refused:
        write(way, "api/v1/refused")
    refused.value.close()
    assert [(one.who, one.what) for one in effects.log] == [("engine", "PUT namespaces/n/pods/one")]


def test_after_the_stop_an_answer_and_all_other_writes_wait(way: str, effects: Effects, world: World) -> None:
    stops: list[Effect] = []
    effects.stop_at(Stop(1, "after", stops.append))
    first = later(lambda: write(way, "api/v1/a"))
    until(lambda: stops)
    second = later(lambda: write(way, "api/v1/b"))
    time.sleep(0.1)
    assert world.written == ["/api/v1/a"]
    assert first.is_alive()
    assert second.is_alive()
    effects.release(drop=False)
    first.join(SOON)
    second.join(SOON)
    assert world.written == ["/api/v1/a", "/api/v1/b"]
    assert [one.what for one in stops] == ["PUT a"]


def test_before_the_stop_the_answer_goes_out_and_the_next_write_waits(way: str, effects: Effects, world: World) -> None:
    stops: list[Effect] = []
    effects.stop_at(Stop(1, "before", stops.append))
    write(way, "api/v1/a")
    assert not stops
    second = later(lambda: write(way, "api/v1/b"))
    until(lambda: stops)
    assert (stops[0].what, world.written, second.is_alive()) == ("PUT b", ["/api/v1/a"], True)
    effects.release(drop=False)
    second.join(SOON)
    assert world.written == ["/api/v1/a", "/api/v1/b"]


def test_a_dropped_write_is_never_made_and_its_connection_breaks(way: str, effects: Effects, world: World) -> None:
    stops: list[Effect] = []
    broken: list[Exception] = []
    effects.stop_at(Stop(0, "before", stops.append))

    def ask() -> None:
        try:
            write(way, "api/v1/a")
        except (RemoteDisconnected, ConnectionError) as error:
            broken.append(error)

    asking = later(ask)
    until(lambda: stops)
    effects.release(drop=True)
    asking.join(SOON)
    assert (len(broken), world.written, effects.log) == (1, [], [])
    write(way, "api/v1/b")
    assert world.written == ["/api/v1/b"]


def test_a_late_write_is_made_later_while_others_pass(way: str, effects: Effects, world: World) -> None:
    stops: list[Effect] = []
    effects.stop_at(Stop(0, "before", stops.append))
    first = later(lambda: write(way, "api/v1/late"))
    until(lambda: stops)
    effects.release(late=0.3)
    write(way, "api/v1/other")
    assert world.written == ["/api/v1/other"]
    first.join(SOON)
    assert world.written == ["/api/v1/other", "/api/v1/late"]


def test_a_stop_may_count_some_effects_only(way: str, effects: Effects) -> None:
    stops: list[Effect] = []
    effects.stop_at(Stop(2, "after", stops.append, of="^POST "))
    for path, method in (("a", "POST"), ("b", "PUT"), ("c", "PUT")):
        write(way, f"api/v1/{path}", method)
    last = later(lambda: write(way, "api/v1/d", "POST"))
    until(lambda: stops)
    assert [one.what for one in effects.log] == ["POST a", "PUT b", "PUT c", "POST d"]
    effects.release(drop=False)
    last.join(SOON)


@pytest.mark.parametrize(
    ("method", "target", "body", "what"),
    [
        ("POST", "/", b"Action=CreateVolume&Size=1", "CreateVolume"),
        ("POST", "/", b"Action=DescribeVolumes", ""),
        ("POST", "/2013-04-01/hostedzone", b"<Create/>", "POST hostedzone"),
        ("GET", "/2013-04-01/hostedzone", b"", ""),
    ],
)
def test_aws_calls_are_told_by_their_action(method: str, target: str, body: bytes, what: str) -> None:
    headers = Message()
    headers["Authorization"] = "AWS4-HMAC-SHA256 Credential=AKIA/20261122/us-east-1/ec2/aws4_request, …"
    assert gate.written(Request(method, target, headers, body)) == what


def test_every_transaction_and_every_checkpoint_is_an_effect(tmp_path: Path, effects: Effects) -> None:
    stacks, store = tmp_path / "stacks", tmp_path / "store" / "store.db"
    files = Files(stacks, store, effects)
    with closing(sqlite3.connect(store, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE t (word TEXT)")
        for word in ("one", "two"):
            connection.execute("INSERT INTO t VALUES (?)", (word * 5000,))  # more than a page each
        (stacks / "lab.kv.json.tmp").write_text("{}")
        (stacks / "lab.kv.json.tmp").rename(stacks / "lab.kv.json")
        files.drain()
    files.close()
    assert [(one.who, one.what) for one in effects.log] == [*[("store", "transaction")] * 3, ("checkpoint", "lab.kv")]


def test_the_world_stops_at_a_file_as_soon_as_it_is_written(tmp_path: Path, effects: Effects) -> None:
    stops: list[Effect] = []
    files = Files(tmp_path / "stacks", tmp_path / "store" / "store.db", effects)
    effects.stop_at(Stop(1, "after", stops.append))
    (tmp_path / "stacks" / "lab.kv.json.tmp").write_text("{}")
    (tmp_path / "stacks" / "lab.kv.json.tmp").rename(tmp_path / "stacks" / "lab.kv.json")
    until(lambda: stops)
    assert effects.stopped
    effects.release(drop=True)
    files.close()


def test_a_stop_may_wait_for_a_certain_call_to_be_asked_for(way: str, effects: Effects, world: World) -> None:
    stops: list[Effect] = []
    effects.stop_at(Stop(1, "before", stops.append, of="^POST "))
    for path, method in (("a", "POST"), ("b", "PUT")):
        write(way, f"api/v1/{path}", method)
    effects.count("checkpoint", "lab.kv")
    last = later(lambda: write(way, "api/v1/c", "POST"))
    until(lambda: stops)
    assert world.written == ["/api/v1/a", "/api/v1/b"]
    effects.release()
    last.join(SOON)
