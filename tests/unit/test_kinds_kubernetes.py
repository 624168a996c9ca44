"""How Kubernetes objects are seen, compared and judged: by what the API server makes of a manifest."""

import json
from typing import Any

import pytest

from providers.manifest.sharing import Pool
from reconciler import kinds
from reconciler.diff import Context, diff
from reconciler.fields.managed import owned
from reconciler.model.change import Change
from reconciler.model.desired import Desired
from reconciler.model.environment import Environment
from reconciler.model.observation import Observation, gather
from reconciler.model.origin import Revision
from reconciler.model.resource import Resource
from reconciler.model.value import Item, spell
from reconciler.resources import kubernetes

KIND = kinds.kinds()["kubernetes"]
ENVIRONMENT = Environment(name="lab", zones=("us-east-1a",))
CONTAINER = {"name": "redis", "image": "redis:8.0", "ports": [{"containerPort": 6379}], "env": [{"name": "EMPTY", "value": ""}]}
DECLARED: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "StatefulSet",
    "metadata": {"namespace": "default", "name": "kv"},
    "spec": {
        "serviceName": "kv",
        "replicas": 3,
        "selector": {"matchLabels": {"app": "kv"}},
        "template": {
            "metadata": {"labels": {"app": "kv"}},
            "spec": {
                "hostNetwork": False,
                "containers": [{**CONTAINER, "resources": {"requests": {"cpu": "0.5", "memory": "1024Mi"}}}],
                "tolerations": [{"key": "a", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 30}],
            },
        },
        "volumeClaimTemplates": [
            {
                "metadata": {"name": "data"},
                "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1024Mi"}}},
            }
        ],
    },
}


def resource(manifest: dict[str, Any]) -> Resource:
    return kubernetes.claimed(ENVIRONMENT, "kv", manifest)


