"""What must hold after every run, whatever befell it; and what must be there once nothing befalls it any more."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from reconciler.model.change import Action
from reconciler.render import markdown, text
from tests.memory_world import MemoryWorld
from tests.model import look
from tests.model.outsider import SECRET, Outsider
from tests.model.passing import Ended
from tests.model.town import TEAM, Service, Town, fqdn

COVERS: dict[str, frozenset[Action]] = {
    "create": frozenset({"create", "replace"}),
    "import": frozenset({"adopt", "create"}),  # an address is allocated before, and imported
    "update": frozenset({"update", "adopt", "move"}),
    "replace": frozenset({"replace"}),
    "delete": frozenset({"delete", "forget", "replace"}),
}


@dataclass
class Judge:
    """Remembers every volume there ever was (by id, its address and its size), and the services that were applied with protection."""

    world: MemoryWorld
    outsider: Outsider
    data: dict[str, tuple[str, int]] = field(default_factory=dict)
    guarded: dict[str, Service] = field(default_factory=dict)

    def before(self) -> frozenset[str]:
        """What a run finds of ours."""
        self._remember()
        return look.addresses(self.world)

    def after(self, ended: Ended, before: frozenset[str]) -> None:
        """Everything that one run must not have done."""
        self.keeps_data()
        self.doubles_nothing()
        self.leaves_others_alone()
        self.does_what_was_planned(ended)
        self.prunes_nothing_unread(ended, before)
        self.leaves_refused_alone(ended)
        self.tells_no_secret(ended)

    def keeps_data(self) -> None:
        volumes = self.world.cloud.ec2.volumes
        for id, (address, size) in self.data.items():
            assert id in volumes, f"{id} with the data of {address} is gone"
            assert look.tags(volumes[id])[look.ADDRESS] == address
            assert volumes[id]["Size"] >= size, f"{id} shrank"
        self._remember()

    def doubles_nothing(self) -> None:
        copies = {name for _, name in self.outsider.copies}
        for address, found in look.things(self.world).items():
            own = [look.id_of(one) for one in found if look.id_of(one) not in copies]
            assert len(own) == 1, f"{address} is there as {own}"

    def leaves_others_alone(self) -> None:
        for thing, was in self.outsider.own.items():
            assert self.outsider.look(thing) == was, f"{thing} of others was touched"

    def does_what_was_planned(self, ended: Ended) -> None:
        planned = {change.id: change.action for change in ended.prepared.plan.changes} if ended.prepared else {}
        for step in ended.did:
            assert planned.get(step.id, "keep") in COVERS[step.op], f"the engine did {step}, the plan says {planned.get(step.id)}"

    def prunes_nothing_unread(self, ended: Ended, before: frozenset[str]) -> None:
        if ended.prepared is None or ended.prepared.observed.unread or ended.prepared.desired.lost or ended.prepared.desired.held:
            gone = before - look.addresses(self.world)
            assert not gone, f"{sorted(gone)} was removed although not everything was known"

    def leaves_refused_alone(self, ended: Ended) -> None:
        changes = ended.prepared.plan.changes if ended.prepared else ()
        whole = {change.stack for change in changes if change.action in {"refuse", "hold"} and not change.stands}
        stacks = {change.id: change.stack for change in changes}
        touched = {stacks.get(step.id, "") for step in ended.did}
        assert not whole & touched, f"{sorted(whole & touched)} is refused or on hold, and yet something was done"

    def keeps_what_is_protected(self, town: Town, ended: Ended, *, peaceful: bool) -> None:
        """A service that was protected when it was last applied is all there, whether or not it is still declared."""
        sets = {one["metadata"]["name"] for one in look.objects(self.world, "StatefulSet")}
        for name, service in self.guarded.items():
            if name not in town.services:
                assert name in sets, f"{name}, which was protected, was taken down"
                missing = {service.volume(member) for member in service.members} - look.addresses(self.world)
                assert not missing, f"{sorted(missing)} of {name}, which was protected, are gone"
        if peaceful and ended.report and ended.report.ok:
            self.guarded = {name: one for name, one in town.services.items() if one.protect}

    def tells_no_secret(self, ended: Ended) -> None:
        if ended.prepared:
            plan = ended.prepared.plan
            assert SECRET not in text.render(plan) + markdown.render(plan) + repr(ended.report) + ended.error

    def _remember(self) -> None:
        copies = {name for _, name in self.outsider.copies}
        for id, one in self.world.cloud.ec2.volumes.items():
            if look.ADDRESS in look.tags(one) and id not in copies:
                self.data[id] = (look.tags(one)[look.ADDRESS], one["Size"])


def exact(world: MemoryWorld, town: Town) -> None:
    """The world is what *town* declares, and of ours there is nothing else but volumes that are kept."""
    things = look.things(world)
    live = {address: found[0] for address, found in things.items() if look.RETAINED not in look.tags(found[0])}
    assert sorted(live) == sorted(_addresses(town))
    for service, member in town.members():
        volume = live[service.volume(member)]
        assert (volume["Size"], look.tags(volume)["team"]) == (service.size, TEAM), volume
        if service.addresses != "none":
            assert look.tags(live[f"interface/lab/{service.name}/{member}"])["team"] == TEAM
    sets = {one["metadata"]["name"]: one["spec"]["replicas"] for one in look.objects(world, "StatefulSet")}
    assert sets == {one.name: 0 if one.stopped else one.replicas for one in town.services.values()}
    _records(world, town, live)
    owners = Counter(one["metadata"]["labels"].get(look.SERVICE, "") for kind in look.DECLARED for one in look.objects(world, kind))
    assert set(owners) - {""} == set(town.services)


def _addresses(town: Town) -> Iterator[str]:
    for service, member in town.members():
        yield service.volume(member)
        if service.addresses != "none":
            yield f"interface/lab/{service.name}/{member}"
        if service.addresses == "elastic":
            yield f"address/lab/{service.name}/{member}"


def _records(world: MemoryWorld, town: Town, live: dict[str, Any]) -> None:
    found = copy.deepcopy(look.records(world))
    for service, member in town.members():
        record = found.pop(fqdn(member), None)
        if record is None:
            assert service.stopped, f"{fqdn(member)} is not there"
            assert service.addresses == "none", f"{fqdn(member)} is not there"
            continue
        if service.addresses != "none":
            assert record["ResourceRecords"] == [{"Value": live[f"interface/lab/{service.name}/{member}"]["PrivateIpAddress"]}], record
        if not (service.stopped and service.addresses == "none"):
            assert record["TTL"] == town.ttl, record
    assert not [name for name in found if not name.startswith("www")], f"{sorted(found)} are left"
