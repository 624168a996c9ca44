"""`python -m benchmarks.seed FIRST END`: makes services live exactly as they are declared, as the engine and the members would have.

What is declared is the product's own rendering. The first service was made by the real engine; its checkpoint, with the live ids of
another service in it, is that service's checkpoint. Volumes and records are made by botocore, objects by server-side apply with the
engine's field manager; a Pod a member and its set's status as the controllers write them. There are no controllers here, so what else
they would add (bindings of claims, their managed fields) is not there.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmarks import town
from providers import checkpoints, marked
from providers.aws import Aws
from providers.kubernetes import kubeconfig
from providers.kubernetes.transport import Target, Transport
from reconciler import bootstrap, local
from reconciler.members.live import LEASE_PREFIX
from reconciler.members.read import hosted_zone
from reconciler.model.desired import Desired
from reconciler.model.quantity import Quantity
from reconciler.model.resource import Resource
from reconciler.model.value import Ref, Value
from reconciler.ports import ObjectKind
from reconciler.resources import kubernetes, marks

_AT_ONCE = 8
_BATCH = 400  # records a call
_REVISION = "0123456789"  # of every set and Pod
_APPLY = {"Content-Type": "application/apply-patch+yaml"}


@dataclass
class Seeder:
    """Makes what *desired* declares of its services; *ids* are what the API server and AWS called the things that it made."""

    desired: Desired
    endpoint: str
    ids: dict[str, dict[str, str]] = field(default_factory=dict)

    @cached_property
    def aws(self) -> Aws:
        return Aws(self.desired.environment.region, endpoint=self.endpoint)

    @cached_property
    def cluster(self) -> Transport:
        return Transport(kubeconfig.load("", ""), patience=60)

    def make(self, names: Sequence[str]) -> None:
        """Everything of the services *names*, but for the first's, which the engine has made."""
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(self._make, [name for name in names if name != town.SAMPLE]))
        self._follow(names)

    def _make(self, name: str) -> None:
        made = self.ids[name] = {}
        attributes: dict[str, Mapping[str, str]] = {}
        for resource in (one for one in self.desired.resources.values() if one.stack == name):
            if resource.id.kind == "volume":
                attributes[str(resource.id)] = self._volume(resource)
                made[str(resource.id)] = attributes[str(resource.id)]["id"]
        for resource in (one for one in self.desired.resources.values() if one.stack == name):
            if resource.id.kind == "kubernetes":
                made[str(resource.id)] = self._object(resource, attributes)

    def _volume(self, resource: Resource) -> dict[str, str]:
        fields: Mapping[str, Any] = resource.fields
        tags = [{"ResourceType": "volume", "Tags": marked.written(fields["tags"])}]
        made = self.aws.call(
            "ec2",
            "create_volume",
            AvailabilityZone=fields["zone"],
            Size=Quantity.parse(fields["size"]).gib,
            VolumeType=fields["type"],
            Encrypted=fields["encrypted"],
            TagSpecifications=tags,
            **{_SPELT[name]: fields[name] for name in _SPELT if name in fields},
        )
        return {"id": made["VolumeId"], "zone": made["AvailabilityZone"]}

    def _object(self, resource: Resource, attributes: Mapping[str, Mapping[str, str]]) -> str:
        """Apply as the engine's plugin does, under the manager that the manifest names; its uid."""
        body = _filled(resource.fields, attributes)
        metadata = body["metadata"]
        kind = kubernetes.KINDS[body["kind"]]
        asked = {"fieldManager": metadata["annotations"][kubernetes.MANAGER], "force": "true"}
        target = Target(kind, metadata["name"], metadata.get("namespace", ""))
        answer = self.cluster.send("PATCH", target, content=json.dumps(body).encode(), headers=_APPLY, params=asked)
        return str(answer.json()["metadata"]["uid"])

    def _follow(self, names: Sequence[str]) -> None:
        """Pods that run, and what the members make once they do: records and Leases."""
        zone = hosted_zone(self.aws, self.desired.environment)
        records = [one for one in self.desired.resources.values() if one.id.kind == "record" and one.stack in set(names)]
        for start in range(0, len(records), _BATCH):
            changes = [_upsert(record) for record in records[start : start + _BATCH]]
            self.aws.call("route53", "change_resource_record_sets", HostedZoneId=zone, ChangeBatch={"Changes": changes})
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(self._run, records))

    def _run(self, record: Resource) -> None:
        owner = next(one for one in self.desired.resources.values() if one.stack == record.stack and "StatefulSet/" in one.id.name)
        made = self._send("POST", kubernetes.POD, pod(record, owner))
        self._send("PATCH", kubernetes.POD, running(record, made), "status")
        self._send("PATCH", kubernetes.KINDS["StatefulSet"], ended(owner), "status")
        self._send("POST", kubernetes.LEASE, lease(record, made))

    def _send(self, verb: str, kind: ObjectKind, body: Mapping[str, Any], subresource: str = "") -> Mapping[str, Any]:
        name = "" if verb == "POST" else body["metadata"]["name"]
        headers = {} if verb == "POST" else {"Content-Type": "application/merge-patch+json"}
        target = Target(kind, name, self.desired.environment.kubernetes.namespace, subresource)
        made: Mapping[str, Any] = self.cluster.send(verb, target, json=body, headers=headers).json()
        return made


def pod(record: Resource, owner: Resource) -> dict[str, Any]:
    """The Pod that the StatefulSet's controller makes."""
    template = _filled(owner.fields, {})["spec"]["template"]
    claims = [
        {"name": one["metadata"]["name"], "persistentVolumeClaim": {"claimName": f"{one['metadata']['name']}-{_member(record)}"}}
        for one in _filled(owner.fields, {})["spec"]["volumeClaimTemplates"]
    ]
    labels = {**template["metadata"]["labels"], "controller-revision-hash": _REVISION}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {**template["metadata"], "name": _member(record), "labels": labels},
        "spec": {**template["spec"], "nodeName": "node-a", "volumes": [*template["spec"].get("volumes", []), *claims]},
    }


