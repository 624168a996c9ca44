"""A Pod's network: a namespace of its own behind its node, or the node's. Wired as the VPC CNI does: a link and a route an address."""

from __future__ import annotations

import asyncio
import ipaddress
import os
from contextlib import suppress
from dataclasses import dataclass

from lab import layout
from lab.agent import network, vpc
from lab.agent.network import NetworkError
from lab.agent.vpc import NodeNetwork

_NETWORK = ipaddress.ip_network(layout.PODS)
_GATEWAY, _NODES_END = "169.254.1.1", "ee:ee:ee:ee:ee:ee"  # the same in every Pod: a link has two ends and no others


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A Pod's network: its address, its namespace, its node's; *link* is its end on the node, "" where the namespace is the node's."""

    address: str
    descriptor: int
    host: NodeNetwork
    link: str = ""


class Addresses:
    """Which Pod addresses are taken. Given out in turn, so that a new Pod seldom has the address of one just gone."""

    def __init__(self) -> None:
        self._taken: set[int] = set()
        self._last = 1

    def take(self) -> str:
        count = _NETWORK.num_addresses - 3  # not the network's, its first, the broadcast address
        for step in range(1, count + 1):
            number = (self._last - 2 + step) % count + 2
            if number not in self._taken:
                self._taken.add(number)
                self._last = number
                return str(_NETWORK[number])
        raise NetworkError(f"every address of {layout.PODS} is taken")

    def release(self, address: str) -> None:
        self._taken.discard(int(ipaddress.ip_address(address)) - int(_NETWORK[0]))


async def open_sandbox(host: NodeNetwork, address: str, link: str) -> Sandbox:
    """Make a Pod's network: a namespace with `lo` and `eth0`, whose other end, *link*, is on the node *host*."""
    descriptor = await network.make()
    try:
        pair = f"link add {link} address {_NODES_END} type veth peer name eth0 netns {network.path(descriptor)}"
        await network.ip([pair, f"link set {link} up", f"route add {address}/32 dev {link}"], host.descriptor)
        inside = [
            "link set lo up",
            f"addr add {address}/32 dev eth0",
            "link set eth0 up",
            f"neigh add {_GATEWAY} lladdr {_NODES_END} dev eth0 nud permanent",
            f"route add {_GATEWAY} dev eth0",
            f"route add default via {_GATEWAY} dev eth0",
        ]
        way = f"route replace {address}/32 via {host.address} dev {vpc.BRIDGE}"
        await asyncio.gather(network.ip(inside, descriptor), network.ip([way]))
    except BaseException:
        os.close(descriptor)
        raise
    return Sandbox(address, descriptor, host, link)


async def close_sandbox(sandbox: Sandbox) -> None:
    """Take a Pod's network away; the node's stays."""
    if not sandbox.link:
        return
    with suppress(NetworkError):
        await network.ip([f"route del {sandbox.address}/32 via {sandbox.host.address}"])
    with suppress(NetworkError):
        await network.ip([f"link del {sandbox.link}"], sandbox.host.descriptor)
    os.close(sandbox.descriptor)
