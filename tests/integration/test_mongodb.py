"""MongoDB in the lab: a set, founded, closed to strangers, grown, shrunk, and written to while its primary is lost; and a sharded cluster.

Its server and its shell are the lab's stand-ins (lab/README.md says what they are not); the client is the unchanged driver.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from lightkube.resources.batch_v1 import Job
from lightkube.resources.core_v1 import Namespace, Pod, Secret

from lab import namespace
from lab.layout import Layout
from providers.bindings import Bindings
from providers.kubernetes import Kubernetes
from reconciler.members.controller import Standing
from reconciler.members.initial.controller import Initialiser
from reconciler.members.initial.drain import Drainer
from reconciler.members.member import declared
from reconciler.model.desired import Desired
from reconciler.model.environment import Environment
from reconciler.model.origin import Revision
from reconciler.model.outcome import Done
from reconciler.model.service import Parent, Service
from reconciler.resources import marks
from tests.clocks import WALL
from tests.integration.by_hand import TYPES, Hand
from tests.integration.test_members import Party

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

ZONE = "papers.internal"
WITHIN = 240.0
ROOT = Path(__file__).parents[2]
THREE = Service(
    name="docs",
    type="mongodb",
    version="8.0",
    namespace="papers",
    replicas=3,
    volumes={"data": {"size": "1Gi"}, "journal": {"size": "1Gi"}},
    options={"cacheSize": "256Mi"},
)
BEGUN = THREE.model_copy(update={"version": "7.0"})
FIVE = THREE.model_copy(update={"replicas": 5, "options": {"cacheSize": "288Mi"}})  # who is new is let in first, then three restart
FEWER = FIVE.model_copy(update={"replicas": 3})


def of_cluster(name: str, type_: str, *parents: Service, **options: str) -> Service:
    """One of the services of a sharded cluster, each of one member, which depends on *parents*."""
    return Service(
        name=name,
        type=type_,
        version="8.0",
        namespace="papers",
        replicas=1,
        volumes={"data": {"size": "1Gi"}} if type_ == "mongodb" else {},
        options=options,
        depends_on=tuple(one.name for one in parents),
        parents=tuple(Parent(one.model_copy(update={"parents": ()}), (f"{one.name}-0",)) for one in parents),
    )


CONFIG = of_cluster("tome-config", "mongodb", role="configServer")
SHARDS = tuple(of_cluster(f"tome-{letter}", "mongodb", CONFIG, role="shard") for letter in "ab")
ROUTER = of_cluster("tome", "mongos", CONFIG, *SHARDS)


class Papers:
    """One environment, and a reconciler that forgets everything between two ticks, as one that is killed after each of them would."""

    def __init__(self, lab: Layout) -> None:
        aws = {"vpc": lab.aws.vpc, "subnets": lab.aws.subnets, "security_groups": lab.aws.security_groups}
        environment = Environment(
            name="papers", zones=tuple(lab.zones), aws=aws, dns={"zone": ZONE}, sessions={"image": "reconciler/runner:1"}
        )
        self.hand = Hand(lab, environment)
        self.party = Party(self.hand)
        judging = Kubernetes(lab.kubernetes.kubeconfigs["judge"])
        self.secrets = Bindings(judging, lambda: judging)

    def close(self) -> None:
        self.party.close()
        self.secrets.cluster.close()  # type: ignore[attr-defined]
        self.hand.cluster.delete(Namespace, "papers")
        self.hand.close()

    def apply(self, *services: Service) -> None:
        self.hand.apply(services)

    def settle(self, *services: Service, also: Callable[[Standing], bool] = lambda _: True) -> None:
        """Tick until every member works and all *services* are initialised."""
        desired = self.desired(*services)
        members, end = declared(desired.services, desired.environment, TYPES), time.monotonic() + WITHIN
        while True:
            initialiser = Initialiser(self.party.cluster, self.secrets, WALL, TYPES)
            assert initialiser.bind(desired) == {}
            standing = self.party.controller.tick(members)
            told = initialiser.tick(desired, members, standing.live)
            if all((standing.services[one.name], told[one.name]) == (Done(), Done()) for one in services) and also(standing):
                return
            assert time.monotonic() < end, (standing.members, told)
            time.sleep(0.3)

    def drain(self, service: Service, leaving: tuple[str, ...]) -> None:
        """Have the set let go of *leaving*, before anybody takes their Pods away."""
        desired, end = self.desired(service), time.monotonic() + WITHIN
        drainer = Drainer(self.party.cluster, WALL, TYPES)
        while (told := drainer.ask(desired, service, leaving)) != Done():
            assert time.monotonic() < end, told
            time.sleep(0.3)

    def desired(self, *services: Service) -> Desired:
        resources = {one.id: one for service in services for one in TYPES[service.type].resources(service, self.hand.environment)}
        return Desired(self.hand.environment, Revision("1", "", "papers"), services, resources)

    def jobs(self, service: str = "docs") -> list[str]:
        """What was done for *service*, in the order of the turns."""
        found = list(self.hand.cluster.list(Job, namespace="papers", labels={marks.SERVICE: service}))
        found.sort(key=lambda one: int(_metadata(one).labels["reconciler/turn"]))
        return [_metadata(one).annotations["reconciler/does"] for one in found]

    def client(self, replicas: int, **question: Any) -> subprocess.Popen[str]:
        """A driver inside the lab, where it finds members by their names only."""
        hosts = [f"docs-{n}.{ZONE}:27017" for n in range(replicas)]
        return self.inside("docs", {"set": "docs", "hosts": hosts, **question})

    def inside(self, service: str, question: dict[str, Any]) -> subprocess.Popen[str]:
        """The client with *question*, and the password of *service*."""
        secret = self.hand.cluster.get(Secret, f"{service}-auth", namespace="papers")
        asked = {**question, "password": base64.b64decode((secret.data or {})["password"]).decode()}
        command = namespace.entering(self.hand.lab.pid, [sys.executable, str(ROOT / "tests/integration/mongo_client.py")], directory="/")
        client = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert client.stdin
        client.stdin.write(json.dumps(asked))
        client.stdin.close()
        client.stdin = None
        return client

    def ask(self, replicas: int, **question: Any) -> dict[str, Any]:
        return answer(self.client(replicas, **question))

    def uid(self, name: str) -> str:
        pod = self.hand.cluster.get(Pod, name, namespace="papers")
        return str(pod.metadata and pod.metadata.uid)


def _metadata(one: Job) -> Any:
    return one.metadata


def answer(client: subprocess.Popen[str]) -> dict[str, Any]:
    said, _ = client.communicate(timeout=180)
    assert client.returncode == 0
    found: dict[str, Any] = json.loads(said)
    return found


@pytest.fixture(scope="module")
def papers(lab: Layout) -> Iterator[Papers]:
    made = Papers(lab)
    yield made
    made.close()


def test_a_set_is_founded_closed_and_keeps_what_it_acknowledged_while_its_primary_is_lost_and_it_grows_and_shrinks(papers: Papers) -> None:
    """F10, F11, F13, traps 14, 17, 18: founded by Jobs alone; ready only once every member refuses strangers and knows the admin."""
    papers.apply(BEGUN)
    papers.settle(BEGUN)
    first = papers.ask(3, do="write", first=0, seconds=2)
    assert first["acknowledged"]
    assert not first["failed"]
    said = papers.ask(3, do="read")
    assert sorted(one["state"] for one in said["members"].values()) == ["PRIMARY", "SECONDARY", "SECONDARY"]
    assert all(one["refuses"] for one in said["members"].values())
    assert all(one["versions"] == ["7.0.0", "7.0"] for one in said["members"].values())

    primary = next(host for host, one in said["members"].items() if one["state"] == "PRIMARY").partition(".")[0]
    old = papers.uid(primary)
    writing = papers.client(3, do="write", first=10_000, seconds=12)
    time.sleep(3)
    papers.hand.cluster.delete(Pod, primary, namespace="papers")
    papers.settle(BEGUN, also=lambda standing: standing.live.running(primary)[0].uid != old)
    second = answer(writing)
    assert not second["failed"]
    assert second["primary"][0] != f"{primary}.{ZONE}"
    print(f"the longest time between two acknowledged writes: {second['longest']:.1f} s")  # noqa: T201 - measured

    papers.apply(THREE)
    papers.settle(THREE)
    papers.apply(FIVE)
    papers.settle(FIVE)
    third = papers.ask(5, do="write", first=20_000, seconds=2)
    said = papers.ask(5, do="read")
    assert said["votes"] == {f"docs-{n}.{ZONE}:27017": 1 for n in range(5)}
    wanted = {*first["acknowledged"], *second["acknowledged"], *third["acknowledged"]}
    for host, one in said["members"].items():
        assert wanted <= set(one["numbers"]), host
        assert one["refuses"]
        assert one["versions"] == ["8.0.0", "8.0"]  # ready only once the set says so

    done = papers.jobs()
    papers.settle(FIVE)
    assert papers.jobs() == done
    assert done[-1] == "look"

    leaving = [papers.uid(name) for name in ("docs-4", "docs-3")]
    papers.drain(FEWER, ("docs-4", "docs-3"))
    said = papers.ask(3, do="read")
    assert set(said["votes"]) == {f"docs-{n}.{ZONE}:27017" for n in range(3)}
    assert [papers.uid(name) for name in ("docs-4", "docs-3")] == leaving
    papers.apply(FEWER)
    papers.settle(FEWER)
    said = papers.ask(3, do="read")
    assert said["votes"] == {f"docs-{n}.{ZONE}:27017": 1 for n in range(3)}
    assert all(wanted <= set(one["numbers"]) for one in said["members"].values())


def test_a_sharded_cluster_is_put_together_from_nothing_and_a_shard_that_goes_leaves_its_data_behind(papers: Papers) -> None:
    """F10, F11: config servers, two shards and a router begin at once, in any order; ready once the router refuses strangers, too."""
    began = time.monotonic()
    papers.apply(CONFIG, *SHARDS, ROUTER)
    papers.settle(CONFIG, *SHARDS, ROUTER)
    print(f"put together in {time.monotonic() - began:.0f} s")  # noqa: T201 - measured
    question = {"hosts": [f"tome-0.{ZONE}:27017"], "databases": ["letters", "notes", "tales"]}
    homes = answer(papers.inside("tome", {**question, "do": "scatter"}))["homes"]
    assert set(homes.values()) == {"tome-a", "tome-b"}
    said = answer(papers.inside("tome", {**question, "do": "gather"}))
    wanted = {name: [name] for name in question["databases"]}
    assert said == {"documents": wanted, "shards": ["tome-a", "tome-b"], "refuses": True}
    for host in (f"tome-a-0.{ZONE}:27018", f"tome-config-0.{ZONE}:27019"):
        assert answer(papers.inside("tome", {"hosts": [host], "do": "knock"})) == {"refuses": True}

    kept = of_cluster("tome", "mongos", CONFIG, SHARDS[1])
    began = time.monotonic()
    papers.apply(kept)
    papers.settle(CONFIG, *SHARDS, kept)
    print(f"a shard is out after {time.monotonic() - began:.0f} s")  # noqa: T201 - measured
    said = answer(papers.inside("tome", {**question, "do": "gather"}))
    assert said == {"documents": wanted, "shards": ["tome-b"], "refuses": True}
    assert papers.jobs("tome") == ["look"]  # what was done before it does not count
