"""A whole world in memory: the product's own fakes, with somebody who runs the Pods; plan and apply go the way they always go."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from providers import strangers
from providers.allocation import Allocating
from providers.disposal import Disposing
from providers.executor import Executor
from providers.leftover import Sweeping
from providers.memory import FixedClock, MemoryCloud, MemoryCluster, MemoryEngine, MemoryHistory, MemoryLeases
from providers.observe import observe
from providers.rebuilding import Rebuilding
from reconciler import kinds, loop, past
from reconciler.loop import Prepared
from reconciler.members import act
from reconciler.members.controller import Controller
from reconciler.members.member import declared, departing
from reconciler.members.snapshots import controller as snapshots
from reconciler.model.address import ResourceId
from reconciler.model.change import Change
from reconciler.model.desired import Desired
from reconciler.model.environment import Environment
from reconciler.model.observation import Observed
from reconciler.model.origin import Revision
from reconciler.model.outcome import Outcome
from reconciler.model.report import Report
from reconciler.ports import Progress
from reconciler.resources import kubernetes, storage
from reconciler.specs import load
from reconciler.world import World

TYPES = kinds.service_types()
KINDS = kinds.kinds()
ZONES = ("us-east-1a", "us-east-1b", "us-east-1c")
SUBNETS = {zone: f"subnet-{zone[-1]}" for zone in ZONES}
ENVIRONMENT = f"""\
apiVersion: reconciler/v1
kind: Environment
metadata: {{name: lab}}
spec:
  zones: [{", ".join(ZONES)}]
  aws: {{vpc: vpc-1, subnets: {{{", ".join(f"{zone}: {subnet}" for zone, subnet in SUBNETS.items())}}}, tags: {{team: storage}}}}
  dns: {{zone: db.internal, ttl: 5s}}
