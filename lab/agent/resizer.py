"""Stands in for the CSI resizer of ebs.csi.aws.com, and the kubelet's half of it: a claim that asks for more gets it after its volume."""

from __future__ import annotations

import asyncio
import logging
import math

import httpx2 as httpx

from lab.agent.api import Api, ApiError
from lab.agent.cloud import Cloud, CloudError
from lab.agent.environment import quantity
from lab.agent.state import Json
from lab.nodes import DRIVER

CLAIMS = "/api/v1/persistentvolumeclaims"
GIB = 1 << 30
POLL, FIRST_PAUSE, LONGEST_PAUSE = 0.3, 1.0, 30.0

_log = logging.getLogger(__name__)


class Resizer:
    """One task for each bound claim that asks for more than it has."""

    def __init__(self, api: Api, cloud: Cloud) -> None:
        self._api = api
        self._cloud = cloud
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._latest: dict[str, Json] = {}

    def changed(self, _before: Json | None, after: Json | None) -> None:
        """A claim is new or has changed."""
        if after is None:
            return
        uid = after["metadata"]["uid"]
        self._latest[uid] = after
        if wants_more(after) and uid not in self._tasks:
            task = self._tasks[uid] = asyncio.create_task(self._follow(uid))
            task.add_done_callback(lambda _: self._tasks.pop(uid, None))

    async def _follow(self, uid: str) -> None:
        pause = FIRST_PAUSE
        while wants_more(self._latest[uid]):
            try:
                if not await self._grow(uid):
                    break
            except (ApiError, CloudError, httpx.HTTPError) as error:
                _log.info("claim %s: %s", self._latest[uid]["metadata"]["name"], error)
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)

    async def _grow(self, uid: str) -> bool:
        """Let volume, PersistentVolume and claim have the size, in this order; whether the claim is one of ours."""
        claim = self._latest[uid]
        metadata, path = claim["metadata"], f"/api/v1/persistentvolumes/{claim['spec']['volumeName']}"
        volume = await self._api.get(path)
        if volume["spec"].get("csi", {}).get("driver") != DRIVER:
            return False
        wanted = math.ceil(quantity(claim["spec"]["resources"]["requests"]["storage"]) / GIB)
        size = await self._grown(volume["spec"]["csi"]["volumeHandle"], wanted)
        capacity = {"capacity": {"storage": f"{size}Gi"}}
        await self._api.patch(path, {"spec": capacity})
        status = f"/api/v1/namespaces/{metadata['namespace']}/persistentvolumeclaims/{metadata['name']}/status"
        self._latest[uid] = await self._api.patch(status, {"status": capacity})
        return True

    async def _grown(self, handle: str, wanted: int) -> int:
        """Ask for the size where nobody has yet; the volume's size once it is there."""
        if await self._cloud.size(handle) < wanted:
            await self._cloud.grow(handle, wanted)
        while True:
            if (size := await self._cloud.size(handle)) >= wanted:
                return size
            await asyncio.sleep(POLL)


def wants_more(claim: Json) -> bool:
    """Whether a bound claim asks for more than it has."""
    status = claim.get("status", {})
    if status.get("phase") != "Bound" or "deletionTimestamp" in claim["metadata"]:
        return False
    has = quantity(status.get("capacity", {}).get("storage", "0"))
    return quantity(claim["spec"]["resources"]["requests"]["storage"]) > has
