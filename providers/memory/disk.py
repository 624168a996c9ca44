"""A volume's measures in memory: what EBS fills in, what it refuses, and its budget of modifications. Held to the lab's by contract."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

from providers.memory.refusal import refuse
from providers.memory.still import FixedClock

Thing = dict[str, Any]
_IOPS: Mapping[str, tuple[int, int, int]] = {"gp3": (3000, 80000, 500), "io1": (100, 64000, 50), "io2": (100, 256000, 1000)}
_SIZES = {"gp2": (1, 16384), "gp3": (1, 65536), "io1": (4, 16384), "io2": (4, 65536), "st1": (125, 16384), "sc1": (125, 16384)}
_MAGNETIC = (1, 1024)
_BASE, _THROUGHPUT, _MOST_THROUGHPUT = 3000, 125, 2000
_A_DAY, _IN_A_DAY = timedelta(hours=24), 4


def shaped(asked: Mapping[str, Any]) -> Thing:
    """Size, type, iops and throughput as EBS would have them for what is *asked*, its defaults filled in."""
    kind, size = str(asked.get("VolumeType") or "gp2"), int(asked["Size"])
    _bounded("Volume size", size, _SIZES.get(kind, _MAGNETIC))
    shape: Thing = {"VolumeType": kind, "Size": size}
    if (asked.get("Iops") and kind not in _IOPS) or (asked.get("Throughput") and kind != "gp3"):
        raise refuse("InvalidParameterCombination", f"The parameter iops or throughput is not supported for {kind} volumes.")
    if kind in _IOPS:
        shape["Iops"] = _iops(kind, size, asked.get("Iops"))
    elif kind == "gp2":
        shape["Iops"] = min(max(100, 3 * size), 16000)
    if kind == "gp3":
        shape["Throughput"] = asked.get("Throughput") or _THROUGHPUT
        _bounded("Throughput", shape["Throughput"], (_THROUGHPUT, min(_MOST_THROUGHPUT, shape["Iops"] // 4)))
    return shape


def _iops(kind: str, size: int, asked: int | None) -> int:
    if not asked and kind != "gp3":
        raise refuse("MissingParameter", f"The parameter iops must be specified for {kind} volumes.")
    low, high, ratio = _IOPS[kind]
    found = asked or _BASE
    _bounded("Volume iops", found, (low, min(high, max(_BASE if kind == "gp3" else low, ratio * size))))
    return found


def _bounded(what: str, value: int, bounds: tuple[int, int]) -> None:
    if not bounds[0] <= value <= bounds[1]:
        raise refuse("InvalidParameterValue", f"{what} of {value} is out of range; it is {bounds[0]} to {bounds[1]}.")


class Modifications:
    """What volumes went through. *clock* is the account's own; a modification is completed after *takes*, at once unless a test says so."""

    def __init__(self, clock: FixedClock) -> None:
        self.clock = clock
        self.takes = timedelta(0)
        self.begun: dict[str, list[Thing]] = {}

    def modify(self, volume: Thing, asked: Mapping[str, Any]) -> Thing:
        """One modification of *volume* to what is *asked*; what is not asked for stays, with another type it is that type's default."""
        self._require_room(volume["VolumeId"])
        wanted = {name: value for name, value in asked.items() if value is not None}
        if wanted.get("Size", volume["Size"]) < volume["Size"]:
            raise refuse("InvalidParameterValue", f"New size cannot be smaller than existing size {volume['Size']}")
        after = shaped({**_kept(volume, wanted), **wanted})
        for name in ("Iops", "Throughput"):
            volume.pop(name, None)
        volume.update(after)
        self.begun.setdefault(volume["VolumeId"], []).append({"VolumeId": volume["VolumeId"], "StartTime": self.now()})
        return self._told(self.begun[volume["VolumeId"]][-1])

    def latest(self) -> Thing:
        """As DescribeVolumesModifications: one a volume, with the account's own time in the answer's header."""
        told = [self._told(begun[-1]) for begun in self.begun.values()]
        return {"VolumesModifications": told, "ResponseMetadata": {"HTTPHeaders": {"date": format_datetime(self.now(), usegmt=True)}}}

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.clock.time, UTC)

    def _told(self, modification: Thing) -> Thing:
        ended = self.now() >= modification["StartTime"] + self.takes
        return {**modification, "ModificationState": "completed" if ended else "optimizing"}

    def _require_room(self, volume: str) -> None:
        begun = self.begun.get(volume, [])
        if begun and self._told(begun[-1])["ModificationState"] != "completed":
            raise refuse("IncorrectModificationState", f"Cannot modify volume {volume}: it is currently in modification state OPTIMIZING.")
        recent = [one["StartTime"] for one in begun if one["StartTime"] > self.now() - _A_DAY]
        if len(recent) >= _IN_A_DAY:
            again = (recent[-_IN_A_DAY] + _A_DAY).isoformat()
            raise refuse("VolumeModificationRateExceeded", f"You've reached the maximum modification rate per volume limit, until {again}.")


def _kept(volume: Thing, wanted: Mapping[str, Any]) -> Thing:
    """What stays as it is: with its type also iops and throughput, where it is not gp2's, which follow its size."""
    kind = wanted.get("VolumeType", volume["VolumeType"])
    kept = {"Size": volume["Size"], "VolumeType": volume["VolumeType"]}
    if kind == volume["VolumeType"] and kind in _IOPS:
        return {**kept, **{name: volume[name] for name in ("Iops", "Throughput") if name in volume}}
    return {**kept, "Iops": _BASE} if kind in _IOPS else kept
