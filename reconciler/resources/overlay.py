"""Lays a user's Pod template over a rendered one, as a strategic merge would: lists of named things by name, the rest by value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

# The keys by which Kubernetes itself merges these lists; tolerations it replaces, but nobody means to lose ours by adding one.
_KEYS = {
    "containers": "name",
    "initContainers": "name",
    "volumes": "name",
    "env": "name",
    "imagePullSecrets": "name",
    "volumeMounts": "mountPath",
    "volumeDevices": "devicePath",
    "ports": "containerPort",
    "hostAliases": "ip",
    "tolerations": "key",
    "topologySpreadConstraints": "topologyKey",
}


def overlay(base: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """*base* with *patch* over it; a null in the patch takes the field away."""
    merged = {name: value for name, value in base.items() if name not in patch}
    laid = {name: _laid(name, base.get(name), value) for name, value in patch.items() if value is not None}
    return {name: (merged | laid)[name] for name in (*base, *patch) if name in merged or name in laid}


def _laid(name: str, base: Any, patch: Any) -> Any:
    if isinstance(patch, Mapping):
        return overlay(base if isinstance(base, Mapping) else {}, patch)
    if name in _KEYS and isinstance(base, Sequence) and isinstance(patch, Sequence) and not isinstance(patch, str):
        return _by_key(base, patch, _KEYS[name])
    return patch


def _by_key(base: Sequence[Any], patch: Sequence[Any], key: str) -> list[Any]:
    """Items of *base* stay where they are, each with its namesake of *patch* over it; the others of *patch* follow."""
    named = {item[key]: item for item in patch if _has(item, key)}
    known = {item[key] for item in base if _has(item, key)}
    kept = [overlay(item, named[item[key]]) if _has(item, key) and item[key] in named else item for item in base]
    return [*kept, *(item for item in patch if not (_has(item, key) and item[key] in known))]


def _has(item: Any, key: str) -> bool:
    return isinstance(item, Mapping) and key in item
