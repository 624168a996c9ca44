"""The nodes that this agent is the kubelet of: heartbeats and Ready. What befalls them is `power`'s."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import httpx2 as httpx

from lab.agent.api import NOT_FOUND, STRATEGIC, Api, ApiError, Mirror
from lab.agent.clock import micro, stamp
from lab.agent.state import Json
from lab.agent.vpc import NodeNetwork

Down = Literal["dead", "rebooting", "hung", "partitioned"]
BEAT = 5.0
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
VERSION = "v1.36.3-lab"

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Node:
    """A node as its kubelet knows it; *awake* is set while the kubelet does its work, *down* says why it does not."""

    name: str
    address: str
    instance: str
    allocatable: dict[str, str]
    network: NodeNetwork
    awake: asyncio.Event = field(default_factory=asyncio.Event)
    down: Down | None = None

    @property
    def is_off(self) -> bool:
        """Whether nothing runs on it."""
        return not self.network.is_open


class Nodes:
    """All nodes of the lab: those with an instance behind them that are not kwok's."""

    def __init__(self, api: Api, doors: Path, came: Callable[[Node], None]) -> None:
        self._api = api
        self._doors = doors
        self._came = came
        self.known: dict[str, Node] = {}
        self._news = asyncio.Event()
        self.mirror = Mirror(api, "/api/v1/nodes", self._changed)

    def get(self, name: str) -> Node | None:
        return self.known.get(name)

    async def beat(self) -> None:
        """Renew the leases of the nodes that are up, for ever."""
        while True:
            self._news.clear()
            await asyncio.gather(*(self._beat(node) for node in list(self.known.values()) if node.awake.is_set()))
            with suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), BEAT)

    def hush(self, node: Node, mode: Down) -> None:
        """Its kubelet does nothing and says nothing more."""
        node.down = mode
        node.awake.clear()

    def wake(self, node: Node) -> None:
        """Its kubelet goes to work."""
        node.down = None
        node.awake.set()
        self._news.set()

    def _changed(self, _before: Json | None, after: Json | None) -> None:
        if after is None or "kwok.x-k8s.io/node" in after["metadata"].get("annotations", {}):
            return
        name, address = after["metadata"]["name"], _address(after)
        if name in self.known or not address or not after["spec"].get("providerID", "").startswith("aws:///"):
            return
        instance = after["spec"]["providerID"].rpartition("/")[2]
        network = NodeNetwork(address, self._doors / name)
        node = self.known[name] = Node(name, address, instance, dict(after["status"].get("allocatable", {})), network)
        self._came(node)

    async def _beat(self, node: Node) -> None:
        try:
            await asyncio.gather(self._renew(node), self._say_ready(node))
        except (ApiError, httpx.HTTPError) as error:
            _log.warning("heartbeat of %s: %s", node.name, error)

    async def _renew(self, node: Node) -> None:
        spec = {"holderIdentity": node.name, "leaseDurationSeconds": 40, "renewTime": micro(time.time())}
        try:
            await self._api.patch(f"{LEASES}/{node.name}", {"spec": spec})
        except ApiError as error:
            if error.status != NOT_FOUND:
                raise
            await self._api.post(LEASES, {"metadata": {"name": node.name, "namespace": "kube-node-lease"}, "spec": spec})

    async def _say_ready(self, node: Node) -> None:
        live = self.mirror.get(node.name)
        conditions = {one["type"]: one["status"] for one in (live or {}).get("status", {}).get("conditions", [])}
        if conditions.get("Ready") == "True" and conditions.get("PIDPressure") == "False":
            return
        await self._api.patch(f"/api/v1/nodes/{node.name}/status", {"status": _status()}, STRATEGIC)


def _address(node: Json) -> str:
    addresses = node.get("status", {}).get("addresses", [])
    return next((one["address"] for one in addresses if one["type"] == "InternalIP"), "")


def _status() -> Json:
    now = stamp(time.time())
    times = {"lastHeartbeatTime": now, "lastTransitionTime": now}
    pressures = [
        {"type": f"{kind}Pressure", "status": "False", "reason": f"KubeletHasNo{kind}Pressure", **times}
        for kind in ("Memory", "Disk", "PID")
    ]
    ready = {
        "type": "Ready",
        "status": "True",
        "reason": "KubeletReady",
        "message": "the lab's node agent is posting ready status",
        **times,
    }
    about = {"kubeletVersion": VERSION, "containerRuntimeVersion": "lab://1", "operatingSystem": "linux", "architecture": "amd64"}
    ports = {"kubeletEndpoint": {"Port": 10250}}
    return {"conditions": [*pressures, ready], "nodeInfo": about, "daemonEndpoints": ports}
