"""The lab's provisioner: who waits for a volume, what is made for it, and when it goes."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from lab.agent import provisioner
from lab.agent.api import Api, ApiError
from lab.agent.cloud import Cloud
from lab.agent.provisioner import Provisioner

NOTES = {"volume.kubernetes.io/storage-provisioner": "ebs.csi.aws.com", "volume.kubernetes.io/selected-node": "node-b1"}
CLASS = {"metadata": {"name": "gp3"}, "parameters": {"type": "gp2"}, "reclaimPolicy": "Delete"}
NODE = {"metadata": {"labels": {"topology.kubernetes.io/zone": "us-east-1b"}}}


def claim(notes: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    metadata = {"name": "data", "namespace": "default", "uid": "u1", "annotations": NOTES if notes is None else notes}
    wanted = {"accessModes": ["ReadWriteOnce"], "storageClassName": "gp3", "resources": {"requests": {"storage": "1500Mi"}}}
    return {"metadata": metadata, "spec": {**wanted, **spec}}


def volume(phase: str, policy: str = "Delete") -> dict[str, Any]:
    spec = {"persistentVolumeReclaimPolicy": policy, "csi": {"volumeHandle": "vol-1"}}
    return {"metadata": {"name": "pvc-u1", "uid": "v1"}, "spec": spec, "status": {"phase": phase}}


class Around:
    """The API server and AWS, as far as a provisioner asks them; *calls* are those that change something."""

    def __init__(self, *failing: str) -> None:
        self.calls: list[Any] = []
        self._failing = list(failing)

    async def get(self, path: str) -> dict[str, Any]:
        return NODE if "/nodes/" in path else CLASS

    async def post(self, path: str, body: dict[str, Any]) -> None:
        self._note("post", path, body["metadata"]["name"], body["spec"])

    async def delete(self, path: str) -> None:
        self._note("delete", path)

    async def provide(self, name: str, zone: str, size: int, kind: str) -> str:
        self._note("provide", name, zone, size, kind)
        return "vol-1"

    async def remove(self, handle: str) -> None:
        self._note("remove", handle)

    def _note(self, *call: Any) -> None:
        self.calls.append(call)
        if call[0] in self._failing:
            self._failing.remove(call[0])
            raise ApiError(500, "try again")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provisioner, "FIRST_PAUSE", 0.001)


def told(around: Around, *, claimed: dict[str, Any] | None = None, changed: dict[str, Any] | None = None) -> list[Any]:
    """What is done about one event."""

    async def work() -> None:
        subject = Provisioner(cast("Api", around), cast("Cloud", around))
        subject.claimed(None, claimed)
        subject.changed(None, changed)
        await asyncio.gather(*subject._tasks.values())

    asyncio.run(work())
    return around.calls


def test_a_claim_whose_pod_has_a_node_gets_a_volume_in_its_zone() -> None:
    made, posted = told(Around(), claimed=claim())
    assert made == ("provide", "pvc-u1", "us-east-1b", 2, "gp2")
    assert posted[:3] == ("post", "/api/v1/persistentvolumes", "pvc-u1")
    assert posted[3]["claimRef"]["uid"] == "u1"
    assert posted[3]["csi"] == {"driver": "ebs.csi.aws.com", "volumeHandle": "vol-1", "fsType": "ext4"}


@pytest.mark.parametrize(
    "one",
    [
        claim(volumeName="lab-kv-0-data"),  # somebody made one for it
        claim({"volume.kubernetes.io/storage-provisioner": "ebs.csi.aws.com"}),  # no Pod of it has a node yet
        claim({**NOTES, "volume.kubernetes.io/storage-provisioner": "example.com/nfs"}),
    ],
)
def test_nobody_else_gets_one(one: dict[str, Any]) -> None:
    assert told(Around(), claimed=one) == []


def test_what_fails_is_tried_again(quick: None) -> None:
    assert [call[0] for call in told(Around("post"), claimed=claim())] == ["provide", "post", "provide", "post"]


def test_a_volume_goes_with_its_claim_unless_it_is_to_stay() -> None:
    assert told(Around(), changed=volume("Released")) == [("remove", "vol-1"), ("delete", "/api/v1/persistentvolumes/pvc-u1")]
    assert told(Around(), changed=volume("Released", "Retain")) == []
    assert told(Around(), changed=volume("Bound")) == []
