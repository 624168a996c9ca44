"""How a set's snapshots are taken: which volumes in one call, so that they are of one instant, and which alone. Pure.

EBS takes what is attached to one instance at one instant. Volumes of several instances are asked for side by side.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.model.address import ResourceId
from reconciler.ports import Payload
from reconciler.resources import copies, marks

_STEADY = frozenset({"attached", ""})


@dataclass(frozen=True, slots=True)
class Volume:
    """A live volume: *instance* that it is attached to, "" for none; *steady* while nobody attaches or detaches it."""

    id: str
    address: str
    instance: str
    steady: bool
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Call:
    """One call to EBS: *volumes* of *instance*, or a single one, wherever it is."""

    volumes: tuple[Volume, ...]
    instance: str = ""


def volume(payload: Payload) -> Volume:
    tags = copies.copied(payload.get("Tags"))
    attached: Mapping[str, Any] = next(iter(payload.get("Attachments") or ()), {})
    steady = payload.get("State") in {"available", "in-use"} and attached.get("State", "") in _STEADY
    return Volume(payload["VolumeId"], tags.get(marks.ADDRESS, ""), attached.get("InstanceId", ""), steady, tags)


def calls(wanted: Iterable[ResourceId], live: Iterable[Volume]) -> tuple[tuple[Call, ...], str]:
    """The calls that take *wanted*; none, and what has to come before, while some volume is not where it stays."""
    by_address: dict[str, list[Volume]] = {}
    for one in live:
        by_address.setdefault(one.address, []).append(one)
    found: list[Volume] = []
    places: dict[str, set[str]] = {}
    for id in sorted(wanted):
        here = by_address.get(str(id), [])
        if len(here) != 1 or not here[0].steady:
            return (), f"{id} is there, and neither attached nor detached"
        found.append(here[0])
        places.setdefault(id.member, set()).add(here[0].instance)
    if torn := next((member for member, instances in sorted(places.items()) if len(instances) > 1), ""):
        return (), f"the volumes of {torn} are on one node"
    return tuple(_grouped(found)), ""


def _grouped(volumes: Iterable[Volume]) -> Iterable[Call]:
    by_instance: dict[str, list[Volume]] = {}
    for one in volumes:
        by_instance.setdefault(one.instance, []).append(one)
    for instance, mine in sorted(by_instance.items()):
        if instance and len(mine) > 1:
            yield Call(tuple(mine), instance)
        else:
            yield from (Call((one,)) for one in mine)


def others(instance: Payload, volumes: Iterable[Volume]) -> list[str]:
    """What is attached to *instance* beside *volumes* and its own root, which EBS takes along unless it is named."""
    mine, root = {one.id for one in volumes}, instance.get("RootDeviceName", "")
    attached = ((one.get("DeviceName"), one["Ebs"]["VolumeId"]) for one in instance.get("BlockDeviceMappings") or () if "Ebs" in one)
    return sorted(id for device, id in attached if id not in mine and device != root)
