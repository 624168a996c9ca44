"""Addresses: a network namespace a Pod on a bridge of the lab, and interfaces of AWS on the lab's `lo`.

The bridge has the first Pod address; a Pod reaches the lab's servers, the nodes and members' interfaces through it, and is reached back.
A namespace is held by a descriptor, so nothing of it has a name on the machine.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from lab import layout, namespace

BRIDGE = "pods"
_MAC = "02:00:00:00:00:01"  # else a bridge has its ports' lowest, which changes as Pods come and go: some lose it for a minute
_NETWORK = ipaddress.ip_network(layout.PODS)
GATEWAY = str(_NETWORK[1])


class NetworkError(Exception):
    """`ip` refused; its words."""


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A Pod's network: its address and, unless it is the node's, the descriptor of its namespace."""

    address: str
    descriptor: int | None = None
    link: str = ""


class Addresses:
    """Which Pod addresses are taken. Given out in turn, so that a new Pod seldom has the address of one just gone."""

    def __init__(self) -> None:
        self._taken: set[int] = set()
        self._last = 1

    def take(self) -> str:
        count = _NETWORK.num_addresses - 3  # not the network's, the bridge's, the broadcast address
        for step in range(1, count + 1):
            number = (self._last - 2 + step) % count + 2
            if number not in self._taken:
                self._taken.add(number)
                self._last = number
                return str(_NETWORK[number])
        raise NetworkError(f"every address of {layout.PODS} is taken")

    def release(self, address: str) -> None:
        self._taken.discard(int(ipaddress.ip_address(address)) - int(_NETWORK[0]))


async def ip(lines: Iterable[str], network: int | None = None) -> None:
    """Run a batch of `ip` commands, in the namespace of *network* if given."""
    enter = [] if network is None else ["nsenter", f"--net=/proc/self/fd/{network}"]
    child = await asyncio.create_subprocess_exec(
        *enter, "ip", "-batch", "-",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
        pass_fds=[] if network is None else [network],
    )  # fmt: skip
    text = "\n".join(lines)
    _, errors = await child.communicate(text.encode())
    if child.returncode:
        raise NetworkError(f"ip: {errors.decode().strip()} (in: {text!r})")


async def prepare() -> None:
    """Make the bridge; one that a former agent left is made anew, without its ports."""
    with suppress(NetworkError):
        await ip([f"link del {BRIDGE}"])
    await ip(
        [f"link add {BRIDGE} address {_MAC} type bridge", f"addr add {GATEWAY}/{_NETWORK.prefixlen} dev {BRIDGE}", f"link set {BRIDGE} up"]
    )


async def open_sandbox(address: str, link: str) -> Sandbox:
    """Make a Pod's network: a namespace with `lo` and `eth0`; *link* names its end on the bridge."""
    descriptor = await asyncio.to_thread(_new_namespace)
    try:
        path = f"/proc/{os.getpid()}/fd/{descriptor}"
        await ip([f"link add {link} type veth peer name eth0 netns {path}", f"link set {link} master {BRIDGE} up"])
        inside = [
            "link set lo up",
            f"addr add {address}/{_NETWORK.prefixlen} dev eth0",
            "link set eth0 up",
            f"route add default via {GATEWAY}",
        ]
        await ip(inside, descriptor)
    except BaseException:
        os.close(descriptor)
        raise
    return Sandbox(address, descriptor, link)


async def close_sandbox(sandbox: Sandbox) -> None:
    """Take a Pod's network away."""
    if sandbox.descriptor is None:
        return
    with suppress(NetworkError):
        await ip([f"link del {sandbox.link}"])
    os.close(sandbox.descriptor)


async def add_to_node(addresses: Iterable[str]) -> None:
    """Let *addresses* be the lab's own."""
    await ip(f"addr replace {address}/32 dev lo" for address in addresses)


async def take_from_node(addresses: Iterable[str]) -> None:
    for address in addresses:
        with suppress(NetworkError):
            await ip([f"addr del {address}/32 dev lo"])


def _new_namespace() -> int:
    """A descriptor of a new network namespace, made by a thread that lives for no longer: namespaces are a thread's own."""
    made: list[int] = []

    def make() -> None:
        namespace.unshare(namespace.CLONE_NEWNET)
        made.append(os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC))

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    if not made:
        raise NetworkError("the kernel gave no network namespace; the lab needs root")
    return made[0]
