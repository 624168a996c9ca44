"""What to do so that a member is where its Pod is; pure, and safe to act on late.

Two controllers may decide from readings of different age, so each action can only succeed in the world it was decided for: a claim is a
compare-and-set on the member's Lease, a record changes only from the value that was read, an interface is attached only while it is free
and detached only from the attachment that was read. Before that, the claim condemns the attachment on the Lease: a Pod that comes back to
where the interface still is can't trust it, since the one who was to detach it may only be late. What was read must be older than the
Pods that it is held against: a controller that reads Leases, records and interfaces first, and Pods last, can't take a member from a Pod
that it does not know yet.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from reconciler.members import unreachable
from reconciler.members.live import Interface, Lease, Live, Pod, Record
from reconciler.members.member import Member
from reconciler.members.readiness import CANNOT_START


@dataclass(frozen=True, slots=True)
class Claim:
    """Take the member for the Pod *uid*, or hold on to it; everything after it in a decision needs it."""

    member: Member
    uid: str
    before: Lease | None
    condemned: str = ""

    @property
    def epoch(self) -> int:
        """A new owner's is one more than the last one's."""
        if self.before is None:
            return 1
        return self.before.epoch + (self.before.holder != self.uid)


@dataclass(frozen=True, slots=True)
class Point:
    """Let the member's record say *address*; *before* is what it must still be."""

    member: Member
    before: Record | None
    address: str


@dataclass(frozen=True, slots=True)
class Attach:
    """Bring the interface to the Pod's node."""

    interface: str
    instance: str
    node: str


@dataclass(frozen=True, slots=True)
class Detach:
    """Take the interface from an instance where its member no longer runs."""

    attachment: str
    force: bool


@dataclass(frozen=True, slots=True)
class Remove:
    """Take away the record of a member that is no longer declared."""

    record: Record


@dataclass(frozen=True, slots=True)
class Release:
    """Nobody owns the member any more. The Lease stays, and with it its epoch."""

    lease: Lease


@dataclass(frozen=True, slots=True)
class Renew:
    """Delete a Pod of an old revision, so that one of the new comes in its place; *why* is for people."""

    pod: Pod
    why: str


Action: TypeAlias = Claim | Point | Attach | Detach | Remove | Release | Renew


@dataclass(frozen=True, slots=True)
class Decision:
    """*actions* in order, each only if the one before it succeeded. *until* is what is still missing; "" for a member in its place."""

    actions: tuple[Action, ...] = ()
    until: str = ""


def decide(member: Member, live: Live) -> Decision:
    """What the member needs next."""
    pods = live.running(member.name)
    if len(pods) > 1:
        return Decision(until=f"only one of its Pods is left (now on {' and '.join(pod.node or 'no node' for pod in pods)})")
    pod = pods[0] if pods else None
    if pod is None or not pod.node:
        return Decision(until="its Pod is on a node")
    if pod.terminating:
        return Decision(until=f"its old Pod on {pod.node} has ended")
    if broken(pod, member, live):
        return Decision((Renew(pod, "it cannot start"),), f"its Pod, which cannot start at revision {pod.revision}, is made anew")
    lease = live.leases.get(member.name)
    condemned = lease.condemned if lease else ""
    step = _point(member, pod, live) if member.follows else _bring(member, pod, condemned, live)
    if not step.actions and lease and lease.holder == pod.uid:
        return step
    condemned = next((one.attachment for one in step.actions if isinstance(one, Detach)), condemned)
    return Decision((Claim(member, pod.uid, lease, condemned), *step.actions), step.until)


def depart(member: str, interface: Interface | None, live: Live) -> Decision:
    """What is left to be done about a member that is no longer declared."""
    if live.running(member):
        return Decision(until=f"the Pod of {member} has ended")
    if interface and interface.attachment:
        actions = () if interface.status == "detaching" else (Detach(interface.attachment, force=False),)
        return Decision(actions, f"{interface.id} is detached from {interface.instance}")
    lease = live.leases.get(member)
    if lease is None or not (lease.holder or lease.record):
        return Decision()
    record = live.records.get(lease.record.rpartition("/")[2])
    removal = (Remove(record),) if record else ()
    return Decision((*removal, Release(lease)), f"{member} has been given up")


def leave(member: str, interface: Interface | None, live: Live) -> Decision:
    """What is left of a member that nobody names any more: its Lease, where whoever cleaned up after it died before the last step.

    It may be one whose spec can't be read just now, so nothing is taken from it that its Pod could miss: it claims anew.
    """
    found = depart(member, interface, live)
    return found if all(isinstance(action, Release) for action in found.actions) else Decision()


def broken(pod: Pod, member: Member, live: Live) -> bool:
    """Whether a Pod cannot start, and its StatefulSet has a newer revision that may."""
    owner = live.sets.get((member.namespace, member.set_name))
    if owner is None or owner.observed < owner.generation or pod.revision == owner.revision or pod.ready or member.paused:
        return False
    return any(one.reason in CANNOT_START for one in pod.containers)


def _point(member: Member, pod: Pod, live: Live) -> Decision:
    if not pod.ip:
        return Decision(until=f"its Pod on {pod.node} has an address")
    if not live.zone:
        return Decision(until="the hosted zone is made")
    if pod.host_network and str(member.interface) in live.interfaces:
        return Decision(until="its Pod is made anew without the interface that it had")
    stray = _stray(member, live)
    record = live.records.get(member.fqdn)
    if record and record.values == (pod.ip,) and record.ttl == member.ttl:
        return Decision(stray)
    return Decision((*stray, Point(member, record, pod.ip)), f"{member.fqdn} is {pod.ip}")


def _stray(member: Member, live: Live) -> tuple[Action, ...]:
    """Lets go of the interface of a member that has one no longer: AWS deletes none that is attached."""
    had = live.interfaces.get(str(member.interface))
    return (Detach(had.attachment, force=False),) if had and had.attachment and had.status != "detaching" else ()


def _bring(member: Member, pod: Pod, condemned: str, live: Live) -> Decision:
    """An interface goes from its old instance to the Pod's in two steps, each seen done before the next; so does one *condemned* there."""
    interface, node = live.interfaces.get(str(member.interface)), live.nodes.get(pod.node)
    if interface is None:
        return Decision(until="its interface is made")
    if node is None or not node.instance:
        return Decision(until=f"{pod.node} says which instance it is")
    if interface.instance == node.instance and interface.status != "detaching" and interface.attachment != condemned:
        return Decision(until="" if interface.status == "attached" else f"{interface.id} is attached to {pod.node}")
    if not interface.attachment:
        return Decision((Attach(interface.id, node.instance, node.name),), f"{interface.id} is attached to {pod.node}")
    until = f"{interface.id} is detached from {interface.instance}"
    force = unreachable.is_off(interface.instance, live)  # else it is not torn away: whoever has it may still answer to its address
    return Decision(() if interface.status == "detaching" else (Detach(interface.attachment, force),), until)
