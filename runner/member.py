"""The init container of every member: holds it back until it is reachable under its own name or address. Talks to nobody but DNS.

With an interface (its facts are in FACTS) it waits until that is on this node and gives it its address; without, until the member's name
resolves to the Pod's own address. A mark on the member's volume says where it last ran: on that node it waits for a minute at most,
so that a member restarts in place while no reconciler runs. Only the standard library, since every start of a member waits for it.
"""

from __future__ import annotations

import ipaddress
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

FACTS = Path("/etc/member")
MARK = Path("/volume/.reconciler-member")
PATIENCE = 60.0  # seconds, on the node that it last ran on
_SAYS_EVERY, _LOOKS_EVERY = 5.0, 0.5
_TABLE = 10_000  # routing tables of members' interfaces: this plus the device's index
# Before the main table (32766), after the rules that a network of Pods makes (the VPC CNI's are 512 to 1536). Without a number ours would
# be first, and what a member answers to a Pod of its own node would leave it, to be dropped when it comes back from an address of its own.
_TO_PODS, _OWN_TABLE = 20_000, 20_001


@dataclass(frozen=True, slots=True)
class Place:
    """Where things are found; tests have their own."""

    facts: Path = FACTS
    mark: Path = MARK
    devices: Path = Path("/sys/class/net")
    routes: Path = Path("/proc/net/route")


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the member is, by the downward API."""

    member: str
    fqdn: str
    pod_ip: str
    node: str


def named(identity: Identity) -> str:
    """What is missing until the member's name is its Pod's; "" when nothing is."""
    try:
        found = socket.getaddrinfo(f"{identity.fqdn}.", None, type=socket.SOCK_STREAM)
    except OSError as error:
        return f"{identity.fqdn} resolves to {identity.pod_ip} (now: {error.strerror or error})"
    addresses = sorted({str(entry[4][0]) for entry in found})
    return "" if addresses == [identity.pod_ip] else f"{identity.fqdn} resolves to {identity.pod_ip} (now: {', '.join(addresses)})"


def attached(address: str, mac: str, place: Place, run: Callable[[list[str]], None]) -> str:
    """What is missing until the member's interface is on this node with its address; "" when nothing is."""
    device = _device(mac, place.devices)
    if not device:
        return f"the interface with {mac} is attached to this node"
    network = next((network for network in _networks(place.routes) if ipaddress.ip_address(address) in network), None)
    if network is None:
        return f"{device} can have {address}: no subnet of this node contains it; nodes and interfaces of a zone must share one"
    try:
        for command in commands(device, address, network, socket.if_nametoindex(device)):
            run(command)
    except (OSError, subprocess.CalledProcessError) as error:
        return f"{device} has the address {address} ({error})"
    return "" if _is_local(address) else f"{device} has the address {address}"


def commands(device: str, address: str, network: ipaddress.IPv4Network, index: int) -> Iterator[list[str]]:
    """How a second interface of an instance gets its address, and answers the way it was asked. Each can be repeated.

    A route to a single address is one to a Pod of this node, and counts first. A device that goes takes its address and routes along,
    not its rules: those that were left here by an earlier attachment are replaced.
    """
    table, router = str(_TABLE + index), str(network.network_address + 1)  # a VPC's router is the first address of each subnet
    yield ["ip", "link", "set", "dev", device, "up"]
    yield ["ip", "address", "replace", f"{address}/{network.prefixlen}", "dev", device, "noprefixroute"]
    yield ["ip", "route", "replace", str(network), "dev", device, "src", address, "table", table]
    yield ["ip", "route", "replace", "default", "via", router, "dev", device, "src", address, "table", table]
    rules = (f"from {address} lookup main suppress_prefixlength 31", _TO_PODS), (f"from {address} lookup {table}", _OWN_TABLE)
    there = " && ".join(f"ip rule list pref {pref} | grep -Fq '{rule}'" for rule, pref in rules)
    clean = f"while ip rule del from {address} 2> /dev/null; do :; done"
    yield ["sh", "-c", f"{there} || {{ {clean}; {'; '.join(f'ip rule add pref {pref} {rule}' for rule, pref in rules)}; }}"]


def _device(mac: str, devices: Path) -> str:
    for path in sorted(devices.glob("*/address")):
        try:
            if path.read_text().strip().lower() == mac.lower():
                return path.parent.name
        except OSError:
            continue  # it went away while we looked
    return ""


def _is_local(address: str) -> bool:
    """Whether some device has *address*: then one can bind to it."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
        return True


def _networks(routes: Path) -> Iterator[ipaddress.IPv4Network]:
    """The networks that this node is in itself, out of /proc/net/route."""
    for line in routes.read_text().splitlines()[1:]:
        _, destination, gateway, _, _, _, _, mask = line.split()[:8]
        if gateway == "00000000" and mask not in {"00000000", "FFFFFFFF"}:
            yield ipaddress.IPv4Network((_number(destination), int(mask, 16).bit_count()))


def _number(text: str) -> int:
    """An address as the kernel prints it there: its bytes in the machine's own order."""
    return int.from_bytes(bytes.fromhex(text), sys.byteorder)


def missing(identity: Identity, place: Place) -> Callable[[], str]:
    """The condition that this member waits for."""
    facts = {name: place.facts / f"{identity.member}.{name}" for name in ("address", "mac")}
    if not facts["mac"].exists():
        return lambda: named(identity)
    address, mac = (facts[name].read_text().strip() for name in ("address", "mac"))
    return lambda: attached(address, mac, place, _run)


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


def wait(lacks: Callable[[], str], patience: float | None, say: Callable[[str], None]) -> None:
    """Return once nothing is missing, or *patience* is at its end."""
    began, told = time.monotonic(), float("-inf")
    while why := lacks():
        now = time.monotonic()
        if patience is not None and now - began >= patience:
            say(f"starting without: it last ran on this node, and waited {patience:.0f} s until {why}")
            return
        if now - told >= _SAYS_EVERY:
            say(f"waiting until {why}")
            told = now
        time.sleep(_LOOKS_EVERY)


def last_node(mark: Path) -> str:
    """Where the member's volume was last used; "" where that is not known."""
    try:
        return mark.read_text().strip()
    except OSError:
        return ""


def leave_mark(mark: Path, node: str) -> None:
    """Say on the volume that it is used on *node* from now on. A member without volumes has none to mark."""
    if mark.parent.is_dir():
        draft = mark.with_suffix(".new")
        draft.write_text(f"{node}\n")
        draft.replace(mark)


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - the container's log


def main() -> None:
    """Wait, then mark the volume."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # process 1 of a container ignores it otherwise
    os.environ.setdefault("RES_OPTIONS", "timeout:2 attempts:1")  # one look is short, and soon repeated
    identity = Identity(*(os.environ[name] for name in ("MEMBER", "FQDN", "POD_IP", "NODE_NAME")))
    place = Place()
    returned = last_node(place.mark) == identity.node
    wait(missing(identity, place), PATIENCE if returned else None, _say)
    leave_mark(place.mark, identity.node)
    _say(f"{identity.member} is in its place on {identity.node}")


if __name__ == "__main__":
    main()