def live(manifest: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    """The object as the API server answers, before it adds what it fills in."""
    declared: dict[str, Any] = json.loads(json.dumps(resource(manifest).fields))
    own = {"uid": "u-1", "resourceVersion": "7", "generation": 1, "creationTimestamp": "2026-01-01T00:00:00Z", **metadata}
    return {**declared, "metadata": {**declared["metadata"], **own}, "status": {"phase": "whatever"}}


def defaulted() -> dict[str, Any]:
    """DECLARED as a real API server (1.36) answers: with what it fills in, and without what means nothing."""
    found = live(DECLARED)
    spec = found["spec"]
    pod = spec["template"]["spec"]
    del pod["hostNetwork"]
    pod.update(restartPolicy="Always", dnsPolicy="ClusterFirst", schedulerName="default-scheduler", securityContext={})
    (container,) = pod["containers"]
    container.update(terminationMessagePath="/dev/termination-log", imagePullPolicy="IfNotPresent")
    container["ports"][0]["protocol"] = "TCP"
    container["resources"]["requests"] = {"cpu": "500m", "memory": "1Gi"}
    del container["env"][0]["value"]
    (claim,) = spec["volumeClaimTemplates"]
    claim.update(apiVersion="v1", kind="PersistentVolumeClaim", status={"phase": "Pending"})
    claim["metadata"]["creationTimestamp"] = None
    claim["spec"].update(volumeMode="Filesystem")
    claim["spec"]["resources"]["requests"]["storage"] = "1Gi"
    spec.update(revisionHistoryLimit=10, podManagementPolicy="OrderedReady")
    return found


def judged(manifest: dict[str, Any], found: dict[str, Any], *, recorded: bool = False) -> Change:
    declared = resource(manifest)
    known = {declared.stack: frozenset({declared.id})} if recorded else None
    desired = Desired(ENVIRONMENT, Revision("c", "t", "lab"), resources={declared.id: declared})
    (change,) = diff(desired, gather([view(found)], {}), Context({"kubernetes": KIND}, known))
    return change


def view(found: dict[str, Any]) -> Observation:
    return KIND.view(found, "lab")


def changed(manifest: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy of *manifest* with *value* at the dotted *path*; numbers pick items of lists."""
    copied: dict[str, Any] = json.loads(json.dumps(manifest))
    *steps, last = path.split(".")
    at: Any = copied
    for step in steps:
        at = at[int(step)] if step.isdigit() else at.setdefault(step, {})
    at[int(last) if last.isdigit() else last] = value
    return copied


def test_an_object_is_seen_by_its_address() -> None:
    seen = view(live(DECLARED))
    assert str(seen.id) == "kubernetes/lab/kv/StatefulSet/default/kv"
    assert (seen.live_id, seen.marked, seen.stack, seen.attributes) == ("default/kv", True, "kv", {"uid": "u-1"})
    assert seen.since == "2026-01-01T00:00:00Z"
    assert "status" not in seen.fields


def test_what_all_services_share_has_no_service() -> None:
    manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "data"}}
    declared = kubernetes.claimed(ENVIRONMENT, "-", manifest)
    seen = view(json.loads(json.dumps(declared.fields)))
    assert (seen.id, seen.stack, seen.live_id, seen.marked) == (declared.id, "-", "data", True)


def test_a_label_that_drifted_moves_nothing_to_another_service() -> None:
    found = live(DECLARED)
    found["metadata"]["labels"]["reconciler/service"] = "other"
    assert str(view(found).id) == "kubernetes/lab/kv/StatefulSet/default/kv"
    assert judged(DECLARED, found).action == "update"


@pytest.mark.parametrize("missing", ["annotations", "labels"])
def test_what_lacks_a_mark_is_never_ours_to_delete(missing: str) -> None:
    found = live(DECLARED)
    if missing == "labels":
        del found["metadata"]["labels"]["app.kubernetes.io/managed-by"]
    else:
        del found["metadata"]["annotations"]["reconciler/address"]
    assert not view(found).marked
    assert judged(DECLARED, found).action == "refuse", "nobody knows it"
    assert judged(DECLARED, found, recorded=True).action == "update", "the engine made it"


def test_marks_that_were_copied_to_another_object_are_not_ours() -> None:
    found = live(DECLARED)
    found["metadata"]["name"] = "kv-copy"
    seen = view(found)
    assert not seen.marked
    assert str(seen.id) == "kubernetes/lab/kv/StatefulSet/default/kv-copy"


def test_what_is_being_deleted_is_there_but_needs_no_deletion() -> None:
    seen = view(live(DECLARED, deletionTimestamp="2026-01-02T00:00:00Z"))
    assert not seen.marked
    assert seen.attributes["deleting"] == "2026-01-02T00:00:00Z"
    assert seen.busy == "it is being deleted, and is made again once it is gone"
    assert not view(live(DECLARED)).busy


def test_only_what_is_declared_counts_whatever_the_server_fills_in_or_drops() -> None:
    assert judged(DECLARED, live(DECLARED)).action == "keep"
    change = judged(DECLARED, defaulted())
    assert (change.action, [spell(field.path) for field in change.fields]) == ("keep", [])


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("spec.replicas", 5),
        ("spec.template.spec.containers.0.image", "redis:8.2"),
        ("spec.template.spec.containers.0.ports.0.containerPort", 6380),
        ("spec.template.spec.containers.0.resources.requests.cpu", "600m"),
        ("spec.template.spec.containers.0.env.0.value", "full"),
        ("spec.template.spec.hostNetwork", True),
        ("spec.template.spec.tolerations.0.tolerationSeconds", 60),
        ("metadata.labels.team", "db"),
    ],
)
def test_a_real_difference_is_an_update(path: str, value: Any) -> None:
    assert judged(changed(DECLARED, path, value), defaulted()).action == "update"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("spec.serviceName", "other"),
        ("spec.selector.matchLabels.app", "other"),
        ("spec.podManagementPolicy", "Parallel"),
        ("spec.volumeClaimTemplates.0.metadata.name", "disk"),
    ],
)
def test_what_a_stateful_set_keeps_for_ever_is_refused_by_name(path: str, value: Any) -> None:
    change = judged(changed(DECLARED, path, value), defaulted())
    assert change.action == "refuse"
    assert f"a StatefulSet keeps its {path.split('.')[1]} for ever" in change.reason


def test_a_container_is_found_by_its_name_wherever_it_stands() -> None:
    found = defaulted()
    found["spec"]["template"]["spec"]["containers"].insert(0, {"name": "sidecar", "image": "x"})
    assert judged(DECLARED, found).action == "keep"
    change = judged(changed(DECLARED, "spec.template.spec.containers.0.image", "redis:8.2"), found)
    assert [spell(field.path) for field in change.fields] == ["spec.template.spec.containers[redis].image"]


CLAIM: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"namespace": "default", "name": "data-kv-0"},
    "spec": {"accessModes": ["ReadWriteOnce"], "volumeName": "lab-kv-0-data", "resources": {"requests": {"storage": "100Gi"}}},
}
PERSISTENT: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "PersistentVolume",
    "metadata": {"name": "lab-kv-0-data"},
    "spec": {
        "capacity": {"storage": "100Gi"},
        "csi": {"driver": "ebs.csi.aws.com", "volumeHandle": "vol-1"},
        "claimRef": {"namespace": "default", "name": "data-kv-0"},
        "persistentVolumeReclaimPolicy": "Retain",
    },
}
SERVICE: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"namespace": "default", "name": "kv"},
    "spec": {"clusterIP": "None", "ports": [{"name": "redis", "port": 6379}], "selector": {"app": "kv"}},
}
STORAGE_CLASS: dict[str, Any] = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {"name": "lab"},
    "provisioner": "ebs.csi.aws.com",
    "reclaimPolicy": "Retain",
    "allowVolumeExpansion": True,
}
CONFIG: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"namespace": "default", "name": "kv"},
    "data": {"redis.conf": "port 6379", "empty": ""},
}
FROZEN: dict[str, Any] = {**CONFIG, "immutable": True}
POLICY: dict[str, Any] = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"namespace": "default", "name": "kv"},
    "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"], "ingress": [{"ports": [{"port": 6379}]}]},
}


@pytest.mark.parametrize(
    ("manifest", "path", "value", "action"),
    [
        (CLAIM, "spec.resources.requests.storage", "200Gi", "update"),
        (CLAIM, "spec.resources.requests.storage", "102400Mi", "keep"),
        (CLAIM, "spec.resources.requests.storage", "50Gi", "refuse"),
        (CLAIM, "spec.volumeName", "other", "refuse"),
        (CLAIM, "spec.storageClassName", "other", "refuse"),
        (PERSISTENT, "spec.capacity.storage", "200Gi", "keep"),
        (PERSISTENT, "spec.csi.volumeHandle", "vol-2", "refuse"),
        (PERSISTENT, "spec.persistentVolumeReclaimPolicy", "Delete", "update"),
        (SERVICE, "spec.clusterIP", "10.96.0.7", "replace"),
        (SERVICE, "spec.ports.0.port", 6380, "update"),
        (SERVICE, "spec.selector.app", "other", "update"),
        (STORAGE_CLASS, "provisioner", "other", "replace"),
        (STORAGE_CLASS, "parameters.type", "io2", "replace"),
        (STORAGE_CLASS, "allowVolumeExpansion", False, "update"),
        (CONFIG, "data.empty", "full", "update"),
        (FROZEN, "data.empty", "full", "replace"),
        (POLICY, "spec.ingress.0.ports.0.port", 6380, "update"),
        (POLICY, "spec.policyTypes", ["Egress", "Ingress"], "update"),
    ],
)
def test_each_kind_changes_as_its_server_lets_it(manifest: dict[str, Any], path: str, value: Any, action: str) -> None:
    assert judged(manifest, live(manifest)).action == "keep"
    assert judged(changed(manifest, path, value), live(manifest)).action == action


def test_protocols_that_the_server_fills_in_are_no_difference() -> None:
    assert judged(POLICY, changed(live(POLICY), "spec.ingress.0.ports.0.protocol", "TCP")).action == "keep"
    assert judged(POLICY, changed(live(POLICY), "spec.ingress.0.ports.0.protocol", "UDP")).action == "update"
    assert judged(SERVICE, changed(live(SERVICE), "spec.ports.0.protocol", "TCP")).action == "keep"


def test_a_number_with_two_protocols_is_two_ports() -> None:
    two = [{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53, "protocol": "TCP"}]
    dns = changed(SERVICE, "spec.ports", two)
    assert KIND.list_key(resource(SERVICE), ("spec", "ports")) == ("port", "protocol")
    assert judged(dns, live(dns)).action == "keep"
    change = judged(changed(dns, "spec.ports.0.targetPort", 5353), live(dns))
    assert [spell(field.path) for field in change.fields] == ["spec.ports[53/UDP].targetPort"]


def test_false_that_means_something_is_told_from_nothing() -> None:
    declared = changed(DECLARED, "spec.template.spec.automountServiceAccountToken", value=False)
    assert judged(declared, live(DECLARED)).action == "update"
    assert judged(declared, live(declared)).action == "keep"


def test_what_a_secret_holds_is_sensitive() -> None:
    secret = resource({"apiVersion": "v1", "kind": "Secret", "metadata": {"namespace": "default", "name": "k"}, "data": {"a": "eA=="}})
    assert KIND.policy(secret, ("data", "a")).sensitive
    assert not KIND.policy(secret, ("metadata", "labels", "a")).sensitive
    assert not KIND.policy(resource(CONFIG), ("data", "a")).sensitive


def test_terraform_knows_every_kind_that_is_observed() -> None:
    assert {KIND.terraform_type(f"{kind.kind}/default/kv") for kind in kubernetes.OBSERVED} == {
        "kubernetes_namespace_v1",
        "kubernetes_service_v1",
        "kubernetes_config_map_v1",
        "kubernetes_service_account_v1",
        "kubernetes_persistent_volume_v1",
        "kubernetes_persistent_volume_claim_v1",
        "kubernetes_stateful_set_v1",
        "kubernetes_pod_disruption_budget_v1",
        "kubernetes_network_policy_v1",
        "kubernetes_role_v1",
        "kubernetes_role_binding_v1",
        "kubernetes_storage_class_v1",
    }


def managed(manager: str, fields: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"manager": manager, "operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": fields, **more}


OWNED = {
    "f:metadata": {"f:labels": {"f:app": {}}, "f:finalizers": {".": {}, 'v:"a/b"': {}}},
    "f:spec": {
        "f:template": {
            "f:spec": {
                "f:containers": {
                    'k:{"name":"redis"}': {
                        ".": {},
                        "f:name": {},
                        "f:ports": {'k:{"containerPort":6379,"protocol":"TCP"}': {".": {}, "f:containerPort": {}}},
                    }
                }
            }
        }
    },
}


def test_ownership_is_read_from_our_engines_managers_only() -> None:
    metadata = {
        "managedFields": [
            managed("pulumi-kubernetes-1a2b3c4d", OWNED),
            managed("kubectl", {"f:spec": {"f:replicas": {}}}),
            managed("pulumi-kubernetes-1a2b3c4d", {"f:status": {"f:phase": {}}}, subresource="status"),
        ]
    }
    redis = ("spec", "template", "spec", "containers", Item("redis"))
    assert owned(metadata) == {
        ("metadata",),
        ("metadata", "labels"),
        ("metadata", "labels", "app"),
        ("metadata", "finalizers"),
        ("metadata", "finalizers", Item("a/b")),
        ("spec", "template"),
        ("spec", "template", "spec"),
        redis[:-1],
        redis,
        (*redis, "ports"),
        (*redis, "ports", Item("6379")),
    }


def test_what_others_own_too_is_not_ours_alone() -> None:
    labels, theirs = {"f:metadata": {"f:labels": {"f:a": {}, "f:b": {}}}}, {"f:metadata": {"f:labels": {"f:b": {}}}}
    entries = [managed("pulumi-kubernetes-1", labels), managed("kubectl", theirs), managed("pulumi-kubernetes-1", {}, operation="Update")]
    assert owned({"managedFields": entries}) == {("metadata", "labels", "a")}
    other = managed("pulumi-kubernetes-2", {"f:metadata": {"f:labels": {"f:c": {}}}})
    annotations = {"pulumi.com/patchFieldManager": "pulumi-kubernetes-2"}
    assert owned({"managedFields": [*entries, other], "annotations": annotations}) == {("metadata", "labels", "c")}


def test_objects_of_one_shape_share_one_set_of_paths() -> None:
    first, second = (owned({"managedFields": [managed("pulumi-kubernetes-1", json.loads(json.dumps(OWNED)))]}) for _ in range(2))
    assert first is second


def test_what_is_ours_and_declared_no_more_is_removed() -> None:
    fields = {
        "f:metadata": {"f:labels": {"f:team": {}}},
        "f:spec": {"f:ports": {'k:{"port":6380,"protocol":"TCP"}': {".": {}, "f:port": {}}}},
    }
    found = live(SERVICE, managedFields=[managed("pulumi-kubernetes-1", fields)])
    found["metadata"]["labels"]["team"] = "db"
    found["spec"]["ports"].append({"name": "tls", "port": 6380, "protocol": "TCP"})
    change = judged(SERVICE, found)
    assert change.action == "update"
    assert {"metadata.labels.team", "spec.ports[6380]"} <= {spell(field.path) for field in change.fields}
    assert all(field.after is None for field in change.fields)
    assert judged(SERVICE, {**found, "metadata": {**found["metadata"], "managedFields": []}}).action == "keep"


def test_objects_that_say_the_same_share_what_they_say() -> None:
    pool = Pool()
    first, second = (pool.share(json.loads(json.dumps({"a": {"b": [1, "x"]}, "n": n}))) for n in (1, 2))
    assert first["a"] is second["a"]
    assert (first["n"], second["n"]) == (1, 2)


def test_what_is_equal_in_python_only_is_not_shared() -> None:
    pool = Pool()
    told = [pool.share(value) for value in ({"a": 1}, {"a": True}, {"a": 1.0}, {"a": "1"}, ["a"], {"a": None})]
    assert [json.dumps(one) for one in told] == ['{"a": 1}', '{"a": true}', '{"a": 1.0}', '{"a": "1"}', '["a"]', '{"a": null}']


def test_an_order_that_changes_is_told_by_names() -> None:
    two = changed(DECLARED, "spec.template.spec.containers.0.env", [{"name": "B", "value": "1"}, {"name": "A", "value": "2"}])
    other = changed(two, "spec.template.spec.containers.0.env", two["spec"]["template"]["spec"]["containers"][0]["env"][::-1])
    (field,) = judged(other, live(two)).fields
    assert (spell(field.path), field.before, field.after) == ("spec.template.spec.containers[redis].env[(order)]", ["B", "A"], ["A", "B"])


def test_what_is_given_up_falls_back_to_what_the_server_fills_in() -> None:
    manager = managed("pulumi-kubernetes-1", {"f:spec": {"f:podManagementPolicy": {}, "f:revisionHistoryLimit": {}}})
    found = {**live(DECLARED, managedFields=[manager])}
    found["spec"] = {**found["spec"], "podManagementPolicy": "OrderedReady", "revisionHistoryLimit": 3}
    assert [(spell(field.path), field.before, field.after) for field in judged(DECLARED, found).fields] == [
        ("spec.revisionHistoryLimit", 3, 10)
    ]


def test_a_secrets_texts_are_declared_as_data() -> None:
    texts = {"kind": "Secret", "apiVersion": "v1", "metadata": {"namespace": "default", "name": "k"}, "stringData": {"a": "x"}}
    declared = resource({**texts, "data": {"b": "eA=="}})
    assert declared.fields["data"] == {"b": "eA==", "a": "eA=="}
    assert "stringData" not in declared.fields
