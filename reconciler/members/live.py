"""What is live of members, projected from the payloads of AWS and Kubernetes; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from reconciler.ports import Payload
from reconciler.resources import marks, storage

LEASE_PREFIX = "member-"
_GONE = "node.kubernetes.io/out-of-service"  # the taint by which a person says that a node is off


@dataclass(frozen=True, slots=True)
class Container:
    """A container of a Pod. *state* is waiting, running, terminated or "" (not heard of yet); *reason*, *message* and *code* go with it."""

    name: str
    init: bool = False
    ready: bool = False
    state: str = ""
    reason: str = ""
    message: str = ""
    code: int = 0
    restarts: int = 0
    last_code: int | None = None  # how the run before ended
    last_message: str = ""


@dataclass(frozen=True, slots=True)
class Pod:
    """A Pod of a member. *finished* ones have ended for good; *unscheduled* is why no node was found."""

    name: str
    namespace: str
    uid: str
    node: str = ""
    ip: str = ""
    phase: str = "Pending"
    ready: bool = False
    revision: str = ""
    terminating: bool = False
    created: str = ""
    unscheduled: str = ""
    message: str = ""
    host_network: bool = False
    containers: tuple[Container, ...] = ()

    @property
    def finished(self) -> bool:
        return self.phase in {"Succeeded", "Failed"}


@dataclass(frozen=True, slots=True)
class Node:
    """A node and the instance that it is. *gone* means that somebody said so, or that it was deleted."""

    name: str
    instance: str = ""
    zone: str = ""
    ready: bool = True
    schedulable: bool = True
    gone: bool = False


@dataclass(frozen=True, slots=True)
class Interface:
    """A member's interface; *attachment* ("" when it is on no instance) names the attachment, so that no other is ever undone."""

    id: str
    address: str
    zone: str = ""
    instance: str = ""
    attachment: str = ""
    status: str = ""  # of the attachment: attaching, attached, detaching


@dataclass(frozen=True, slots=True)
class Record:
    """An A record as it lies in the zone; *body* is what a change must repeat to be about this very one."""

    fqdn: str
    values: tuple[str, ...]
    ttl: int
    body: Mapping[str, Any] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class Lease:
    """Who owns a member: the uid of its Pod. *epoch* counts the owners; *record* is the address of the record that follows them.

    *condemned* is the attachment that was last to be taken away: whoever was to do it may still be about to.
    """

    member: str
    holder: str
    epoch: int
    record: str = ""
    condemned: str = ""
    body: Mapping[str, Any] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class Set:
    """A StatefulSet; *revision* is the one its Pods should have, *uid* its own."""

    name: str
    namespace: str
    generation: int
    observed: int
    replicas: int
    revision: str
    uid: str = ""


@dataclass(frozen=True, slots=True)
class Attachment:
    """Whether a PersistentVolume is attached to a node, or why not."""

    volume: str
    node: str
    attached: bool
    error: str = ""


@dataclass(frozen=True, slots=True)
class Live:
    """All that was read; what there was no need to read is empty."""

    pods: Mapping[str, tuple[Pod, ...]] = field(default_factory=dict)  # by member
    sets: Mapping[tuple[str, str], Set] = field(default_factory=dict)  # by namespace and name
    nodes: Mapping[str, Node] = field(default_factory=dict)
    leases: Mapping[str, Lease] = field(default_factory=dict)  # by member
    records: Mapping[str, Record] = field(default_factory=dict)  # by name
    interfaces: Mapping[str, Interface] = field(default_factory=dict)  # by address
    attachments: Mapping[str, Attachment] = field(default_factory=dict)  # by PersistentVolume
    zone: str = ""  # the hosted zone's id

    def running(self, member: str) -> tuple[Pod, ...]:
        """The member's Pods that have not ended; more than one only while something goes wrong."""
        return tuple(pod for pod in self.pods.get(member, ()) if not pod.finished)


