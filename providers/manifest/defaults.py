"""What the API server fills in where a manifest says nothing, by the definition that has the field. Pure.

Each is upstream's: `SetDefaults_*` of k8s.io/kubernetes/pkg/apis and the `+default` markers of k8s.io/api. What depends on other fields
is a function of the mapping that it stands in; what was allocated is kept. `tests/contract/test_manifest_schema.py` holds the table to
a real API server.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from reconciler.model.value import Value

Default = Callable[[Mapping[str, Any]], Value]


def default(name: str, field: str, beside: Mapping[str, Any], before: Value) -> Value:
    """What *field* of definition *name* becomes where nothing says it: *beside* stands around it, *before* was there. None is nothing."""
    if field in _ALLOCATED.get(name, frozenset()):
        return before
    found = _TABLE.get(name, {}).get(field)
    return found(beside) if callable(found) else found


def filled(name: str) -> Mapping[str, Value | Default]:
    """The fields of definition *name* that are filled in whatever was there before, in the order in which they are."""
    return _TABLE.get(name, {})


def has(name: str, field: str) -> bool:
    """Whether anything is filled in or kept at *field* of definition *name*."""
    return field in _TABLE.get(name, {}) or field in _ALLOCATED.get(name, frozenset())


def _pulled(image: str) -> Default:
    """An image without a tag, or with the tag `latest`, is pulled always."""

    def found(beside: Mapping[str, Any]) -> Value:
        name, _, digest = str(beside.get(image, "")).partition("@")
        tag = name.rpartition("/")[2].partition(":")[2]
        return "Always" if tag == "latest" or not (tag or digest) else "IfNotPresent"

    return found


def _when(field: str, *values: Any, then: Value) -> Default:
    return lambda beside: then if beside.get(field) in values else None


def _unless(field: str, then: Value) -> Default:
    return lambda beside: None if beside.get(field) else then


def _without_source(volume: Mapping[str, Any]) -> Value:
    return None if volume.keys() - {"name", "emptyDir"} else {}


def _policy_types(policy: Mapping[str, Any]) -> Value:
    return ["Ingress", "Egress"] if policy.get("egress") else ["Ingress"]


def _way_in(service: Mapping[str, Any]) -> Value:
    """Only what is reached from outside has one."""
    return "Cluster" if service.get("type") in _OUTSIDE or service.get("externalIPs") else None


_CONTAINER: Mapping[str, Value | Default] = {
    "imagePullPolicy": _pulled("image"),
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
    "resources": {},
}
_MODE: Mapping[str, Value | Default] = {"defaultMode": 0o644}
_OUTSIDE = ("NodePort", "LoadBalancer")
_RBD: Mapping[str, Value | Default] = {"keyring": "/etc/ceph/keyring", "pool": "rbd", "user": "admin"}
_SCALE_IO: Mapping[str, Value | Default] = {"fsType": "xfs", "storageMode": "ThinProvisioned"}
_ALLOCATED = {
    "core.v1.ServiceSpec": frozenset({"clusterIP", "clusterIPs", "healthCheckNodePort", "ipFamilies", "ipFamilyPolicy"}),
    "core.v1.ServicePort": frozenset({"nodePort"}),
}
_RBAC = "rbac.authorization.k8s.io"
_TABLE: dict[str, dict[str, Value | Default]] = {
    "apps.v1.RollingUpdateStatefulSetStrategy": {"partition": 0},
    "apps.v1.StatefulSetPersistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
    "apps.v1.StatefulSetSpec": {
        "persistentVolumeClaimRetentionPolicy": {},
        "podManagementPolicy": "OrderedReady",
        "replicas": 1,
        "revisionHistoryLimit": 10,
        "template": {},
        "updateStrategy": {},
    },
    "apps.v1.StatefulSetUpdateStrategy": {"rollingUpdate": _unless("type", {}), "type": "RollingUpdate"},
    "core.v1.AzureDiskVolumeSource": {"cachingMode": "ReadWrite", "fsType": "ext4", "kind": "Shared", "readOnly": False},
    "core.v1.ConfigMapVolumeSource": {**_MODE},
    "core.v1.Container": {**_CONTAINER},
    "core.v1.ContainerPort": {"protocol": "TCP"},
    "core.v1.DownwardAPIVolumeSource": {**_MODE},
    "core.v1.EphemeralContainer": {**_CONTAINER},
    "core.v1.FileKeySelector": {"optional": False},
    "core.v1.GRPCAction": {"service": ""},
    "core.v1.HTTPGetAction": {"path": "/", "scheme": "HTTP"},
    "core.v1.HostPathVolumeSource": {"type": ""},
    "core.v1.ISCSIPersistentVolumeSource": {"iscsiInterface": "default"},
    "core.v1.ISCSIVolumeSource": {"iscsiInterface": "default"},
    "core.v1.ImageVolumeSource": {"pullPolicy": _pulled("reference")},
    "core.v1.ObjectFieldSelector": {"apiVersion": "v1"},
    "core.v1.PersistentVolumeClaimSpec": {"volumeMode": "Filesystem"},
    "core.v1.PersistentVolumeClaimTemplate": {"spec": {}},
    "core.v1.PersistentVolumeSpec": {"persistentVolumeReclaimPolicy": "Retain", "volumeMode": "Filesystem"},
    "core.v1.PodSpec": {
        "dnsPolicy": "ClusterFirst",
        "restartPolicy": "Always",
        "schedulerName": "default-scheduler",
        "securityContext": {},
        "serviceAccount": lambda pod: pod.get("serviceAccountName"),  # its old name, kept beside it
        "serviceAccountName": lambda pod: pod.get("serviceAccount"),
        "terminationGracePeriodSeconds": 30,
    },
    "core.v1.PodTemplateSpec": {"spec": {}},
    "core.v1.Probe": {"failureThreshold": 3, "periodSeconds": 10, "successThreshold": 1, "timeoutSeconds": 1},
    "core.v1.ProjectedVolumeSource": {**_MODE},
    "core.v1.RBDPersistentVolumeSource": {**_RBD},
    "core.v1.RBDVolumeSource": {**_RBD},
    "core.v1.ResourceFieldSelector": {"divisor": "0"},
    "core.v1.ScaleIOPersistentVolumeSource": {**_SCALE_IO},
    "core.v1.ScaleIOVolumeSource": {**_SCALE_IO},
    "core.v1.Secret": {"type": "Opaque"},
    "core.v1.SecretVolumeSource": {**_MODE},
    "core.v1.ServiceAccountTokenProjection": {"expirationSeconds": 3600},
    "core.v1.ServicePort": {"protocol": "TCP", "targetPort": lambda port: port.get("port")},
    "core.v1.ServiceSpec": {
        "sessionAffinity": "None",
        "sessionAffinityConfig": _when("sessionAffinity", "ClientIP", then={"clientIP": {"timeoutSeconds": 10800}}),
        "type": "ClusterIP",
        "internalTrafficPolicy": _when("type", "ClusterIP", *_OUTSIDE, None, "", then="Cluster"),
        "externalTrafficPolicy": _way_in,
        "allocateLoadBalancerNodePorts": _when("type", "LoadBalancer", then=True),
    },
    "core.v1.Volume": {"emptyDir": _without_source},
    "networking.v1.NetworkPolicyPort": {"protocol": "TCP"},
    "networking.v1.NetworkPolicySpec": {"policyTypes": _policy_types},
    "rbac.v1.RoleRef": {"apiGroup": _RBAC},
    "rbac.v1.Subject": {"apiGroup": _when("kind", "User", "Group", then=_RBAC)},
    "storage.v1.StorageClass": {"reclaimPolicy": "Delete", "volumeBindingMode": "Immediate"},
}
