"""Part of the stand-in `kubernetes` plugin: what an apply would change, and which changes need a new object.

The immutable fields are those of provider/pkg/provider/diff.go in pulumi-kubernetes; quantities are compared by value, as the API does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

from lab.plugins import kubernetes_objects as objects
from lab.plugins.kubernetes_client import Object
from lab.plugins.properties import UNKNOWN
from lab.plugins.provider import Difference, Sort

Path = tuple[str | int, ...]
_ABSENT: Final = object()
_QUANTITY = re.compile(r"([+-]?\d*\.?\d+)(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei|[eE][+-]?\d+)?")
_FACTORS = (
    {"m": Decimal("0.001"), "k": Decimal(10**3), "M": Decimal(10**6), "G": Decimal(10**9), "T": Decimal(10**12)}
    | {
        "P": Decimal(10**15),
        "E": Decimal(10**18),
        "Ki": Decimal(2**10),
        "Mi": Decimal(2**20),
        "Gi": Decimal(2**30),
    }
    | {"Ti": Decimal(2**40), "Pi": Decimal(2**50), "Ei": Decimal(2**60)}
)
_MEASURED = frozenset({"requests", "limits", "capacity", "hard", "sizeLimit", "overhead", "default", "defaultRequest", "divisor"})
_SOURCES = """
    awsElasticBlockStore azureDisk azureFile cephfs cinder csi fc flexVolume flocker gcePersistentDisk glusterfs hostPath iscsi local nfs
    photonPersistentDisk portworxVolume quobyte rbd scaleIO storageos vsphereVolume
"""
_POD = """
    affinity automountServiceAccountToken dnsConfig dnsPolicy enableServiceLinks hostAliases hostIPC hostNetwork hostPID hostname
    imagePullSecrets nodeName nodeSelector overhead preemptionPolicy priority priorityClassName readinessGates restartPolicy
    runtimeClassName schedulerName securityContext serviceAccount serviceAccountName shareProcessNamespace subdomain
    terminationGracePeriodSeconds volumes
"""
_CONTAINER = """
    args command env image imagePullPolicy lifecycle livenessProbe ports readinessProbe resources securityContext stdin stdinOnce
    terminationMessagePath terminationMessagePolicy tty volumeDevices volumeMounts workingDir
"""
_SECRET = frozenset({("type",), ("stringData",), ("data",)})
_CONFIG = frozenset({("binaryData",), ("data",)})
_SELECTOR = frozenset({("spec", "selector")})


def _spec(names: str) -> frozenset[Path]:
    return frozenset(("spec", name) for name in names.split())


_IMMUTABLE: Final[Mapping[tuple[str, str], frozenset[Path]]] = {
    ("apps/v1", "DaemonSet"): _SELECTOR,
    ("apps/v1", "Deployment"): _SELECTOR,
    ("apps/v1", "StatefulSet"): _spec("podManagementPolicy revisionHistoryLimit selector serviceName volumeClaimTemplates"),
    ("batch/v1", "Job"): _spec("completions parallelism selector template"),
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"): frozenset({("roleRef",)}),
    ("rbac.authorization.k8s.io/v1", "RoleBinding"): frozenset({("roleRef",)}),
    ("storage.k8s.io/v1", "StorageClass"): frozenset({("parameters",), ("provisioner",)}),
    ("v1", "PersistentVolume"): _spec(_SOURCES),
    ("v1", "PersistentVolumeClaim"): _spec("accessModes selector storageClassName volumeName"),
    ("v1", "Pod"): _spec(_POD) | {("spec", group, "*", name) for group in ("containers", "initContainers") for name in _CONTAINER.split()},
    ("v1", "ResourceQuota"): _spec("scopes"),
    ("v1", "Secret"): frozenset({("type",)}),
    ("v1", "Service"): _spec("clusterIP"),
}
_IDENTITY: Final[frozenset[Path]] = frozenset({("metadata", "name"), ("metadata", "namespace")})


def immutable(wanted: Object, mutable: frozenset[str]) -> frozenset[Path]:
    """The fields whose change replaces an object; *mutable* are the kinds whose content the provider may change in place."""
    kind = str(wanted.get("kind"))
    fixed = kind not in mutable or wanted.get("immutable") is True
    if wanted.get("apiVersion") == "v1" and fixed and kind in {"Secret", "ConfigMap"}:
        return _IDENTITY | (_SECRET if kind == "Secret" else _CONFIG)
    return _IDENTITY | _IMMUTABLE.get((str(wanted.get("apiVersion")), kind), frozenset())


def diff(olds: Object, news: Object, fixed: frozenset[Path]) -> Difference:
    """What *news* would change of *olds*, the live values of what was declared before."""
    changes = dict(_changes((), olds, news))
    replaces = frozenset(path for path in changes if any(_touches(path, _at(path, olds, news), one) for one in fixed))
    return Difference(changes, replaces)


def same(path: Path, old: Any, new: Any) -> bool:
    """Whether two values mean the same to the API."""
    if old == new and isinstance(old, bool) == isinstance(new, bool):
        return True
    if not any(step in _MEASURED for step in path):
        return False
    before, after = _amount(old), _amount(new)
    return before is not None and before == after


def _changes(path: Path, old: Any, new: Any) -> Iterator[tuple[Path, Sort]]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in {**old, **new}:
            yield from _changes((*path, key), old.get(key, _ABSENT), new.get(key, _ABSENT))
    elif isinstance(old, list) and isinstance(new, list):
        for before, after in objects.paired(old, new):
            place = after if after is not None else before
            if place is not None:
                yield from _changes(
                    (*path, place), old[before] if before is not None else _ABSENT, new[after] if after is not None else _ABSENT
                )
    elif old is _ABSENT and new in ({}, [], "", 0):
        return  # the server does not keep what is nothing anyway (Go's omitempty); where it would matter it is there
    elif old is _ABSENT:
        yield path, "add"
    elif new is _ABSENT:
        yield path, "delete"
    elif new is UNKNOWN or not same(path, old, new):
        yield path, "update"


def _at(path: Path, olds: Any, news: Any) -> Any:
    """The new value at *path*, or the old one where it goes."""
    for root in (news, olds):
        node = root
        for step in path:
            inside = (isinstance(node, Mapping) and step in node) or (isinstance(node, list) and isinstance(step, int) and step < len(node))
            node = node[step] if inside else _ABSENT
        if node is not _ABSENT:
            return node
    return _ABSENT


def _touches(path: Path, value: Any, fixed: Path) -> bool:
    """Whether a change at *path* to *value* reaches the immutable field *fixed*: lies under it, or brings it along."""
    if not all(mine in (theirs, "*") or theirs == "*" for mine, theirs in zip(path, fixed, strict=False)):
        return False
    for step in fixed[len(path) :]:
        if not isinstance(value, Mapping) or step not in value:
            return False
        value = value[step]
    return True


def _amount(value: Any) -> Decimal | None:
    found = _QUANTITY.fullmatch(str(value)) if isinstance(value, str | int | float) and not isinstance(value, bool) else None
    if found is None:
        return None
    number, suffix = Decimal(found[1]), found[2] or ""
    return number * _FACTORS[suffix] if suffix in _FACTORS else Decimal(f"{found[1]}{suffix}") if suffix else number