def running(record: Resource, pod: Mapping[str, Any]) -> dict[str, Any]:
    """The Pod's status once it is ready, as its node writes it."""
    states = [
        {"name": one["name"], "ready": True, "restartCount": 0, "image": one["image"], "imageID": "", "state": {"running": {}}}
        for one in pod["spec"]["containers"]
    ]
    ready = [{"type": kind, "status": "True"} for kind in ("PodScheduled", "Ready")]
    status = {"phase": "Running", "podIP": _address(record), "conditions": ready, "containerStatuses": states}
    return {"metadata": {"name": pod["metadata"]["name"]}, "status": status}


def ended(owner: Resource) -> dict[str, Any]:
    """The status of a set whose controller has nothing left to do."""
    name = owner.id.name.rpartition("/")[2]
    counts = dict.fromkeys(("replicas", "readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas"), 1)
    said = {"observedGeneration": 1, "updateRevision": _REVISION, "currentRevision": _REVISION}
    return {"metadata": {"name": name}, "status": {**counts, **said}}


def lease(record: Resource, pod: Mapping[str, Any]) -> dict[str, Any]:
    """The Lease by which the members own what the Pod has."""
    labels = marks.labels(record.id.environment, record.stack)
    metadata = {"name": f"{LEASE_PREFIX}{_member(record)}", "labels": labels, "annotations": {marks.ADDRESS: str(record.id)}}
    spec = {"holderIdentity": pod["metadata"]["uid"], "leaseTransitions": 1}
    return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}


def _member(record: Resource) -> str:
    return record.id.name.partition(".")[0]


def _address(record: Resource) -> str:
    number = int("".join(filter(str.isdigit, record.stack)))
    return f"10.{200 + number // 62500}.{number // 250 % 250}.{number % 250 + 1}"


_SPELT = {"iops": "Iops", "throughput": "Throughput", "kms_key": "KmsKeyId"}


def _filled(value: Value, attributes: Mapping[str, Mapping[str, str]]) -> Any:
    match value:
        case Ref(id, attribute):
            return attributes[str(id)][attribute]
        case Mapping():
            return {name: _filled(item, attributes) for name, item in value.items()}
        case list() | tuple():
            return [_filled(item, attributes) for item in value]
        case _:
            return value


def _upsert(record: Resource) -> dict[str, Any]:
    values = [{"Value": _address(record)}]
    body = {"Name": record.id.name, "Type": "A", "TTL": record.fields["ttl"], "ResourceRecords": values}
    return {"Action": "UPSERT", "ResourceRecordSet": body}


def clone(folder: Path, project: str, sample: Mapping[str, str], ids: Mapping[str, Mapping[str, str]]) -> None:
    """Checkpoints in *folder* (a backend's) for the services of *ids*, like that of the sample, whose own ids are *sample*."""
    stacks = folder / ".pulumi" / "stacks" / project
    text = (stacks / f"{_stack(town.SAMPLE)}.json").read_text()
    for name, own in ids.items():
        (stacks / f"{_stack(name)}.json").write_text(_renamed(text, name, sample, own))


def _renamed(text: str, name: str, sample: Mapping[str, str], own: Mapping[str, str]) -> str:
    for address, live in sample.items():
        text = text.replace(live, own[address.replace(town.SAMPLE, name)])
    return text.replace(town.SAMPLE, name)


def _stack(name: str) -> str:
    return checkpoints.name(town.ENVIRONMENT, name)


def sampled(seeder: Seeder) -> dict[str, str]:
    """The live ids of the sample's resources, by address."""
    environment = town.ENVIRONMENT
    found: dict[str, str] = {}
    for page in seeder.aws.pages("ec2", "describe_volumes", Filters=marked.filters(environment)):
        for volume in page["Volumes"]:
            if (address := marked.tags(volume["Tags"])[marks.ADDRESS]).split("/")[2] == town.SAMPLE:
                found[address] = volume["VolumeId"]
    for id in (one.id for one in seeder.desired.resources.values() if one.stack == town.SAMPLE and one.id.kind == "kubernetes"):
        kind, namespace, name = id.name.split("/")
        target = Target(kubernetes.KINDS[kind], name, namespace.removeprefix("-"))
        found[str(id)] = str(seeder.cluster.send("GET", target).json()["metadata"]["uid"])
    return found


def settings(names: Sequence[str], work: Path) -> None:
    """The stacks' settings, which hold the salt that the engine's passphrase goes with."""
    text = (work / _stack(town.SAMPLE) / f"Pulumi.{_stack(town.SAMPLE)}.yaml").read_text()
    for name in names:
        folder = work / _stack(name)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"Pulumi.{_stack(name)}.yaml").write_text(text)


def names(first: int, end: int) -> Iterator[str]:
    return (town.name(number) for number in range(first, end))


def main() -> None:
    first, end = int(sys.argv[1]), int(sys.argv[2])
    here = local.read(town.ENVIRONMENT)
    desired = bootstrap.load(os.environ["RECONCILE_REPO"], None, town.ENVIRONMENT)
    seeder = Seeder(desired, str(desired.environment.aws.endpoint))
    wanted = list(names(first, end))
    seeder.make(wanted)
    clone(here.folder / "engine", checkpoints.PROJECT, sampled(seeder), seeder.ids)
    settings(list(seeder.ids), here.folder / "work")


if __name__ == "__main__":
    main()
