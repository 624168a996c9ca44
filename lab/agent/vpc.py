"""The lab's VPC: a bridge in the lab's own namespace, the router of every subnet, and nodes that hang on it, a namespace each.

An interface of an instance is a pair of ends: `eth<device index>` with AWS's MAC in the node, a port of the bridge on the other side.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from lab import layout, namespace
from lab.agent import network

BRIDGE = "vpc"
NOWHERE = "nowhere"  # a bridge that is never up: what hangs on it has its carrier, and is heard by nobody
GROUP = 7  # all links of the lab's namespace that are the agent's
_SINGLE = 31  # routes to single addresses, which a node has to its own Pods, count before any other rule (the VPC CNI does the like)
_MAC = "02:00:00:00:00:01"  # else a bridge has its ports' lowest, which changes as they come and go: some lose it for a minute
_ROUTER = {"ip_forward": 1, "conf/all/send_redirects": 0, "conf/default/send_redirects": 0}
_NODE = {
    "ip_forward": 1,
    "conf/all/arp_ignore": 1,  # as in a VPC, an interface answers for its own address only
    "conf/all/arp_announce": 2,
    "conf/default/arp_notify": 1,  # who knows its first MAC hears of AWS's
    "conf/all/rp_filter": 0,
    "conf/default/rp_filter": 0,
}


async def prepare() -> None:
    """Make the bridges; what a former agent left is made anew."""
    network.write(_ROUTER)
    with suppress(network.NetworkError):
        await network.ip([f"link del group {GROUP}"])
    await network.ip(
        [
            f"link add {BRIDGE} address {_MAC} group {GROUP} type bridge",
            f"link add {NOWHERE} group {GROUP} type bridge",
            *(f"addr add {subnet[1]}/{subnet.prefixlen} dev {BRIDGE}" for subnet in _subnets()),
            f"link set {BRIDGE} up",
            f"route add {layout.PODS} dev {BRIDGE}",  # an address that no Pod has is asked for in vain
        ]
    )


class NodeNetwork:
    """One node's network while the node is on; *door* is the file by which `nsenter` finds it."""

    def __init__(self, address: str, door: Path) -> None:
        self.address = address
        self._door = door
        self._descriptor: int | None = None
        self._plugged: dict[int, str] = {}
        self._master = BRIDGE
        self._changing = asyncio.Lock()

    @property
    def is_open(self) -> bool:
        return self._descriptor is not None

    @property
    def descriptor(self) -> int:
        """What holds the namespace.

        Raises:
            NetworkError: the node is off.
        """
        if self._descriptor is None:
            raise network.NetworkError(f"the node at {self.address} is off")
        return self._descriptor

    async def open(self) -> None:
        """Make the namespace with `eth0`, whose MAC is AWS's as soon as AWS was asked."""
        async with self._changing:
            self._master = BRIDGE
            try:
                await self._open()
            except BaseException:
                await self._close()
                raise

    async def _open(self) -> None:
        descriptor = self._descriptor = await network.make(_NODE)
        self._door.parent.mkdir(parents=True, exist_ok=True)
        self._door.touch()
        namespace.bind(Path(network.path(descriptor)), self._door)
        await self._add(0, "")
        subnet = _subnet(self.address)
        own = [
            "link set lo up",
            f"addr add {self.address}/{subnet.prefixlen} dev eth0",
            "link set eth0 up",
            f"route add default via {subnet[1]}",
            f"rule add pref 512 table main suppress_prefixlength {_SINGLE}",
        ]
        await network.ip(own, descriptor)

    async def close(self) -> None:
        """Switch it off: every link goes, and the namespace with the last process in it."""
        async with self._changing:
            await self._close()

    async def _close(self) -> None:
        if self._descriptor is None:
            return
        for index in list(self._plugged):
            await self._remove(index)
        with suppress(OSError):
            namespace.unmount(self._door)
            self._door.unlink()
        os.close(self._descriptor)
        self._descriptor = None

    async def cut(self) -> None:
        """Let nobody hear it, without its noticing."""
        await self._move(NOWHERE)

    async def mend(self) -> None:
        await self._move(BRIDGE)

    async def unplug_all_but(self, wanted: Mapping[int, str]) -> None:
        """Take away the interfaces beside the first that are not among *wanted* (MACs by device index)."""
        async with self._changing:
            for index in [one for one, mac in self._plugged.items() if one and wanted.get(one) != mac]:
                await self._remove(index)

    async def plug(self, wanted: Mapping[int, str]) -> None:
        """Add what it lacks of *wanted*. What an interface's address is, and its routes, is for those on the node."""
        async with self._changing:
            for index, mac in wanted.items():
                if not self.is_open or self._plugged.get(index) == mac:
                    continue
                if index in self._plugged:
                    await network.set_mac(self.descriptor, f"eth{index}", mac)
                    self._plugged[index] = mac
                else:
                    await self._add(index, mac)

    async def _add(self, index: int, mac: str) -> None:
        port, address = self._port(index), f"address {mac}" if mac else ""
        there = network.path(self.descriptor)
        await network.ip(
            [
                f"link add {port} group {GROUP} type veth peer name eth{index} {address} netns {there}",
                f"link set {port} master {self._master} up",
            ]
        )
        self._plugged[index] = mac

    async def _remove(self, index: int) -> None:
        await network.ip([f"link del {self._port(index)}"])
        del self._plugged[index]

    async def _move(self, master: str) -> None:
        async with self._changing:
            self._master = master
            await network.ip(f"link set {self._port(index)} master {master}" for index in self._plugged)

    def _port(self, index: int) -> str:
        return f"{ipaddress.ip_address(self.address).packed.hex()}-{index}"


def _subnet(address: str) -> ipaddress.IPv4Network:
    for subnet in _subnets():
        if ipaddress.ip_address(address) in subnet:
            return subnet
    raise network.NetworkError(f"no subnet of the lab contains {address}; there are {', '.join(layout.SUBNETS)}")


def _subnets() -> list[ipaddress.IPv4Network]:
    return [ipaddress.IPv4Network(subnet) for subnet in layout.SUBNETS]
