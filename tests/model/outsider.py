"""What others do to the world behind everybody's back: drift, things of their own, and things that carry copies of our marks."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from reconciler.resources import kubernetes
from tests.memory_world import SUBNETS, ZONES, MemoryWorld
from tests.model.look import objects, tags

SECRET = "correct-horse-battery-staple"
Thing = tuple[str, str]  # what sort of thing, and what it is called


@dataclass
class Outsider:
    """Somebody else with every right. *own* is what is theirs, as it was when they last touched it; *copies* carry marks of ours."""

    world: MemoryWorld
    own: dict[Thing, Any] = field(default_factory=dict)
    copies: set[Thing] = field(default_factory=set)

    def settle_in(self) -> None:
        """Make what is theirs from the start: a volume, an interface, an address, objects and a Secret."""
        ec2, cluster = self.world.cloud.ec2, self.world.cluster
        volume = ec2.create_volume(AvailabilityZone=ZONES[0], Size=7)["VolumeId"]
        interface = ec2.create_network_interface(SubnetId=SUBNETS[ZONES[0]])["NetworkInterface"]["NetworkInterfaceId"]
        address = ec2.allocate_address(Domain="vpc")["AllocationId"]
        cluster.put(kubernetes.KINDS["ConfigMap"], {"metadata": {"namespace": "default", "name": "theirs"}, "data": {"a": "b"}})
        secret = {"metadata": {"namespace": "default", "name": "theirs", "labels": {"app": "x"}}, "stringData": {"password": SECRET}}
        cluster.put(kubernetes.KINDS["Secret"], secret)
        things = [("volume", volume), ("interface", interface), ("address", address), ("ConfigMap", "theirs"), ("Secret", "theirs")]
        self.own = {thing: self.look(thing) for thing in things}

    def look(self, thing: Thing) -> Any:
        """How *thing* is now; None where it is gone."""
        sort, name = thing
        ec2 = self.world.cloud.ec2
        if sort == "record":
            return copy.deepcopy(
                next((one[name, "A", ""] for one in self.world.cloud.route53.records.values() if (name, "A", "") in one), None)
            )
        if sort in {"volume", "interface", "address"}:
            return copy.deepcopy({"volume": ec2.volumes, "interface": ec2.interfaces, "address": ec2.addresses}[sort].get(name))
        return self.world.cluster.get(kubernetes.KINDS[sort], name, namespace="default")

    def disturb(self, number: int) -> str:
        """One act of drift, drawn from *number*; what was done, "" where there was nothing to do it to."""
        draw = random.Random(number)
        acts: list[Callable[[random.Random], str]] = [
            self._tag_foreign,
            self._tag_ours,
            self._change_record,
            self._delete_record,
            self._delete_object,
            self._scale,
            self._inject,
            self._copy_marks,
            self._claim_name,
        ]
        return draw.choice(acts)(draw)

    def give_up_copies(self) -> None:
        """Take our marks off what they were copied to."""
        for sort, name in self.copies:
            ec2 = self.world.cloud.ec2
            {"volume": ec2.volumes, "interface": ec2.interfaces}[sort][name]["Tags" if sort == "volume" else "TagSet"] = []
            self.own[sort, name] = self.look((sort, name))
        self.copies.clear()

    def _ours(self, sort: str) -> list[dict[str, Any]]:
        ec2 = self.world.cloud.ec2
        things = ec2.volumes if sort == "volume" else ec2.interfaces
        return [one for name, one in things.items() if tags(one).get("reconciler/address") and (sort, name) not in self.copies]

    def _tag_foreign(self, draw: random.Random) -> str:
        ours = self._ours(draw.choice(("volume", "interface")))
        if not ours:
            return ""
        return self._tag(draw, ours, {"backup": draw.choice(("daily", "weekly"))})

    def _tag_ours(self, draw: random.Random) -> str:
        ours = self._ours(draw.choice(("volume", "interface")))
        return self._tag(draw, ours, {"team": "nobody"}) if ours else ""

    def _tag(self, draw: random.Random, ours: list[dict[str, Any]], new: Mapping[str, str]) -> str:
        one = draw.choice(ours)
        id = one.get("VolumeId") or one["NetworkInterfaceId"]
        self.world.cloud.ec2.create_tags([id], [{"Key": key, "Value": value} for key, value in new.items()])
        return f"{id} has the tags {new}"

    def _records(self) -> list[tuple[dict[Any, Any], Any]]:
        return [
            (zone, key)
            for zone in self.world.cloud.route53.records.values()
            for key in zone
            if key[1] == "A" and ("record", key[0]) not in self.own
        ]

    def _change_record(self, draw: random.Random) -> str:
        found = self._records()
        if not found:
            return ""
        zone, key = draw.choice(found)
        change = draw.choice(({"TTL": 299}, {"ResourceRecords": [{"Value": "192.0.2.7"}]}))
        zone[key] = {**zone[key], **change}
        return f"{key[0]} has {change}"

    def _delete_record(self, draw: random.Random) -> str:
        found = self._records()
        if not found:
            return ""
        zone, key = draw.choice(found)
        del zone[key]
        return f"{key[0]} is gone"

    def _delete_object(self, draw: random.Random) -> str:
        kinds = ("PodDisruptionBudget", "Service", "ConfigMap", "StatefulSet", "Role")
        found = objects(self.world, draw.choice(kinds))
        if not found:
            return ""
        one = draw.choice(found)
        self.world.cluster.delete(kubernetes.KINDS[one["kind"]], one["metadata"]["name"], namespace=one["metadata"]["namespace"])
        return f"{one['kind']} {one['metadata']['name']} is gone"

    def _scale(self, draw: random.Random) -> str:
        found = objects(self.world, "StatefulSet")
        if not found:
            return ""
        name, replicas = draw.choice(found)["metadata"]["name"], draw.randint(0, 4)
        self.world.cluster.patch(kubernetes.KINDS["StatefulSet"], name, {"spec": {"replicas": replicas}}, namespace="default")
        return f"StatefulSet {name} has {replicas} replicas"

    def _inject(self, draw: random.Random) -> str:
        """A sidecar and a label of a manager of their own."""
        found = objects(self.world, "StatefulSet")
        if not found:
            return ""
        one = draw.choice(found)
        name = one["metadata"]["name"]
        sidecar = {"name": "mesh", "image": "mesh:1", "env": [{"name": "TOKEN", "value": SECRET}]}
        body = {
            "apiVersion": "apps/v1",
            "kind": "StatefulSet",
            "metadata": {"namespace": "default", "name": name, "labels": {"mesh": "on"}},
            "spec": {"template": {"spec": {"containers": [sidecar]}}},
        }
        self.world.cluster.apply(kubernetes.KINDS["StatefulSet"], body, "mesh")
        return f"StatefulSet {name} has a sidecar"

    def _copy_marks(self, draw: random.Random) -> str:
        """A thing of theirs with the tags of one of ours, as a copied volume has them."""
        ours = self._ours("volume")
        if not ours:
            return ""
        one = draw.choice(ours)
        made = self.world.cloud.ec2.create_volume(AvailabilityZone=one["AvailabilityZone"], Size=one["Size"])
        made["Tags"] = copy.deepcopy(one["Tags"])
        self.copies.add(("volume", made["VolumeId"]))
        return f"{made['VolumeId']} has the marks of {one['VolumeId']}"

    def _claim_name(self, draw: random.Random) -> str:
        """A record of a name that no service has."""
        name = f"www{draw.randint(1, 3)}.db.internal"
        for zone in self.world.cloud.route53.records.values():
            zone[name, "A", ""] = {"Name": f"{name}.", "Type": "A", "TTL": 60, "ResourceRecords": [{"Value": "192.0.2.80"}]}
            self.own["record", name] = self.look(("record", name))
        return f"{name} is theirs"
