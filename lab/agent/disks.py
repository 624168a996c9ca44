"""EBS volumes on nodes: which is mounted where, so that no two nodes ever write to one. A volume is the directory of its id."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx2 as httpx

from lab.agent.api import Api, ApiError, Mirror
from lab.agent.state import Json
from lab.nodes import DRIVER

LINGERS = 2.0  # seconds until a node tells that it uses a volume no more: a kubelet tells every ten, so a Pod may start again in place


class Blocked(Exception):
    """A volume can't be had yet; its text says why. To be asked again."""


@dataclass(slots=True)
class Disk:
    """A volume that is mounted: on that node, for those Pods."""

    node: str
    pods: set[str] = field(default_factory=set)


class Disks:
    """Every EBS volume that is mounted in the lab."""

    def __init__(self, api: Api, attachments: Mirror, folder: Path) -> None:
        self._api = api
        self._attachments = attachments
        self._folder = folder
        self._mounted: dict[str, Disk] = {}
        self._wanted: dict[str, dict[str, set[str]]] = {}
        self._lingering: set[asyncio.Task[None]] = set()
        self._telling: dict[str, asyncio.Lock] = {}

    async def want(self, node: str, handle: str, pod: str) -> None:
        """Say that *node* uses the volume: the controller manager does not detach it then."""
        users = self._wanted.setdefault(node, {}).setdefault(handle, set())
        if not users:
            users.add(pod)
            await self.report(node)
        users.add(pod)

    def mount(self, node: str, handle: str, claim: Json, pod: str) -> Path:
        """The directory that is the volume, from now on *pod*'s on *node*.

        Raises:
            Blocked: it is not attached to the node, or still mounted on another one.
        """
        self._require_attached(node, handle, claim["spec"]["volumeName"])
        disk = self._mounted.setdefault(handle, Disk(node))
        if disk.node != node:
            raise Blocked(f"volume {handle} is still mounted on node {disk.node} (by {len(disk.pods)} Pod(s)); it can be on one node only")
        disk.pods.add(pod)
        place = self._folder / handle
        place.mkdir(exist_ok=True)
        return place

    def give_back(self, node: str, handle: str, pod: str) -> None:
        """*pod*'s processes are gone: the volume is no longer theirs."""
        self.unmount(node, handle, pod)
        users = self._wanted.get(node, {}).get(handle, set())
        users.discard(pod)
        if not users and handle in self._wanted.get(node, {}):
            task = asyncio.create_task(self._let_go(node, handle))
            self._lingering.add(task)
            task.add_done_callback(self._lingering.discard)

    async def _let_go(self, node: str, handle: str) -> None:
        """Tell that *node* uses the volume no more, unless another Pod of its does by then."""
        told = False
        while not told:
            await asyncio.sleep(LINGERS)
            if self._wanted.get(node, {}).get(handle):
                return
            self._wanted.get(node, {}).pop(handle, None)
            with suppress(httpx.HTTPError, ApiError):
                await self.report(node)
                told = True

    def unmount(self, node: str, handle: str, pod: str) -> None:
        """Like `give_back`, of a node that can't tell anybody."""
        disk = self._mounted.get(handle)
        if disk and disk.node == node:
            disk.pods.discard(pod)
            if not disk.pods:
                del self._mounted[handle]

    async def forget(self, node: str) -> None:
        """The node has started anew: it uses nothing."""
        if self._wanted.pop(node, None):
            await self.report(node)

    def users(self, node: str, handle: str) -> set[str]:
        """The Pods that have the volume mounted on *node*."""
        disk = self._mounted.get(handle)
        return set(disk.pods) if disk and disk.node == node else set()

    async def report(self, node: str) -> None:
        """Write what *node* uses to its status; one after the other, or what was true earlier might arrive last and stay."""
        async with self._telling.setdefault(node, asyncio.Lock()):
            used = [f"kubernetes.io/csi/{DRIVER}^{handle}" for handle in sorted(self._wanted.get(node, {}))]
            await self._api.patch(f"/api/v1/nodes/{node}/status", {"status": {"volumesInUse": used}})

    def _require_attached(self, node: str, handle: str, volume: str) -> None:
        for one in self._attachments.objects.values():
            spec, status = one["spec"], one.get("status", {})
            if spec["nodeName"] == node and spec["source"].get("persistentVolumeName") == volume:
                if status.get("attached") and "deletionTimestamp" not in one["metadata"]:
                    return
                refused = status.get("attachError", {}).get("message", "")
                raise Blocked(f"volume {handle} is not attached to node {node} yet{': ' + refused if refused else ''}")
        raise Blocked(f"volume {handle} has no VolumeAttachment for node {node} yet")
