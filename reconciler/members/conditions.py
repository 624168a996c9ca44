"""What a member has and lacks, a condition each with its reason and since when; pure.

Ages are what the cluster itself tells: when a Pod got its node or was asked to end, a node ceased to answer, a volume was asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from reconciler.members.live import Attachment, Live, Node, Pod
from reconciler.members.member import Member
from reconciler.model.condition import Condition
from reconciler.model.duration import age
from reconciler.model.outcome import Failed, Outcome, Waiting, spell
from reconciler.resources.member import GATE

_WAITING = "waiting "


def of_member(member: Member, live: Live, outcome: Outcome) -> tuple[Condition, ...]:
    """The conditions of *member*, each before what depends on it; of one that is stopped, that it is. *outcome* is how it stands."""
    pods = live.running(member.name)
    pod = pods[0] if pods else None
    if member.stopped:
        return (Condition("AppReady", "False", "Stopped", spell(outcome), pod.ended if pod else ""),)
    if pod is None:
        return (_zone(member, None, live), _app(None, outcome))
    if not pod.node:
        return (_zone(member, pod, live), _app(pod, outcome), _config(member, pod, live))
    interface = () if member.follows else (_slot(member, pod, live),)
    return (
        _zone(member, pod, live),
        _released(member, pods, live),
        *interface,
        _address(member, pod, live),
        _volumes(member, pod, live),
        _name(member, pod, live),
        _app(pod, outcome),
        _config(member, pod, live),
    )


def explained(outcome: Outcome, conditions: tuple[Condition, ...], now: float) -> Outcome:
    """*outcome* in the words of the first thing that is lacking, with its age; *now* in seconds since the epoch."""
    lacking = next((one for one in conditions if one.status == "False" and one.message), None)
    if lacking is None or not isinstance(outcome, Waiting):
        return outcome
    return replace(outcome, said=aged(lacking, now))


def aged(condition: Condition, now: float) -> str:
    """`waiting 4m for node ip-10-0-1-7 to release vol-…`."""
    if not condition.since or not condition.message.startswith(_WAITING):
        return condition.message
    return f"{_WAITING}{age(seconds(condition, now))} {condition.message.removeprefix(_WAITING)}"


def seconds(condition: Condition, now: float) -> float:
    """For how long a condition has been as it is; *since* is known."""
    return max(0.0, now - datetime.fromisoformat(condition.since).timestamp())


def _zone(member: Member, pod: Pod | None, live: Live) -> Condition:
    if pod and pod.node:
        return Condition("ZoneHasNode", "True", "Scheduled", since=pod.scheduled_since)
    if not live.nodes:
        return Condition("ZoneHasNode", "Unknown", "NodesNotRead")
    here = [node for node in live.nodes.values() if node.zone == member.zone]
    since = pod.scheduled_since if pod else max((node.since for node in here), default="")
    if not here:
        return Condition("ZoneHasNode", "False", "NoNode", f"waiting for a node in zone {member.zone}, which has none", since)
    if not any(node.ready and node.schedulable for node in here):
        text = f"waiting for a node in zone {member.zone} to be ready (of {len(here)} none is)"
        return Condition("ZoneHasNode", "False", "NoReadyNode", text, since)
    return Condition("ZoneHasNode", "True", "NodeReady")


def _released(member: Member, pods: tuple[Pod, ...], live: Live) -> Condition:
    """Whether nobody else has what is the member's: no other Pod, no other node its volumes or interface."""
    pod = pods[0]
    for held in _held(member, pods, live):
        return held
    lease = live.leases.get(member.name)
    return Condition("OldOwnerReleased", "True", "Released", since=lease.since if lease and lease.holder == pod.uid else "")


def _held(member: Member, pods: tuple[Pod, ...], live: Live) -> Iterator[Condition]:
    pod = pods[0]
    if pod.node in live.unreachable:
        node = live.nodes.get(pod.node)
        text = f"waiting until {live.unreachable[pod.node]}"
        yield Condition("OldOwnerReleased", "False", "NodeUnreachable", text, node.since if node else "")
    for other in pods[1:]:
        text = f"waiting for its other Pod on {other.node or 'no node'} to end"
        yield Condition("OldOwnerReleased", "False", "TwoPods", text, other.ended or other.created)
    if pod.terminating:
        yield Condition("OldOwnerReleased", "False", "PodEnding", f"waiting for its old Pod on {pod.node} to end", pod.ended)
    for volume in () if _started(pod) else member.disks.values():
        attachment = live.attachments.get(volume)
        if attachment and attachment.node != pod.node:
            text = f"waiting for node {attachment.node} to release {live.handles.get(volume, volume)}{_why(attachment)}"
            yield Condition(
                "OldOwnerReleased", "False", "VolumeHeld", text, attachment.since if attachment.leaving else pod.scheduled_since
            )
    interface = live.interfaces.get(str(member.interface))
    if interface and interface.instance and interface.instance != _instance(pod, live) and not member.follows:
        holder = next((f"node {node.name}" for node in live.nodes.values() if node.instance == interface.instance), interface.instance)
        text = f"waiting for {holder} to release {interface.id}"
        yield Condition("OldOwnerReleased", "False", "InterfaceHeld", text, pod.scheduled_since)


