"""Members' network interfaces: an attached one's address is the lab's own, and its node sees it in /sys/class/net."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Iterable
from pathlib import Path

from lab.agent import network
from lab.agent.cloud import Cloud, CloudError, Interface
from lab.agent.nodes import Node, Nodes

POLL = 1.0

_log = logging.getLogger(__name__)


class Interfaces:
    """Keeps addresses and views as AWS says. A view is a folder that hostNetwork containers have mounted: it changes under them."""

    def __init__(self, cloud: Cloud, nodes: Nodes, folder: Path) -> None:
        self._cloud = cloud
        self._nodes = nodes
        self._folder = folder
        self._addresses: set[str] = set()

    def view(self, node: Node) -> Path:
        """The folder that stands for /sys/class/net on *node*."""
        place = self._folder / node.name / "net"
        place.mkdir(parents=True, exist_ok=True)
        return place

    async def run(self) -> None:
        """Follow AWS for ever: by its events where it tells them, by looking otherwise."""
        last = 0
        while True:
            try:
                await self._settle(await self._cloud.interfaces())
            except (CloudError, network.NetworkError, OSError) as error:
                _log.warning("interfaces: %s", error)
                await asyncio.sleep(POLL)
                continue
            events = await self._cloud.events(last)
            if events is None:
                await asyncio.sleep(POLL)
            elif events:
                last = max(event["id"] for event in events)

    async def _settle(self, attached: list[Interface]) -> None:
        owners = {node.instance: node for node in self._nodes.known.values()}
        wanted = {one.address for one in attached if one.number > 0 and one.instance in owners}
        if gone := self._addresses - wanted:
            await network.take_from_node(gone)
        if new := wanted - self._addresses:
            await network.add_to_node(new)
        self._addresses = wanted
        for instance, node in owners.items():
            _show(self.view(node), [one for one in attached if one.instance == instance])


def _show(place: Path, interfaces: Iterable[Interface]) -> None:
    """Let *place* show exactly these, with the files that programs look for: address, operstate, ifindex."""
    wanted = {f"eth{one.number}": one for one in interfaces}
    for path in place.iterdir():
        if path.name not in wanted:
            shutil.rmtree(path)
    for name, one in wanted.items():
        draft = place / name
        draft.mkdir(exist_ok=True)
        for file, text in (("operstate", "up"), ("ifindex", str(one.number + 2)), ("address", one.mac)):
            if not (draft / file).exists() or (draft / file).read_text() != f"{text}\n":
                (draft / file).write_text(f"{text}\n")
