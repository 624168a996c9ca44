"""What has to be so once a commit of a generated town was applied; judged by outsiders."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.e2e import judge, lab_world
from tests.e2e.generate import ENVIRONMENT, Commit, Service, Town
from tests.e2e.judge import Judge
from tests.e2e.lab_world import Counted
from tests.e2e.workshop import Repository

NO_CHANGES = "No changes. Your infrastructure matches the configuration."
OURS = f"reconciler/environment={ENVIRONMENT}"


@dataclass(frozen=True)
class World:
    """A generated town in a lab of its own."""

    town: Town
    work: Counted
    judge: Judge
    config: Repository

    def declare(self, commit: Commit, message: str) -> None:
        """Commit and push what *commit* declares, and nothing else."""
        files: dict[str, str | None] = dict.fromkeys(self._tracked())
        self.config.commit(message, files | self.town.files(commit))
        self.config.push("main")

    def propose(self, branch: str, path: str, old: str, new: str) -> None:
        """Push a branch that has *new* in place of *old* in one file."""
        self.config.branch(branch)
        text = (self.config.clone / path).read_text()
        assert text.count(old) == 1
        self.config.commit(branch, {path: text.replace(old, new)})
        self.config.push(branch)
        self.config.git("checkout", "-q", "main")

    def planned(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.work.reconcile("plan", "--format", "json").stdout)
        return document

    def changes(self) -> set[str]:
        """The addresses that a plan names as anything but kept."""
        plan = self.planned()
        acting = {one["address"] for one in plan["resource_changes"] if one["change"]["actions"] != ["no-op"]}
        return acting | {one["address"] for one in (*plan["held"], *plan["refused"])}

    def _tracked(self) -> list[str]:
        return self.config.git("ls-files").stdout.splitlines()


def volumes(world: World, commit: Commit) -> None:
    """Every declared volume exists once, as declared, attached where its member runs, with its member's files on it."""
    volumes, pods = world.judge.volumes(), world.judge.objects("pods", OURS)
    for service, member in members(commit):
        (volume,) = volumes[service.address(member)]
        assert (volume["Size"], volume["AvailabilityZone"], volume["State"]) == (service.size, service.zone(member), "in-use")
        wanted = {"team": world.town.team, "reconciler/tags": "team", judge.ENVIRONMENT: ENVIRONMENT, judge.SERVICE: service.name}
        assert judge.tags(volume) == {**wanted, judge.ADDRESS: service.address(member)}
        (attached,) = volume["Attachments"]
        assert attached["InstanceId"] == world.judge.instance(pods[member]["spec"]["nodeName"])
        used = {path.name for path in world.judge.volume_folder(volume["VolumeId"]).iterdir()}
        assert used & {"appendonlydir", "version-2", "starts"}, f"{member} keeps nothing on its volume"


def names(world: World, commit: Commit) -> None:
    """Each member's name is its Pod's address, or that of its interface, which is on the node of its Pod; no other names are there."""
    records, pods, interfaces = world.judge.records(world.town.dns), world.judge.objects("pods", OURS), world.judge.interfaces()
    wanted = {}
    for service, member in members(commit):
        own = f"interface/{ENVIRONMENT}/{service.name}/{member}"
        if service.addresses == "none":
            wanted[world.town.fqdn(member)] = pods[member]["status"]["podIP"]
            assert own not in interfaces
            continue
        (interface,) = interfaces[own]
        assert interface["AvailabilityZone"] == service.zone(member)
        assert interface["Attachment"]["InstanceId"] == world.judge.instance(pods[member]["spec"]["nodeName"])
        wanted[world.town.fqdn(member)] = interface["PrivateIpAddress"]
    assert {name: [one["Value"] for one in record["ResourceRecords"]] for name, record in records.items()} == {
        name: [address] for name, address in wanted.items()
    }
    assert {record["TTL"] for record in records.values()} == {world.town.ttl}
    assert {name: world.judge.resolve(name) for name in wanted} == {name: [address] for name, address in wanted.items()}
    assert len(interfaces) == sum(len(service.members) for service in commit.services if service.addresses != "none")


def cluster(world: World, commit: Commit) -> None:
    """StatefulSets, Pods and claims are those declared and no others; every Pod is Ready, in its zone, at its set's revision."""
    sets, pods, nodes = (world.judge.objects(kind, *(() if kind == "nodes" else (OURS,))) for kind in ("statefulsets", "pods", "nodes"))
    running = {name: pod for name, pod in pods.items() if "reconciler/set" in pod["metadata"]["labels"]}
    assert set(sets) == {service.name for service in commit.services}
    assert set(running) == {member for _, member in members(commit)}
    for service, member in members(commit):
        pod, status = running[member], sets[service.name]["status"]
        assert {one["type"]: one["status"] for one in pod["status"]["conditions"]}["Ready"] == "True"
        assert pod["metadata"]["labels"]["controller-revision-hash"] == status["updateRevision"]
        zone = nodes[pod["spec"]["nodeName"]]["metadata"]["labels"]["topology.kubernetes.io/zone"]
        assert zone == service.zone(member)
    claims = world.judge.objects("persistentvolumeclaims", OURS)
    assert set(claims) == {f"{service.volume}-{member}" for service, member in members(commit)}
    assert {one["status"]["phase"] for one in claims.values()} == {"Bound"}


def services(world: World, commit: Commit, value: str) -> None:
    """Each service works for a client of its own kind that knows nothing but names."""
    passwords = {one.name: world.judge.secret(f"{one.name}-auth", "password") for one in commit.services if one.options.get("auth")}
    answers = world.work.ask(lab_world.questions(world.town, commit, value, passwords))
    for service in commit.services:
        answer, names = answers[service.name], [world.town.fqdn(member) for member in service.members]
        match service.type:
            case "redis":
                assert answer["values"] == dict.fromkeys(names, value), answer
                assert answer["roles"] == {name: "slave" if number else "master" for number, name in enumerate(names)}
                assert answer["refused"] == [True] * len(names) * (service.name in passwords)
                mebi = int(service.options["maxmemory"].removesuffix("Mi"))
                assert set(answer["maxmemory"].values()) == {str(mebi * 2**20)}
            case "zookeeper":
                assert answer["values"] == dict.fromkeys(names, value)
                modes = sorted(answer["modes"].values())
                assert modes == ["follower"] * (len(names) - 1) + ["leader"]
            case _:
                assert answer["said"] == {name: f"{member} {service.text}" for name, member in zip(names, service.members, strict=True)}


def hosts(world: World, *commits: Commit) -> None:
    """Every component has every layer, applied exactly as often as its failures make needful."""
    last = commits[-1]
    for host in last.hosts:
        assert world.judge.runs(host) == world.town.runs(host, *commits), host
        for layer in last.layers(host):
            word = f"{layer.name} {layer.edition}"
            assert world.judge.on_host(host, f"/srv/{layer.name}") == f"{word} on {host}\n"
            if layer.copies:
                assert world.judge.on_host(host, f"/etc/{layer.name}.conf") == f"{host} {word}\n"


def members(commit: Commit) -> Iterator[tuple[Service, str]]:
    return ((service, member) for service in commit.services for member in service.members)


def still(world: World) -> None:
    """Nothing is to be done, which is said without an engine."""
    before = world.work.engine_starts()
    assert NO_CHANGES in world.work.reconcile("plan", "--detailed-exitcode").stdout
    world.work.reconcile("apply", "--auto-approve")
    assert world.work.engine_starts() == before
