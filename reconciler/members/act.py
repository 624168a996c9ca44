"""Carries out what was decided, through the ports with the members' credentials; a lost race is an answer, not an error."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeAlias

from reconciler import errors
from reconciler.members import fencing, read
from reconciler.members.decide import Action, Attach, Claim, Decision, Detach, Point, Release, Remove, Renew
from reconciler.members.flight import Flights
from reconciler.members.live import LEASE_PREFIX, Record
from reconciler.members.unreachable import Finding
from reconciler.model.environment import Environment
from reconciler.model.outcome import Failed, Outcome, Waiting
from reconciler.ports import Clock, Cloud, Cluster, Payload
from reconciler.resources import kubernetes, marks

BATCH = 100  # changes of records that go into one call; Route53 takes 1,000 values
# What was read is no longer so: the next reading decides anew.
OVERTAKEN = frozenset(
    {
        "InvalidChangeBatch",
        "InvalidNetworkInterface.InUse",
        "InvalidNetworkInterfaceID.NotFound",
        "InvalidAttachmentID.NotFound",
        "InvalidAttachment.NotFound",
        "IncorrectState",
    }
)
Change: TypeAlias = Point | Remove
_MANY = 4  # claims that are made side by side: each is a call, and its member waits for it


@dataclass(frozen=True, slots=True)
class Actor:
    """What acts, and where."""

    cluster: Cluster
    cloud: Cloud
    clock: Clock
    environment: Environment
    flights: Flights = field(default_factory=Flights)

    def carry_out(self, decisions: Mapping[str, Decision], zone: str) -> dict[str, Outcome]:
        """Do everything decided; the outcomes of those members for whom something was refused, or takes long. Records go out together."""
        far = {name: one.actions for name, one in decisions.items() if _has(one, Attach, Detach)}
        claims = {name: one.actions for name, one in decisions.items() if name not in far and _has(one, Claim)}
        far |= claims if len(claims) >= _MANY else {}
        refused = self.flights.run({name: partial(self._each, actions) for name, actions in far.items()})
        refused |= {name: found for name, one in decisions.items() if name not in far and (found := self._each(one.actions))}
        changes = [(name, one) for name, one in _all(decisions, refused) if isinstance(one, Point | Remove)]
        answers = _write(self.cloud, zone, [one for _, one in changes])
        refused |= {name: refusal(error) for (name, _), error in zip(changes, answers, strict=True) if error}
        for name, one in _all(decisions, refused):
            if isinstance(one, Release) and (found := self._each([one], last=True)):
                refused[name] = found
        return refused

    def _each(self, actions: Iterable[Action], *, last: bool = False) -> Outcome | None:
        """Everything but records, in order, up to the first refusal; a release only at the *last*."""
        for action in actions:
            try:
                if (last or not isinstance(action, Release)) and not self._do(action):
                    return Waiting("its Lease is read again: another reconciler was faster")
            except errors.ProviderError as error:
                return refusal(error)
        return None

    def fence(self, findings: Iterable[Finding]) -> dict[str, Outcome]:
        """Do what was found right about nodes; the outcomes of those where something was refused, or takes long, by `whom`."""
        now, wanted = self.clock.now(), tuple(findings)
        refused = self.flights.run({whom(one): partial(self._fence, one, now) for one in wanted if one.deed == "stop"})
        near = {whom(one): self._fence(one, now) for one in wanted if one.deed != "stop"}
        return refused | {name: outcome for name, outcome in near.items() if outcome}

    def _fence(self, finding: Finding, now: float) -> Outcome | None:
        try:
            return fencing.carry_out(self.cluster, self.cloud, finding, now)
        except errors.ProviderError as error:
            return refusal(error)

    def _do(self, action: Action) -> bool:
        """False where a compare-and-set was lost."""
        match action:
            case Claim():
                return _claim(self.cluster, self.environment, action, self.clock.now())
            case Release():
                return _release(self.cluster, action)
            case Attach():
                _attach(self.cloud, action)
            case Detach():
                self.cloud.call("ec2", "detach_network_interface", AttachmentId=action.attachment, Force=action.force)
            case Renew():
                self.cluster.delete(kubernetes.POD, action.pod.name, namespace=action.pod.namespace, uid=action.pod.uid)
            case Point() | Remove():
                pass  # these go out together
        return True


def _has(decision: Decision, *kinds: type[Action]) -> bool:
    return any(isinstance(action, kinds) for action in decision.actions)


def told(decisions: Mapping[str, Decision], refused: Mapping[str, Outcome]) -> Iterator[tuple[str, str]]:
    """What was done, for people: a member's address or name, and words; leases are our own book-keeping."""
    for name, action in _all(decisions, refused):
        match action:
            case Point(member, before, address):
                yield str(member.record), f"points to {address}, ttl {member.ttl}" + (f" (was {_spelt(before)})" if before else "")
            case Remove(record):
                yield name, f"record {record.fqdn} removed"
            case Attach(interface, instance):
                yield name, f"{interface} is being attached to {instance}"
            case Detach(attachment):
                yield name, f"attachment {attachment} is being taken away"
            case Renew(pod, why):
                yield name, f"Pod {pod.name} is made anew: {why}"


def fenced(findings: Iterable[Finding], refused: Mapping[str, Outcome]) -> Iterator[tuple[str, str]]:
    """What was done about nodes, for people."""
    for one in findings:
        if one.deed and whom(one) not in refused:
            yield whom(one), _done(one)


def _done(finding: Finding) -> str:
    instance = f"its instance {finding.node.instance}"
    match finding.deed:
        case "taint":
            return f"fenced: {instance} is off"
        case "take":
            return f"{', '.join(pod.name for pod in finding.pods)} taken off it: {instance} is off, and nobody there can end them"
        case "stop":
            return f"{instance} is being stopped: it has not answered for too long"
        case "clear" | "":
            return "fenced no more: it answers again"


