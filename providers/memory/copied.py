"""Snapshots in memory: of one volume, or of all that are attached to an instance; completed once their time is over."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from providers.memory.refusal import refuse
from providers.memory.still import FixedClock

Thing = dict[str, Any]


class Snapshots:
    """Those of an account. *clock* is its own; one is completed after *takes*, at once unless a test says so."""

    def __init__(self, clock: FixedClock, new_id: Callable[[str], str]) -> None:
        self.clock = clock
        self.takes = timedelta(0)
        self._new_id = new_id
        self._made: dict[str, Thing] = {}

    def make(self, volume: Thing, tags: list[dict[str, str]]) -> Thing:
        snapshot = {
            "SnapshotId": self._new_id("snap"),
            "VolumeId": volume["VolumeId"],
            "VolumeSize": volume["Size"],
            "Encrypted": volume["Encrypted"],
            "StartTime": datetime.fromtimestamp(self.clock.time, UTC),
            "Tags": tags,
        }
        self._made[snapshot["SnapshotId"]] = snapshot
        return self.told()[snapshot["SnapshotId"]]

    def told(self) -> dict[str, Thing]:
        """All, each with its state by now."""
        now = datetime.fromtimestamp(self.clock.time, UTC)
        return {id: {**one, "State": "completed" if now >= one["StartTime"] + self.takes else "pending"} for id, one in self._made.items()}

    def of(self, asked: Mapping[str, Any]) -> Thing:
        """What a volume is like that is made from the snapshot that *asked* names; nothing where it names none."""
        id = asked.get("SnapshotId")
        if not id:
            return {}
        snapshot = self.told().get(id) or self._missing(id)
        if int(asked.get("Size") or snapshot["VolumeSize"]) < snapshot["VolumeSize"]:
            raise refuse("InvalidParameterValue", f"The size of a volume may not be smaller than that of its snapshot {id}")
        return {"Size": asked.get("Size") or snapshot["VolumeSize"], "Encrypted": snapshot["Encrypted"] or bool(asked.get("Encrypted"))}

    def delete(self, id: str) -> None:
        if self._made.pop(id, None) is None:
            self._missing(id)

    @staticmethod
    def _missing(id: str) -> Thing:
        raise refuse("InvalidSnapshot.NotFound", f"The snapshot '{id}' does not exist.")


def attached(volumes: Iterable[Thing], asked: Mapping[str, Any]) -> list[Thing]:
    """The volumes of the instance that *asked* names, but for those that it leaves out."""
    left_out = set(asked.get("ExcludeDataVolumeIds") or ())
    on = (one for one in volumes if any(at["InstanceId"] == asked["InstanceId"] for at in one["Attachments"]))
    return [one for one in on if one["VolumeId"] not in left_out]
