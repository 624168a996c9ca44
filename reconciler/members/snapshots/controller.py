"""Takes and deletes snapshots, level-triggered: each look starts from the snapshots that exist. Keeps nothing but when to look again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeAlias

from reconciler import errors
from reconciler.kinds import ServiceType
from reconciler.members.snapshots import decide, placing
from reconciler.members.snapshots.decide import Asked
from reconciler.members.snapshots.placing import Call
from reconciler.model.desired import Desired
from reconciler.model.environment import Environment
from reconciler.model.outcome import Done, Outcome
from reconciler.model.snapshot import Snapshots, gather
from reconciler.ports import Clock, Cloud
from reconciler.resources import copies, marks

LOOK_EVERY = 60.0  # seconds between two looks; what is due waits for as long at most
SOON = 15.0  # while EBS is at work, or something has to come first
PAGE = 1000  # what DescribeSnapshots has on a page
DESCRIPTION = "reconciler"

Deed: TypeAlias = tuple[str, Literal["done", "failed"], str]  # about whom, how it ended, words
Together: TypeAlias = Callable[[Iterable[Callable[[], None]]], None]


def read(cloud: Cloud, environment: Environment) -> Snapshots:
    """All snapshots of *environment*, in one list of pages: those of services that are gone among them."""
    ours = [{"Name": f"tag:{marks.ENVIRONMENT}", "Values": [environment.name]}, {"Name": "tag-key", "Values": [marks.SNAPSHOT]}]
    try:
        pages = cloud.pages("ec2", "describe_snapshots", OwnerIds=["self"], Filters=ours, MaxResults=PAGE)
        return gather([seen for page in pages for one in page["Snapshots"] if (seen := copies.view(one))])
    except errors.ProviderError as error:
        return Snapshots(unread=error.message)


@dataclass(slots=True)
class Taker:
    """Looks now and then, where some service asks for snapshots."""

    cloud: Cloud
    clock: Clock
    types: Mapping[str, ServiceType]
    together: Together
    next: float = float("-inf")
    awaited: frozenset[str] = frozenset()  # services that did not work yet at the last look: once they do, another is due at once

    def is_due(self, desired: Desired, outcomes: Mapping[str, Outcome]) -> bool:
        """Whether a look is worth while; it costs nothing to ask."""
        if not any(one.snapshots and one.name in outcomes for one in desired.services):
            return False
        return self.clock.monotonic() >= self.next or any(isinstance(outcomes.get(name), Done) for name in self.awaited)

    def tick(self, desired: Desired, outcomes: Mapping[str, Outcome]) -> tuple[Deed, ...]:
        """See to the snapshots of the services that *outcomes* tells of; what was done, and what was refused."""
        if not self.is_due(desired, outcomes):
            return ()
        wanted = tuple(decide.asked(desired, self.types, outcomes))
        self.awaited = frozenset(one.service.name for one in wanted if not one.works)
        known = read(self.cloud, desired.environment)
        if known.unread:
            self.next = self.clock.monotonic() + LOOK_EVERY
            return tuple((one.service.name, "failed", f"its snapshots could not be read: {known.unread}") for one in wanted)
        prunes = not desired.held and not desired.lost
        deeds, busy = [], False
        for one in wanted:
            verdict = decide.decide(one, known, self.clock.now(), prunes=prunes)
            deeds += [*self._take(one, verdict, desired.environment), *self._delete(one, verdict.delete)]
            busy = busy or verdict.pending or bool(verdict.delete)
        self.next = self.clock.monotonic() + (SOON if busy else LOOK_EVERY)
        return tuple(deeds)

    def _take(self, asked: Asked, verdict: decide.Verdict, environment: Environment) -> Iterator[Deed]:
        if not verdict.take:
            return
        name = asked.service.name
        try:
            calls, until = placing.calls(verdict.take.values(), self._volumes(name, environment))
            tags = copies.tags(asked.service, verdict.slot, len(asked.volumes))
            beside = self._beside(calls)
        except errors.ProviderError as error:
            yield name, "failed", f"no snapshot is taken: {error.message}"
            return
        if until:
            yield name, "done", f"its snapshot of {verdict.slot} waits until {until}"
            return
        refused: list[str] = []
        self.together([partial(self._send, call, tags, beside.get(call.instance, []), refused) for call in calls])
        if refused:
            yield name, "failed", f"its snapshot of {verdict.slot} is not whole yet: {refused[0]}"
        else:
            volumes = len(verdict.take)
            yield name, "done", f"snapshot of {verdict.slot} is taken, of {volumes} volume{'s' if volumes > 1 else ''}"

    def _send(self, call: Call, tags: Mapping[str, str], beside: list[str], refused: list[str]) -> None:
        try:
            if call.instance:
                instance: dict[str, Any] = {"InstanceId": call.instance, "ExcludeBootVolume": True}
                instance |= {"ExcludeDataVolumeIds": beside} if beside else {}
                specified: dict[str, Any] = {"InstanceSpecification": instance, "CopyTagsFromSource": "volume"}
                self.cloud.call("ec2", "create_snapshots", **specified, TagSpecifications=_tagged(tags), Description=DESCRIPTION)
            else:
                (volume,) = call.volumes
                own = {**volume.tags, **tags}
                self.cloud.call("ec2", "create_snapshot", VolumeId=volume.id, TagSpecifications=_tagged(own), Description=DESCRIPTION)
        except errors.ProviderError as error:
            refused.append(error.message)

    def _delete(self, asked: Asked, wanted: Mapping[str, str]) -> Iterator[Deed]:
        for id, why in wanted.items():
            try:
                self.cloud.call("ec2", "delete_snapshot", SnapshotId=id)
            except errors.ProviderError as error:
                if error.code != "InvalidSnapshot.NotFound":
                    yield asked.service.name, "failed", f"{id} is not deleted: {error.message}"
            else:
                yield asked.service.name, "done", f"{id} is deleted: {why}"

    def _volumes(self, service: str, environment: Environment) -> list[placing.Volume]:
        filters = [{"Name": f"tag:{marks.ENVIRONMENT}", "Values": [environment.name]}]
        filters += [{"Name": f"tag:{marks.SERVICE}", "Values": [service]}]
        pages = self.cloud.pages("ec2", "describe_volumes", Filters=filters)
        return [placing.volume(one) for page in pages for one in page["Volumes"]]

    def _beside(self, calls: Iterable[Call]) -> dict[str, list[str]]:
        """By instance: what of others is attached there, which must not be taken along."""
        volumes = {call.instance: call.volumes for call in calls if call.instance}
        if not volumes:
            return {}
        pages = self.cloud.pages("ec2", "describe_instances", Filters=[{"Name": "instance-id", "Values": sorted(volumes)}])
        found = (one for page in pages for reservation in page["Reservations"] for one in reservation["Instances"])
        return {one["InstanceId"]: placing.others(one, volumes[one["InstanceId"]]) for one in found}


def _tagged(tags: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"ResourceType": "snapshot", "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}]
