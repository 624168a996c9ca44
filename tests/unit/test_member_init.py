"""The members' init container, in pieces: what it waits for, for how long, and what it does to the node's network."""

from __future__ import annotations

import ipaddress
import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from runner import member

os.environ.setdefault("RES_OPTIONS", "timeout:1 attempts:1")  # a machine without DNS answers no sooner
IDENTITY = member.Identity("kv-0", "kv-0.db.invalid", "10.0.0.7", "node-a1")
MAC = "0a:1b:2c:3d:4e:5f"
ROUTES = """Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t0110C80A\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t0010C80A\t00000000\t0001\t0\t0\t0\t00F0FFFF\t0\t0\t0
eth0\t0210C80A\t00000000\t0005\t0\t0\t0\tFFFFFFFF\t0\t0\t0
"""


@pytest.fixture
def place(tmp_path: Path) -> member.Place:
    """A node with one device of its own, in 10.200.16.0/20."""
    made = member.Place(tmp_path / "facts", tmp_path / "volume" / ".reconciler-member", tmp_path / "net", tmp_path / "route")
    for folder in (made.facts, made.mark.parent, made.devices / "eth0"):
        folder.mkdir(parents=True)
    (made.devices / "eth0" / "address").write_text("0e:00:00:00:00:01\n")
    made.routes.write_text(ROUTES)
    return made


def plug(place: member.Place) -> None:
    (place.devices / "eth1").mkdir()
    (place.devices / "eth1" / "address").write_text(f"{MAC.upper()}\n")


def never(command: list[str]) -> None:
    raise AssertionError(command)


def test_a_name_that_does_not_resolve_is_waited_for_with_the_reason() -> None:
    assert member.named(IDENTITY).startswith("kv-0.db.invalid resolves to 10.0.0.7 (now: ")


def test_an_interface_is_waited_for_until_its_device_is_here(place: member.Place) -> None:
    assert member.attached("127.4.4.4", MAC, place, never) == f"the interface with {MAC} is attached to this node"


