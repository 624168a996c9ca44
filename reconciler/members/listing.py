"""The rows of `reconcile members`, out of what the controller saw; pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from reconciler.members.conditions import seconds
from reconciler.members.controller import Standing
from reconciler.members.member import Member
from reconciler.model.condition import Condition
from reconciler.model.outcome import Done, spell


@dataclass(frozen=True, slots=True)
class Row:
    """One member. *address* is where its record leads or its interface is; *age* is its Pod's in seconds, None without one."""

    service: str
    member: str
    zone: str
    node: str
    address: str
    record: str
    phase: str
    ready: bool
    reason: str
    age: float | None
    conditions: tuple[tuple[Condition, float | None], ...] = ()  # each with its age in seconds, where it is known


def rows(members: Iterable[Member], standing: Standing, now: float) -> tuple[Row, ...]:
    """A row a member, in the order given; *now* in seconds since the epoch."""
    return tuple(_row(member, standing, now) for member in members)


def _row(member: Member, standing: Standing, now: float) -> Row:
    live = standing.live
    pod = next(iter(live.running(member.name)), None)
    node = live.nodes.get(pod.node) if pod else None
    interface = live.interfaces.get(str(member.interface))
    outcome = standing.members[member.name]
    return Row(
        service=member.service,
        member=member.name,
        zone=node.zone if node else member.zone,
        node=pod.node if pod else "",
        address=(pod.ip if pod else "") if member.follows else (interface.address if interface else ""),
        record=member.fqdn,
        phase=_phase(member, pod.phase if pod else "", terminating=bool(pod and pod.terminating)),
        ready=isinstance(outcome, Done) and not member.stopped,
        reason=spell(outcome),
        age=pod.age(now) if pod else None,
        conditions=tuple((one, seconds(one, now) if one.since else None) for one in standing.conditions.get(member.name, ())),
    )


def _phase(member: Member, phase: str, *, terminating: bool) -> str:
    if terminating:
        return "Terminating"
    return phase or ("Stopped" if member.stopped else "Missing")
