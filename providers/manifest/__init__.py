"""What the API server makes of a manifest: how lists merge, what it fills in or drops, and which fields it never lets change. Pure.

Each rule is upstream's: `+listMapKey` and defaults of k8s.io/api, and the update validation of k8s.io/kubernetes/pkg/apis.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from reconciler.kinds import Effect, FieldPolicy
from reconciler.model.quantity import Quantity
from reconciler.model.value import Fields, Value

_KEYS = {
    "conditions": "type",
    "containers": "name",
    "env": "name",
    "ephemeralContainers": "name",
    "hostAliases": "ip",
    "imagePullSecrets": "name",
    "initContainers": "name",
    "ownerReferences": "uid",
    "resourceClaims": "name",
    "schedulingGates": "name",
    "secrets": "name",
    "topologySpreadConstraints": "topologyKey",
    "volumeDevices": "devicePath",
    "volumeMounts": "mountPath",
    "volumes": "name",
}
_SETS = frozenset({"accessModes", "finalizers", "policyTypes"})
_CONTAINERS = frozenset({"containers", "initContainers", "ephemeralContainers"})
_NEVER = "for ever; a new one of another name can have it"
_MAY_CHANGE = {
    "StatefulSet": frozenset(
        {
            "replicas",
            "ordinals",
            "template",
            "updateStrategy",
            "persistentVolumeClaimRetentionPolicy",
            "minReadySeconds",
            "revisionHistoryLimit",
        }
    ),
    "PersistentVolumeClaim": frozenset({"resources", "volumeAttributesClassName"}),
    "PersistentVolume": frozenset(
        {
            "accessModes",
            "capacity",
            "claimRef",
            "mountOptions",
            "persistentVolumeReclaimPolicy",
            "storageClassName",
            "volumeAttributesClassName",
        }
    ),
}
_REPLACED = {
    "StorageClass": frozenset({"parameters", "provisioner", "reclaimPolicy", "volumeBindingMode"}),
    "Secret": frozenset({"type"}),
}
# False means the same as nothing where a field says nothing else by its absence; these say something else.
_MEANT = frozenset({"allowPrivilegeEscalation", "automountServiceAccountToken", "enableServiceLinks", "hostUsers"})
_ZERO = frozenset({"hostPort", "initialDelaySeconds", "minReadySeconds", "nodePort"})
_FILLED_IN = {"protocol": "TCP", "volumeMode": "Filesystem", "apiVersion": "v1", "expirationSeconds": 3600, "divisor": "0"}


def list_key(manifest: Fields, path: tuple[str, ...]) -> str:
    """The key by which the list at *path* merges, "=" for sets, "" for lists that are one value."""
    name = path[-1]
    if name == "ports":
        return _ports_key(manifest, path)
    return "=" if name in _SETS else _KEYS.get(name, "")


def _ports_key(manifest: Fields, path: tuple[str, ...]) -> str:
    """Ports merge by number and protocol. One key must do: where a number occurs with two protocols, the list is one value."""
    if _CONTAINERS & set(path):
        return "containerPort" if _distinct(manifest, path, "containerPort") else ""
    if path == ("spec", "ports") and manifest.get("kind") == "Service":
        return "port" if _distinct(manifest, path, "port") else ""
    return ""


def _distinct(manifest: Fields, path: tuple[str, ...], key: str) -> bool:
    return all(len({str(port.get(key)) for port in ports}) == len(ports) for ports in _lists_at(manifest, path))


def _lists_at(value: Any, path: tuple[str, ...]) -> list[list[Mapping[str, Any]]]:
    """Every list at *path* of *value*, through all items of the lists above it."""
    if isinstance(value, list | tuple) and path:
        return [found for item in value for found in _lists_at(item, path)]
    if not path:
        return [list(value)] if isinstance(value, list | tuple) else []
    return _lists_at(value[path[0]], path[1:]) if isinstance(value, Mapping) and path[0] in value else []


def policy(manifest: Fields, path: tuple[str, ...]) -> FieldPolicy:
    """How the field at *path* of *manifest* is compared, and what a difference of it means."""
    kind = str(manifest.get("kind"))
    sensitive = kind == "Secret" and path[:1] in {("data",), ("stringData",)}
    effect, why = _effect(kind, manifest, path)
    return FieldPolicy(canonical=_canonical(kind, path), effect=effect, why=why, sensitive=sensitive)


_Meaning = tuple[Effect | Callable[[Value, Value], Effect], str]


def _effect(kind: str, manifest: Fields, path: tuple[str, ...]) -> _Meaning:
    if len(path) > 1 and path[0] == "spec":
        return _spec_effect(kind, path)
    replaced = _REPLACED.get(kind, frozenset())
    if kind in {"ConfigMap", "Secret"} and manifest.get("immutable"):
        replaced |= {"data", "binaryData", "immutable"}
    return ("replace" if path[:1] and path[0] in replaced else "update"), ""


def _spec_effect(kind: str, path: tuple[str, ...]) -> _Meaning:
    if kind == "PersistentVolumeClaim" and path[1:3] == ("resources", "requests"):
        return _growth, "a claim cannot shrink"
    if kind == "PersistentVolumeClaim" and path[1:] == ("volumeName",):
        return _unset, f"a claim keeps its volume {_NEVER}"
    if kind in _MAY_CHANGE and path[1] not in _MAY_CHANGE[kind]:
        return "refuse", f"a {kind} keeps its {path[1]} {_NEVER}"
    if kind == "Service" and path[1] in {"clusterIP", "clusterIPs"}:
        return _replaced_once_set, ""
    return "update", ""


def _growth(before: Value, after: Value) -> Effect:
    if before is None:
        return "update"
    grows = isinstance(before, str | int) and isinstance(after, str | int) and Quantity.parse(str(after)) > Quantity.parse(str(before))
    return "update" if grows else "refuse"


def _unset(before: Value, _after: Value) -> Effect:
    return "refuse" if before else "update"


def _replaced_once_set(before: Value, _after: Value) -> Effect:
    return "replace" if before else "update"


def _canonical(kind: str, path: tuple[str, ...]) -> Callable[[Value], Value] | None:
    if kind == "PersistentVolume" and path[:2] == ("spec", "capacity"):
        return _uncompared  # the resizer's
    if path[-2:-1] in {("requests",), ("limits",), ("capacity",)} or path[-1:] in {("sizeLimit",), ("divisor",)}:
        return _amount
    if (path[-1:] and path[-1] in _ZERO) or path[-2:] == ("env", "value"):
        return _empty_is_nothing
    return None if path[-1:] and path[-1] in _MEANT else _whole


def _uncompared(_value: Value) -> Value:
    return None


def _amount(value: Value) -> Value:
    """A quantity by its value: the server writes 0.5 as 500m."""
    try:
        return str(Quantity.parse(str(value)).value.normalize())
    except ValueError:
        return value


def _empty_is_nothing(value: Value) -> Value:
    return value or None


def _whole(value: Value) -> Value:
    """A value, or a list that is one value: without what the server fills in, and False as nothing."""
    match value:
        case False:
            return None
        case list() | tuple():
            return [_filled_in(item) for item in value]
        case _:
            return value


def _filled_in(value: Value) -> Value:
    """An item of a list that is one value, without what the server adds to it."""
    if isinstance(value, Mapping):
        bare = _template(value) if "spec" in value and "metadata" in value else value
        return {name: _inner(name, item) for name, item in bare.items() if not _says_nothing(name, item)}
    return [_filled_in(item) for item in value] if isinstance(value, list | tuple) else value


def _says_nothing(name: str, value: Value) -> bool:
    return value is None or (value is False and name not in _MEANT) or _FILLED_IN.get(name) == value


def _inner(name: str, value: Value) -> Value:
    if name in {"requests", "limits"} and isinstance(value, Mapping):
        return {key: _amount(amount) for key, amount in value.items()}
    return _filled_in(value)


def _template(claim: Mapping[str, Value]) -> Mapping[str, Value]:
    """A claim template without the kind and status that the server writes into each."""
    kept = {name: value for name, value in claim.items() if name not in {"apiVersion", "kind", "status"}}
    metadata = claim["metadata"]
    if isinstance(metadata, Mapping):
        kept["metadata"] = {name: value for name, value in metadata.items() if name != "creationTimestamp"}
    return kept