def test_an_address_that_is_here_already_is_seen_to_have_its_way_back(place: member.Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever set it up may have died in between."""
    plug(place)
    place.routes.write_text(ROUTES + "eth0\t0004047F\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n")
    monkeypatch.setattr("socket.if_nametoindex", lambda _: 3)
    done: list[list[str]] = []
    assert member.attached("127.4.4.4", MAC, place, done.append) == ""
    assert [command[:3] for command in done][-3:] == [["ip", "route", "replace"], ["ip", "route", "replace"], ["sh", "-c", done[-1][2]]]


def test_a_device_without_its_address_is_given_it_and_a_way_back(place: member.Place, monkeypatch: pytest.MonkeyPatch) -> None:
    plug(place)
    done: list[list[str]] = []
    monkeypatch.setattr("socket.if_nametoindex", lambda name: {"eth1": 3}[name])
    assert member.attached("10.200.16.9", MAC, place, done.append) == "eth1 has the address 10.200.16.9"
    assert [" ".join(command) for command in done] == [
        "ip link set dev eth1 up",
        "ip address replace 10.200.16.9/20 dev eth1 noprefixroute",
        "ip route replace 10.200.16.0/20 dev eth1 src 10.200.16.9 table 10003",
        "ip route replace default via 10.200.16.1 dev eth1 src 10.200.16.9 table 10003",
        (
            "sh -c ip rule list pref 20000 | grep -Fq 'from 10.200.16.9 lookup main suppress_prefixlength 31' && "
            "ip rule list pref 20001 | grep -Fq 'from 10.200.16.9 lookup 10003' || "
            "{ while ip rule del from 10.200.16.9 2> /dev/null; do :; done; "
            "ip rule add pref 20000 from 10.200.16.9 lookup main suppress_prefixlength 31; "
            "ip rule add pref 20001 from 10.200.16.9 lookup 10003; }"
        ),
    ]


def test_an_interface_of_another_subnet_is_for_a_person(place: member.Place) -> None:
    plug(place)
    assert "no subnet of this node contains it" in member.attached("10.200.99.9", MAC, place, never)


def test_what_it_may_not_do_is_said_and_tried_again(place: member.Place, monkeypatch: pytest.MonkeyPatch) -> None:
    plug(place)
    monkeypatch.setattr("socket.if_nametoindex", lambda _: 3)

    def refuse(command: list[str]) -> None:
        raise subprocess.CalledProcessError(2, command)

    assert "returned non-zero exit status 2" in member.attached("10.200.16.9", MAC, place, refuse)


def test_only_networks_that_the_node_is_in_count(place: member.Place) -> None:
    assert list(member._networks(place.routes)) == [ipaddress.ip_network("10.200.16.0/20")]


def test_facts_of_an_interface_decide_what_is_waited_for(place: member.Place) -> None:
    assert "kv-0.db.invalid resolves to" in member.missing(IDENTITY, place)()
    (place.facts / "kv-0.mac").write_text(MAC)
    (place.facts / "kv-0.address").write_text("127.4.4.4")
    assert f"the interface with {MAC}" in member.missing(IDENTITY, place)()


def lacking(times: int) -> Callable[[], str]:
    left = itertools.repeat("the moon is full", times)
    return lambda: next(left, "")


@pytest.fixture
def brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(member, "_LOOKS_EVERY", 0.01)
    monkeypatch.setattr(member, "_SAYS_EVERY", 0.1)


@pytest.mark.usefixtures("brisk")
def test_it_says_now_and_then_what_it_waits_for() -> None:
    said: list[str] = []
    member.wait(lacking(35), None, said.append)
    assert set(said) == {"waiting until the moon is full"}
    assert 2 <= len(said) <= 10


@pytest.mark.usefixtures("brisk")
def test_on_the_node_that_it_last_ran_on_its_patience_ends() -> None:
    said: list[str] = []
    member.wait(lacking(10**9), 0.2, said.append)
    assert said[-1] == "starting without: it last ran on this node, and waited 0 s until the moon is full"


@pytest.mark.usefixtures("brisk")
def test_elsewhere_it_waits_for_as_long_as_it_takes() -> None:
    class EnoughError(Exception):
        pass

    calls = iter(range(60))

    def lacks() -> str:
        if next(calls, None) is None:
            raise EnoughError
        return "the moon is full"

    with pytest.raises(EnoughError):
        member.wait(lacks, None, lambda _: None)


def test_the_mark_is_on_the_volume_and_says_which_node(place: member.Place, tmp_path: Path) -> None:
    assert member.last_node(place.mark) == ""
    member.leave_mark(place.mark, "node-a1")
    member.leave_mark(place.mark, "node-b2")
    assert member.last_node(place.mark) == "node-b2"
    assert [path.name for path in place.mark.parent.iterdir()] == [".reconciler-member"]
    member.leave_mark(tmp_path / "no" / "volume", "node-a1")  # a member without volumes has none to mark


def test_it_ends_when_it_is_told_to_and_says_so_by_its_exit_code() -> None:
    known = {"MEMBER": "kv-0", "FQDN": IDENTITY.fqdn, "POD_IP": IDENTITY.pod_ip, "NODE_NAME": IDENTITY.node, "PYTHONPATH": "."}
    with subprocess.Popen([sys.executable, "-m", "runner.member"], env=known, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline().startswith("waiting until kv-0.db.invalid resolves to 10.0.0.7")
        child.send_signal(signal.SIGTERM)
        assert child.wait(10) == 143


def test_it_starts_fast_since_every_member_waits_for_it() -> None:
    slow = {"reconciler", "pydantic", "asyncio", "email", "json"}
    code = f"import sys, runner.member; print(*(name for name in sys.modules if name.split('.')[0] in {slow}))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == ""
