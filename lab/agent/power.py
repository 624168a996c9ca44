"""What befalls nodes: they boot, die, reboot, hang, are cut off, come back; by a test's order, or as EC2 stops and starts instances."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

import httpx2 as httpx

from lab.agent.api import ApiError
from lab.agent.cloud import Cloud, CloudError
from lab.agent.disks import Disks
from lab.agent.interfaces import Interfaces
from lab.agent.network import NetworkError
from lab.agent.nodes import Down, Node, Nodes
from lab.agent.roster import Roster
from lab.agent.server import Server

Fate = Literal["running", "stopped", "terminated"]
POLL = 1.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Parts:
    """What has to do with a node's going on and off."""

    cloud: Cloud
    disks: Disks
    interfaces: Interfaces
    roster: Roster
    server: Server


class Power:
    """One hand at a time on each node."""

    def __init__(self, nodes: Nodes, parts: Parts) -> None:
        self._nodes = nodes
        self._parts = parts
        self._stopped: set[str] = set()
        self._looking = asyncio.Lock()
        self._locks: dict[str, asyncio.Lock] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def came(self, node: Node) -> None:
        """A node is seen for the first time."""
        self._spawn(self._boot(node))

    async def put_down(self, name: str, mode: Down, *, fate: Fate = "running", seconds: float = 0.0) -> None:
        """Let *mode* befall a node, and *fate* its instance in EC2; a rebooting one is back after *seconds*.

        Raises:
            KeyError: there is none of that name.
            ValueError: it is down already, and not only by hanging.
        """
        node = self._nodes.known[name]
        async with self._lock(node):
            if node.is_off:
                raise ValueError(f"node {name} is {node.down} already; bring it up first")
            self._nodes.hush(node, mode)
            if mode == "partitioned":
                await node.network.cut()
            elif mode in ("dead", "rebooting"):
                await self._switch_off(node)
        if mode == "rebooting":
            self._spawn(self._return(node, seconds))
        if fate != "running":
            await self._parts.cloud.end(node.instance, terminate=fate == "terminated")

    async def bring_up(self, name: str) -> None:
        """It is back: after it was off, its Pods begin anew, those that are still wanted. A stopped instance is started.

        Raises:
            KeyError: there is none of that name.
            ValueError: its instance is terminated.
        """
        node = self._nodes.known[name]
        async with self._looking:
            match (await self._parts.cloud.instances()).get(node.instance):
                case "stopping" | "stopped":
                    await self._parts.cloud.start(node.instance)
                case "shutting-down" | "terminated" | None:
                    raise ValueError(f"the instance {node.instance} of node {name} is terminated: it can't come back")
            self._stopped.discard(name)
        await self._bring_up(node)

    async def slow(self, of: str, seconds: float) -> None:
        """Let a node's instance, a volume or an interface take *seconds* to let go, or to be let go of; 0: no longer than any.

        Raises:
            KeyError: it is none of these.
        """
        node = self._nodes.get(of)
        if node is None and not of.startswith(("vol-", "eni-")):
            raise KeyError(of)
        await self._parts.cloud.slow(node.instance if node else of, seconds)

    async def run(self) -> None:
        """Follow the nodes' instances for ever: a stopped one's node is off."""
        async for _ in self._parts.cloud.follow("instance.", asyncio.Event()):
            try:
                async with self._looking:
                    await self._settle(await self._parts.cloud.instances())
            except (CloudError, NetworkError, OSError, httpx.HTTPError) as error:
                _log.warning("instances: %s", error)
                await asyncio.sleep(POLL)

    async def _settle(self, states: dict[str, str]) -> None:
        for node in list(self._nodes.known.values()):
            if states.get(node.instance) in ("pending", "running"):
                if node.name in self._stopped:
                    self._stopped.discard(node.name)
                    await self._bring_up(node)
            elif node.name not in self._stopped:
                async with self._lock(node):
                    self._nodes.hush(node, "dead")
                    await self._switch_off(node)
                self._stopped.add(node.name)

    async def _bring_up(self, node: Node) -> None:
        async with self._lock(node):
            if node.is_off:
                await self._parts.cloud.say_runs(node.instance, runs=True)
                await node.network.open()
                await self._parts.server.open(node)
                self._parts.interfaces.look()
                with suppress(ApiError, httpx.HTTPError):
                    await self._parts.disks.forget(node.name)
            else:
                await node.network.mend()
            self._nodes.wake(node)
            self._parts.roster.node_came(node)

    async def _switch_off(self, node: Node) -> None:
        self._parts.server.close(node)
        await self._parts.roster.node_went(node)
        await node.network.close()
        await self._parts.cloud.say_runs(node.instance, runs=False)

    async def _return(self, node: Node, seconds: float) -> None:
        await asyncio.sleep(seconds)
        if node.down == "rebooting":
            await self._boot(node)

    async def _boot(self, node: Node) -> None:
        while True:
            try:
                return await self._bring_up(node)
            except (NetworkError, OSError, httpx.HTTPError) as error:
                _log.warning("%s does not boot: %s", node.name, error)
                await asyncio.sleep(POLL)

    def _lock(self, node: Node) -> asyncio.Lock:
        return self._locks.setdefault(node.name, asyncio.Lock())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
