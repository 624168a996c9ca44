"""What `ignore` means: which fields of which resources it leaves to others, and what is wrong with those that mean nothing."""

from __future__ import annotations

import pytest

from reconciler.model.origin import Revision
from reconciler.model.resource import Ceded
from reconciler.model.value import Item
from reconciler.resources import cede
from reconciler.specs.load import load
from tests.memory_world import ENVIRONMENT, TYPES, desired

SERVICE = """\
apiVersion: reconciler/v1
kind: Service
metadata: {name: kv}
spec:
  type: redis
  replicas: 2
  volumes: {data: {size: 10Gi}}
"""


def ceding(*paths: str) -> str:
    return SERVICE + "  ignore:\n" + "".join(f"    - {{path: '{path}', reason: theirs}}\n" for path in paths)


def left(*paths: str) -> dict[str, tuple[Ceded, ...]]:
    """What each resource leaves to others, by the end of its address."""
    return {id.name: one.ceded for id, one in desired(ceding(*paths)).resources.items() if one.ceded}


@pytest.mark.parametrize(
    "path",
    ["StatefulSet/kv:spec.replicas", "StatefulSet/kv: /spec/replicas", "spec.replicas", "/spec/replicas", "StatefulSet/*:spec.replicas"],
)
def test_a_field_can_be_named_in_the_ways_that_people_know(path: str) -> None:
    assert left(path) == {"StatefulSet/default/kv": (Ceded(("spec", "replicas"), "theirs"),)}


def test_a_whole_address_names_just_that() -> None:
    assert list(left("volume/lab/kv/kv-1/data:size")) == ["kv-1/data"]
    assert list(left("volume/*/data:size")) == ["kv-0/data", "kv-1/data"]
    assert list(left("kv-1/data:size")) == ["kv-1/data"]


@pytest.mark.parametrize("step", ["[redis]", "[0]", "[*]"])
def test_items_of_lists_go_by_name_by_number_or_all_together(step: str) -> None:
    (ceded,) = left(f"StatefulSet/kv:spec.template.spec.containers{step}.image")["StatefulSet/default/kv"]
    assert ceded.path == ("spec", "template", "spec", "containers", Item("redis"), "image")


def test_keys_with_dots_and_slashes_stand_in_brackets_or_escaped() -> None:
    way = ("spec", "template", "metadata", "annotations", "reconciler/checksum")
    assert left("spec.template.metadata.annotations[reconciler/checksum]")["StatefulSet/default/kv"][0].path == way
    assert left("/spec/template/metadata/annotations/reconciler~1checksum")["StatefulSet/default/kv"][0].path == way


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("StatefulSet/kw:spec.replicas", "names nothing that kv declares. did you mean StatefulSet/kv?"),
        ("StatefulSet/kv:spec.replica", "is a field that nothing of kv declares. did you mean spec.replicas?"),
        ("StatefulSet/kv:spec.ordinals", "is a field that nothing of kv declares"),
        ("StatefulSet/kv:..", "is no path. write StatefulSet/kv:spec.replicas or /spec/replicas"),
        ("metadata.labels", "is how the reconciler knows what is its own. leave it out"),
        ("volume/*:tags[reconciler/address]", "is how the reconciler knows what is its own. leave it out"),
        ("record/*:ttl", "names a record that follows its Pod, which is written as a whole"),
    ],
)
def test_what_cannot_be_meant_is_a_fault_with_its_place(path: str, told: str) -> None:
    texts = {"specs/lab/environment.yaml": ENVIRONMENT, "specs/lab/services.yaml": ceding("spec.replicas", path)}
    (fault,) = load({name: text.encode() for name, text in texts.items()}, Revision("", "", "lab"), TYPES).faults
    assert str(fault).startswith(f"specs/lab/services.yaml:10:14: ignore[1].path: {path} {told}")


def test_a_tag_of_somebody_else_may_be_left_to_them() -> None:
    assert not cede.identifying(("tags", "team"))
    assert not cede.identifying(("metadata", "labels", "team"))
    assert cede.identifying(("metadata", "labels", "reconciler/service"))
    assert cede.identifying(("kind",))


def test_what_is_shared_is_not_a_service_s_to_leave() -> None:
    assert all(not one.ceded for one in desired(ceding("spec.replicas")).resources.values() if one.stack == "-")
