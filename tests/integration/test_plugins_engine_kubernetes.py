"""The lab's `kubernetes` plugin (or the real one, where PATH has it) under the real engine and the unmodified SDK."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightkube
import pulumi
import pulumi_kubernetes as kubernetes
import pytest
from lightkube.core.exceptions import ApiError
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.apps_v1 import StatefulSet
from lightkube.resources.core_v1 import ConfigMap, PersistentVolume, Secret, Service

from lab.layout import Layout
from tests.integration.plugin_stack import Declare, EngineFailed, Stack, new_stack, nothing

pytestmark = [pytest.mark.integration, pytest.mark.filterwarnings("ignore")]  # the SDK warns of itself

# With `skipAwait` a deletion in the foreground is not awaited either, and the replacement would meet what it replaces.
SKIP_AWAIT = {"pulumi.com/skipAwait": "true", "pulumi.com/deletionPropagationPolicy": "background"}


@pytest.fixture
def stack(lab: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    with new_stack(lab, tmp_path, monkeypatch) as made:
        yield made


@pytest.fixture(scope="module")
def cluster(lab: Layout) -> Any:
    config = lightkube.KubeConfig.from_file(lab.kubernetes.kubeconfigs["judge"])
    return lightkube.Client(config=config, field_manager="kubectl-edit")


def test_a_stateful_set_heals_releases_and_is_replaced(stack: Stack, cluster: Any) -> None:
    def declare(image: str = "redis:8.0", service: str = "one", labels: dict[str, str] | None = None) -> Declare:
        def program(_: pulumi.ResourceOptions, to_kubernetes: pulumi.ResourceOptions) -> None:
            kubernetes.apps.v1.StatefulSet("set", opts=to_kubernetes, **_stateful_set(stack.name, image, service, labels))

        return program

    def live() -> Any:
        return cluster.get(StatefulSet, stack.name)

    assert stack.up(declare(labels={"extra": "yes"})) == {"set": "create"}
    (owner,) = [entry.manager for entry in live().metadata.managedFields if entry.manager.startswith("pulumi-kubernetes-")]
    assert stack.state()["set"]["outputs"]["__fieldManager"] == owner
    assert stack.up(declare(labels={"extra": "yes"})) == {"set": "same"}

    patch = {"spec": {"template": {"spec": {"containers": [{"name": "redis", "image": "redis:7.0"}]}}}}
    cluster.patch(StatefulSet, stack.name, patch)
    assert stack.up(declare(labels={"extra": "yes"})) == {"set": "update"}
    assert live().spec.template.spec.containers[0].image == "redis:8.0"
    assert owner in {entry.manager for entry in live().metadata.managedFields}

    assert stack.up(declare()) == {"set": "update"}
    assert "extra" not in (live().metadata.labels or {})
    before = live().metadata.uid
    assert stack.up(declare(service="two")) == {"set": "replace"}
    assert live().metadata.uid != before
    assert stack.up(nothing) == {"set": "delete"}
    with pytest.raises(ApiError, match="not found"):
        live()


def test_another_owners_field_is_a_conflict_unless_forced(stack: Stack, cluster: Any) -> None:
    stack.environment = {}

    def declare(force: bool) -> Declare:
        def program(_: pulumi.ResourceOptions, to_kubernetes: pulumi.ResourceOptions) -> None:
            annotations = {"pulumi.com/patchForce": "true"} if force else {}
            metadata: Any = {"name": stack.name, "namespace": "default", "annotations": annotations}
            kubernetes.core.v1.ConfigMap("config", metadata=metadata, data={"a": "1"}, opts=to_kubernetes)

        return program

    stack.up(declare(force=False))
    cluster.patch(ConfigMap, stack.name, {"data": {"a": "drifted"}})
    with pytest.raises(EngineFailed, match=r'(?s)field conflict detected.*conflict with "kubectl-edit"'):
        stack.up(declare(force=False))
    assert stack.up(declare(force=True)) == {"config": "update"}
    assert cluster.get(ConfigMap, stack.name).data == {"a": "1"}


def test_a_config_map_is_changed_in_place_where_that_is_allowed_and_replaced_where_not(stack: Stack, cluster: Any) -> None:
    def declare(value: str, **more: Any) -> Declare:
        def program(_: pulumi.ResourceOptions, to_kubernetes: pulumi.ResourceOptions) -> None:
            kubernetes.core.v1.ConfigMap("config", metadata={"name": stack.name}, data={"a": value}, opts=to_kubernetes, **more)

        return program

    stack.up(declare("1"))
    before = _uid(cluster.get(ConfigMap, stack.name))
    assert stack.up(declare("2")) == {"config": "update"}
    assert _uid(cluster.get(ConfigMap, stack.name)) == before
    assert stack.up(declare("2", immutable=True)) == {"config": "update"}
    assert stack.up(declare("3", immutable=True)) == {"config": "replace"}
    found = cluster.get(ConfigMap, stack.name)
    assert (found.data, _uid(found) != before) == ({"a": "3"}, True)


def test_a_secret_is_secret_in_the_state_and_right_in_the_cluster(stack: Stack, cluster: Any) -> None:
    password = f"hunter-{uuid.uuid4().hex}"

    def declare(value: str) -> Declare:
        def program(_: pulumi.ResourceOptions, to_kubernetes: pulumi.ResourceOptions) -> None:
            kubernetes.core.v1.Secret("secret", metadata={"name": stack.name}, string_data={"password": value}, opts=to_kubernetes)
            data = {"said": pulumi.Output.secret(value)}
            kubernetes.core.v1.ConfigMap("config", metadata={"name": f"{stack.name}-said"}, data=data, opts=to_kubernetes)

        return program

    def known() -> str:
        return base64.b64decode(cluster.get(Secret, stack.name).data["password"]).decode()

    assert stack.up(declare(password)) == {"secret": "create", "config": "create"}
    assert known() == password
    exported = json.dumps(stack.state())
    assert password not in exported
    assert base64.b64encode(password.encode()).decode() not in exported
    assert stack.up(declare(password)) == {"secret": "same", "config": "same"}
    cluster.patch(Secret, stack.name, {"stringData": {"password": "drifted"}})
    assert stack.up(declare(password)) == {"secret": "update", "config": "same"}
    assert known() == password
    assert password not in json.dumps(stack.state())


def test_quantities_and_what_others_add_are_no_drift(stack: Stack, cluster: Any) -> None:
    def declare(size: str) -> Declare:
        def program(_: pulumi.ResourceOptions, to_kubernetes: pulumi.ResourceOptions) -> None:
            kubernetes.core.v1.PersistentVolume(
                "volume",
                metadata={"name": stack.name},
                spec={
                    "capacity": {"storage": size},
                    "access_modes": ["ReadWriteOnce"],
                    "storage_class_name": "",
                    "csi": {"driver": "ebs.csi.aws.com", "volume_handle": "vol-0"},
                },
                opts=to_kubernetes,
            )

        return program

    assert stack.up(declare("1024Mi")) == {"volume": "create"}
    cluster.patch(PersistentVolume, stack.name, {"metadata": {"labels": {"of-another": "yes"}}})
    assert stack.up(declare("1024Mi")) == {"volume": "same"}
    assert cluster.get(PersistentVolume, stack.name).metadata.labels == {"of-another": "yes"}
    assert stack.up(declare("2Gi")) == {"volume": "update"}


def test_an_object_without_a_name_gets_one_and_keeps_it(stack: Stack, cluster: Any) -> None:
    def declare(port: int) -> Declare:
        def program(_: pulumi.ResourceOptions, to_kubernetes: pulumi.ResourceOptions) -> None:
            spec: Any = {"cluster_ip": "None", "ports": [{"name": "p", "port": port}], "selector": {"app": "x"}}
            kubernetes.core.v1.Service(stack.name, metadata={"annotations": SKIP_AWAIT}, spec=spec, opts=to_kubernetes)

        return program

    stack.up(declare(1000))
    name = stack.state()[stack.name]["outputs"]["metadata"]["name"]
    assert name.startswith(f"{stack.name}-")
    assert len(name) == len(stack.name) + 9
    assert stack.up(declare(1001)) == {stack.name: "update"}
    assert cluster.get(Service, name).spec.ports[0].port == 1001


def test_an_object_that_exists_is_refused_imported_or_taken_over_when_told_to(stack: Stack, cluster: Any) -> None:
    cluster.create(ConfigMap(metadata=ObjectMeta(name=stack.name, namespace="default"), data={"a": "1"}))

    def declare(import_: str | None) -> Declare:
        def program(_: pulumi.ResourceOptions, to_kubernetes: pulumi.ResourceOptions) -> None:
            opts = pulumi.ResourceOptions.merge(to_kubernetes, pulumi.ResourceOptions(import_=import_))
            kubernetes.core.v1.ConfigMap("config", metadata={"name": stack.name, "namespace": "default"}, data={"a": "1"}, opts=opts)

        return program

    with pytest.raises(EngineFailed, match="already exists"):
        stack.up(declare(None))
    assert stack.up(declare(f"default/{stack.name}")) == {"config": "import"}
    assert stack.up(declare(None)) == {"config": "same"}
    stack.up(nothing)
    cluster.create(ConfigMap(metadata=ObjectMeta(name=stack.name, namespace="default"), data={"b": "2"}))
    stack.kubernetes_arguments = {"upsert_existing_objects": True}
    assert stack.up(declare(None)) == {"config": "create"}
    assert cluster.get(ConfigMap, stack.name).data == {"a": "1", "b": "2"}


def test_a_set_that_never_gets_ready_is_reported_with_what_it_lacks(stack: Stack) -> None:
    def program(_: pulumi.ResourceOptions, to_kubernetes: pulumi.ResourceOptions) -> None:
        arguments = _stateful_set(stack.name, "no-such-image:1", "one", {})
        arguments["metadata"]["annotations"] = {"pulumi.com/timeoutSeconds": "3"}
        kubernetes.apps.v1.StatefulSet("set", opts=to_kubernetes, **arguments)

    with pytest.raises(EngineFailed, match=r"(?s)timed out waiting to be Ready.*0 out of 1 replicas succeeded readiness checks"):
        stack.up(program)
    assert stack.state()["set"]["id"] == f"default/{stack.name}"  # made, known, and to be tried again


def test_a_preview_shows_what_the_api_server_would_refuse(stack: Stack) -> None:
    def program(_: pulumi.ResourceOptions, to_kubernetes: pulumi.ResourceOptions) -> None:
        labels = {"label": "x" * 64}
        kubernetes.core.v1.ConfigMap("config", metadata={"name": stack.name, "labels": labels}, data={"a": "1"}, opts=to_kubernetes)

    with pytest.raises(EngineFailed, match="must be no more than 63"):
        stack.preview(program)


def _stateful_set(name: str, image: str, service: str, labels: dict[str, str] | None) -> dict[str, Any]:
    containers = [{"name": "redis", "image": image, "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}}}]
    return {
        "metadata": {"name": name, "annotations": SKIP_AWAIT, "labels": labels or {}},
        "spec": {
            "service_name": service,
            "replicas": 1,
            "selector": {"match_labels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": {"node_selector": {"no": "node"}, "containers": containers}},
        },
    }


def _uid(found: Any) -> str:
    return str(found.metadata.uid)
