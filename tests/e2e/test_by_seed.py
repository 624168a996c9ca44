"""The main job over a world generated from `--seed`: two commits, drift between them; live state judged from outside."""

from __future__ import annotations

import re
import shutil

import pytest

from tests.e2e import checks, generate, judge, lab_world
from tests.e2e.checks import OURS, World
from tests.e2e.generate import ENVIRONMENT
from tests.e2e.workshop import Workshop

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def world(workshop: Workshop, seed: int) -> World:
    town, work = generate.generate(seed), lab_world.counted(workshop)
    lab_world.push_layers(work, town)
    config = lab_world.push_config(work, town, town.commits[0])
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
    first.declare(first.town.commits[1], "Second")
    first.work.reconcile("apply", "--auto-approve", code=5)
    first.work.reconcile("apply", "--auto-approve", "--allow-deletes", "1000")
    return first


def test_volumes_are_made_once_as_declared(first: World) -> None:
    checks.volumes(first, first.town.commits[0])
    assert set(first.judge.volumes()) == {service.address(member) for service, member in checks.members(first.town.commits[0])}


def test_names_lead_to_members(first: World) -> None:
    checks.names(first, first.town.commits[0])


def test_the_cluster_holds_what_is_declared_and_no_more(first: World) -> None:
    checks.cluster(first, first.town.commits[0])


def test_services_work_for_their_clients(first: World) -> None:
    checks.services(first, first.town.commits[0], "one")


def test_every_layer_ran_as_often_as_needed(first: World) -> None:
    checks.hosts(first, first.town.commits[0])


def test_a_second_plan_has_nothing_to_do_and_starts_no_engine(first: World) -> None:
    checks.still(first)


def test_an_invalid_commit_is_told_with_its_line(first: World) -> None:
    service = first.town.commits[0].services[0]
    path = f"specs/{ENVIRONMENT}/services/{service.name}.yaml"
    first.propose("invalid", path, f"type: {service.type}", f"type: {service.type}s")
    told = first.work.reconcile("validate", "--ref", "invalid", code=1).stdout
    line = (first.config.clone / path).read_text().splitlines().index(f"  type: {service.type}") + 1
    assert re.match(rf"{re.escape(path)}:{line}:\d+: there is no service type {service.type}s", told)
    first.work.reconcile("plan", "--ref", "invalid", code=1)
    first.work.reconcile("apply", "--ref", "invalid", "--auto-approve", code=5)  # its service is held, and the others are as declared


def test_a_shrinking_volume_is_refused_with_its_line(first: World) -> None:
    service = first.town.commits[0].services[0]
    path, size = f"specs/{ENVIRONMENT}/services/{service.name}.yaml", f"size: {service.size}Gi"
    first.propose("shrink", path, size, "size: 1Gi")
    line = next(number for number, text in enumerate((first.config.clone / path).read_text().splitlines(), start=1) if size in text)
    assert first.work.reconcile("plan", "--ref", "shrink", "--detailed-exitcode", code=2)
    told = first.work.reconcile("apply", "--ref", "shrink", "--auto-approve", code=5).stdout
    assert re.search(rf"services/{service.name}\.yaml:{line}:\d+: size {service.size}Gi -> 1Gi: a volume cannot shrink", told)
    checks.volumes(first, first.town.commits[0])


def test_only_an_approved_digest_is_applied(first: World) -> None:
    service = first.town.commits[0].services[0]
    path, size = f"specs/{ENVIRONMENT}/services/{service.name}.yaml", f"size: {service.size}Gi"
    first.propose("unapproved", path, size, f"size: {service.size + 1}Gi")
    first.work.reconcile("apply", "--ref", "unapproved", code=1)  # nobody approves, and there is nobody to ask
    first.work.reconcile("apply", "--ref", "unapproved", "--digest", "0" * 64, code=4)
    checks.volumes(first, first.town.commits[0])


def test_drift_is_named_exactly_and_healed(first: World) -> None:
    commit, team = first.town.commits[0], first.town.team
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
    checks.volumes(first, commit)
    checks.names(first, commit)
    checks.cluster(first, commit)
    images = {one["image"] for one in first.judge.objects("statefulsets")[redis.name]["spec"]["template"]["spec"]["containers"]}
    assert image not in images
    assert other.name in first.judge.objects("poddisruptionbudgets", OURS)
    checks.still(first)


def test_an_engine_that_lost_its_record_takes_everything_back_and_touches_nothing(first: World) -> None:
    commit = first.town.commits[0]

    def identities() -> set[str]:
        objects = [one for kind in ("pods", "statefulsets", "persistentvolumes") for one in first.judge.objects(kind, OURS).values()]
        interfaces = [found["NetworkInterfaceId"] for one in first.judge.interfaces().values() for found in one]
        volumes = [found["VolumeId"] for one in first.judge.volumes().values() for found in one]
        return {one["metadata"]["uid"] for one in objects} | {*interfaces, *volumes}

    before = identities()
    shutil.rmtree(first.work.engine_record)
    told = first.work.reconcile("apply", "--auto-approve").stdout
    assert re.search(r"^Plan: \d+ to import, 0 to add, 0 to change, 0 to destroy\.$", told, re.MULTILINE)
    assert identities() == before
    checks.cluster(first, commit)
    checks.still(first)


def test_a_second_commit_is_applied_and_what_it_drops_is_kept(second: World) -> None:
    before, after = second.town.commits
    checks.volumes(second, after)
    checks.names(second, after)
    checks.cluster(second, after)
    checks.services(second, after, "two")
    checks.hosts(second, before, after)
    volumes = second.judge.volumes()
    declared = {service.address(member) for service, member in checks.members(after)}
    dropped = {service.address(member): service for service, member in checks.members(before)}
    dropped = {address: service for address, service in dropped.items() if address not in declared}
    assert set(volumes) == declared | set(dropped)
    commit = second.config.git("rev-parse", "HEAD").stdout.strip()
    for address, service in dropped.items():
        (volume,) = volumes[address]
        second.judge.ec2.get_waiter("volume_available").wait(VolumeIds=[volume["VolumeId"]], WaiterConfig={"Delay": 1, "MaxAttempts": 30})
        assert volume["Size"] == service.size
        assert commit.startswith(judge.tags(volume)[judge.RETAINED])


def test_after_the_second_commit_nothing_is_left_to_do(second: World) -> None:
    checks.still(second)