"""


def desired(text: str, path: str = "services.yaml") -> Desired:
    """What the documents of *text* declare, beside the environment that they may bring themselves. They have no faults."""
    found = loaded(text, path)
    assert not found.faults, [str(fault) for fault in found.faults]
    return found


def loaded(text: str, path: str = "services.yaml") -> Desired:
    """As `desired`, faults and all."""
    texts = {f"specs/lab/{path}": text} if text.strip() else {}
    if "kind: Environment" not in text:
        texts["specs/lab/environment.yaml"] = ENVIRONMENT
    tree = hashlib.sha1(repr(sorted(texts.items())).encode(), usedforsecurity=False).hexdigest()
    return load.load(
        {name: one.encode() for name, one in texts.items()}, Revision(tree, tree, "lab"), TYPES, base_url="https://example.org/config.git"
    )


@dataclass
class MemoryWorld:
    """One account, one cluster, one engine; *touched* is every address that anything was begun for."""

    clock: FixedClock = field(default_factory=FixedClock)
    cluster: MemoryCluster = field(default_factory=MemoryCluster)
    touched: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.history = MemoryHistory(self.clock)
        instances = {f"i-{zone[-1]}": zone for zone in ZONES}
        self.cloud = MemoryCloud(subnets=SUBNETS, instances=instances, page=5, clock=self.clock)
        self.cluster.fate = self.cloud.fate
        self.engine = MemoryEngine(self.cloud, self.cluster, KINDS)
        for instance, zone in self.cloud.ec2.instances.items():
            _node(self.cluster, f"node-{zone[-1]}", zone, instance)

    def plan(self, wanted: Desired, *, delete_data: bool = False) -> Prepared:
        return loop.prepare(self.world(wanted.environment), wanted, delete_data=delete_data)

    def apply(self, prepared: Prepared, *, timeout: float = 60.0) -> Report:
        """Carry *prepared* out, the engine first, then whatever the members still lack."""
        world = self.world(prepared.desired.environment)
        report = loop.converge(world, prepared, loop.Options(timeout=timeout, progress=self._progress))
        if prepared.plan:
            past.record(world, prepared, report, "apply", "converged" if report.ok else "partly")
        return report

    def converge(self, text: str) -> Report:
        """Plan and apply what *text* declares."""
        return self.apply(self.plan(desired(text)))

    def observed(self, environment: Environment) -> Observed:
        return observe(environment, KINDS, self.cloud, self.cluster)

    def world(self, environment: Environment) -> World:
        controller = Controller(self.cluster, self.cloud, self.clock, environment)
        taker = snapshots.Taker(self.cloud, self.clock, TYPES, _one_after_the_other)

        def members(wanted: Desired, changes: Iterable[Change], progress: Progress) -> Mapping[str, Outcome]:
            self._run_pods()
            going = departing(changes, environment)
            standing = controller.tick(declared(wanted.services, environment, TYPES), going)
            for whom, deed in standing.deeds:
                progress(whom, "done", deed)
            return {**standing.services, **{name: standing.members[name] for name in going if name in standing.members}}

        def take(wanted: Desired, outcomes: Mapping[str, Outcome], progress: Progress) -> None:
            for whom, how, words in taker.tick(wanted, outcomes):
                progress(whom, how, words)

        return World(
            kinds=KINDS,
            types=TYPES,
            clock=self.clock,
            checkpoints=self.engine,
            leases=MemoryLeases,
            history=self.history,
            observe=lambda: self.observed(environment),
            standing=lambda _: {},
            summarise=lambda _: (),
            vanished=lambda _: {},
            run=Executor(self._writing(), 1, threading.Event(), self.clock.sleep).run,
            members=members,
            components=lambda _: (),
            retain=lambda volumes, commit: act.retain(self.cloud, volumes, commit),
            clear=self.engine.clear,
            together=_one_after_the_other,
            stopping=lambda: self.cloud.fate.stopped,
            look=self._look,
            taken=lambda ids: strangers.taken(self.cluster, ids),
            snapshots=lambda: snapshots.read(self.cloud, environment),
            take=take,
        )

    def _look(self, id: ResourceId) -> Mapping[str, Any] | None:
        kind, namespace, name = id.name.split("/")
        return self.cluster.get(kubernetes.KINDS[kind], name, namespace=namespace.removeprefix("-"))

    def _writing(self) -> Rebuilding:
        """The engine with what goes before and after it, as the product has it."""
        allocating = Allocating(self.engine, lambda: self.cloud, self.engine, self.clock)
        sweeping = Sweeping(allocating, self.engine, lambda: self.cloud, lambda: self.cluster)
        disposing = Disposing(sweeping, self.engine, lambda: self.cloud, self.clock)
        return Rebuilding(disposing, lambda: self.cloud, lambda: self.cluster, lambda: self.cluster, self.clock)

    def _progress(self, address: str, what: str, words: str) -> None:
        del what, words
        self.touched.append(address)

    def _run_pods(self) -> None:
        """What the StatefulSet controller, the scheduler and the kubelets do: a Ready Pod a member, on the node of its volume's zone."""
        wanted: dict[tuple[str, str], Mapping[str, Any]] = {}
        for one in list(self.cluster.list(kubernetes.KINDS["StatefulSet"])):
            metadata, spec = one["metadata"], one["spec"]
            revision = hashlib.sha1(repr(spec["template"]).encode(), usedforsecurity=False).hexdigest()[:10]
            status = {"observedGeneration": metadata["generation"], "updateRevision": revision}
            status |= dict.fromkeys(("replicas", "updatedReplicas"), spec["replicas"])
            self.cluster.put(kubernetes.KINDS["StatefulSet"], {**one, "status": status})
            for number in range(spec["replicas"]):
                wanted[metadata["namespace"], f"{metadata['name']}-{number}"] = {**spec["template"], "revision": revision}
        for pod in list(self.cluster.list(kubernetes.POD)):
            if _named(pod) not in wanted or pod["metadata"]["labels"]["controller-revision-hash"] != wanted[_named(pod)]["revision"]:
                self.cluster.delete(kubernetes.POD, pod["metadata"]["name"], namespace=pod["metadata"]["namespace"])
        for (namespace, name), template in wanted.items():
            if not self.cluster.exists(kubernetes.POD, name, namespace=namespace):
                self.cluster.put(kubernetes.POD, _pod(namespace, name, template, self._zone(name)))

    def _zone(self, member: str) -> str:
        """Where the member's volume is, or anywhere."""
        volumes = self.cloud.ec2.volumes.values()
        own = (one for one in volumes if any(f"/{member}/" in tag["Value"] for tag in one["Tags"] if tag["Key"] == "reconciler/address"))
        return next((str(one["AvailabilityZone"]) for one in own), ZONES[0])


def _one_after_the_other(calls: Iterable[Callable[[], None]]) -> None:
    for call in calls:
        call()


def _named(pod: Mapping[str, Any]) -> tuple[str, str]:
    return pod["metadata"]["namespace"], pod["metadata"]["name"]


def _node(cluster: MemoryCluster, name: str, zone: str, instance: str) -> None:
    cluster.put(
        kubernetes.NODE,
        {
            "metadata": {"name": name, "labels": {storage.ZONE_LABEL: zone}},
            "spec": {"providerID": f"aws:///{zone}/{instance}"},
            "status": {"conditions": [{"type": "Ready", "status": "True"}]},
        },
    )


def _pod(namespace: str, name: str, template: Mapping[str, Any], zone: str) -> dict[str, Any]:
    labels = {**template["metadata"]["labels"], "controller-revision-hash": template["revision"]}
    address = ".".join(str(byte) for byte in hashlib.sha1(f"{namespace}/{name}".encode(), usedforsecurity=False).digest()[:2])
    running = [{"name": one["name"], "ready": True, "state": {"running": {}}} for one in template["spec"]["containers"]]
    return {
        "metadata": {"namespace": namespace, "name": name, "labels": labels},
        "spec": {"nodeName": f"node-{zone[-1]}", "hostNetwork": template["spec"].get("hostNetwork", False)},
        "status": {
            "phase": "Running",
            "podIP": f"10.200.{address}",
            "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": running,
        },
    }
