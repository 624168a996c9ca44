"""Fewer members: those who leave are out of their application before their Pods go, and never a majority of them at once."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from providers.executor import Executor
from reconciler import loop
from reconciler.apply import Gate
from reconciler.cli.apply import _code
from reconciler.members.initial import drain
from reconciler.members.initial.drain import Drainer
from reconciler.model.desired import Desired
from reconciler.model.initialise import LOOK, Next, Script
from reconciler.model.origin import Revision
from reconciler.model.outcome import Blocked, Done, Failed, Outcome, Waiting
from reconciler.model.service import Service
from reconciler.ports import ObjectKind
from reconciler.resources.kubernetes import KINDS
from stacks._kafka_login import Entry
from stacks._kafka_moves import Moves
from stacks._redis_cluster import Cluster
from tests.memory_world import MemoryWorld, desired
from tests.unit.test_executor import Engine, unit
from tests.unit.test_initialise import Time, World, initialiser
from tests.unit.test_lead import town
from tests.unit.test_stacks import ENVIRONMENT, TYPES, example, rendered


def said(service: Service, leaving: tuple[str, ...], answer: dict[str, Any]) -> str:
    """What comes next, in words; "" where nothing does."""
    wanted = TYPES[service.type].drain(service, ENVIRONMENT, leaving)
    assert wanted
    found: Next = wanted.next(answer)
    return found.does if isinstance(found, Script) else found or ""


# --- what each type's application has to let go of

MONGODB, POSTGRESQL = example("mongodb"), example("postgresql")
LAST = {"documents-3.db.internal:27017": "documents-3", "documents-4.db.internal:27017": "documents-4"}


@pytest.mark.parametrize(
    ("primary", "members", "founded", "then"),
    [
        ("", [], False, ""),  # nobody ever founded it
        ("", [], True, "the set has a primary"),
        ("documents-0.db.internal:27017", list(LAST), True, "take documents-3 out of the set"),
        ("documents-0.db.internal:27017", list(LAST)[1:], True, "take documents-4 out of the set"),
        ("documents-4.db.internal:27017", list(LAST)[1:], True, "have the primary step down"),
        ("documents-0.db.internal:27017", [], True, ""),
    ],
)
def test_a_mongodb_set_loses_one_at_a_time_and_never_its_primary(primary: str, members: list[str], founded: bool, then: str) -> None:
    assert said(MONGODB, ("documents-4", "documents-3"), {"primary": primary, "members": members, "founded": founded}) == then


def test_patroni_has_somebody_lead_who_stays() -> None:
    assert said(POSTGRESQL, ("orders-3",), {"leader": ""}) == "one member leads"
    assert said(POSTGRESQL, ("orders-3",), {"leader": "orders-3"}) == "have another member lead"
    assert said(POSTGRESQL, ("orders-3",), {"leader": "orders-0"}) == ""


CLUSTER = Cluster({f"kv-{n}": f"kv-{n}.db.internal" for n in range(3)}, 3, 6379)
GONE = {f"kv-{n}": f"kv-{n}.db.internal" for n in (5, 4, 3)}


def ring(silent: Iterable[str] = (), **told: list[int]) -> Next:
    leaving = {name: told.get(name.replace("-", "_"), [0, 0]) for name in GONE}
    return CLUSTER.drain(GONE).next({"silent": list(silent), "leaving": leaving})


def test_a_cluster_s_primary_hands_its_slots_to_its_own_shard_before_it_is_forgotten() -> None:
    assert ring(["kv-1"]) == "kv-1 answers"
    first = ring(kv_3=[3, 0], kv_4=[3, 3], kv_5=[3, 0])
    assert isinstance(first, Script)
    assert "take_over kv-4.db.internal kv-1.db.internal\n" in first.text
    second = ring(kv_3=[3, 0], kv_4=[0, 0], kv_5=[1, 0])
    assert isinstance(second, Script)
    stay = "kv-0.db.internal kv-1.db.internal kv-2.db.internal"
    assert f"forget kv-5.db.internal {stay}\nforget kv-3.db.internal {stay}\n" in second.text
    assert "forget kv-4" not in second.text
    assert ring() is None


def test_slots_that_have_nowhere_to_go_keep_their_member() -> None:
    """Six shards become three: nobody moves slots between shards."""
    fewer = replace(CLUSTER, shards=6)
    found = fewer.drain(GONE).next({"silent": [], "leaving": {name: [3, 3] for name in GONE}})
    assert found == "the slots of kv-5 have a member of their shard to go to, and none stays"


def test_replicas_of_a_primary_and_votes_of_an_ensemble_are_no_drain() -> None:
    for service in (example("redis"), example("zookeeper")):
        assert TYPES[service.type].drain(service, ENVIRONMENT, (f"{service.name}-3",)) is None


DESCRIBED = """\
Topic: judged\tTopicId: x\tPartitionCount: 3\tReplicationFactor: 2\tConfigs: min.insync.replicas=1
\tTopic: judged\tPartition: 0\tLeader: 3\tReplicas: 3,0\tIsr: 3,0\tElr: \tLastKnownElr: 
\tTopic: judged\tPartition: 1\tLeader: 0\tReplicas: 0,3\tIsr: 0,3\tElr: \tLastKnownElr: 
\tTopic: judged\tPartition: 2\tLeader: 1\tReplicas: 1,2\tIsr: 1,2\tElr: \tLastKnownElr: 
"""  # noqa: W291 - as Kafka writes it
MOVING = (
    "\tTopic: judged\tPartition: 3\tLeader: 1\tReplicas: 1,2,3\tIsr: 2,3\tElr: \tLastKnownElr: \tAdding Replicas: 1\tRemoving Replicas: 3\n"
)


def kafka(folder: Path, described: str, script: str) -> str:
    """What *script* says, where Kafka's tools describe partitions so; the plan of its moves lies in *folder* then."""
    (folder / "described").write_text(described)
    for name, does in {"kafka-topics.sh": f"cat {folder}/described", "kafka-reassign-partitions.sh": "exit 0"}.items():
        (folder / name).write_text(f"#!/bin/sh\n{does}\n")
        (folder / name).chmod(0o755)
    run = ["bash", "-c", 'say() { printf %s "$1"; }\n' + script.replace("/tmp/moves.json", f"{folder}/moves.json")]
    ended = subprocess.run(run, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def moves(folder: Path) -> Moves:
    return Moves(str(folder), Entry("events-0:9092"), (0, 1, 2), (3,))


@pytest.mark.parametrize(
    ("described", "held", "away", "stuck", "then"),
    [
        ("", 0, 0, 0, "None"),
        (DESCRIBED, 2, 0, 0, "move partitions off 3"),
        (DESCRIBED + MOVING, 3, 1, 0, "move partitions off 3"),
        (MOVING, 1, 1, 0, "1 replicas of partitions have moved"),
        (MOVING.replace("Removing Replicas: 3", "Removing Replicas: "), 1, 0, 0, "move partitions off 3"),
        (
            "\tTopic: wide\tPartition: 0\tLeader: 3\tReplicas: 3,0,1,2\tIsr: 3\n",
            1,
            0,
            1,
            "1 partitions have no more replicas than the 3 brokers",
        ),
    ],
)
def test_kafka_says_itself_what_is_still_to_be_moved(tmp_path: Path, described: str, held: int, away: int, stuck: int, then: str) -> None:
    told = json.loads(kafka(tmp_path, described, moves(tmp_path).look.text))
    assert told == {"held": held, "away": away, "stuck": stuck}
    found = moves(tmp_path).next(told)
    assert (found.does if isinstance(found, Script) else str(found)).startswith(then)


def test_each_replica_moves_to_a_broker_that_stays_and_has_none(tmp_path: Path) -> None:
    step = moves(tmp_path).next({"held": 2, "away": 0, "stuck": 0})
    assert isinstance(step, Script)
    kafka(tmp_path, DESCRIBED + MOVING, step.text)
    wanted = json.loads((tmp_path / "moves.json").read_text())
    assert [(one["topic"], one["partition"], one["replicas"]) for one in wanted["partitions"]] == [
        ("judged", 0, [1, 0]),
        ("judged", 1, [0, 2]),
    ]


# --- who asks, and when it counts


@dataclass
class Town(World):
    """With the service's StatefulSet."""

    replicas: int = 5

    def list(self, kind: ObjectKind, *, namespace: str = "", selector: str = "") -> Any:
        if kind.kind == "StatefulSet" and not self.replicas:
            return iter(())
        if kind.kind != "StatefulSet":
            return super().list(kind, namespace=namespace, selector=selector)
        metadata = {"name": "documents", "namespace": "default", "uid": "u1", "generation": 1}
        return iter([{"metadata": metadata, "spec": {"replicas": self.replicas}, "status": {"updateRevision": "r1"}}])


LEAVING = ("documents-4", "documents-3")
DESIRED = Desired(ENVIRONMENT, Revision("1c9e0d2", "", "lab"), (MONGODB,), {one.id: one for one in rendered(MONGODB).values()})
IN = json.dumps({"primary": "documents-0.db.internal:27017", "members": ["documents-3.db.internal:27017"], "founded": True})
OUT = json.dumps({"primary": "documents-0.db.internal:27017", "members": [], "founded": True})


def drainer(town: Town) -> Drainer:
    return Drainer(town, Time(), TYPES)  # type: ignore[arg-type]


def does(town: Town) -> list[str]:
    return [one["metadata"]["annotations"]["reconciler/does"] for one in town.jobs.values()]


def test_asked_done_and_asked_again_until_the_application_has_let_go() -> None:
    town = Town()
    one = drainer(town)
    assert one.ask(DESIRED, MONGODB, LEAVING) == Waiting("documents-4, documents-3 may go: its application says how it is")
    town.end(IN)
    assert "take documents-3 out of the set" in str(one.ask(DESIRED, MONGODB, LEAVING))
    town.end("")
    one.ask(DESIRED, MONGODB, LEAVING)
    assert does(town) == [LOOK, "take documents-3 out of the set", LOOK]
    town.end(OUT)
    assert one.ask(DESIRED, MONGODB, LEAVING) == Done()


def test_what_an_earlier_run_was_told_is_asked_again_before_anybody_goes() -> None:
    """A scale-down that was reverted and comes again finds the answer of the first; who was let go may be in again by then."""
    town = Town()
    first = drainer(town)
    first.ask(DESIRED, MONGODB, LEAVING)
    town.end(OUT)
    assert first.ask(DESIRED, MONGODB, LEAVING) == Done()
    for asking in (drainer(town), first):  # another process, and the same one for another apply
        assert isinstance(asking.ask(DESIRED, MONGODB, LEAVING), Waiting)
        town.end(IN)
        assert isinstance(asking.ask(DESIRED, MONGODB, LEAVING), Waiting)
        town.end("")
        asking.ask(DESIRED, MONGODB, LEAVING)
        town.end(OUT)
        assert asking.ask(DESIRED, MONGODB, LEAVING) == Done()


def test_a_killed_run_s_step_goes_on_and_no_second_one_is_made_beside_it() -> None:
    town = Town()
    drainer(town).ask(DESIRED, MONGODB, LEAVING)
    assert "goes on: look" in str(drainer(town).ask(DESIRED, MONGODB, LEAVING))
    assert does(town) == [LOOK]


def test_a_world_that_cannot_be_read_is_waited_for_and_a_service_of_no_pods_has_nobody_to_drain() -> None:
    town = Town(refusing=True)
    assert isinstance(drainer(town).ask(DESIRED, MONGODB, LEAVING), Waiting)
    assert drainer(Town()).ask(DESIRED, example("zookeeper"), ("zk-3",)) == Done()
    assert drainer(Town(replicas=0)).ask(DESIRED, MONGODB, LEAVING) == Done()


def test_while_they_are_drained_nobody_else_takes_steps() -> None:
    """The initialisation would take them out of the set as well, beside the drain."""
    wanted, members, live = town(MONGODB, set())
    beyond = replace(live.sets["default", "documents"], replicas=5)
    jobs = Town()
    told = initialiser(jobs).tick(wanted, members, replace(live, sets={("default", "documents"): beyond}))
    assert told == {"documents": Waiting("documents-3, documents-4 have gone: only then it is initialised")}
    assert not jobs.jobs
    initialiser(jobs).tick(wanted, members, live)
    assert jobs.jobs


# --- nothing of the engine before

HEAD = "apiVersion: reconciler/v1\nkind: Service\n"
SIX = f"{HEAD}metadata: {{name: ring}}\nspec: {{type: redis, replicas: 6, volumes: {{data: {{size: 1Gi}}}}, options: {{shards: 3}}}}\n"
OTHER = f"---\n{HEAD}metadata: {{name: kv}}\nspec: {{type: redis, replicas: 2, volumes: {{data: {{size: 1Gi}}}}}}\n"
THREE = SIX.replace("replicas: 6", "replicas: 3")


@dataclass
class Drains:
    """A memory world in which draining takes so many questions."""

    memory: MemoryWorld
    after: int
    asked: list[tuple[str, ...]] = field(default_factory=list)

    def apply(self, text: str, timeout: float = 600.0) -> tuple[loop.Prepared, Any]:
        wanted = desired(text)
        world = replace(self.memory.world(wanted.environment), drain=self._drain)
        prepared = loop.prepare(world, wanted)
        return prepared, loop.converge(world, prepared, loop.Options(timeout=timeout))

    def _drain(self, wanted: Desired, service: Service, names: tuple[str, ...]) -> Outcome:
        del wanted, service
        assert self.replicas() == 6
        assert not self.retained()
        self.asked.append(names)
        return Done() if len(self.asked) > self.after else Waiting(f"{', '.join(names)} may go")

    def replicas(self) -> int:
        (one,) = [one for one in self.memory.cluster.list(KINDS["StatefulSet"]) if one["metadata"]["name"] == "ring"]
        return int(one["spec"]["replicas"])

    def retained(self) -> list[str]:
        live = self.memory.observed(desired("").environment).live
        return [id.name for id, found in live.items() if id.kind == "volume" and found[0].retained]


def test_the_engine_waits_until_they_are_drained_and_holds_up_nobody_else() -> None:
    memory = MemoryWorld()
    memory.converge(SIX + OTHER)
    drains = Drains(memory, after=3)
    _, report = drains.apply(THREE + OTHER.replace("replicas: 2", "replicas: 3"))
    assert report.ok, report.outcomes
    assert drains.asked == [("ring-5", "ring-4", "ring-3")] * 4
    assert drains.replicas() == 3
    assert len(drains.retained()) == 3


def test_a_drain_that_outlasts_the_apply_leaves_everything_as_it_is_for_the_next_or_for_a_revert() -> None:
    memory = MemoryWorld()
    memory.converge(SIX)
    drains = Drains(memory, after=10_000)
    prepared, report = drains.apply(THREE, timeout=20.0)
    assert report.outcomes["ring"] == Waiting("ring-5, ring-4, ring-3 may go")
    assert _code(prepared.plan, report, interrupted=False, waited=True) == 6
    assert drains.replicas() == 6
    back, report = drains.apply(SIX)
    assert report.ok
    assert not back.plan
    again = Drains(memory, after=1)
    assert again.apply(THREE)[1].ok
    assert again.replicas() == 3


def test_a_stop_drains_nobody() -> None:
    memory = MemoryWorld()
    memory.converge(SIX)
    drains = Drains(memory, after=0)
    assert drains.apply(SIX.replace("replicas: 6,", "replicas: 6, stopped: true,"))[1].ok
    assert not drains.asked


def test_what_a_gate_holds_back_is_neither_lost_nor_waited_for_in_vain() -> None:
    slept: list[float] = []
    engine, open_after = Engine(), 4
    gate = Gate(lambda stack: Done() if stack != "a" or len(slept) >= open_after else Waiting("it is drained"))
    ended = Executor(engine, 2, threading.Event(), slept.append).run([unit("a"), unit("b"), unit("c", "a")], lambda *_: None, gate)
    assert all(isinstance(one, Done) for one in ended.values())
    assert engine.ran.index("b") < engine.ran.index("a") < engine.ran.index("c")
    late = Executor(Engine(), 2, threading.Event(), slept.append).run(
        [unit("a"), unit("b"), unit("c", "a")],
        lambda *_: None,
        replace(gate, lacking=lambda stack: Waiting("it is drained") if stack == "a" else Done(), late=lambda: True),
    )
    assert {id.service: type(one) for id, one in late.items()} == {"a": Waiting, "b": Done, "c": Blocked}
    stop = threading.Event()
    stop.set()
    ended = Executor(Engine(), 2, stop, slept.append).run([unit("a")], lambda *_: None, gate)
    assert all(isinstance(one, Failed) for one in ended.values())


def test_who_leaves_is_who_is_live_and_declared_no_more() -> None:
    memory = MemoryWorld()
    memory.converge(SIX)
    for text, leaving in ((THREE, ("ring-5", "ring-4", "ring-3")), (SIX, ()), (SIX.replace("6", "9"), ())):
        prepared = memory.plan(desired(text))
        assert drain.leaving(prepared.plan.changes, prepared.desired, TYPES).get("ring", ()) == leaving


# --- a majority


@pytest.mark.parametrize(
    ("type_", "before", "after", "way"),
    [
        ("zookeeper", 5, 3, ""),
        ("zookeeper", 3, 5, ""),
        ("zookeeper", 7, 3, "go by 5, then 3, each with an apply of its own"),
        ("zookeeper", 5, 1, "go by 3 at most; no number below 3 has one: make a new service for fewer"),
        ("consul", 3, 1, "no number below 3 has one: make a new service for fewer"),
        ("opensearch", 3, 1, "no number below 3 has one: make a new service for fewer"),
        ("opensearch", 9, 3, ""),  # of any number three vote
        ("mongodb", 5, 1, ""),  # taken out one at a time, before any Pod goes
    ],
)
def test_a_majority_of_those_who_vote_never_goes_at_once(type_: str, before: int, after: int, way: str) -> None:
    memory, text = MemoryWorld(), HEAD + "metadata: {{name: v}}\nspec:\n  type: {}\n  replicas: {}\n  volumes: {{data: {{size: 10Gi}}}}\n"
    memory.converge(text.format(type_, before))
    plan = memory.plan(desired(text.format(type_, after))).plan
    refused = [one.reason for one in plan.changes if one.action == "refuse"]
    assert [one.rpartition("acknowledged; ")[2] for one in refused] == ([way] if way else [])
    assert all(f"services.yaml:6:13: replicas {before} -> {after}: the {after} that stay" in one for one in refused)


def test_whoever_else_scaled_a_set_or_was_of_another_type_made_no_voters() -> None:
    head = HEAD + "metadata: {{name: v}}\nspec: {{type: {}, replicas: {}, volumes: {{data: {{size: 10Gi}}}}}}\n"
    memory = MemoryWorld()
    memory.converge(head.format("zookeeper", 1))
    memory.cluster.patch(KINDS["StatefulSet"], "v", {"spec": {"replicas": 4}}, namespace="default")
    assert memory.converge(head.format("zookeeper", 1)).ok
    other = MemoryWorld()
    other.converge(head.format("redis", 2))
    plan = other.plan(desired(head.format("zookeeper", 1))).plan
    assert not [one for one in plan.changes if one.action == "refuse" and "majority" in one.reason]
