"""A small world for the members controller: Leases with compare-and-set, Pods that move, an AWS that refuses what AWS refuses.

What is in it is replaced, never changed: `tests/simulation` hands it out as it is.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from reconciler import errors
from reconciler.model.environment import Environment
from reconciler.ports import ObjectKind, Payload
from reconciler.resources import marks, storage, workload

ZONE = "Z1"
ENVIRONMENT = Environment(name="lab", zones=("us-east-1a", "us-east-1b"), dns={"zone": "db.internal"})


class Time:
    """A clock that only moves when it is told to."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> float:
        return 1_760_000_000 + self.seconds

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


def pod(name: str, uid: str, node: str = "", *, ready: bool = False, revision: str = "r1", **status: Any) -> dict[str, Any]:
    """A Pod of a member as the API server tells it."""
    labels = {marks.ENVIRONMENT: "lab", workload.SET: name.rpartition("-")[0], "controller-revision-hash": revision}
    return {
        "metadata": {"name": name, "namespace": "default", "uid": uid, "labels": labels},
        "spec": {"nodeName": node} if node else {},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": str(ready)}], **status},
    }


@dataclass
class World:
    """Both ports at once. *pausing* is called before each answer: that is where others come in between."""

    pausing: Callable[[], None] = lambda: None
    pods: dict[str, dict[str, Any]] = field(default_factory=dict)
    sets: dict[str, dict[str, Any]] = field(default_factory=dict)
    nodes: dict[str, dict[str, Any]] = field(default_factory=dict)
    leases: dict[str, dict[str, Any]] = field(default_factory=dict)
    attachments: list[dict[str, Any]] = field(default_factory=list)
    disks: dict[str, dict[str, Any]] = field(default_factory=dict)
    revisions: dict[str, dict[str, Any]] = field(default_factory=dict)
    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    interfaces: dict[str, dict[str, Any]] = field(default_factory=dict)
    instances: dict[str, str] = field(default_factory=dict)
    zones: list[str] = field(default_factory=lambda: [ZONE])
    calls: list[str] = field(default_factory=list)
    failing: dict[str, errors.ProviderError] = field(default_factory=dict)
    serial: int = 0

    def _next(self) -> int:
        self.serial += 1
        return self.serial

    def _called(self, name: str) -> None:
        self.pausing()
        self.calls.append(name)
        if name in self.failing:
            raise self.failing[name]

    # what people and Kubernetes do

    def node(self, name: str, zone: str = "us-east-1a", **spec: Any) -> None:
        self.nodes[name] = {
            "metadata": {"name": name, "labels": {storage.ZONE_LABEL: zone}, "resourceVersion": str(self._next())},
            "spec": {"providerID": f"aws:///{zone}/i-{name}", **spec},
            "status": {"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2025-10-09T00:00:00Z"}]},
        }
        self.instances[f"i-{name}"] = "running"

    def answers(self, name: str, status: str = "Unknown", since: float = 0.0) -> None:
        """A node answers no longer (Unknown), or again (True), *since* so many seconds of `Time`."""
        when = datetime.fromtimestamp(1_760_000_000 + since, UTC).isoformat()
        self.nodes[name]["status"]["conditions"] = [{"type": "Ready", "status": status, "lastTransitionTime": when}]
        self.nodes[name]["metadata"]["resourceVersion"] = str(self._next())

    def stateful_set(self, name: str, replicas: int, revision: str = "r1", **status: Any) -> None:
        self.sets[name] = {
            "metadata": {"name": name, "namespace": "default", "generation": 1},
            "spec": {"replicas": replicas},
            "status": {"observedGeneration": 1, "updateRevision": revision, **status},
        }

    def pod(self, name: str, node: str = "", *, ready: bool = True, revision: str = "r1", **status: Any) -> str:
        """A new Pod in place of the old one, with an address that none ever had; its uid."""
        number = self._next()
        address = {"podIP": f"10.0.{number // 250}.{number % 250}"} if node else {}
        self.pods[name] = pod(name, f"uid-{number}", node, ready=ready and bool(node), revision=revision, **address, **status)
        return f"uid-{number}"

    def interface(self, member: str, service: str) -> None:
        self.interfaces[f"eni-{member}"] = {
            "NetworkInterfaceId": f"eni-{member}",
            "PrivateIpAddress": "10.1.0.1",
            "TagSet": [
                {"Key": marks.ENVIRONMENT, "Value": "lab"},
                {"Key": marks.ADDRESS, "Value": f"interface/lab/{service}/{member}"},
            ],
        }

    def settle_attachments(self) -> None:
        """AWS gets on with what it has begun."""
        self.instances = {id: "stopped" if state == "stopping" else state for id, state in self.instances.items()}
        for id in self.interfaces:
            self.settle(id)

    def settle(self, id: str) -> None:
        one = self.interfaces[id]
        if (attachment := one.get("Attachment", {})).get("Status") == "attaching":
            self.interfaces[id] = {**one, "Attachment": {**attachment, "Status": "attached"}}
        if attachment.get("Status") == "detaching":
            self.interfaces[id] = {name: value for name, value in one.items() if name != "Attachment"}

    # Cluster

    def list(self, kind: ObjectKind, *, namespace: str = "", selector: str = "") -> Iterator[Payload]:
        self._called(f"list {kind.plural}")
        found: Any = {
            "pods": self.pods,
            "statefulsets": self.sets,
            "nodes": self.nodes,
            "leases": self.leases,
            "volumeattachments": dict(enumerate(self.attachments)),
            "persistentvolumes": self.disks,
            "controllerrevisions": self.revisions,
        }[kind.plural]
        return iter(copy.deepcopy(list(found.values())))

    def get(self, kind: ObjectKind, name: str, *, namespace: str = "") -> Payload | None:
        self._called(f"get {kind.plural} {name}")
        return copy.deepcopy({"nodes": self.nodes}[kind.plural].get(name))

    def create(self, kind: ObjectKind, body: Payload) -> Payload | None:
        self._called(f"create {kind.plural}")
        return None if body["metadata"]["name"] in self.leases else self._store(body)

    def replace(self, kind: ObjectKind, body: Payload) -> Payload | None:
        self._called(f"replace {kind.plural}")
        live = self.leases[body["metadata"]["name"]]
        same = live["metadata"]["resourceVersion"] == body["metadata"]["resourceVersion"]
        return self._store(body) if same else None

    def _store(self, body: Payload) -> Payload:
        stored = {**body, "metadata": {**body["metadata"], "resourceVersion": str(self._next())}}
        self.leases[body["metadata"]["name"]] = stored
        return stored

    def patch(self, kind: ObjectKind, name: str, body: Payload, *, namespace: str = "", subresource: str = "") -> Payload:
        """Of nodes, the list of taints is replaced whole."""
        self._called(f"patch {kind.plural} {name}")
        live = self.nodes[name]
        if body["metadata"]["resourceVersion"] != live["metadata"]["resourceVersion"]:
            raise errors.ProviderError("the object has been modified", status=409)
        notes = {**live["metadata"].get("annotations", {}), **body["metadata"]["annotations"]}
        kept = {key: text for key, text in notes.items() if text is not None}
        metadata = {**live["metadata"], "annotations": kept, "resourceVersion": str(self._next())}
        self.nodes[name] = {**live, "metadata": metadata, "spec": {**live["spec"], "taints": copy.deepcopy(list(body["spec"]["taints"]))}}
        return copy.deepcopy(self.nodes[name])

    def delete(self, kind: ObjectKind, name: str, *, namespace: str = "", uid: str = "", at_once: bool = False) -> bool:
        self._called(f"delete {kind.plural} {name}{' at once' if at_once else ''}")
        if uid not in {"", self.pods.get(name, {"metadata": {"uid": None}})["metadata"]["uid"]}:
            return False
        return self.pods.pop(name, None) is not None

    def log(self, namespace: str, pod: str, container: str, *, tail: int | None = None) -> Iterator[str]:
        raise NotImplementedError

    # Cloud

    def pages(self, service: str, operation: str, **arguments: Any) -> Iterator[Payload]:
        self._called(operation)
        match operation:
            case "describe_network_interfaces":
                yield {"NetworkInterfaces": copy.deepcopy(list(self.interfaces.values()))}
            case "list_hosted_zones_by_name":
                named = {"Name": "db.internal.", "Config": {"PrivateZone": True}}
                yield {"HostedZones": [{"Id": f"/hostedzone/{id}", **named} for id in self.zones]}
            case "list_resource_record_sets":
                yield {"ResourceRecordSets": copy.deepcopy(list(self.records.values()))}
            case "describe_instances":
                asked = arguments["Filters"][0]["Values"]
                yield {"Reservations": [{"Instances": [self._instance(id) for id in self.instances if id in asked]}]}
            case "describe_instance_types":
                yield {"InstanceTypes": [{"InstanceType": "m5.large", "NetworkInfo": {"MaximumNetworkInterfaces": 3}}]}
            case _:
                raise NotImplementedError(operation)

    def call(self, service: str, operation: str, **arguments: Any) -> Payload:
        self._called(operation)
        getattr(self, f"_{operation}")(**arguments)
        return {}

    def _instance(self, id: str) -> Payload:
        held = [one["Attachment"] for one in self.interfaces.values() if one.get("Attachment", {}).get("InstanceId") == id]
        attached = [{"Attachment": one} for one in copy.deepcopy([{"DeviceIndex": 0}, *held])]
        return {"InstanceId": id, "InstanceType": "m5.large", "State": {"Name": self.instances[id]}, "NetworkInterfaces": attached}

    def _stop_instances(self, InstanceIds: list[str], Force: bool) -> None:  # noqa: N803 - AWS's names
        self.instances |= dict.fromkeys(InstanceIds, "stopping")

    def _attach_network_interface(self, NetworkInterfaceId: str, InstanceId: str, DeviceIndex: int) -> None:  # noqa: N803 - AWS's names
        interface = self.interfaces[NetworkInterfaceId]
        if "Attachment" in interface:
            raise errors.ProviderError("in use", code="InvalidNetworkInterface.InUse")
        number = self._next()
        made = {
            "AttachmentId": f"eni-attach-{number}",
            "InstanceId": InstanceId,
            "DeviceIndex": DeviceIndex,
            "Status": "attaching",
            "made": number,
        }
        self.interfaces[NetworkInterfaceId] = {**interface, "Attachment": made}

    def _detach_network_interface(self, AttachmentId: str, Force: bool) -> None:  # noqa: N803 - AWS's names
        for id, one in self.interfaces.items():
            if one.get("Attachment", {}).get("AttachmentId") == AttachmentId:
                self.interfaces[id] = {**one, "Attachment": {**one["Attachment"], "Status": "detaching"}}
                return
        raise errors.ProviderError("no such attachment", code="InvalidAttachmentID.NotFound")

    def _change_resource_record_sets(self, HostedZoneId: str, ChangeBatch: Mapping[str, Any]) -> None:  # noqa: N803 - AWS's names
        """All or nothing; a DELETE must name the record as it is, a CREATE needs there to be none."""
        after = dict(self.records)
        for change in ChangeBatch["Changes"]:
            wanted, name = change["ResourceRecordSet"], change["ResourceRecordSet"]["Name"]
            refused = {"CREATE": name in after, "DELETE": after.get(name) != wanted, "UPSERT": False}
            if refused[change["Action"]]:
                raise errors.ProviderError(f"{change['Action']} {name}", code="InvalidChangeBatch")
            if change["Action"] == "DELETE":
                del after[name]
            else:
                after[name] = dict(wanted)
        self.records = after

    def _create_tags(self, Resources: list[str], Tags: list[Mapping[str, str]]) -> None:  # noqa: N803 - AWS's names
        self.calls += [f"tag {id} {tag['Key']}={tag['Value']}" for id in Resources for tag in Tags]
