"""A service waits until those work on whom it depends: where it is new, or they are changed too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from reconciler import loop
from reconciler.loop import Options
from reconciler.model.desired import Desired
from reconciler.model.outcome import Done, Outcome, Waiting
from reconciler.model.report import Report
from reconciler.model.stand import Stand
from tests.memory_world import MemoryWorld, desired

PARENT = """\
apiVersion: reconciler/v1
kind: Service
metadata: {name: coordination}
spec: {type: zookeeper, replicas: 3, volumes: {data: {size: 1Gi}}, options: {heap: 128Mi}}
"""
SERVERS = """\
apiVersion: reconciler/v1
kind: Service
metadata: {name: servers}
spec: {type: mongodb, replicas: 1, volumes: {data: {size: 1Gi}}, options: {role: configServer}}
"""
SHARD = """\
---
apiVersion: reconciler/v1
kind: Service
metadata: {name: NAME}
spec: {type: mongodb, replicas: 1, dependsOn: [servers], volumes: {data: {size: 1Gi}}, options: {role: shard}}
"""
ROUTER = """\
---
apiVersion: reconciler/v1
kind: Service
metadata: {name: docs}
spec: {type: mongos, replicas: 1, dependsOn: [servers, one, two]}
"""
WHOLE = SERVERS + SHARD.replace("NAME", "one") + SHARD.replace("NAME", "two") + ROUTER
LESS = SERVERS + SHARD.replace("NAME", "one") + ROUTER.replace(", two", "")
CHILD = """\
---
apiVersion: reconciler/v1
kind: Service
metadata: {name: shop}
spec: {type: generic, replicas: 1, dependsOn: [coordination], podTemplate: {spec: {containers: [{name: shop, image: "web:1"}]}}}
"""


@dataclass
class Looks:
    """How the parent stands: it works once it was looked at *after* times; *asked* are the services of each look."""

    memory: MemoryWorld
    after: int = 0
    asked: list[tuple[str, ...]] = field(default_factory=list)

    def standing(self, wanted: Desired) -> Mapping[str, Stand]:
        self.asked.append(tuple(service.name for service in wanted.services))
        works: Outcome = Done() if len(self.asked) > self.after else Waiting("its application says how it is")
        return dict.fromkeys(self.asked[-1], Stand(works))

    def apply(self, text: str, timeout: float = 600.0) -> Report:
        prepared = self.memory.plan(desired(text))
        world = replace(self.memory.world(prepared.desired.environment), standing=self.standing)
        return loop.converge(world, prepared, Options(timeout))

    def made(self, service: str = "shop") -> bool:
        return any(f"/{service}/StatefulSet/" in str(id) for id in self.memory.observed(desired(PARENT).environment).live)


def test_a_new_service_is_made_once_its_parent_works() -> None:
    looks = Looks(MemoryWorld(), after=4)
    assert looks.apply(PARENT + CHILD).ok
    assert looks.asked == [("coordination",)] * 5
    assert looks.made()


def test_one_whose_parent_does_not_come_up_in_time_is_left_for_the_next_apply() -> None:
    looks = Looks(MemoryWorld(), after=10_000)
    report = looks.apply(PARENT + CHILD, timeout=30.0)
    until = "coordination, on which it depends, works: waiting until its application says how it is"
    assert report.outcomes["shop"] == Waiting(until)
    assert not looks.made()
    assert Looks(looks.memory).apply(PARENT + CHILD).ok
    assert looks.made()


def test_who_runs_already_does_not_wait_for_a_parent_that_is_left_as_it_is() -> None:
    memory = MemoryWorld()
    assert Looks(memory).apply(PARENT + CHILD).ok
    looks = Looks(memory, after=10_000)
    assert looks.apply(PARENT + CHILD.replace("web:1", "web:2")).ok
    assert not looks.asked


def test_who_runs_already_waits_for_a_parent_that_is_changed_too() -> None:
    memory = MemoryWorld()
    assert Looks(memory).apply(PARENT + CHILD).ok
    looks = Looks(memory, after=2)
    assert looks.apply(PARENT.replace("128Mi", "192Mi") + CHILD.replace("web:1", "web:2")).ok
    assert len(looks.asked) == 3


def test_a_service_that_goes_waits_for_who_still_has_to_let_go_of_it_in_the_same_commit_and_in_the_next() -> None:
    memory = MemoryWorld()
    assert Looks(memory).apply(WHOLE).ok
    report = Looks(memory, after=10_000).apply(LESS, timeout=30.0)
    until = "docs has let go of it: waiting until its application says how it is"
    assert report.outcomes["two"] == Waiting(until)
    volumes = [one for one in memory.cloud.ec2.volumes.values() if any("retained" in tag["Key"] for tag in one["Tags"])]
    assert (Looks(memory).made("two"), volumes) == (True, [])
    looks = Looks(memory, after=3)
    assert looks.apply(LESS).ok
    assert (looks.made("two"), len(looks.asked)) == (False, 4)


def test_a_service_that_goes_waits_for_nobody_else() -> None:
    memory = MemoryWorld()
    assert Looks(memory).apply(WHOLE + "---\n" + PARENT).ok
    looks = Looks(memory, after=10_000)
    assert looks.apply(WHOLE).ok
    assert not looks.made("coordination")
    assert not looks.asked
