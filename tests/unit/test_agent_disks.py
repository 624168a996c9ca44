"""No two nodes ever write to one volume; and addresses, claims and events that hang together with nothing else."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest

from lab.agent import disks as agent_disks
from lab.agent.api import Api, Mirror
from lab.agent.disks import Blocked, Disks
from lab.agent.resizer import wants_more
from lab.agent.sandbox import Addresses

NO_API = cast("Api", None)  # nothing here speaks to an API server
CLAIM = {"spec": {"volumeName": "pv"}}


def attachment(node: str, *, attached: bool = True, error: str = "") -> dict[str, Any]:
    status = {"attached": attached, **({"attachError": {"message": error}} if error else {})}
    return {"metadata": {"name": f"csi-{node}"}, "spec": {"nodeName": node, "source": {"persistentVolumeName": "pv"}}, "status": status}


def disks(tmp_path: Path, *attachments: dict[str, Any]) -> Disks:
    mirror = Mirror(NO_API, "/attachments")
    mirror.objects = {one["metadata"]["name"]: one for one in attachments}
    return Disks(NO_API, mirror, tmp_path)


def test_an_attached_volume_is_the_directory_of_its_id(tmp_path: Path) -> None:
    place = disks(tmp_path, attachment("a")).mount("a", "vol-1", CLAIM, "pod")
    assert place == tmp_path / "vol-1"
    assert place.is_dir()


def test_a_volume_without_an_attachment_is_not_mounted(tmp_path: Path) -> None:
    with pytest.raises(Blocked, match="no VolumeAttachment for node a"):
        disks(tmp_path).mount("a", "vol-1", CLAIM, "pod")
    with pytest.raises(Blocked, match="not attached to node a yet: AWS said no"):
        disks(tmp_path, attachment("a", attached=False, error="AWS said no")).mount("a", "vol-1", CLAIM, "pod")


def test_an_attachment_that_is_being_deleted_is_none(tmp_path: Path) -> None:
    going = attachment("a")
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    with pytest.raises(Blocked, match="not attached"):
        disks(tmp_path, going).mount("a", "vol-1", CLAIM, "pod")


def test_a_volume_is_mounted_on_one_node_only(tmp_path: Path) -> None:
    both = disks(tmp_path, attachment("a"), attachment("b"))
    both.mount("a", "vol-1", CLAIM, "one")
    both.mount("a", "vol-1", CLAIM, "two")
    with pytest.raises(Blocked, match=r"still mounted on node a \(by 2 Pod"):
        both.mount("b", "vol-1", CLAIM, "three")
    both.unmount("a", "vol-1", "one")
    both.unmount("b", "vol-1", "two")  # not b's to give back
    with pytest.raises(Blocked, match="still mounted"):
        both.mount("b", "vol-1", CLAIM, "three")
    both.unmount("a", "vol-1", "two")
    assert both.mount("b", "vol-1", CLAIM, "three").is_dir()
    assert (both.users("a", "vol-1"), both.users("b", "vol-1")) == (set(), {"three"})


class Late:
    """An API server that takes its time for the first of two answers given at once; *used* is what a node's status says in the end."""

    def __init__(self) -> None:
        self.asked, self.used = 0, list[str]()

    async def patch(self, _path: str, body: dict[str, Any]) -> None:
        self.asked += 1
        await asyncio.sleep(0.05 if self.asked == 3 else 0)
        self.used = body["status"]["volumesInUse"]


def test_two_volumes_that_are_let_go_at_once_are_both_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent_disks, "LINGERS", 0.0)
    api = Late()

    async def ends() -> None:
        both = Disks(cast("Api", api), Mirror(NO_API, "/attachments"), tmp_path)
        for handle in ("vol-1", "vol-2"):
            await both.want("a", handle, "pod")
        for handle in ("vol-1", "vol-2"):
            both.give_back("a", handle, "pod")
        await asyncio.sleep(0.2)

    asyncio.run(ends())
    assert (api.asked, api.used) == (4, [])


def test_addresses_are_given_out_in_turn_and_come_back_last() -> None:
    addresses = Addresses()
    first, second = addresses.take(), addresses.take()
    addresses.release(first)
    third = addresses.take()
    assert (first, second, third) == ("10.200.128.2", "10.200.128.3", "10.200.128.4")


def test_every_address_is_used_before_one_is_refused() -> None:
    addresses = Addresses()
    taken = {addresses.take() for _ in range(2**15 - 3)}
    assert len(taken) == 2**15 - 3
    assert not taken & {"10.200.128.0", "10.200.128.1", "10.200.255.255"}
    with pytest.raises(Exception, match="taken"):
        addresses.take()
    addresses.release("10.200.130.5")
    assert addresses.take() == "10.200.130.5"


@pytest.mark.parametrize(
    ("phase", "asked", "has", "more"),
    [("Bound", "2Gi", "1Gi", True), ("Bound", "1024Mi", "1Gi", False), ("Bound", "1Gi", "2Gi", False), ("Pending", "2Gi", "1Gi", False)],
)
def test_a_bound_claim_may_want_more_than_it_has(phase: str, asked: str, has: str, more: bool) -> None:
    claim = {
        "metadata": {},
        "spec": {"resources": {"requests": {"storage": asked}}},
        "status": {"phase": phase, "capacity": {"storage": has}},
    }
    assert wants_more(claim) is more
