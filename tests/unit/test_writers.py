"""Who holds a field of a Kubernetes object, as its `managedFields` say it."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.fields import writers
from reconciler.model.value import Item, Path

OURS = "pulumi-kubernetes-12345678"
CONTAINER: Path = ("spec", "template", "spec", "containers", Item("redis"))


def entry(manager: str, fields: dict[str, Any], time: str = "2026-11-22T05:00:00Z", **others: str) -> dict[str, Any]:
    return {"manager": manager, "operation": "Update", "time": time, "fieldsType": "FieldsV1", "fieldsV1": fields, **others}


METADATA = {
    "managedFields": [
        entry(OURS, {"f:spec": {"f:replicas": {}, "f:template": {"f:spec": {"f:containers": {'k:{"name":"redis"}': {"f:image": {}}}}}}}),
        entry("kube-controller-manager", {"f:spec": {"f:replicas": {}}}, subresource="scale"),
        entry("kubectl-edit", {"f:spec": {"f:template": {"f:spec": {"f:containers": {'k:{"name":"redis"}': {"f:image": {}}}}}}}),
        entry("kubectl-set", {"f:spec": {"f:replicas": {}}}, time="2026-11-22T06:00:00Z"),
        entry("finisher", {"f:metadata": {"f:finalizers": {'v:"theirs"': {}}}}),
    ]
}


@pytest.mark.parametrize(
    ("path", "labels"),
    [
        (("spec", "replicas"), ["kubectl-set", "kube-controller-manager [HPA]"]),
        ((*CONTAINER, "image"), ["kubectl-edit"]),
        ((*CONTAINER, "args"), []),
        (("spec", "template", "spec", "containers", Item("sidecar"), "image"), []),
        (("metadata", "finalizers", Item("theirs")), ["finisher"]),
        (("metadata", "labels"), []),
    ],
)
def test_others_are_named_the_latest_first(path: Path, labels: list[str]) -> None:
    assert [one.label for one in writers.others(METADATA, path)] == labels


def test_a_subresource_is_told() -> None:
    metadata = {"managedFields": [entry("my-autoscaler", {"f:spec": {"f:replicas": {}}}, subresource="scale")]}
    assert writers.others(metadata, ("spec", "replicas"))[0].label == "my-autoscaler (scale)"


def test_an_object_that_says_nothing_of_its_writers_has_none() -> None:
    assert writers.holders({}, ("spec", "replicas")) == ()
