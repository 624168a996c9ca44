"""The main job over a world generated from `--seed`: two commits, drift between them; live state judged from outside."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.e2e import generate, judge, lab_world
from tests.e2e.generate import ENVIRONMENT, Commit, Service, Town
from tests.e2e.judge import Judge
from tests.e2e.lab_world import Counted
from tests.e2e.workshop import Repository, Workshop

pytestmark = pytest.mark.e2e
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


@pytest.fixture(scope="module")
def world(workshop: Workshop, seed: int) -> World:
    town, work = generate.generate(seed), lab_world.counted(workshop)
    lab_world.push_layers(work, town)
    config = lab_world.push_config(work, town, town.first)
    lab_world.start_hosts(work, town.addresses)
    return World(town, work, lab_world.judge(work), config)


@pytest.fixture(scope="module")
def first(world: World) -> World:
    """The world once the first commit was applied."""
    assert world.work.reconcile("validate").stdout == f"{ENVIRONMENT}: valid\n"
    assert world.work.reconcile("plan", "--detailed-exitcode", code=2).stdout.count(" will be created (declared, not found)")
    applied = world.work.reconcile("apply", "--auto-approve")
    assert "Apply complete!" in applied.stdout
    assert world.work.engine_starts()
    return world


@pytest.fixture(scope="module")
def second(first: World) -> World:
    """The world once the second commit was applied after the first."""
    first.declare(first.town.second, "Second")
    first.work.reconcile("apply", "--auto-approve", code=5)
    first.work.reconcile("apply", "--auto-approve", "--allow-deletes", "1000")
    return first


def check_volumes(world: World, commit: Commit) -> None:
    """Every declared volume exists once, as declared, attached where its member runs, with its member's files on it."""
    volumes, pods = world.judge.volumes(), world.judge.objects("pods", OURS)
    for service, member in members(commit):
        (volume,) = volumes[service.address(member)]
        assert (volume["Size"], volume["AvailabilityZone"], volume["State"]) == (service.size, service.zone(member), "in-use")
        wanted = {"team": world.town.team, judge.ENVIRONMENT: ENVIRONMENT, judge.SERVICE: service.name}
        assert judge.tags(volume) == {**wanted, judge.ADDRESS: service.address(member)}
        (attached,) = volume["Attachments"]
        assert attached["InstanceId"] == world.judge.instance(pods[member]["spec"]["nodeName"])
        used = {path.name for path in world.judge.volume_folder(volume["VolumeId"]).iterdir()}
        assert used & {"appendonlydir", "version-2", "starts"}, f"{member} keeps nothing on its volume"


def check_names(world: World, commit: Commit) -> None:
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


def check_cluster(world: World, commit: Commit) -> None:
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


def check_services(world: World, commit: Commit, value: str) -> None:
    """Each service works for a client of its own kind that knows nothing but names."""
    answers = world.work.ask(lab_world.questions(world.town, commit, value))
    for service in commit.services:
        answer, names = answers[service.name], [world.town.fqdn(member) for member in service.members]
        match service.type:
            case "redis":
                assert answer["values"] == dict.fromkeys(names, value)
                assert answer["roles"] == {name: "slave" if number else "master" for number, name in enumerate(names)}
                mebi = int(service.options["maxmemory"].removesuffix("Mi"))
                assert set(answer["maxmemory"].values()) == {str(mebi * 2**20)}
            case "zookeeper":
                assert answer["values"] == dict.fromkeys(names, value)
                modes = sorted(answer["modes"].values())
                assert modes == ["follower"] * (len(names) - 1) + ["leader"]
            case _:
                assert answer["said"] == {name: f"{member} {service.text}" for name, member in zip(names, service.members, strict=True)}


def check_hosts(world: World, *commits: Commit) -> None:
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


def check_still(world: World) -> None:
    """Nothing is to be done, which is said without an engine."""
    before = world.work.engine_starts()
    assert NO_CHANGES in world.work.reconcile("plan", "--detailed-exitcode").stdout
    world.work.reconcile("apply", "--auto-approve")
    assert world.work.engine_starts() == before


def test_volumes_are_made_once_as_declared(first: World) -> None:
    check_volumes(first, first.town.first)
    assert set(first.judge.volumes()) == {service.address(member) for service, member in members(first.town.first)}


def test_names_lead_to_members(first: World) -> None:
    check_names(first, first.town.first)


def test_the_cluster_holds_what_is_declared_and_no_more(first: World) -> None:
    check_cluster(first, first.town.first)


def test_services_work_for_their_clients(first: World) -> None:
    check_services(first, first.town.first, "one")


def test_every_layer_ran_as_often_as_needed(first: World) -> None:
    check_hosts(first, first.town.first)


def test_a_second_plan_has_nothing_to_do_and_starts_no_engine(first: World) -> None:
    check_still(first)


