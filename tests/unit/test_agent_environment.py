"""Environment, commands and downward values, as the API defines them."""

from __future__ import annotations

import base64
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.agent import environment
from lab.agent.environment import ConfigError, Place, Sources

POD = {
    "metadata": {
        "name": "kv-0",
        "namespace": "db",
        "uid": "u-1",
        "labels": {"app": "kv", "a/b": "c"},
        "annotations": {"note": 'say "hi"\n'},
    },
    "spec": {"nodeName": "node-a1", "serviceAccountName": "robot"},
}
PLACE = Place(POD, "10.200.128.7", "10.200.16.11", {"memory": "64Gi", "cpu": "16"})


def secret(**values: str) -> dict[str, Any]:
    return {"metadata": {"namespace": "db"}, "data": {name: base64.b64encode(value.encode()).decode() for name, value in values.items()}}


SOURCES = Sources({"words": {"metadata": {"namespace": "db"}, "data": {"one": "1", "two": "2"}}}, {"keys": secret(token="s3cret")})


def build(*env: dict[str, Any], sources: Sources = SOURCES, **spec: Any) -> dict[str, str]:
    return environment.build({"name": "c", "env": list(env), **spec}, {"BASE": "base"}, PLACE, sources)


def field(path: str) -> dict[str, Any]:
    return {"name": "X", "valueFrom": {"fieldRef": {"fieldPath": path}}}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.name", "kv-0"),
        ("metadata.namespace", "db"),
        ("metadata.uid", "u-1"),
        ("metadata.labels['app']", "kv"),
        ("metadata.labels['a/b']", "c"),
        ("metadata.annotations['absent']", ""),
        ("spec.nodeName", "node-a1"),
        ("spec.serviceAccountName", "robot"),
        ("status.podIP", "10.200.128.7"),
        ("status.hostIP", "10.200.16.11"),
    ],
)
def test_a_field_of_the_pod(path: str, value: str) -> None:
    assert build(field(path))["X"] == value


def test_a_field_that_nobody_knows_is_named() -> None:
    with pytest.raises(ConfigError, match=r"spec\.priority"):
        build(field("spec.priority"))


def test_all_annotations_are_one_quoted_text() -> None:
    assert environment.field_value("metadata.annotations", PLACE) == 'note="say \\"hi\\"\\n"'


def test_later_variables_may_name_earlier_ones_and_those_of_the_image() -> None:
    built = build(
        {"name": "A", "value": "$(BASE)/x"}, {"name": "B", "value": "$(A) $$(A) $(LATER) $(bad name)"}, {"name": "LATER", "value": "l"}
    )
    assert built["B"] == "base/x $(A) $(LATER) $(bad name)"


def test_values_of_config_maps_and_secrets() -> None:
    one = {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "words", "key": "one"}}}
    key = {"name": "B", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "token"}}}
    assert build(one, key) == {"BASE": "base", "A": "1", "B": "s3cret"}


def test_whole_objects_come_with_a_prefix_and_before_single_values() -> None:
    sources = [{"prefix": "W_", "configMapRef": {"name": "words"}}, {"secretRef": {"name": "keys"}}]
    built = build({"name": "W_one", "value": "mine"}, envFrom=sources)
    assert built == {"BASE": "base", "W_one": "mine", "W_two": "2", "token": "s3cret"}


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ({"secretKeyRef": {"name": "none", "key": "k"}}, 'secret "none" not found'),
        ({"configMapKeyRef": {"name": "words", "key": "k"}}, "couldn't find key k in configmap db/words"),
    ],
)
def test_what_is_missing_is_named_unless_it_is_optional(reference: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        build({"name": "X", "valueFrom": reference})
    ((kind, inner),) = reference.items()
    assert "X" not in build({"name": "X", "valueFrom": {kind: inner | {"optional": True}}})


def test_a_missing_whole_object_is_named_unless_it_is_optional() -> None:
    with pytest.raises(ConfigError, match='configmap "none" not found'):
        build(envFrom=[{"configMapRef": {"name": "none"}}])
    assert build(envFrom=[{"configMapRef": {"name": "none", "optional": True}}]) == {"BASE": "base"}


def test_what_an_environment_needs_is_known_before_it_is_built() -> None:
    spec = {
        "envFrom": [{"configMapRef": {"name": "words"}}],
        "env": [
            {"name": "A", "value": "1"},
            {"name": "B", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "k"}}},
            field("metadata.name"),
        ],
    }
    assert set(environment.references(spec)) == {("configmaps", "words"), ("secrets", "keys")}


@pytest.mark.parametrize(
    ("reference", "value"),
    [
        ({"resource": "limits.memory", "divisor": "1Mi"}, "128"),
        ({"resource": "limits.memory"}, str(128 << 20)),
        ({"resource": "requests.cpu"}, "1"),
        ({"resource": "requests.cpu", "divisor": "1m"}, "250"),
        ({"resource": "limits.cpu"}, "16"),
        ({"resource": "requests.memory", "divisor": "1Mi"}, "128"),
    ],
)
def test_resources_are_rounded_up_in_units_of_the_divisor(reference: dict[str, Any], value: str) -> None:
    spec = {"name": "c", "resources": {"limits": {"memory": "128Mi"}, "requests": {"cpu": "250m"}}}
    assert environment.resource_value(reference, spec, PLACE) == value


@pytest.mark.parametrize(
    ("text", "number"), [("100m", "0.1"), ("1Ki", "1024"), ("2G", "2e9"), ("1.5", "1.5"), ("3e2", "300"), ("1Gi", str(1 << 30))]
)
def test_quantities_are_numbers(text: str, number: str) -> None:
    assert environment.quantity(text) == Decimal(number)


def test_what_is_no_quantity_is_refused() -> None:
    with pytest.raises(ConfigError, match="lots"):
        environment.quantity("lots")


@given(st.text(alphabet="$()AB x"))
def test_text_without_dollar_signs_is_never_touched_and_expansion_never_fails(text: str) -> None:
    expanded = environment.expand(text, {"A": "1"})
    if "$" not in text:
        assert expanded == text
