"""The schema and the defaults that the diff goes by are a real API server's: what it publishes, and what it fills in."""

import json
import ssl
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from providers.kubernetes import Kubernetes
from providers.manifest import meaning, openapi, schema
from reconciler.resources import kubernetes
from tests.contract import dry_run, dry_run_manifests
from tests.contract.dry_run import Object

pytest_plugins = ["tests.contract.api_server"]
pytestmark = pytest.mark.integration

ALLOCATED = frozenset({"clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "nodePort", "healthCheckNodePort"})
EVERY_VOLUME: tuple[Object, ...] = (
    {},
    {"azureDisk": {"diskName": "a", "diskURI": "https://a.blob.core.windows.net/b/c.vhd"}},
    {"configMap": {"name": "a", "items": [{"key": "a", "path": "b"}]}},
    {"downwardAPI": {"items": [{"path": "a", "fieldRef": {"fieldPath": "metadata.name"}}]}},
    {"ephemeral": {"volumeClaimTemplate": {"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "0.5Gi"}}}}}},
    {"hostPath": {"path": "/a"}},
    {"image": {"reference": "a:latest"}},
    {"image": {"reference": "registry:5000/a:1"}},
    {"iscsi": {"targetPortal": "a", "iqn": "iqn.2000-01.a:b", "lun": 0}},
    {"projected": {"sources": [{"serviceAccountToken": {"path": "a"}}, {"downwardAPI": {"items": []}}]}},
    {"rbd": {"monitors": ["a"], "image": "b"}},
    {"scaleIO": {"gateway": "a", "system": "b", "volumeName": "c", "secretRef": {"name": "d"}}},
    {"secret": {"secretName": "a", "optional": False}},
)
PROBES: tuple[Object, ...] = ({"httpGet": {"port": 80}}, {"grpc": {"port": 80}}, {"exec": {"command": ["a"]}}, {"tcpSocket": {"port": "a"}})
IMAGES = ("a", "a:1", "a:latest", "registry:5000/a", "registry:5000/a:1", "a@sha256:" + "0" * 64, "a:latest@sha256:" + "0" * 64)
CONTAINERS: tuple[Object, ...] = (
    *({"image": image} for image in IMAGES),
    *({"image": "a:1", "livenessProbe": probe} for probe in PROBES),
    {"image": "a:1", "env": [{"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}}]},
    {"image": "a:1", "lifecycle": {"postStart": {"httpGet": {"port": 80}}}},
)


def many() -> Object:
    """A StatefulSet with every volume and container of which the server fills something in."""
    pod = {
        "containers": [{"name": f"c-{number}", **one} for number, one in enumerate(CONTAINERS)],
        "volumes": [{"name": f"v-{number}", **one} for number, one in enumerate(EVERY_VOLUME)],
        "serviceAccount": "old",
    }
    spec = {"serviceName": "a", "selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}}, "spec": pod}}
    return {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {}, "spec": spec}


LOAD_BALANCER: Object = {
    **dry_run_manifests.SERVICE,
    "spec": {"type": "LoadBalancer", "sessionAffinity": "ClientIP", "ports": [{"port": 80}]},
}
OUTSIDE: Object = {**dry_run_manifests.SERVICE, "spec": {"externalIPs": ["1.2.3.4"], "ports": [{"port": 80}]}}
CLASS: Object = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {}, "provisioner": "a"}
ON_DELETE: Object = {
    **dry_run_manifests.STATEFUL_SET,
    "spec": {**dry_run_manifests.STATEFUL_SET["spec"], "updateStrategy": {"type": "OnDelete"}},
}
MANIFESTS: dict[str, Object] = {
    "every volume and container": many(),
    "a load balancer": LOAD_BALANCER,
    "a way in": OUTSIDE,
    "a class": CLASS,
    "on delete": ON_DELETE,
    **{name: one for name, one in vars(dry_run_manifests).items() if isinstance(one, dict) and "kind" in one},
}


@pytest.fixture(scope="module")
def cluster(api_server: Path) -> Iterator[Kubernetes]:
    with closing(Kubernetes(str(api_server))) as found:
        yield found


def published(api_server: Path) -> Iterator[Any]:
    """The OpenAPI documents of the groups that are declared."""
    access = json.loads(api_server.read_text())
    (cluster,), (user,) = access["clusters"], access["users"]
    trusting = ssl.create_default_context(cafile=cluster["cluster"]["certificate-authority"])
    for group in sorted({kind.api_version for kind in kubernetes.KINDS.values()}):
        url = f"{cluster['cluster']['server']}/openapi/v3/{'apis' if '/' in group else 'api'}/{group}"
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {user['user']['token']}"})
        with urllib.request.urlopen(request, timeout=30, context=trusting) as answer:
            yield json.load(answer)


def test_the_schema_is_what_the_server_publishes(api_server: Path) -> None:
    kinds = [(kind.api_version, kind.kind) for kind in kubernetes.KINDS.values()]
    told = openapi.compact(openapi.definitions(published(api_server)), kinds)
    kept = json.loads(Path(schema.__file__).with_name("schema.json").read_text())
    assert kept["kinds"] == told["kinds"]
    for name, fields in told["types"].items():  # a `?` only the Go source tells
        assert {field: word.removeprefix("?") for field, word in kept["types"][name].items()} == fields
    assert kept["types"].keys() == told["types"].keys()


@pytest.mark.parametrize("name", MANIFESTS)
def test_what_is_filled_in_is_what_the_server_fills_in(cluster: Kubernetes, name: str) -> None:
    on = dry_run.subject(cluster, MANIFESTS[name])
    type_ = schema.at(on.declared["kind"], ())
    live, declared = (meaning.normal(type_, dry_run.quiet(one)) for one in (on.live(), dry_run.marked(on.declared)))
    assert told(live) == told(declared)
    on.remove()


def told(value: Any) -> Any:
    """*value* without what the server allocates, and the finalizers that it has of its own."""
    if isinstance(value, Mapping):
        return {name: told(one) for name, one in value.items() if name not in ALLOCATED and name != "finalizers"}
    return [told(one) for one in value] if isinstance(value, list) else value
