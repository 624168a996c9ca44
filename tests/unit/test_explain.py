"""`explain`: everything that is known of one address, whoever asks about what."""

from __future__ import annotations

import pytest

from reconciler import errors
from reconciler.account import Case
from reconciler.cli import explain
from reconciler.model import address
from reconciler.render import account as render
from tests.memory_world import MemoryWorld, desired
from tests.unit.test_drift import scale, service

SET = "kubernetes/lab/kv/StatefulSet/default/kv"
DISK = "volume/lab/kv/kv-0/data"


@pytest.fixture
def world() -> MemoryWorld:
    world = MemoryWorld()
    assert world.converge(service()).ok
    return world


def case(world: MemoryWorld, of: str, text: str = "") -> Case:
    prepared = world.plan(desired(text or service()))
    return explain.of(address.parse(of), world.world(prepared.desired.environment), prepared)


def told(world: MemoryWorld, of: str, text: str = "") -> dict[str, list[str]]:
    """What stands above the fields, by its name."""
    found: dict[str, list[str]] = {}
    for line in list(render.lines(case(world, of, text)))[1:]:
        if not line:
            break
        found.setdefault(line[2:12].strip(), []).append(line[13:])
    return found


def owners(world: MemoryWorld, of: str, text: str = "") -> dict[str, str]:
    return {field["path"]: field["owner"] for field in render.document(case(world, of, text))["fields"]}


def test_it_names_what_declares_it_and_what_it_is_called(world: MemoryWorld) -> None:
    found = told(world, DISK)
    assert found["declared"][0].startswith("specs/lab/services.yaml:1:1 at ")
    assert found["declared"][0].endswith("(service kv, redis); owner: engine")
    assert found["live"][0].startswith("vol-00000000000000001")
    assert found["live"][0].endswith("known to the engine")
    assert found["plan"] == ["is as declared (as declared)"]
    assert found["applied"][0].startswith("create by the apply of ")
    assert found["needed by"] == ["kubernetes/lab/kv/PersistentVolume/-/lab-kv-0-data"]


def test_a_field_says_whether_the_spec_or_a_default_gives_it(world: MemoryWorld) -> None:
    sources = {field["path"]: field["source"] for field in render.document(case(world, DISK))["fields"]}
    assert sources["size"] == "specs/lab/services.yaml:7:26"
    assert sources["type"] == "default"
    assert sources["tags.team"] == "rendered"
    assert sources["zone"] == "default"


def test_a_field_that_differs_shows_both_sides(world: MemoryWorld) -> None:
    scale(world, 7)
    lines = [line.split() for line in render.lines(case(world, SET))]
    assert ["spec.replicas", "7", "(declared", "2)", "ours,", "and", "kube-controller-manager", "[HPA]", "writes", "it", "too"] in lines


def test_references_are_resolved(world: MemoryWorld) -> None:
    found = told(world, "kubernetes/lab/kv/PersistentVolume/-/lab-kv-0-data")
    assert found["refers to"][0] == f"id of {DISK} in spec.csi.volumeHandle: vol-00000000000000001"
    assert found["needs"] == [DISK]


def test_whose_a_field_is_and_who_else_writes_it(world: MemoryWorld) -> None:
    assert owners(world, SET)["spec.replicas"] == "ours"
    scale(world, 7)
    assert owners(world, SET)["spec.replicas"] == "ours, and kube-controller-manager [HPA] writes it too"
    ignoring = service(ignore="[{path: 'StatefulSet/kv:spec.replicas', reason: the autoscaler owns it}]")
    assert owners(world, SET, ignoring)["spec.replicas"] == "ignored (the autoscaler owns it), kube-controller-manager [HPA]'s"


def test_what_the_plan_would_do_and_why(world: MemoryWorld) -> None:
    found = told(world, SET, service(version='"8.2"'))
    assert found["plan"] == ["will be updated in-place (declared fields differ)  # restarts kv-1, kv-0; upgrades from 8.0 to 8.2"]


def test_a_record_that_follows_its_pod_is_the_members(world: MemoryWorld) -> None:
    found = told(world, "record/lab/kv-0.db.internal")
    assert found["live"][0].endswith("the members' own, which the engine does not know")


def test_what_is_protected_says_so() -> None:
    world = MemoryWorld()
    assert world.converge(service(protect="true")).ok
    assert told(world, DISK, service(protect="true"))["is"] == ["protected: it remembers so itself, whatever the spec says"]


def test_what_nothing_declares_any_more_is_explained_too(world: MemoryWorld) -> None:
    found = told(world, "volume/lab/kv/kv-1/data", service(replicas=1))
    assert found["declared"][0].startswith("by nothing at ")
    assert found["plan"] == ["will be forgotten (no longer declared; it is kept)  # data is kept"]


def test_an_unknown_address_names_the_nearest(world: MemoryWorld) -> None:
    with pytest.raises(errors.UsageError, match=r"there is no volume/lab/kv/kv-7/data, neither declared nor live") as caught:
        case(world, "volume/lab/kv/kv-7/data")
    assert "volume/lab/kv/kv-0/data" in caught.value.hint
