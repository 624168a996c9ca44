"""Port `Cluster` in memory: an API server's store with versions, conflicts and refusals, without controllers; its contract is kept."""

from __future__ import annotations

import copy
import itertools
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any

from providers.memory import applying, selector
from providers.memory.fault import Faults
from reconciler import errors
from reconciler.ports import ObjectKind, Payload

Key = tuple[str, str, str]  # kind, namespace, name
CREATED = "2026-01-01T00:00:00Z"
_FROM_THE_START = frozenset({"default", "kube-system"})


class MemoryCluster(Faults):
    """A cluster without anybody in it. `fail("list")` or `fail("list statefulsets")` makes an operation fail; `calls` counts both forms.

    *logs* are the lines of containers, by namespace, Pod and container.
    """

    def __init__(self) -> None:
        super().__init__()
        self.logs: dict[tuple[str, str, str], list[str]] = {}
        self._objects: dict[Key, dict[str, Any]] = {}
        self._versions = itertools.count(1)
        self._within = threading.RLock()

    def list(self, kind: ObjectKind, *, namespace: str = "", selector: str = "") -> Iterator[Payload]:
        self._strike("list", kind)
        with self._within:
            held = sorted(key for key in self._objects if key[0] == kind.kind and namespace in {"", key[1]})
            found = [copy.deepcopy(self._objects[key]) for key in held if _selected(self._objects[key], selector)]
        return iter(found)

    def names(self, kind: ObjectKind, *, namespace: str = "") -> Iterator[str]:
        return iter([one["metadata"]["name"] for one in self.list(kind, namespace=namespace)])

    def get(self, kind: ObjectKind, name: str, *, namespace: str = "") -> Payload | None:
        self._strike("get", kind)
        return copy.deepcopy(self._objects.get(_key(kind, name, namespace)))

    def exists(self, kind: ObjectKind, name: str, *, namespace: str = "") -> bool:
        return self.get(kind, name, namespace=namespace) is not None

    def create(self, kind: ObjectKind, body: Payload) -> Payload | None:
        self._strike("create", kind)
        with self._within, self._effect("create", kind):
            made: dict[str, Any] = {"apiVersion": kind.api_version, "kind": kind.kind, **copy.deepcopy(dict(body))}
            made.pop("status", None)
            metadata = made["metadata"]
            metadata.setdefault("name", f"{metadata.get('generateName', '')}{next(self._versions):05x}")
            self._require_namespace(kind, metadata.get("namespace", ""))
            if _key(kind, metadata["name"], metadata.get("namespace", "")) in self._objects:
                return None
            return copy.deepcopy(self.put(kind, made))

    def replace(self, kind: ObjectKind, body: Payload) -> Payload | None:
        metadata = body["metadata"]
        if not metadata.get("resourceVersion"):
            raise ValueError(f"{kind.kind} {metadata['name']} has no resourceVersion to compare with")
        self._strike("replace", kind)
        with self._within, self._effect("replace", kind):
            found = self._objects.get(_key(kind, metadata["name"], metadata.get("namespace", "")))
            if found is None or found["metadata"]["resourceVersion"] != metadata["resourceVersion"]:
                return None
            return copy.deepcopy(self._write(kind, found, {**body, "status": found.get("status")}))

    def patch(self, kind: ObjectKind, name: str, body: Payload, *, namespace: str = "", subresource: str = "") -> Payload:
        self._strike("patch", kind)
        with self._within, self._effect("patch", kind):
            found = self._objects.get(_key(kind, name, namespace))
            if found is None:
                raise _refuse(404, "NotFound", f'{kind.plural} "{name}" not found')
            wanted = body.get("metadata", {}).get("resourceVersion")
            if wanted and wanted != found["metadata"]["resourceVersion"]:
                raise _refuse(409, "Conflict", f'Operation cannot be fulfilled on {kind.plural} "{name}": the object has been modified')
            patched = merge(found, body)
            kept = {**found, "status": patched.get("status")} if subresource == "status" else {**patched, "status": found.get("status")}
            return copy.deepcopy(self._write(kind, found, kept))

    def delete(self, kind: ObjectKind, name: str, *, namespace: str = "", uid: str = "", at_once: bool = False) -> bool:  # noqa: ARG002 - here nothing takes long
        """Gone at once, with all that it owns; what has finalizers stays, marked, until they are taken away."""
        self._strike("delete", kind)
        with self._within, self._effect("delete", kind):
            found = self._objects.get(_key(kind, name, namespace))
            if found is None or uid not in {"", found["metadata"]["uid"]}:
                return False
            if found["metadata"].get("finalizers"):
                found["metadata"].setdefault("deletionTimestamp", CREATED)
                return True
            self._remove(found)
            return True

    def log(self, namespace: str, pod: str, container: str, *, tail: int | None = None) -> Iterator[str]:
        self.strike("log")
        lines = self.logs.get((namespace, pod, container))
        if lines is None:
            raise _refuse(404, "NotFound", f'pods "{pod}" not found')
        return iter(lines[-tail:] if tail else lines if tail is None else [])

    def put(self, kind: ObjectKind, body: Mapping[str, Any]) -> dict[str, Any]:
        """Place an object as it is, status too, as its controllers would."""
        with self._within:
            number = str(next(self._versions))
            metadata = {
                "uid": f"uid-{number}",
                "creationTimestamp": CREATED,
                "generation": 1,
                **body["metadata"],
                "resourceVersion": number,
            }
            placed = {"apiVersion": kind.api_version, "kind": kind.kind, **body, "metadata": metadata}
            self._objects[_key(kind, metadata["name"], metadata.get("namespace", ""))] = placed
            return placed

    def apply(self, kind: ObjectKind, body: Mapping[str, Any], manager: str) -> None:
        """Server-side apply by *manager*, with force: what it applied before and does not any more goes."""
        self._strike("apply", kind)
        with self._within, self._effect("apply", kind):
            metadata = body["metadata"]
            self._require_namespace(kind, metadata.get("namespace", ""))
            found = self._objects.get(_key(kind, metadata["name"], metadata.get("namespace", "")))
            applied = applying.applied(found or {}, body, manager)
            if found is None:
                self.put(kind, applied)
            else:
                self._write(kind, found, applied)

    def _write(self, kind: ObjectKind, found: Mapping[str, Any], body: Mapping[str, Any]) -> dict[str, Any]:
        """*body* in the place of *found*; its version stays where nothing changed, and it goes once it is deleted and nothing holds it."""
        old = found["metadata"]
        own = {name: old[name] for name in ("uid", "creationTimestamp", "resourceVersion", "deletionTimestamp") if name in old}
        written = {**copy.deepcopy({name: value for name, value in body.items() if value is not None})}
        written["metadata"] = {**written["metadata"], **own}
        if written == found:
            return dict(found)
        if written["metadata"].get("deletionTimestamp") and not written["metadata"].get("finalizers"):
            self._remove(found)
            return written
        grown = written.get("spec") != found.get("spec")
        written["metadata"]["generation"] = old.get("generation", 1) + grown
        return self.put(kind, written)

    def _remove(self, found: Mapping[str, Any]) -> None:
        metadata = found["metadata"]
        self._objects.pop((found["kind"], metadata.get("namespace", ""), metadata["name"]), None)
        for other in list(self._objects.values()):
            if any(owner.get("uid") == metadata["uid"] for owner in other["metadata"].get("ownerReferences") or ()):
                self._remove(other)

    def _require_namespace(self, kind: ObjectKind, namespace: str) -> None:
        if kind.namespaced and namespace not in _FROM_THE_START and ("Namespace", "", namespace) not in self._objects:
            raise _refuse(404, "NotFound", f'namespaces "{namespace}" not found')

    def _strike(self, operation: str, kind: ObjectKind) -> None:
        self.strike(operation, f"{operation} {kind.plural}")

    def _effect(self, operation: str, kind: ObjectKind) -> AbstractContextManager[None]:
        return self.fate.effect(f"{operation} {kind.plural}")


def merge(value: Any, patch: Any) -> Any:
    """*value* after a JSON merge patch (RFC 7386)."""
    if not isinstance(patch, Mapping):
        return patch
    merged = dict(value) if isinstance(value, Mapping) else {}
    for name, item in patch.items():
        if item is None:
            merged.pop(name, None)
        else:
            merged[name] = merge(merged.get(name), item)
    return merged


def _selected(body: Mapping[str, Any], wanted: str) -> bool:
    return selector.fits(body["metadata"].get("labels") or {}, wanted)


def _key(kind: ObjectKind, name: str, namespace: str) -> Key:
    return kind.kind, namespace if kind.namespaced else "", name


def _refuse(status: int, reason: str, message: str) -> errors.ProviderError:
    return errors.ProviderError(f"Kubernetes refused: {reason}: {message}", code=reason, status=status)