def pod(payload: Payload) -> Pod:
    metadata, spec, status = payload["metadata"], payload.get("spec", {}), payload.get("status", {})
    conditions = {one["type"]: one for one in status.get("conditions", ())}
    scheduled = conditions.get("PodScheduled", {})
    containers = [_container(one, init=True) for one in status.get("initContainerStatuses", ())]
    return Pod(
        name=metadata["name"],
        namespace=metadata.get("namespace", ""),
        uid=metadata["uid"],
        node=spec.get("nodeName", ""),
        ip=status.get("podIP", ""),
        phase=status.get("phase", "Pending"),
        ready=conditions.get("Ready", {}).get("status") == "True",
        revision=metadata.get("labels", {}).get("controller-revision-hash", ""),
        terminating="deletionTimestamp" in metadata,
        created=metadata.get("creationTimestamp", ""),
        unscheduled=scheduled.get("message", "") if scheduled.get("status") == "False" else "",
        message=status.get("message", "") or status.get("reason", ""),
        host_network=spec.get("hostNetwork", False),
        containers=(*containers, *(_container(one, init=False) for one in status.get("containerStatuses", ()))),
    )


def _container(status: Mapping[str, Any], *, init: bool) -> Container:
    state, detail = next(iter((status.get("state") or {"": {}}).items()))
    last = (status.get("lastState") or {}).get("terminated") or {}
    return Container(
        name=status["name"],
        init=init,
        ready=status.get("ready", False),
        state=state,
        reason=detail.get("reason", ""),
        message=detail.get("message", ""),
        code=detail.get("exitCode", 0),
        restarts=status.get("restartCount", 0),
        last_code=last.get("exitCode"),
        last_message=last.get("message", ""),
    )


def node(payload: Payload) -> Node:
    metadata, spec = payload["metadata"], payload.get("spec", {})
    conditions = {one["type"]: one["status"] for one in payload.get("status", {}).get("conditions", ())}
    return Node(
        name=metadata["name"],
        instance=spec.get("providerID", "").rpartition("/")[2],
        zone=metadata.get("labels", {}).get(storage.ZONE_LABEL, ""),
        ready=conditions.get("Ready") == "True",
        schedulable=not spec.get("unschedulable", False),
        gone=any(taint["key"] == _GONE for taint in spec.get("taints", ())),
    )


def interface(payload: Payload) -> Interface:
    attachment = payload.get("Attachment") or {}
    if attachment.get("Status") == "detached":
        attachment = {}
    return Interface(
        id=payload["NetworkInterfaceId"],
        address=payload.get("PrivateIpAddress", ""),
        zone=payload.get("AvailabilityZone", ""),
        instance=attachment.get("InstanceId", ""),
        attachment=attachment.get("AttachmentId", ""),
        status=attachment.get("Status", ""),
    )


def record(payload: Payload) -> Record:
    values = tuple(sorted(one["Value"] for one in payload.get("ResourceRecords", ())))
    return Record(payload["Name"].rstrip(".").lower(), values, payload.get("TTL", 0), payload)


def lease(payload: Payload) -> Lease:
    metadata, spec = payload["metadata"], payload.get("spec", {})
    return Lease(
        member=metadata["name"].removeprefix(LEASE_PREFIX),
        holder=spec.get("holderIdentity") or "",
        epoch=spec.get("leaseTransitions") or 0,
        record=metadata.get("annotations", {}).get(marks.ADDRESS, ""),
        condemned=metadata.get("annotations", {}).get(marks.CONDEMNED, ""),
        body=payload,
    )


def stateful_set(payload: Payload) -> Set:
    metadata, status = payload["metadata"], payload.get("status", {})
    return Set(
        name=metadata["name"],
        namespace=metadata.get("namespace", ""),
        generation=metadata.get("generation", 0),
        observed=status.get("observedGeneration", 0),
        replicas=payload["spec"].get("replicas", 1),
        revision=status.get("updateRevision", ""),
        uid=metadata.get("uid", ""),
    )


def attachment(payload: Payload) -> Attachment:
    spec, status = payload["spec"], payload.get("status", {})
    return Attachment(
        volume=spec["source"].get("persistentVolumeName", ""),
        node=spec["nodeName"],
        attached=status.get("attached", False),
        error=status.get("attachError", {}).get("message", ""),
    )
