"""Probes: single checks against real listeners, and the count that makes a verdict of them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from typing import Any, cast

import pytest

from lab.agent import probes
from lab.agent.container import Process
from lab.agent.probes import Reach, Tally

SPEC = {"name": "c", "ports": [{"name": "http", "containerPort": 80}]}
NOBODY = cast("Process", None)  # only exec probes look at the process


def verdicts(tally: Tally, answers: str) -> Iterator[bool | None]:
    for answer in answers:
        tally = tally.note(answer == "+")
        yield tally.verdict


def test_a_verdict_needs_enough_of_the_same_in_a_row() -> None:
    assert list(verdicts(Tally(1, 3), "+--+---")) == [True, True, True, True, True, True, False]
    assert list(verdicts(Tally(2, 1), "+-++")) == [None, False, False, True]


def test_thresholds_have_the_defaults_of_the_api() -> None:
    assert (probes.tally({}).successes_needed, probes.tally({}).failures_needed) == (1, 3)


async def connect(host: str, port: int) -> socket.socket:
    """A connection from this namespace, where a kubelet's is from its node's."""
    found = socket.socket()
    found.settimeout(0)
    try:
        await asyncio.get_running_loop().sock_connect(found, (host, port))
    except OSError:
        found.close()
        raise
    return found


def ask(probe: dict[str, Any], answer: bytes | None) -> tuple[bool, str]:
    """Probe a server that answers every connection with *answer*; None: nobody listens."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(answer or b"")
        writer.close()

    async def run() -> tuple[bool, str]:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        if answer is None:
            server.close()
        filled = {kind: target | {"port": port} for kind, target in probe.items() if isinstance(target, dict)}
        try:
            return await probes.check(filled, SPEC, Reach("127.0.0.1", connect), NOBODY)
        finally:
            server.close()

    return asyncio.run(run())


def test_a_port_that_listens_is_alive() -> None:
    assert ask({"tcpSocket": {}}, b"") == (True, "")


def test_a_port_that_nobody_listens_on_is_not() -> None:
    assert not ask({"tcpSocket": {}}, None)[0]
    assert not ask({"httpGet": {"path": "/"}}, None)[0]


@pytest.mark.parametrize(("status", "holds"), [(200, True), (204, True), (302, True), (404, False), (503, False)])
def test_http_holds_from_200_to_399(status: int, holds: bool) -> None:
    found, said = ask({"httpGet": {"path": "/health"}}, f"HTTP/1.1 {status} Words\r\n\r\n".encode())
    assert found is holds
    assert said.endswith(str(status))


def test_what_is_not_http_does_not_hold() -> None:
    assert not ask({"httpGet": {"path": "/"}}, b"")[0]
    assert not ask({"httpGet": {"path": "/"}}, b"+PONG fine\r\n")[0]


def test_ports_go_by_number_or_name() -> None:
    assert (probes.port(8080, SPEC), probes.port("8080", SPEC), probes.port("http", SPEC)) == (8080, 8080, 80)
    with pytest.raises(ValueError, match="'https'"):
        probes.port("https", SPEC)


def test_a_kind_of_probe_that_the_lab_has_not_is_named() -> None:
    assert ask({"grpc": {}}, b"") == (False, "the lab knows exec, tcpSocket and httpGet probes only")


def test_followers_hear_of_changes_and_of_failures_that_go_on() -> None:
    answers = iter([True, True, False, False, False, False, True])
    heard: list[bool] = []

    async def ask_next() -> tuple[bool, str]:
        try:
            return next(answers), ""
        except StopIteration:
            raise asyncio.CancelledError from None

    async def run() -> None:
        with pytest.raises(asyncio.CancelledError):
            await probes.follow({"periodSeconds": 0, "failureThreshold": 2}, ask_next, lambda holds, _: heard.append(holds))

    asyncio.run(run())
    assert heard == [True, False, False, True]
