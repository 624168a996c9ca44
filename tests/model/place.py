"""A town in git and its world, with everybody in it: what the state machine's rules do, and what is asserted after each."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from reconciler import errors
from reconciler.model.desired import Desired
from tests.memory_world import MemoryWorld
from tests.model import invariant, look
from tests.model.invariant import Judge
from tests.model.outsider import Outsider
from tests.model.passing import Runs, Trouble
from tests.model.town import Service, Town

ADDRESSES = ("none", "private", "elastic")
PASSES = 6  # in which it must be done once nothing befalls it any more


class Place:
    """One town; it begins with what others have, and nothing of ours."""

    def __init__(self) -> None:
        self.town = Town()
        self.world = MemoryWorld()
        self.runs = Runs(self.world)
        self.outsider = Outsider(self.world)
        self.outsider.settle_in()
        self.judge = Judge(self.world, self.outsider)
        self.shielded: dict[str, Service] = {}  # all that was ever applied of services while they were protected
        self.types: dict[str, str] = {}  # of each name: a service keeps the one that it was begun with

    def declare(self, service: Service) -> None:
        """Commit a new service, or another in the place of one of its name."""
        kept = self.types.setdefault(service.name, service.type)
        self.town = self.town.put(self._fit(replace(service, type=kept)))

    def remove(self, name: str) -> None:
        self.town = self.town.without(name)

    def change(self, name: str, **fields: Any) -> None:
        self.town = self.town.put(self._fit(replace(self.town.services[name], **fields)))

    def move(self, name: str, file: str) -> None:
        if not any(one.file == file for one in self.town.services.values()):
            self.change(name, file=file)

    def clone(self, *, shallow: bool) -> None:
        self.town = replace(self.town, shallow=shallow)

    def set_ttl(self, ttl: int) -> None:
        self.town = replace(self.town, ttl=ttl)

    def plan_twice(self) -> None:
        """The same world and the same commit give the same digest, and planning changes nothing."""
        wanted = self.desired()
        if wanted:
            effects = len(self.world.cloud.fate.effects)
            assert self.runs.plan(wanted).plan.digest == self.runs.plan(wanted).plan.digest
            assert len(self.world.cloud.fate.effects) == effects

    def apply(self, trouble: Trouble) -> None:
        """One run under *trouble*, and all that it must not have done."""
        wanted = self.desired()
        if wanted is None:
            return
        self._remember_protection()
        before = self.judge.before()
        ended = self.runs.apply(wanted, trouble)
        self.judge.after(ended, before)
        self.judge.keeps_what_is_protected(self.town, ended, peaceful=trouble == Trouble())

    def converge(self) -> None:
        """With nothing in the way any more, the world becomes exactly what is declared, and stays so without the engine."""
        self._lift_protection()
        self._mend()
        self.judge.before()
        for _ in range(PASSES):
            self.apply(Trouble())
        wanted = self.desired()
        assert wanted is not None
        left = [change for change in self.runs.plan(wanted).plan.changes if change.action != "keep"]
        assert not left, [f"{one.action} {one.id}: {one.reason}" for one in left]
        ran = len(self.world.engine.ran)
        self.apply(Trouble())
        assert len(self.world.engine.ran) == ran
        invariant.exact(self.world, self.town)

    def desired(self) -> Desired | None:
        """What the product makes of the commit; None where it refuses the whole of it."""
        try:
            return self.town.desired()
        except errors.SpecError:
            return None

    @staticmethod
    def _fit(service: Service) -> Service:
        """What its type can be: an odd number of those who vote."""
        return replace(service, replicas=service.replicas | 1) if service.type in {"mongodb", "zookeeper"} else service

    def _remember_protection(self) -> None:
        for name, one in self.town.services.items():
            before = self.shielded.get(name)
            if before or one.protect:
                most = max(one.addresses, before.addresses if before else "none", key=ADDRESSES.index)
                replicas = max(one.replicas, before.replicas if before else 0)
                self.shielded[name] = self._fit(replace(one, replicas=replicas, addresses=most))

    def _lift_protection(self) -> None:
        """What is protected goes in two commits: one that only lifts that, and the next; so one of its own goes before."""
        self.clone(shallow=False)
        wanted = self.town
        for service in self.shielded.values():
            self.town = self.town.put(service)
        if self.shielded:
            self._mend()
            self.judge.before()
            self.apply(Trouble())
            self.apply(Trouble())
        kept = {name: one for name, one in self.town.services.items() if name not in wanted.services and name in self.judge.guarded}
        self.town = replace(wanted, services={**wanted.services, **kept})

    def _mend(self) -> None:
        """A person takes back what cannot be: bad documents, copies of marks, shrinking, and volumes that are to be used again.

        And of those who vote a majority stays.
        """
        self.outsider.give_up_copies()
        things = look.things(self.world)
        for name, service in self.town.services.items():
            mended = replace(service, broken=False, protect=False)
            if mended.type == "zookeeper":
                voting = [one for one in replace(mended, replicas=9).members if _holds(things.get(mended.volume(one), ()))]
                mended = replace(mended, replicas=max(mended.replicas, (len(voting) // 2 + 1) | 1 if voting else 1))
            for member in mended.members:
                for volume in things.get(mended.volume(member), ()):
                    volume["Tags"] = [tag for tag in volume["Tags"] if tag["Key"] != look.RETAINED]
                    mended = replace(mended, size=max(mended.size, volume["Size"]))
            self.town = self.town.put(mended)
            assert name in self.town.services


def _holds(volumes: Any) -> bool:
    """Whether any of a member's *volumes* is in use."""
    return bool(volumes) and not any(tag["Key"] == look.RETAINED for one in volumes for tag in one["Tags"])
