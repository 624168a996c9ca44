"""What a real API server makes of our manifests is no difference to us: everything that the stacks declare, applied as the engine does."""

import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from providers.kubernetes import Kubernetes
from providers.kubernetes.transport import Target
from providers.memory import MemoryCloud
from providers.observe import observe
from reconciler import errors, kinds
from reconciler.diff import Context, diff
from reconciler.model.address import SHARED, ResourceId
from reconciler.model.change import Change
from reconciler.model.desired import Desired
from reconciler.model.environment import ComputeResources, Environment
from reconciler.model.origin import Revision
from reconciler.model.quantity import Quantity
from reconciler.model.resource import Resource
from reconciler.model.service import Service, VolumeSpec
from reconciler.model.value import Ref, spell
from reconciler.resources import kubernetes
from stacks import kafka, mongodb, postgresql, redis, zookeeper

pytest_plugins = ["tests.contract.api_server"]
pytestmark = pytest.mark.integration

KINDS = {"kubernetes": kinds.kinds()["kubernetes"]}
ZONES = ("us-east-1a", "us-east-1b", "us-east-1c")
ENVIRONMENT = Environment.model_validate(
    {
        "name": "real",
        "zones": ZONES,
        "aws": {"subnets": {zone: f"subnet-{zone[-1]}" for zone in ZONES}},
        "dns": {"zone": "db.internal"},
    }
)


def service(name: str, type_: Any, **more: Any) -> Service:
    return Service(
        name=name,
        type=type_.name,
        version=type_.default_version,
        zones=ZONES,
        namespace="default",
        volumes={"data": VolumeSpec(size=Quantity.parse("10Gi"))},
        resources=ComputeResources(requests={"cpu": Quantity.parse("0.5"), "memory": Quantity.parse("1024Mi")}),
        **more,
    )


def filled(value: Any) -> Any:
    """*value* as it is once everything that it names is live."""
    match value:
        case Ref(id, attribute):
            return f"{id.name.replace('/', '-')}-{attribute}"
        case Mapping():
            return {name: filled(item) for name, item in value.items()}
        case list() | tuple():
            return [filled(item) for item in value]
        case _:
            return value


OWN: tuple[tuple[str, str, dict[str, Any]], ...] = (
    (
        "v1",
        "Service",
        {
            "spec": {
                "type": "ClusterIP",
                "ports": [{"name": "a", "port": 80}, {"name": "b", "port": 53, "protocol": "UDP"}],
                "selector": {"a": "b"},
            }
        },
    ),
    ("v1", "ConfigMap", {"data": {"a": "", "b": "c"}}),
    ("v1", "ServiceAccount", {"automountServiceAccountToken": False}),
    (
        "networking.k8s.io/v1",
        "NetworkPolicy",
        {"spec": {"podSelector": {}, "ingress": [{"ports": [{"port": 6379}], "from": [{"podSelector": {"matchLabels": {"a": "b"}}}]}]}},
    ),
)


def declared() -> dict[ResourceId, Resource]:
    stacks = [
        *redis.resources(service("kv", redis.SERVICE), ENVIRONMENT),
        *zookeeper.resources(service("zk", zookeeper.SERVICE, addresses="private"), ENVIRONMENT),
        *postgresql.resources(service("pg", postgresql.SERVICE), ENVIRONMENT),
        *kafka.resources(service("mq", kafka.SERVICE), ENVIRONMENT),
        *mongodb.resources(service("docs", mongodb.SERVICE), ENVIRONMENT),
        kubernetes.storage_class(ENVIRONMENT),
        kubernetes.namespace(ENVIRONMENT, "real"),
    ]
    for version, kind, body in OWN:
        manifest = {"apiVersion": version, "kind": kind, "metadata": {"namespace": "default", "name": "own"}, **body}
        stacks.append(kubernetes.claimed(ENVIRONMENT, "own", manifest))
    found = [replace(one, fields=filled(one.fields)) for one in stacks if one.id.kind == "kubernetes"]
    return {one.id: one for one in found}


def apply(cluster: Kubernetes, fields: Any) -> None:
    """Server-side apply by a field manager such as the engine's provider has."""
    kind, metadata = kubernetes.KINDS[fields["kind"]], fields["metadata"]
    cluster._transport.send(
        "PATCH",
        Target(kind, metadata["name"], metadata.get("namespace", "")),
        params={"fieldManager": "pulumi-kubernetes-1a2b3c4d", "force": "true"},
        content=json.dumps(fields).encode(),
        headers={"Content-Type": "application/apply-patch+yaml"},
    )


@pytest.fixture(scope="module")
def cluster(api_server: Path) -> Iterator[Kubernetes]:
    with closing(Kubernetes(str(api_server))) as found:
        for resource in sorted(declared().values(), key=lambda one: not one.id.name.startswith(("Namespace/", "StorageClass/"))):
            apply(found, resource.fields)
        yield found


def changes(cluster: Kubernetes, desired: dict[ResourceId, Resource]) -> dict[str, Change]:
    observed = observe(ENVIRONMENT, KINDS, MemoryCloud(), cluster)
    assert not observed.unread
    wanted = Desired(ENVIRONMENT, Revision("c", "t", "real"), resources=desired)
    return {str(change.id): change for change in diff(wanted, observed, Context(KINDS))}


