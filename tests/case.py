"""A case: a world, what is declared, and the plan that comes of it, as text. `python -m tests.case FILE` prints the plan of a new one.

says: One sentence: what this case is about.
observed:                                   # how the world is before; each part may be left out
  applied: |                                # documents that were applied once: all that they declare is live
    …
      live: [{KIND: {…}}]                       # what others made, as the API says it (KIND: volume, interface, zone, record, object)
  changed: {ADDRESS: {tags: {…}, Field: …}} # what somebody changed by hand, in the API's words; null: deleted
  modified: {ADDRESS: [HOURS, …]}           # how long ago a volume was modified, the latest last
  unknown: [ADDRESS]                        # live, but not in the engine's record: the leftover of a crash
  unread: {OPERATION: WORDS}                # a call that fails: describe_volumes, list_resource_record_sets, list statefulsets
desired: |                                  # documents; without an Environment, that of `memory_world`
  …
plan: |2
  …
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from providers.memory.cluster import merge
from reconciler import errors
from reconciler.diff import budget
from reconciler.model.address import parse
from reconciler.render import text
from reconciler.resources import kubernetes, marks
from tests.memory_world import MemoryWorld, desired

ROOT = Path(__file__).with_name("cases")
COMMIT = "1c9e0d2"  # what a case calls the commit that was applied
_OBSERVED = {"applied", "live", "changed", "modified", "unknown", "unread"}
_TAGGED = {"volume": ("volumes", "Tags"), "interface": ("interfaces", "TagSet"), "address": ("addresses", "Tags")}
_IDS = {"volume": "VolumeId", "interface": "NetworkInterfaceId", "address": "AllocationId"}


@dataclass(frozen=True, slots=True)
class Case:
    """One file."""

    says: str
    desired: str
    plan: str
    observed: Mapping[str, Any] = field(default_factory=dict)

    def planned(self) -> str:
        """The plan that the product makes, without its digest, which covers the commit too."""
        world = MemoryWorld()
        self._prepare(world)
        plan = world.plan(desired(self.desired)).plan
        told = "".join(line for line in text.render(plan).splitlines(keepends=True) if not line.startswith("Digest "))
        before = [entry["commit"][:7] for entry in world.history.recorded]
        return told.replace(before[-1], COMMIT) if before else told

    def _prepare(self, world: MemoryWorld) -> None:
        if surplus := set(self.observed) - _OBSERVED:
            raise ValueError(f"observed has no {', '.join(sorted(surplus))}; it has {', '.join(sorted(_OBSERVED))}")
        if "applied" in self.observed:
            report = world.converge(self.observed["applied"])
            assert report.ok, report.outcomes
        for kind, payload in itertools.chain.from_iterable(one.items() for one in self.observed.get("live", ())):
            _place(world, kind, payload)
        for address, patch in self.observed.get("changed", {}).items():
            _change(world, address, patch)
        for address, hours in self.observed.get("modified", {}).items():
            _modify(world, address, hours)
        for address in self.observed.get("unknown", ()):
            for held in world.engine.held.values():
                held.pop(parse(address), None)
        for operation, words in self.observed.get("unread", {}).items():
            fake = world.cluster if operation.startswith("list ") else world.cloud
            fake.fail(operation, errors.TransientError(words))


def read(path: Path) -> Case:
    """The case in the file at *path*."""
    return Case(**YAML(typ="safe").load(path.read_text()))


def paths() -> list[Path]:
    """Every case there is."""
    return sorted(ROOT.glob("*/*.yaml"))


def _place(world: MemoryWorld, kind: str, payload: dict[str, Any]) -> None:
    """Put a thing into the world as others would have made it."""
    match kind:
        case "object":
            world.cluster.put(kubernetes.KINDS[payload["kind"]], payload)
        case "zone":
            world.cloud.call("route53", "create_hosted_zone", CallerReference="theirs", **payload)
        case "record":
            (zone,) = world.cloud.route53.zones
            batch = {"Changes": [{"Action": "CREATE", "ResourceRecordSet": payload}]}
            world.cloud.call("route53", "change_resource_record_sets", HostedZoneId=zone, ChangeBatch=batch)
        case _:
            things, tags = _TAGGED[kind]
            listed = [{"Key": key, "Value": value} for key, value in payload.pop("tags", {}).items()]
            getattr(world.cloud.ec2, things)[payload[_IDS[kind]]] = {**payload, tags: listed}


def _change(world: MemoryWorld, address: str, patch: Mapping[str, Any] | None) -> None:
    """Change a live thing behind everybody's back."""
    id = parse(address)
    match id.kind:
        case "kubernetes":
            kind, namespace, name = id.name.split("/")
            where = (kubernetes.KINDS[kind], name)
            inside = namespace.removeprefix("-")
            if patch is None:
                assert world.cluster.delete(*where, namespace=inside)
            else:
                world.cluster.patch(*where, patch, namespace=inside)
        case "record" | "zone":
            _change_record(world, id.name, patch)
        case kind:
            things, tags = _TAGGED[kind]
            known = getattr(world.cloud.ec2, things)
            live = next(name for name, one in known.items() if {"Key": "reconciler/address", "Value": address} in one[tags])
            known[live] = _changed(known[live], tags, dict(patch)) if patch is not None else None
            world.cloud.ec2.__dict__[things] = {name: one for name, one in known.items() if one is not None}


def _modify(world: MemoryWorld, address: str, hours: list[float]) -> None:
    """Let a volume have been modified, *hours* ago: the latest as EBS tells it, those before as its tag remembers them."""
    ec2 = world.cloud.ec2
    live = next(name for name, one in ec2.volumes.items() if {"Key": "reconciler/address", "Value": address} in one["Tags"])
    *before, latest = (ec2.modifications.now() - timedelta(hours=ago) for ago in hours)
    ec2.modifications.begun[live] = [{"VolumeId": live, "StartTime": latest}]
    _change(world, address, {"tags": {marks.MODIFIED: budget.remembered(before)}})


def _changed(live: dict[str, Any], tags: str, patch: dict[str, Any]) -> dict[str, Any]:
    """*live* after a merge patch, whose `tags` are a mapping; null takes one off."""
    now = {tag["Key"]: tag["Value"] for tag in live[tags]} | patch.pop("tags", {})
    listed = [{"Key": key, "Value": value} for key, value in now.items() if value is not None]
    changed: dict[str, Any] = merge({**live, tags: listed}, patch)
    return changed


def _change_record(world: MemoryWorld, name: str, patch: Mapping[str, Any] | None) -> None:
    (zone,) = world.cloud.route53.records
    records = world.cloud.route53.records[zone]
    key = (name, "A", "")
    known = records.pop(key)
    if patch is not None:
        changed = merge(known, patch)
        records[name, changed["Type"], ""] = changed


def main() -> None:
    for path in map(Path, sys.argv[1:]):
        sys.stdout.write(read(path).planned())


if __name__ == "__main__":
    main()
