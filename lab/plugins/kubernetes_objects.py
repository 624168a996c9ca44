"""Part of the stand-in `kubernetes` plugin: objects as Pulumi keeps them: names, annotations, checkpoints, live values as declared."""

from __future__ import annotations

import base64
import binascii
import copy
import hashlib
import secrets
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from lab.plugins.kubernetes_client import Object
from lab.plugins.provider import Failure, Subject

AUTONAMED: Final = "pulumi.com/autonamed"
SKIP_AWAIT: Final = "pulumi.com/skipAwait"
PATCH_FORCE: Final = "pulumi.com/patchForce"
PATCH_MANAGER: Final = "pulumi.com/patchFieldManager"
PROPAGATION: Final = "pulumi.com/deletionPropagationPolicy"
TIMEOUT: Final = "pulumi.com/timeoutSeconds"
LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
_READ_ONLY = (
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "uid",
)
# What tells two entries of a list apart, in the API's own schemas (x-kubernetes-list-map-keys), the more telling ones first.
_KEYS: tuple[tuple[str, ...], ...] = (
    ("containerPort", "protocol"),
    ("port", "protocol"),
    ("mountPath",),
    ("devicePath",),
    ("topologyKey", "whenUnsatisfiable"),
    ("name",),
    ("uid",),
    ("ip",),
    ("type",),
    ("containerPort",),
    ("port",),
)


def split_token(token: str) -> tuple[str, str]:
    """The API version and the kind of a type: `kubernetes:core/v1:Secret` is `v1`, `Secret`."""
    _, module, kind = token.split(":")
    return module.removeprefix("core/"), kind


def named(live: Object) -> tuple[str, str]:
    """Namespace (or "") and name."""
    metadata = live.get("metadata") or {}
    return str(metadata.get("namespace") or ""), str(metadata.get("name") or "")


def id_of(live: Object) -> str:
    """A resource's id: `namespace/name`, or `name` where there are no namespaces."""
    namespace, name = named(live)
    return f"{namespace}/{name}" if namespace else name


def annotation(wanted: Mapping[str, Any], key: str) -> str:
    """The value of an annotation, or ""."""
    value = ((wanted.get("metadata") or {}).get("annotations") or {}).get(key)
    return value if isinstance(value, str) else ""


def name_it(on: Subject, wanted: Object, olds: Object) -> None:
    """Give *wanted* the name that it has, or had, or a new one: the resource's with eight digits behind."""
    metadata = wanted.setdefault("metadata", {})
    if metadata.get("name") or metadata.get("generateName"):
        return
    kept = (olds.get("metadata") or {}).get("name") if annotation(olds, AUTONAMED) == "true" else None
    if kept is None and not on.may_name:
        return
    suffix = hashlib.sha256(on.seed).hexdigest()[:8] if on.seed else secrets.token_hex(4)
    metadata["name"] = kept or on.proposed_name or f"{on.name.lower()}-{suffix}"
    metadata["annotations"] = {**(metadata.get("annotations") or {}), AUTONAMED: "true"}


def failures(wanted: Object, api_version: str, kind: str) -> Iterator[Failure]:
    """What no API server would take and no dry run need be asked about."""
    for key, expected in (("apiVersion", api_version), ("kind", kind)):
        if wanted.get(key) != expected:
            yield Failure(key, f"{key} {wanted.get(key)!r} is not that of the resource's type, {expected!r}")
    metadata = wanted.get("metadata") or {}
    for group in ("labels", "annotations"):
        for key, value in (metadata.get(group) or {}).items() if isinstance(metadata.get(group), dict) else ():
            if isinstance(value, bool | int | float | list | dict):
                yield Failure(f'metadata.{group}["{key}"]', f".metadata.{group}.{key}: expected string, got {value!r}; quote it")


def cleaned(values: Mapping[str, Any]) -> Object:
    """Inputs without what only the server writes and without Pulumi's own marks."""
    wanted = {
        key.replace("x_kubernetes_", "x-kubernetes-").replace("_", "-") if key.startswith("x_") else key: value
        for key, value in values.items()
    }
    wanted = {key: copy.deepcopy(value) for key, value in wanted.items() if not key.startswith("__")}
    if isinstance(wanted.get("metadata"), dict):
        for name in _READ_ONLY:
            wanted["metadata"].pop(name, None)
    return wanted


