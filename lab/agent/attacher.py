"""Stands in for the CSI attacher of ebs.csi.aws.com: a VolumeAttachment becomes an attachment in AWS, its deletion a detachment."""

from __future__ import annotations

import asyncio
import logging
import string
import time
from itertools import product
from typing import TYPE_CHECKING

import httpx2 as httpx

from lab.agent.api import NOT_FOUND, Api, ApiError
from lab.agent.clock import stamp
from lab.agent.cloud import Cloud, CloudError
from lab.agent.disks import Disks
from lab.agent.nodes import Node, Nodes
from lab.agent.state import Json
from lab.nodes import DRIVER

if TYPE_CHECKING:
    from lab.agent.roster import Roster

ATTACHMENTS = "/apis/storage.k8s.io/v1/volumeattachments"
FINALIZER = "external-attacher/ebs-csi-aws-com"
POLL, SLOWEST_POLL, FIRST_PAUSE, LONGEST_PAUSE = 0.2, 2.0, 0.5, 10.0
DEVICES = [f"/dev/xvd{first}{second}" for first, second in product("bcd", string.ascii_lowercase)]

_log = logging.getLogger(__name__)


class Attacher:
    """One task for each VolumeAttachment that is not as it should be."""

    def __init__(self, api: Api, cloud: Cloud, nodes: Nodes, disks: Disks, roster: Roster) -> None:
        self._api = api
        self._cloud = cloud
        self._nodes = nodes
        self._disks = disks
        self._roster = roster
        self._latest: dict[str, Json] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._choosing = asyncio.Lock()

    def changed(self, after: Json | None) -> None:
        """A VolumeAttachment is new or has changed."""
        if after is None or after["spec"]["attacher"] != DRIVER:
            return
        name = after["metadata"]["name"]
        self._latest[name] = after
        if name not in self._tasks:
            task = self._tasks[name] = asyncio.create_task(self._follow(name))
            task.add_done_callback(lambda _: self._tasks.pop(name, None))

    async def _follow(self, name: str) -> None:
        pause = FIRST_PAUSE
        while not _settled(self._latest[name]):
            try:
                await self._settle(self._latest[name])
            except (CloudError, ApiError, httpx.HTTPError) as error:
                if isinstance(error, ApiError) and error.status == NOT_FOUND:
                    break
                _log.info("%s: %s", name, error)
                await self._complain(name, str(error))
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)
        self._latest.pop(name, None)

    async def _settle(self, attachment: Json) -> None:
        name, node = attachment["metadata"]["name"], self._nodes.get(attachment["spec"]["nodeName"])
        volume = await self._api.find(f"/api/v1/persistentvolumes/{attachment['spec']['source']['persistentVolumeName']}")
        handle = volume["spec"]["csi"]["volumeHandle"] if volume else attachment["metadata"].get("annotations", {}).get("lab/handle")
        if "deletionTimestamp" in attachment["metadata"]:
            if handle and node:
                await self._detach(handle, node)
            self._latest[name] = await self._finalize(attachment, keep=False)
            return
        if node is None or handle is None:
            raise ApiError(409, f"{name}: node {attachment['spec']['nodeName']} or its PersistentVolume is not there")
        self._latest[name] = await self._finalize(attachment, keep=True, handle=handle)
        device = await self._attach(handle, node)
        status = {"attached": True, "attachmentMetadata": {"devicePath": device}, "attachError": None}
        self._latest[name] = await self._api.patch(f"{ATTACHMENTS}/{name}/status", {"status": status})

    async def _attach(self, handle: str, node: Node) -> str:
        """Attach the volume to the node's instance; its device. What is attached already (a crash between) is taken as it is."""
        async with self._choosing:
            here = [one for one in await self._cloud.attachments(handle) if one.instance == node.instance and one.state != "detaching"]
            if not here:
                taken = await self._cloud.devices(node.instance)
                await self._cloud.attach(handle, node.instance, next(device for device in DEVICES if device not in taken))
        while True:
            for one in await self._cloud.attachments(handle):
                if one.instance == node.instance and one.state == "attached":
                    return one.device
            await asyncio.sleep(POLL)

    async def _detach(self, handle: str, node: Node) -> None:
        """Detach it. Who still has it mounted loses it, as a machine loses a disk: such processes end first."""
        users = self._disks.users(node.name, handle)
        for worker in [one for one in self._roster.of_node(node.name) if one.pod["metadata"]["uid"] in users]:
            _log.warning("%s: volume %s is taken from node %s by force; its processes end", worker.label, handle, node.name)
            await worker.lose(handle)
        try:
            if any(one.instance == node.instance and one.state != "detaching" for one in await self._cloud.attachments(handle)):
                await self._cloud.detach(handle, node.instance, force=node.down is not None)
            pause = POLL
            while any(one.instance == node.instance for one in await self._cloud.attachments(handle)):
                await asyncio.sleep(pause)
                pause = min(pause * 1.2, SLOWEST_POLL)  # it may take minutes
        except CloudError as error:
            if error.code not in ("InvalidVolume.NotFound", "IncorrectState"):
                raise

    async def _finalize(self, attachment: Json, *, keep: bool, handle: str = "") -> Json:
        metadata = attachment["metadata"]
        held = metadata.get("finalizers", [])
        if (FINALIZER in held) is keep:
            return attachment
        finalizers = [*held, FINALIZER] if keep else [one for one in held if one != FINALIZER]
        body: Json = {"metadata": {"finalizers": finalizers, "resourceVersion": metadata["resourceVersion"]}}
        if keep:
            body["metadata"]["annotations"] = {"lab/handle": handle}
        return await self._api.patch(f"{ATTACHMENTS}/{metadata['name']}", body)

    async def _complain(self, name: str, message: str) -> None:
        """Say in its status why it is not done."""
        kind = "detachError" if "deletionTimestamp" in self._latest[name]["metadata"] else "attachError"
        status = {kind: {"time": stamp(time.time()), "message": message}}
        try:
            self._latest[name] = await self._api.patch(f"{ATTACHMENTS}/{name}/status", {"status": status})
        except (ApiError, httpx.HTTPError) as error:
            _log.info("%s: %s", name, error)


def _settled(attachment: Json) -> bool:
    if "deletionTimestamp" in attachment["metadata"]:
        return FINALIZER not in attachment["metadata"].get("finalizers", [])
    return bool(attachment.get("status", {}).get("attached"))
