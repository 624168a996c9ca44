"""Stands in for the CSI provisioner of ebs.csi.aws.com: a claim that nobody made a volume for gets one, which goes with it."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable

import httpx2 as httpx

from lab.agent.api import CONFLICT, NOT_FOUND, Api, ApiError
from lab.agent.cloud import Cloud, CloudError
from lab.agent.environment import quantity
from lab.agent.resizer import FIRST_PAUSE, GIB, LONGEST_PAUSE
from lab.agent.state import Json
from lab.nodes import DRIVER

VOLUMES = "/api/v1/persistentvolumes"
MADE = "lab/provisioned-by"  # a label of what was made here
ZONE = "topology.kubernetes.io/zone"
_BY, _NODE = "volume.kubernetes.io/storage-provisioner", "volume.kubernetes.io/selected-node"  # as Kubernetes' own controllers say it

Work = Callable[[str], Awaitable[None]]

_log = logging.getLogger(__name__)


class Provisioner:
    """One task for each claim that waits for a volume, and for each volume whose claim is gone."""

    def __init__(self, api: Api, cloud: Cloud) -> None:
        self._api = api
        self._cloud = cloud
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._claims: dict[str, Json] = {}
        self._released: dict[str, Json] = {}

    def claimed(self, before: Json | None, after: Json | None) -> None:
        """A claim is new, has changed or is gone."""
        known = after or before
        uid = known["metadata"]["uid"] if known else ""
        if after is None or not waits(after):
            self._claims.pop(uid, None)
            return
        self._claims[uid] = after
        self._begin(uid, self._provide)

    def changed(self, before: Json | None, after: Json | None) -> None:
        """A PersistentVolume that was made here is new, has changed or is gone."""
        known = after or before
        uid = known["metadata"]["uid"] if known else ""
        if after is None or not is_released(after):
            self._released.pop(uid, None)
            return
        self._released[uid] = after
        self._begin(uid, self._remove)

    def _begin(self, uid: str, work: Work) -> None:
        if uid not in self._tasks:
            task = self._tasks[uid] = asyncio.create_task(self._follow(uid, work))
            task.add_done_callback(lambda _: self._tasks.pop(uid, None))

    async def _follow(self, uid: str, work: Work) -> None:
        pause = FIRST_PAUSE
        while uid in self._claims or uid in self._released:
            try:
                await work(uid)
            except (ApiError, CloudError, httpx.HTTPError) as error:
                _log.info("%s: %s", uid, error)
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)
            else:
                return

    async def _provide(self, uid: str) -> None:
        """Make a volume in the zone of the node that the scheduler has chosen, and the PersistentVolume that the claim is bound to."""
        claim = self._claims[uid]
        node = await self._api.get(f"/api/v1/nodes/{claim['metadata']['annotations'][_NODE]}")
        kind = await self._api.get(f"/apis/storage.k8s.io/v1/storageclasses/{claim['spec']['storageClassName']}")
        zone, size = node["metadata"]["labels"][ZONE], math.ceil(quantity(claim["spec"]["resources"]["requests"]["storage"]) / GIB)
        handle = await self._cloud.provide(f"pvc-{uid}", zone, size, (kind.get("parameters") or {}).get("type", "gp3"))
        try:
            await self._api.post(VOLUMES, persistent_volume(claim, kind, handle, zone, size))
        except ApiError as error:
            if error.status != CONFLICT:
                raise

    async def _remove(self, uid: str) -> None:
        """Take the volume away, then its PersistentVolume."""
        volume = self._released[uid]
        await self._cloud.remove(volume["spec"]["csi"]["volumeHandle"])
        try:
            await self._api.delete(f"{VOLUMES}/{volume['metadata']['name']}")
        except ApiError as error:
            if error.status != NOT_FOUND:
                raise


def waits(claim: Json) -> bool:
    """Whether a volume is to be made for the claim: none is named, and its Pod's node is chosen."""
    metadata = claim["metadata"]
    notes = metadata.get("annotations") or {}
    return notes.get(_BY) == DRIVER and _NODE in notes and not claim["spec"].get("volumeName") and "deletionTimestamp" not in metadata


def is_released(volume: Json) -> bool:
    """Whether its claim is gone, and it is to go too."""
    reclaim = volume["spec"].get("persistentVolumeReclaimPolicy")
    return volume.get("status", {}).get("phase") == "Released" and reclaim == "Delete" and "deletionTimestamp" not in volume["metadata"]


def persistent_volume(claim: Json, kind: Json, handle: str, zone: str, size: int) -> Json:
    """What *claim*, whose class is *kind*, is bound to."""
    metadata = claim["metadata"]
    named = {name: metadata[name] for name in ("namespace", "name", "uid")}
    within = {"matchExpressions": [{"key": ZONE, "operator": "In", "values": [zone]}]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {
            "name": f"pvc-{metadata['uid']}",
            "labels": {MADE: DRIVER},
            "annotations": {"pv.kubernetes.io/provisioned-by": DRIVER},
        },
        "spec": {
            "capacity": {"storage": f"{size}Gi"},
            "accessModes": claim["spec"]["accessModes"],
            "persistentVolumeReclaimPolicy": kind.get("reclaimPolicy", "Delete"),
            "storageClassName": kind["metadata"]["name"],
            "csi": {"driver": DRIVER, "volumeHandle": handle, "fsType": "ext4"},
            "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", **named},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [within]}},
        },
    }
