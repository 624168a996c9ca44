"""One manifest of each kind that stacks declare, with what real ones have; and small words to change one with."""

from __future__ import annotations

import base64
from typing import Any

from tests.contract.dry_run import Mutation, Object

CONTAINER: Object = {
    "name": "redis",
    "image": "redis:8.0",
    "args": ["redis-server", "/etc/redis.conf"],
    "env": [
        {"name": "MEMBER", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "LEVEL", "value": "warn"},
        {"name": "EMPTY", "value": ""},
    ],
    "ports": [{"name": "redis", "containerPort": 6379}, {"name": "dns", "containerPort": 53, "protocol": "UDP"}],
    "resources": {"requests": {"cpu": "0.5", "memory": "1024Mi"}, "limits": {"memory": "2Gi"}},
    "readinessProbe": {"exec": {"command": ["redis-cli", "ping"]}, "periodSeconds": 5},
    "livenessProbe": {"httpGet": {"port": "redis"}, "initialDelaySeconds": 20},
    "volumeMounts": [{"name": "data", "mountPath": "/data"}, {"name": "config", "mountPath": "/etc/redis", "readOnly": True}],
    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
}
STATEFUL_SET: Object = {
    "apiVersion": "apps/v1",
    "kind": "StatefulSet",
    "metadata": {"annotations": {"note": "first"}},
    "spec": {
        "serviceName": "kv",
        "replicas": 3,
        "podManagementPolicy": "Parallel",
        "revisionHistoryLimit": 3,
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}},
        "selector": {"matchLabels": {"app": "kv"}},
        "template": {
            "metadata": {"labels": {"app": "kv", "tier": "gold"}},
            "spec": {
                "hostNetwork": False,
                "terminationGracePeriodSeconds": 60,
                "automountServiceAccountToken": False,
                "serviceAccountName": "kv",
                "nodeSelector": {"disk": "fast"},
                "initContainers": [{"name": "gate", "image": "gate:1"}],
                "containers": [CONTAINER],
                "volumes": [
                    {"name": "config", "configMap": {"name": "kv-config"}},
                    {"name": "scratch", "emptyDir": {"sizeLimit": "0.5Gi"}},
                    {
                        "name": "token",
                        "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}, {"configMap": {"name": "ca"}}]},
                    },
                ],
                "tolerations": [{"key": "gone", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 30}],
                "topologySpreadConstraints": [
                    {"topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule", "maxSkew": 1},
                    {"topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway", "maxSkew": 2},
                ],
            },
        },
        "volumeClaimTemplates": [
            {"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1024Mi"}}}}
        ],
    },
}
SERVICE: Object = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {},
    "spec": {
        "ports": [
            {"name": "redis", "port": 6379, "targetPort": "redis"},
            {"name": "dns", "port": 53, "protocol": "UDP"},
            {"name": "dns-tcp", "port": 53},
        ],
        "selector": {"app": "kv"},
    },
}
HEADLESS: Object = {
    **SERVICE,
    "spec": {**SERVICE["spec"], "clusterIP": "None", "publishNotReadyAddresses": True, "sessionAffinity": "None"},
}
NODE_PORT: Object = {**SERVICE, "spec": {**SERVICE["spec"], "type": "NodePort", "externalTrafficPolicy": "Local"}}
CONFIG: Object = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"labels": {"team": "db"}},
    "data": {"redis.conf": "port 6379\n", "empty": ""},
    "binaryData": {"logo": base64.b64encode(bytes(range(60))).decode()},
}
SECRET: Object = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {},
    "type": "Opaque",
    "data": {"password": base64.b64encode(b"made up").decode(), "user": base64.b64encode(b"kv").decode()},
}
VOLUME: Object = {
    "apiVersion": "v1",
    "kind": "PersistentVolume",
    "metadata": {},
    "spec": {
        "capacity": {"storage": "10Gi"},
        "accessModes": ["ReadWriteOnce"],
        "persistentVolumeReclaimPolicy": "Retain",
        "storageClassName": "reconciler-dry",
        "csi": {"driver": "ebs.csi.aws.com", "volumeHandle": "vol-1", "fsType": "ext4", "readOnly": False},
        "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": "default", "name": "data-kv-0"},
        "nodeAffinity": {
            "required": {"nodeSelectorTerms": [{"matchExpressions": [{"key": "zone", "operator": "In", "values": ["us-east-1a"]}]}]}
        },
    },
}
CLAIM: Object = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {},
    "spec": {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "reconciler-dry",
        "volumeName": "dry-kv-0-data",
        "resources": {"requests": {"storage": "10Gi"}},
    },
}
BUDGET: Object = {
    "apiVersion": "policy/v1",
    "kind": "PodDisruptionBudget",
    "metadata": {},
    "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"app": "kv"}}, "unhealthyPodEvictionPolicy": "AlwaysAllow"},
}
NETWORK_POLICY: Object = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {},
    "spec": {
        "podSelector": {"matchLabels": {"app": "kv"}},
        "ingress": [
            {"ports": [{"port": 6379}], "from": [{"podSelector": {"matchLabels": {"app": "web"}}}, {"namespaceSelector": {}}]},
        ],
    },
}

ACCOUNT: Object = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {}, "automountServiceAccountToken": False}
ROLE: Object = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "Role",
    "metadata": {},
    "rules": [
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list", "watch"]},
        {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["kv-leader"], "verbs": ["get", "patch"]},
    ],
}
BINDING: Object = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "RoleBinding",
    "metadata": {},
    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "kv"},
    "subjects": [{"kind": "ServiceAccount", "namespace": "default", "name": "kv"}],
}


def put(path: str, value: Any) -> Mutation:
    """Set what is at the dotted *path*; numbers pick items of lists, slashes stand for dots in names."""

    def mutate(manifest: Object) -> None:
        at, last = _reach(manifest, path)
        at[last] = value

    return mutate


def drop(path: str) -> Mutation:
    """Take away what is at *path*."""

    def mutate(manifest: Object) -> None:
        at, last = _reach(manifest, path)
        del at[last]

    return mutate


def append(path: str, value: Any, *, first: bool = False) -> Mutation:
    """One more item of the list at *path*."""

    def mutate(manifest: Object) -> None:
        at, last = _reach(manifest, path)
        items = at.setdefault(last, []) if isinstance(at, dict) else at[last]
        items.insert(0 if first else len(items), value)

    return mutate


def turn(path: str) -> Mutation:
    """The list at *path* the other way round."""

    def mutate(manifest: Object) -> None:
        at, last = _reach(manifest, path)
        at[last] = at[last][::-1]

    return mutate


def both(*mutations: Mutation) -> Mutation:
    def mutate(manifest: Object) -> None:
        for one in mutations:
            one(manifest)

    return mutate


def same(_manifest: Object) -> None:
    """No mutation."""


def _reach(manifest: Object, path: str) -> tuple[Any, Any]:
    at: Any = manifest
    *steps, last = path.split(".")
    for step in steps:
        at = at[int(step)] if isinstance(at, list) else at.setdefault(step.replace("/", "."), {})
    return at, int(last) if isinstance(at, list) else last.replace("/", ".")