def test_an_invalid_commit_is_told_with_its_line(first: World) -> None:
    service = first.town.first.services[0]
    path = f"specs/{ENVIRONMENT}/services/{service.name}.yaml"
    first.propose("invalid", path, f"type: {service.type}", f"type: {service.type}s")
    told = first.work.reconcile("validate", "--ref", "invalid", code=1).stdout
    line = (first.config.clone / path).read_text().splitlines().index(f"  type: {service.type}") + 1
    assert re.match(rf"{re.escape(path)}:{line}:\d+: there is no service type {service.type}s", told)
    first.work.reconcile("plan", "--ref", "invalid", code=1)
    first.work.reconcile("apply", "--ref", "invalid", "--auto-approve", code=1)


def test_a_shrinking_volume_is_refused_with_its_line(first: World) -> None:
    service = first.town.first.services[0]
    path, size = f"specs/{ENVIRONMENT}/services/{service.name}.yaml", f"size: {service.size}Gi"
    first.propose("shrink", path, size, "size: 1Gi")
    line = next(number for number, text in enumerate((first.config.clone / path).read_text().splitlines(), start=1) if size in text)
    assert first.work.reconcile("plan", "--ref", "shrink", "--detailed-exitcode", code=2)
    told = first.work.reconcile("apply", "--ref", "shrink", "--auto-approve", code=5).stdout
    assert re.search(rf"services/{service.name}\.yaml:{line}:\d+: size {service.size}Gi -> 1Gi: a volume cannot shrink", told)
    check_volumes(first, first.town.first)


def test_only_an_approved_digest_is_applied(first: World) -> None:
    service = first.town.first.services[0]
    path, size = f"specs/{ENVIRONMENT}/services/{service.name}.yaml", f"size: {service.size}Gi"
    first.propose("unapproved", path, size, f"size: {service.size + 1}Gi")
    first.work.reconcile("apply", "--ref", "unapproved", code=1)  # nobody approves, and there is nobody to ask
    first.work.reconcile("apply", "--ref", "unapproved", "--digest", "0" * 64, code=4)
    check_volumes(first, first.town.first)


def test_drift_is_named_exactly_and_healed(first: World) -> None:
    commit, team = first.town.first, first.town.team
    redis, other = commit.of("redis")[0], commit.services[-1]
    record = first.judge.records(first.town.dns)[first.town.fqdn(redis.members[0])]
    first.judge.set_record(first.town.dns, {**record, "TTL": 299})
    (volume,) = first.judge.volumes()[other.address(other.members[-1])]
    first.judge.ec2.create_tags(Resources=[volume["VolumeId"]], Tags=[{"Key": "team", "Value": "nobody"}])
    container, image = ("redis", "redis:7.4")
    first.work.kubectl("set", "image", f"statefulset/{redis.name}", f"{container}={image}")
    first.work.kubectl("delete", "poddisruptionbudget", other.name)
    drifted = {
        f"record/{ENVIRONMENT}/{first.town.fqdn(redis.members[0])}",
        other.address(other.members[-1]),
        f"kubernetes/{ENVIRONMENT}/{redis.name}/StatefulSet/default/{redis.name}",
        f"kubernetes/{ENVIRONMENT}/{other.name}/PodDisruptionBudget/default/{other.name}",
    }
    assert first.changes() == drifted
    told = first.work.reconcile("plan", "--detailed-exitcode", code=2).stdout
    assert f"ttl = 299 -> {first.town.ttl}" in told
    assert f"tags.team = nobody -> {team}" in told
    first.work.reconcile("apply", "--auto-approve")
    check_volumes(first, commit)
    check_names(first, commit)
    check_cluster(first, commit)
    images = {one["image"] for one in first.judge.objects("statefulsets")[redis.name]["spec"]["template"]["spec"]["containers"]}
    assert image not in images
    assert other.name in first.judge.objects("poddisruptionbudgets", OURS)
    check_still(first)


def test_a_second_commit_is_applied_and_what_it_drops_is_kept(second: World) -> None:
    before, after = second.town.first, second.town.second
    check_volumes(second, after)
    check_names(second, after)
    check_cluster(second, after)
    check_services(second, after, "two")
    check_hosts(second, before, after)
    volumes = second.judge.volumes()
    declared = {service.address(member) for service, member in members(after)}
    dropped = {service.address(member): service for service, member in members(before)}
    dropped = {address: service for address, service in dropped.items() if address not in declared}
    assert set(volumes) == declared | set(dropped)
    commit = second.config.git("rev-parse", "HEAD").stdout.strip()
    for address, service in dropped.items():
        (volume,) = volumes[address]
        assert (volume["State"], volume["Size"]) == ("available", service.size)
        assert commit.startswith(judge.tags(volume)[judge.RETAINED])


def test_after_the_second_commit_nothing_is_left_to_do(second: World) -> None:
    check_still(second)