def checkpoint(inputs: Object, live: Object, api_version: str, owner: str) -> Object:
    """The outputs that Pulumi keeps: the live object, and what an update and a delete need beside it."""
    return {**live, "__inputs": inputs, "__initialApiVersion": api_version, "__fieldManager": owner}


def opened(outputs: Mapping[str, Any]) -> tuple[Object, Object]:
    """The inputs and the live object of a checkpoint."""
    return dict(outputs.get("__inputs") or {}), {key: value for key, value in outputs.items() if not key.startswith("__")}


def importable(live: Object) -> Object:
    """The inputs that would declare *live*: all but its status and what the server writes into its metadata."""
    wanted = cleaned({key: value for key, value in live.items() if key != "status"})
    annotations = wanted.get("metadata", {}).get("annotations") or {}
    for noise in ("deployment.kubernetes.io/revision", LAST_APPLIED):
        annotations.pop(noise, None)
    return wanted


def projected(live: Object, declared: Object) -> Object:
    """*live* cut down to what *declared* speaks of; a Secret's `stringData` is read back from its `data`."""
    result: Object = _cut(live, declared)
    if isinstance(declared.get("stringData"), dict):
        data = live.get("data") or {}
        texts = {key: _text(data[key]) for key in declared["stringData"] if key in data}
        result["stringData"] = texts
    return result


def paired(olds: Sequence[Any], news: Sequence[Any]) -> list[tuple[int | None, int | None]]:
    """Which entries of two lists are the same thing: by what tells them apart, or else by their place."""
    keys = _key(olds, news)
    if keys is None:
        longest = max(len(olds), len(news))
        return [(at if at < len(olds) else None, at if at < len(news) else None) for at in range(longest)]
    old_places = {_identity(item, keys): at for at, item in enumerate(olds)}
    new_places = {_identity(item, keys): at for at, item in enumerate(news)}
    pairs: list[tuple[int | None, int | None]] = [(old_places.get(key), at) for key, at in new_places.items()]
    return pairs + [(at, None) for key, at in old_places.items() if key not in new_places]


def owned_by_others(live: Object, owner: str, path: Sequence[str]) -> bool:
    """Whether another than *owner* applied or wrote the field at *path*, and *owner* did not."""
    managers = {entry.get("manager") for entry in live.get("metadata", {}).get("managedFields") or () if _owns(entry, path)}
    return bool(managers) and owner not in managers


def _owns(entry: Mapping[str, Any], path: Sequence[str]) -> bool:
    node: Any = entry.get("fieldsV1") or {}
    for step in path:
        node = node.get(f"f:{step}") if isinstance(node, Mapping) else None
        if node is None:
            return False
    return True


def _cut(live: Any, declared: Any) -> Any:
    if isinstance(live, Mapping) and isinstance(declared, Mapping):
        return {key: _cut(live[key], value) for key, value in declared.items() if key in live}
    if isinstance(live, list) and isinstance(declared, list):
        pairs = paired(live, declared)
        known = _key(live, declared) is not None
        both = [_cut(live[old], declared[new]) for old, new in pairs if old is not None and new is not None]
        return both if known else both + [live[old] for old, new in pairs if old is not None and new is None]
    return live


def _key(olds: Sequence[Any], news: Sequence[Any]) -> tuple[str, ...] | None:
    """The names that tell all entries of both lists apart; None where the lists are whole values."""
    entries = [*olds, *news]
    if not entries or not all(isinstance(item, Mapping) for item in entries):
        return None
    for names in _KEYS:
        if all(names[0] in item for item in entries) and all(
            len({_identity(item, names) for item in items}) == len(items) for items in (olds, news)
        ):
            return names
    return None


def _identity(item: Mapping[str, Any], names: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(str(item.get(name, "TCP" if name == "protocol" else "")) for name in names)


def _text(encoded: Any) -> Any:
    try:
        return base64.b64decode(encoded).decode()
    except (binascii.Error, UnicodeDecodeError, TypeError):
        return encoded