def _slot(member: Member, pod: Pod, live: Live) -> Condition:
    instance = _instance(pod, live)
    interface = live.interfaces.get(str(member.interface))
    if interface and instance and interface.instance == instance:
        return Condition("SlotFree", "True", "Attached", since=interface.since)
    if instance not in live.slots:
        return Condition("SlotFree", "Unknown", "NotRead")
    held, limit = live.slots[instance]
    if held < limit:
        return Condition("SlotFree", "True", "SlotFree")
    text = f"waiting for a free interface slot on node {pod.node}: {instance} holds {held} of the {limit} interfaces that its type may have"
    return Condition("SlotFree", "False", "NoFreeSlot", text, pod.scheduled_since)


def _address(member: Member, pod: Pod, live: Live) -> Condition:
    interface = live.interfaces.get(str(member.interface))
    if member.follows:
        if pod.ip:
            return Condition("AddressBound", "True", "PodHasAddress")
        return Condition(
            "AddressBound", "False", "PodHasNone", f"waiting for its Pod on {pod.node} to have an address", pod.scheduled_since
        )
    if interface is None:
        return Condition("AddressBound", "False", "NoInterface", "waiting for its interface to be made", pod.scheduled_since)
    if interface.instance == _instance(pod, live) and interface.status == "attached":
        return Condition("AddressBound", "True", "Attached", since=interface.since)
    text = f"waiting for {interface.id} to be attached to {pod.node}"
    return Condition("AddressBound", "False", "NotAttached", text, pod.scheduled_since)


def _volumes(member: Member, pod: Pod, live: Live) -> Condition:
    """A container runs only with its volumes mounted."""
    if _started(pod):
        return Condition("VolumeReady", "True", "Mounted")
    for volume in member.disks.values():
        attachment = live.attachments.get(volume)
        if attachment is None or attachment.node != pod.node or not attachment.attached:
            mine = attachment if attachment and attachment.node == pod.node else None
            text = f"waiting for {live.handles.get(volume, volume)} to be attached to {pod.node}{_why(mine)}"
            return Condition("VolumeReady", "False", "NotAttached", text, mine.since if mine else pod.scheduled_since)
    return Condition("VolumeReady", "True", "Attached")


def _name(member: Member, pod: Pod, live: Live) -> Condition:
    """Whether the registry says where the member is, and the gate of its Pod has seen that the resolver does."""
    interface = live.interfaces.get(str(member.interface))
    address = pod.ip if member.follows else (interface.address if interface else "")
    record = live.records.get(member.fqdn)
    if not live.zone:
        return Condition("NameResolves", "False", "NoZone", "waiting for the hosted zone to be made", pod.scheduled_since)
    if not address:
        return Condition("NameResolves", "Unknown", "NoAddress")
    if record is None:
        return Condition("NameResolves", "False", "NoRecord", f"waiting for {member.fqdn} to be {address}", pod.scheduled_since)
    if record.values != (address,):
        text = f"waiting for {member.fqdn} to be {address} (now {', '.join(record.values)})"
        return Condition("NameResolves", "False", "OtherAddress", text, pod.scheduled_since)
    if any(one.name == GATE and one.state == "running" for one in pod.containers):
        text = f"waiting for the resolver on {pod.node} to answer {member.fqdn} with {address}"
        return Condition("NameResolves", "False", "NotAnswered", text, pod.scheduled_since)
    return Condition("NameResolves", "True", "Resolves")


def _app(pod: Pod | None, outcome: Outcome) -> Condition:
    if pod and pod.ready and not pod.terminating:
        return Condition("AppReady", "True", "Ready", since=pod.ready_since)
    reason = "Failed" if isinstance(outcome, Failed) else "NotReady" if pod else "NoPod"
    return Condition("AppReady", "False", reason, spell(outcome), (pod.ready_since or pod.created) if pod else "")


def _config(member: Member, pod: Pod, live: Live) -> Condition:
    """Whether it runs what its StatefulSet says; a Pod template's checksum is that of the configuration alone."""
    owner = live.sets.get((member.namespace, member.set_name))
    if owner is None or owner.observed < owner.generation:
        return Condition("ConfigInSync", "Unknown", "SetNotSeen")
    if pod.revision == owner.revision:
        return Condition("ConfigInSync", "True", "UpToDate")
    what = "configuration" if pod.checksum != owner.checksum else "Pod template"
    text = f"waiting for its restart with a new {what} (revision {owner.revision}, now {pod.revision})"
    return Condition("ConfigInSync", "False", "PendingRestart", text, live.revisions.get(owner.revision, ""))


def _started(pod: Pod) -> bool:
    return any(one.state in {"running", "terminated"} for one in pod.containers) or pod.ready


def _instance(pod: Pod, live: Live) -> str:
    node: Node | None = live.nodes.get(pod.node)
    return node.instance if node else ""


def _why(attachment: Attachment | None) -> str:
    return f": {' '.join(attachment.error.split())}" if attachment and attachment.error else ""
