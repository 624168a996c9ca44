"""What is live of members, projected from the payloads of AWS and Kubernetes; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from reconciler.ports import Payload
from reconciler.resources import marks, storage, workload

LEASE_PREFIX = "member-"
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"  # the taint by which Kubernetes is told that a node is off
FENCED = "reconciler/fenced"  # an annotation: the taint is ours, and why


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
    ended: str = ""  # when it was asked to end
    ready_since: str = ""  # when it became ready, or ceased to be
    scheduled_since: str = ""  # when it got its node, or first was without
    checksum: str = ""
    unscheduled: str = ""
    message: str = ""
    host_network: bool = False
    containers: tuple[Container, ...] = ()

    @property
    def finished(self) -> bool:
        return self.phase in {"Succeeded", "Failed"}

    def age(self, now: float) -> float | None:
        """Seconds since it was made, *now* being in seconds since the epoch; None where nobody said when that was."""
        return now - datetime.fromisoformat(self.created).timestamp() if self.created else None


@dataclass(frozen=True, slots=True)
class Node:
    """A node and the instance that it is. *since* is when it became ready, or ceased to be; a *silent* one has said nothing since.

    *out_of_service* means that somebody said it is off; *fenced* is why, where that was us. *taints* and *version* are what a change must
    repeat to be about the node as it was read.
    """

    name: str
    instance: str = ""
    zone: str = ""
    ready: bool = True
    schedulable: bool = True
    silent: bool = False
    since: str = ""
    fenced: str = ""
    version: str = ""
    taints: tuple[Mapping[str, Any], ...] = field(default=(), compare=False)

    @property
    def out_of_service(self) -> bool:
        return any(taint["key"] == OUT_OF_SERVICE for taint in self.taints)


@dataclass(frozen=True, slots=True)
class Interface:
    """A member's interface; *attachment* ("" when it is on no instance) names the attachment, so that no other is ever undone."""

    id: str
    address: str
    zone: str = ""
    instance: str = ""
    attachment: str = ""
    status: str = ""  # of the attachment: attaching, attached, detaching
    since: str = ""  # of the attachment


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
    since: str = ""  # when its owner took it
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
    checksum: str = ""  # of its Pods' configuration
    rotation: int = 0  # which generation of secrets its Pods should have


@dataclass(frozen=True, slots=True)
class Attachment:
    """Whether a PersistentVolume is attached to a node, or why not."""

    volume: str
    node: str
    attached: bool
    error: str = ""
    since: str = ""  # when it was asked for, or, once it is to go, when that was
    leaving: bool = False


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
    instances: Mapping[str, str] = field(default_factory=dict)  # what EC2 says of those of nodes that do not answer, by id
    unreachable: Mapping[str, str] = field(default_factory=dict)  # what is waited for of a node that does not answer, by its name
    handles: Mapping[str, str] = field(default_factory=dict)  # EBS's names of PersistentVolumes
    slots: Mapping[str, tuple[int, int]] = field(default_factory=dict)  # interfaces that an instance has, and may have; by id
    revisions: Mapping[str, str] = field(default_factory=dict)  # when they were made, by name
    zone: str = ""  # the hosted zone's id

    def running(self, member: str) -> tuple[Pod, ...]:
        """The member's Pods that have not ended; more than one only while something goes wrong."""
        return tuple(pod for pod in self.pods.get(member, ()) if not pod.finished)


def pod(payload: Payload) -> Pod:
    metadata, spec, status = payload["metadata"], payload.get("spec", {}), payload.get("status", {})
    conditions = {one["type"]: one for one in status.get("conditions", ())}
    scheduled, ready = conditions.get("PodScheduled", {}), conditions.get("Ready", {})
    containers = [_container(one, init=True) for one in status.get("initContainerStatuses", ())]
    return Pod(
        name=metadata["name"],
        namespace=metadata.get("namespace", ""),
        uid=metadata["uid"],
        node=spec.get("nodeName", ""),
        ip=status.get("podIP", ""),
        phase=status.get("phase", "Pending"),
        ready=ready.get("status") == "True",
        revision=metadata.get("labels", {}).get("controller-revision-hash", ""),
        terminating="deletionTimestamp" in metadata,
        created=metadata.get("creationTimestamp", ""),
        ended=_asked(metadata),
        ready_since=ready.get("lastTransitionTime") or "",
        scheduled_since=scheduled.get("lastTransitionTime") or "",
        checksum=metadata.get("annotations", {}).get(workload.CHECKSUM, ""),
        unscheduled=scheduled.get("message", "") if scheduled.get("status") == "False" else "",
        message=status.get("message", "") or status.get("reason", ""),
        host_network=spec.get("hostNetwork", False),
        containers=(*containers, *(_container(one, init=False) for one in status.get("containerStatuses", ()))),
    )


def _asked(metadata: Mapping[str, Any]) -> str:
    """When something was asked to end: its deletionTimestamp is when its grace is over."""
    if "deletionTimestamp" not in metadata:
        return ""
    grace = timedelta(seconds=metadata.get("deletionGracePeriodSeconds") or 0)
    return (datetime.fromisoformat(metadata["deletionTimestamp"]) - grace).isoformat()


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
    conditions = {one["type"]: one for one in payload.get("status", {}).get("conditions", ())}
    ready = conditions.get("Ready", {})
    return Node(
        name=metadata["name"],
        instance=spec.get("providerID", "").rpartition("/")[2],
        zone=metadata.get("labels", {}).get(storage.ZONE_LABEL, ""),
        ready=ready.get("status") == "True",
        schedulable=not spec.get("unschedulable", False),
        silent=ready.get("status", "Unknown") == "Unknown",
        since=ready.get("lastTransitionTime") or "",
        fenced=metadata.get("annotations", {}).get(FENCED, ""),
        version=metadata.get("resourceVersion", ""),
        taints=tuple(spec.get("taints") or ()),
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
        since=_told(attachment.get("AttachTime")),
    )


def _told(moment: object) -> str:
    """AWS's times come as datetimes."""
    return moment.isoformat() if isinstance(moment, datetime) else str(moment or "")


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
        since=spec.get("acquireTime") or "",
        body=payload,
    )


def stateful_set(payload: Payload) -> Set:
    metadata, status, template = payload["metadata"], payload.get("status", {}), payload["spec"].get("template", {})
    return Set(
        name=metadata["name"],
        namespace=metadata.get("namespace", ""),
        generation=metadata.get("generation", 0),
        observed=status.get("observedGeneration", 0),
        replicas=payload["spec"].get("replicas", 1),
        revision=status.get("updateRevision", ""),
        uid=metadata.get("uid", ""),
        checksum=template.get("metadata", {}).get("annotations", {}).get(workload.CHECKSUM, ""),
        rotation=int(metadata.get("annotations", {}).get(marks.ROTATION, 0)),
    )


def attachment(payload: Payload) -> Attachment:
    metadata, spec, status = payload.get("metadata", {}), payload["spec"], payload.get("status", {})
    error = status.get("attachError") or status.get("detachError") or {}
    return Attachment(
        volume=spec["source"].get("persistentVolumeName", ""),
        node=spec["nodeName"],
        attached=status.get("attached", False),
        error=error.get("message", ""),
        since=_asked(metadata) or metadata.get("creationTimestamp", ""),
        leaving="deletionTimestamp" in metadata,
    )