def whom(finding: Finding) -> str:
    return f"node/{finding.node.name}"


def _spelt(record: Record) -> str:
    return f"{', '.join(record.values)}, ttl {record.ttl}"


def refusal(error: errors.ProviderError) -> Outcome:
    """Whether what was refused may succeed by itself."""
    passing = isinstance(error, errors.TransientError) or error.code in OVERTAKEN
    return Waiting(f"this succeeds: {error.message}") if passing else Failed(error.message, retryable=True)


def _all(decisions: Mapping[str, Decision], refused: Mapping[str, Outcome]) -> Iterator[tuple[str, Action]]:
    """The actions of those who have not been refused one."""
    return ((name, action) for name, decision in decisions.items() if name not in refused for action in decision.actions)


def _claim(cluster: Cluster, environment: Environment, wanted: Claim, now: float) -> bool:
    stamp = f"{datetime.fromtimestamp(now, UTC):%Y-%m-%dT%H:%M:%S.%f}Z"
    if wanted.before is None:
        metadata = {"name": f"{LEASE_PREFIX}{wanted.member.name}", "namespace": environment.kubernetes.namespace}
        return cluster.create(kubernetes.LEASE, _lease(wanted, metadata, stamp, stamp)) is not None
    body = wanted.before.body
    held_since = body.get("spec", {}).get("acquireTime") if wanted.before.holder == wanted.uid else None
    return cluster.replace(kubernetes.LEASE, _lease(wanted, body["metadata"], held_since or stamp, stamp)) is not None


def _lease(wanted: Claim, metadata: Mapping[str, Any], acquired: str, renewed: str) -> Payload:
    labels = marks.labels(wanted.member.record.environment, wanted.member.service)
    annotations = {marks.ADDRESS: str(wanted.member.record)} if wanted.member.follows else {}
    annotations |= {marks.CONDEMNED: wanted.condemned} if wanted.condemned else {}
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {**metadata, "labels": labels, "annotations": annotations},
        "spec": {"holderIdentity": wanted.uid, "leaseTransitions": wanted.epoch, "acquireTime": acquired, "renewTime": renewed},
    }


def _release(cluster: Cluster, wanted: Release) -> bool:
    """Leave the Lease without a holder; its epoch is never counted anew."""
    body = wanted.lease.body
    spec = {name: value for name, value in body.get("spec", {}).items() if name != "holderIdentity"}
    return cluster.replace(kubernetes.LEASE, {**body, "metadata": {**body["metadata"], "annotations": {}}, "spec": spec}) is not None


def _attach(cloud: Cloud, wanted: Attach) -> None:
    """At the instance's first free place.

    Raises:
        ProviderError: there is none; the scheduler knows nothing of interfaces, so the Pod stays until one is free or it is deleted.
    """
    used = read.used_places(cloud, wanted.instance)
    place = next(index for index in range(1, len(used) + 2) if index not in used)
    try:
        cloud.call("ec2", "attach_network_interface", NetworkInterfaceId=wanted.interface, InstanceId=wanted.instance, DeviceIndex=place)
    except errors.ProviderError as error:
        if error.code != "AttachmentLimitExceeded":
            raise
        text = f"{wanted.node} has no free slot for {wanted.interface}: {wanted.instance} holds {len(used)} interfaces, its limit"
        raise errors.ProviderError(text, code=error.code, status=error.status) from error


def _write(cloud: Cloud, zone: str, wanted: Sequence[Change]) -> list[errors.ProviderError | None]:
    """Change records, many in one call; where a call is refused, each on its own, so that one lost race costs nobody else."""
    answers: list[errors.ProviderError | None] = []
    for start in range(0, len(wanted), BATCH):
        chunk = wanted[start : start + BATCH]
        refused = _change(cloud, zone, chunk)
        alone = refused is not None and not isinstance(refused, errors.TransientError) and len(chunk) > 1
        answers += [_change(cloud, zone, [one]) if alone else refused for one in chunk]
    return answers


def _change(cloud: Cloud, zone: str, wanted: Iterable[Change]) -> errors.ProviderError | None:
    batch = {"Comment": "reconciler members", "Changes": [change for one in wanted for change in _batch(one)]}
    try:
        cloud.call("route53", "change_resource_record_sets", HostedZoneId=zone, ChangeBatch=batch)
    except errors.ProviderError as error:
        return error
    return None


def _batch(wanted: Change) -> list[Payload]:
    """Route53 has no compare-and-set but this: a DELETE must name the record as it is, and a batch is done whole or not at all."""
    if isinstance(wanted, Remove):
        return [_delete(wanted.record)]
    values = [{"Value": wanted.address}]
    new = {"Name": f"{wanted.member.fqdn}.", "Type": "A", "TTL": wanted.member.ttl, "ResourceRecords": values}
    created = {"Action": "CREATE", "ResourceRecordSet": new}
    return [_delete(wanted.before), created] if wanted.before else [created]


def _delete(record: Record) -> Payload:
    return {"Action": "DELETE", "ResourceRecordSet": record.body}


def retain(cloud: Cloud, volumes: Iterable[str], commit: str) -> None:
    """Mark volumes as kept on purpose, before anybody forgets them; *commit* is the one that removed their spec."""
    ids = list(volumes)
    for start in range(0, len(ids), BATCH):
        tags = [{"Key": marks.RETAINED, "Value": commit}]
        cloud.call("ec2", "create_tags", Resources=ids[start : start + BATCH], Tags=tags)