def test_what_was_applied_is_as_declared(cluster: Kubernetes) -> None:
    found = changes(cluster, declared())
    told = {name: [spell(field.path) for field in change.fields] for name, change in found.items() if change.action != "keep"}
    assert told == {}
    assert {change.id.name.split("/")[0] for change in found.values()} == {kind.kind for kind in kubernetes.OBSERVED}


def test_marks_lead_back_to_every_object(cluster: Kubernetes) -> None:
    observed = observe(ENVIRONMENT, KINDS, MemoryCloud(), cluster)
    assert set(observed.live) == set(declared())
    assert all(one.marked for found in observed.live.values() for one in found)
    assert {one.stack for found in observed.live.values() for one in found} == {"kv", "zk", "pg", "mq", "docs", "own", SHARED}


def test_what_is_taken_out_of_a_manifest_is_a_difference(cluster: Kubernetes) -> None:
    desired = declared()
    name = next(id for id in desired if str(id) == "kubernetes/real/kv/StatefulSet/default/kv")
    manifest = json.loads(json.dumps(desired[name].fields))
    (container,) = manifest["spec"]["template"]["spec"]["containers"]
    del container["ports"], container["resources"]["requests"]["cpu"], manifest["metadata"]["labels"]["app.kubernetes.io/managed-by"]
    desired[name] = replace(desired[name], fields=manifest)
    change = changes(cluster, desired)[str(name)]
    assert change.action == "update"
    paths = {spell(field.path) for field in change.fields}
    pod = "spec.template.spec.containers[redis]"
    assert {f"{pod}.ports[6379]", f"{pod}.resources.requests.cpu", "metadata.labels.app.kubernetes.io/managed-by"} <= paths


def test_what_others_change_is_found_and_what_others_add_is_theirs(cluster: Kubernetes) -> None:
    kind = kubernetes.KINDS["StatefulSet"]
    own = {"metadata": {"annotations": {"note": "theirs"}}, "spec": {"replicas": 7}}
    cluster.patch(kind, "kv", own, namespace="default")
    found = {name: change for name, change in changes(cluster, declared()).items() if change.action != "keep"}
    assert [[(spell(field.path), field.before, field.after) for field in change.fields] for change in found.values()] == [
        [("spec.replicas", 7, 3)]
    ]
    apply(cluster, declared()[next(change.id for change in found.values())].fields)
    assert all(change.action == "keep" for change in changes(cluster, declared()).values())


@pytest.mark.parametrize(
    ("name", "path", "value"),
    [
        ("StatefulSet/default/kv", "spec.serviceName", "other"),
        ("StatefulSet/default/kv", "spec.podManagementPolicy", "OrderedReady"),
        ("StatefulSet/default/kv", "spec.selector.matchLabels.a", "b"),
        ("StatefulSet/default/kv", "spec.minReadySeconds", 5),
        ("StatefulSet/default/kv", "spec.revisionHistoryLimit", 3),
        ("PersistentVolumeClaim/default/data-kv-0", "spec.storageClassName", "other"),
        ("PersistentVolumeClaim/default/data-kv-0", "spec.volumeName", "other"),
        ("PersistentVolumeClaim/default/data-kv-0", "spec.resources.requests.storage", "5Gi"),
        ("PersistentVolume/-/real-kv-0-data", "spec.csi.volumeHandle", "other"),
        ("PersistentVolume/-/real-kv-0-data", "spec.volumeMode", "Block"),
        ("PersistentVolume/-/real-kv-0-data", "spec.persistentVolumeReclaimPolicy", "Delete"),
        ("StorageClass/-/reconciler-real", "provisioner", "other"),
        ("StorageClass/-/reconciler-real", "reclaimPolicy", "Delete"),
        ("StorageClass/-/reconciler-real", "volumeBindingMode", "Immediate"),
        ("StorageClass/-/reconciler-real", "allowVolumeExpansion", False),
        ("Service/default/own", "spec.clusterIP", "10.96.99.99"),
        ("Service/default/own", "spec.sessionAffinity", "ClientIP"),
        ("PodDisruptionBudget/default/kv", "spec.maxUnavailable", 2),
    ],
)
def test_what_we_call_an_update_the_server_takes_and_nothing_else(cluster: Kubernetes, name: str, path: str, value: Any) -> None:
    resource = next(one for one in declared().values() if one.id.name == name)
    kind, namespace, object_name = name.split("/")
    steps = tuple(path.split("."))
    before: Any = cluster.get(kubernetes.KINDS[kind], object_name, namespace=namespace)
    patch: Any = value
    for step in reversed(steps):
        patch = {step: patch}
    for step in steps:
        before = before.get(step) if before else None
    effect = KINDS["kubernetes"].policy(resource, steps).effect
    if (effect if isinstance(effect, str) else effect(before, value)) == "update":
        cluster.patch(kubernetes.KINDS[kind], object_name, patch, namespace=namespace)
        apply(cluster, resource.fields)
    else:
        with pytest.raises(errors.ProviderError, match=r"Invalid|Forbidden"):
            cluster.patch(kubernetes.KINDS[kind], object_name, patch, namespace=namespace)
