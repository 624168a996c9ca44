"""Where one Pod lives on its node: its network, its volumes, its folder. Opened before its first process, closed after the last."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lab.agent import sandbox, starting
from lab.agent.api import Api
from lab.agent.environment import Place
from lab.agent.events import Events
from lab.agent.nodes import Node
from lab.agent.sandbox import Addresses, Sandbox
from lab.agent.starting import Machine, Room
from lab.agent.state import Json
from lab.agent.volumes import Store, Volumes


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every Pod needs of the agent."""

    api: Api
    machine: Machine
    addresses: Addresses
    events: Events
    store: Callable[[Path], Store]


class Home:
    """The home of one Pod on *node*."""

    def __init__(self, around: Surroundings, node: Node, uid: str) -> None:
        self._around = around
        self._node = node
        self._uid = uid
        self.folder = around.machine.scratch / "pods" / uid
        self._sandbox: Sandbox | None = None
        self._volumes: Volumes | None = None

    @property
    def is_open(self) -> bool:
        return self._sandbox is not None

    async def connect(self, pod: Json) -> str:
        """Give the Pod its network, if it has none yet; its address."""
        if self._sandbox is None:
            if pod["spec"].get("hostNetwork"):
                self._sandbox = Sandbox(self._node.address, self._node.network.descriptor, self._node.network)
            else:
                link = f"p{self._uid[:13].replace('-', '')}"
                self._sandbox = await sandbox.open_sandbox(self._node.network, self._around.addresses.take(), link)
        return self._sandbox.address

    async def furnish(self, pod: Json) -> None:
        """Make its volumes ready. Raises `Blocked` or `ConfigError` while one can't be; to be asked again."""
        if self._volumes is None:
            self._volumes = Volumes(self._around.store(self.folder / "volumes"), self._place(pod))
        await self._volumes.prepare()

    def made_of(self, kind: str, name: str) -> bool:
        """Whether a volume is made of that object; of any, if none is named."""
        return self._volumes is not None and (not name or self._volumes.made_of(kind, name))

    def lose(self, handle: str) -> None:
        """An EBS volume is no longer here."""
        if self._volumes is not None:
            self._volumes.lose(handle)

    async def refresh(self, pod: Json) -> None:
        """Bring volumes made of API objects up to date."""
        if self._volumes is not None:
            await self._volumes.refresh(self._place(pod))

    def room(self, pod: Json) -> Room:
        """What a container of the Pod starts in."""
        assert self._sandbox is not None
        assert self._volumes is not None
        shared = starting.write_shared(self.folder / "etc", pod, self._sandbox.address, self._node.name)
        return Room(self._around.machine, self._around.api, self._place(pod), self._volumes.ready, self._sandbox, self.folder, shared)

    async def close(self, *, quietly: bool = False) -> None:
        """Take everything away; *quietly* on a node that can't tell the API server."""
        if self._volumes:
            if quietly:
                self._volumes.drop()
            else:
                await self._volumes.clean()
            self._volumes = None
        if self._sandbox:
            await sandbox.close_sandbox(self._sandbox)
            if self._sandbox.link:
                self._around.addresses.release(self._sandbox.address)
            self._sandbox = None
        await asyncio.to_thread(shutil.rmtree, self.folder, ignore_errors=True)

    def _place(self, pod: Json) -> Place:
        address = self._sandbox.address if self._sandbox else ""
        return Place(pod, address, self._node.address, self._node.allocatable)
