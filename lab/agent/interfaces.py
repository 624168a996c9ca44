"""Network interfaces, as AWS says: one that is attached to a node's instance is in that node, and in no other."""

from __future__ import annotations

import asyncio
import logging

from lab.agent.cloud import Cloud, CloudError, Interface
from lab.agent.network import NetworkError
from lab.agent.nodes import Nodes

POLL = 1.0

_log = logging.getLogger(__name__)


class Interfaces:
    """Plugs and unplugs. Level-triggered: what AWS says now is what counts."""

    def __init__(self, cloud: Cloud, nodes: Nodes) -> None:
        self._cloud = cloud
        self._nodes = nodes
        self._news = asyncio.Event()

    def look(self) -> None:
        """A node is on again, and has none of its interfaces."""
        self._news.set()

    async def run(self) -> None:
        """Follow AWS for ever."""
        async for _ in self._cloud.follow("interface.", self._news):
            try:
                await self._settle(await self._cloud.interfaces())
            except (CloudError, NetworkError, OSError) as error:
                _log.warning("interfaces: %s", error)
                await asyncio.sleep(POLL)
                self._news.set()

    async def _settle(self, attached: list[Interface]) -> None:
        """An interface that moves leaves the old node before it comes to the new one."""
        macs = {
            node.name: {one.number: one.mac for one in attached if one.instance == node.instance} for node in self._nodes.known.values()
        }
        on = [node for node in self._nodes.known.values() if not node.is_off]
        await asyncio.gather(*(node.network.unplug_all_but(macs[node.name]) for node in on))
        await asyncio.gather(*(node.network.plug(macs[node.name]) for node in on))
