"""The same question to both: what would applying a manifest change? A real API server answers with a dry run, the diff by its own rules.

Two answers agree if they have the same verdict and the same changed paths. A verdict is `keep`, `update` or `impossible`: the server refuses
to change the object but would create such a one under another name; the diff refuses, or replaces. Paths are compared so:

- of a structure or a granular mapping each leaf counts, of a list that merges each item by its keys; what is atomic is one leaf;
- an order that changes among items that were there before and are afterwards is a change of `<list>.order`;
- only leaves that the old or the new manifest declares count: what the server fills in beside them, or drops with them, is its own;
- `status` and what the server alone writes into `metadata` do not count.
"""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from providers.kubernetes import Kubernetes
from providers.kubernetes.transport import Target
from providers.manifest import schema
from reconciler import kinds
from reconciler.compare import step_to
from reconciler.diff import Context, diff
from reconciler.model.change import Change, FieldChange
from reconciler.model.desired import Desired
from reconciler.model.environment import Environment
from reconciler.model.observation import gather
from reconciler.model.origin import Revision
from reconciler.model.resource import Resource
from reconciler.model.value import Item, Path, spell
from reconciler.resources import kubernetes

KIND = kinds.kinds()["kubernetes"]
ENVIRONMENT = Environment.model_validate({"name": "dry", "zones": ["us-east-1a"]})
OTHERS = "somebody-else"
INVALID, FORBIDDEN = 422, 403
_NOISE = frozenset({"creationTimestamp", "generation", "managedFields", "resourceVersion", "uid", "selfLink"})
_numbers = itertools.count(1)

Object = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """What would become of an object."""

    verdict: str
    paths: frozenset[str] = frozenset()
    why: str = ""


class Refused(AssertionError):
    """The server does not take a manifest at all: a test's own fault."""


@dataclass(frozen=True)
class Subject:
    """One object on a real API server, applied as the engine applies."""

    cluster: Kubernetes
    declared: Object

    def apply(self, manifest: Object, *, manager: str = "", dry_run: bool = False) -> tuple[int, Object]:
        """The status and the answer of a server-side apply; ours without *manager*."""
        metadata = manifest["metadata"]
        own = metadata.get("annotations", {}).get(kubernetes.MANAGER, "")
        answer = self.cluster._transport.send(
            "PATCH",
            Target(kubernetes.KINDS[manifest["kind"]], metadata["name"], metadata.get("namespace", "")),
            params={"fieldManager": manager or own, "force": "true", **({"dryRun": "All"} if dry_run else {})},
            content=json.dumps(manifest).encode(),
            headers={"Content-Type": "application/apply-patch+yaml"},
            tolerate={400, FORBIDDEN, 409, INVALID, 500},
        )
        return answer.status_code, answer.json()

    def live(self) -> Object:
        metadata = self.declared["metadata"]
        kind = kubernetes.KINDS[self.declared["kind"]]
        return dict(self.cluster.get(kind, metadata["name"], namespace=metadata.get("namespace", "")) or {})

    def change(self, body: Object, *, subresource: str = "") -> None:
        """What a person does with `kubectl edit`, a controller with an update: a merge patch by another manager."""
        metadata = self.declared["metadata"]
        kind = kubernetes.KINDS[self.declared["kind"]]
        self.cluster.patch(kind, metadata["name"], body, namespace=metadata.get("namespace", ""), subresource=subresource)

    def add(self, body: Object) -> None:
        """What another that applies declares of the same object."""
        status, answer = self.apply({**identity(self.declared), **body, "metadata": {**identity(self.declared)["metadata"], **body.get("metadata", {})}}, manager=OTHERS)
        assert status < 300, answer["message"]

    def remove(self) -> None:
        metadata = self.declared["metadata"]
        self.change({"metadata": {"finalizers": None}})
        self.cluster.delete(kubernetes.KINDS[self.declared["kind"]], metadata["name"], namespace=metadata.get("namespace", ""))


def subject(cluster: Kubernetes, manifest: Object) -> Subject:
    """*manifest* under a name of its own, with our marks, applied."""
    number = next(_numbers)
    named = copy.deepcopy(manifest)
    named["metadata"] = {**named.get("metadata", {}), "name": f"{named['kind'].lower()}-{number}"}
    if kubernetes.KINDS[named["kind"]].namespaced:
        named["metadata"]["namespace"] = "default"
    made = Subject(cluster, named)
    status, answer = made.apply(marked(named))
    if status >= 300:
        raise Refused(answer["message"])
    return made


def identity(manifest: Object) -> Object:
    metadata = {name: manifest["metadata"][name] for name in ("name", "namespace") if name in manifest["metadata"]}
    return {"apiVersion": manifest["apiVersion"], "kind": manifest["kind"], "metadata": metadata}


def marked(manifest: Object) -> Object:
    """*manifest* as a stack declares it."""
    return json.loads(json.dumps(resource(manifest).fields))


def resource(manifest: Object) -> Resource:
    return kubernetes.claimed(ENVIRONMENT, "svc", manifest)


def servers(on: Subject, wanted: Object) -> Answer:
    """The real API server's answer."""
    before = on.live()
    status, answer = on.apply(marked(wanted), dry_run=True)
    if status >= 300:
        other = copy.deepcopy(wanted)
        other["metadata"]["name"] += "-other"
        other_status, other_answer = on.apply(marked(other), dry_run=True)
        if other_status >= 300:
            raise Refused(other_answer["message"])
        return Answer("impossible", why=answer["message"])
    found = moved(wanted["kind"], (), _quiet(before), _quiet(answer))
    counted = declared_paths(on.declared) | declared_paths(wanted)
    return Answer("update" if found else "keep", frozenset(found) & counted, why=", ".join(sorted(found)))


def ours(on: Subject, wanted: Object) -> Answer:
    """The diff's answer."""
    change = judged(on, wanted)
    found = {path for field in change.fields for path in _told(wanted["kind"], field)}
    counted = declared_paths(on.declared) | declared_paths(wanted)
    verdict = "impossible" if change.action in {"refuse", "replace"} else change.action
    return Answer(verdict, frozenset(found) & counted if verdict != "impossible" else frozenset(), why=f"{change.reason}: {sorted(found)}")


def judged(on: Subject, wanted: Object) -> Change:
    """What the diff of *wanted* and what is live comes to."""
    declared = resource(wanted)
    observed = gather([KIND.view(on.live(), ENVIRONMENT.name)], {})
    desired = Desired(ENVIRONMENT, Revision("c", "t", ENVIRONMENT.name), resources={declared.id: declared})
    (change,) = diff(desired, observed, Context({"kubernetes": KIND}))
    return change


def _quiet(found: Object) -> Object:
    metadata = {name: value for name, value in found["metadata"].items() if name not in _NOISE}
    return {**{name: value for name, value in found.items() if name != "status"}, "metadata": metadata}


def _told(kind: str, field: FieldChange) -> Iterator[str]:
    """The leaves that *field* speaks of."""
    names = tuple(step for step in field.path if isinstance(step, str))
    type_ = schema.at(kind, names)
    ordered = type_.form == "list" and type_.keys and field.before and isinstance(field.before[0], str)  # type: ignore[index]
    if ordered:
        yield f"{spell(field.path)}.order"
    else:
        before = _ABSENT if field.before is None else field.before
        after = _ABSENT if field.after is None else field.after
        yield from moved(kind, field.path, before, after)


_ABSENT: Any = object()


def moved(kind: str, path: Path, before: Any, after: Any) -> set[str]:
    """The leaves that differ."""
    return {spell(one) for one in _moved(kind, path, before, after)}


def _moved(kind: str, path: Path, before: Any, after: Any) -> Iterator[Path]:
    if before == after:
        return
    old, new = _below(kind, path, before), _below(kind, path, after)
    if old is None and new is None:
        yield path
        return
    old, new = old or {}, new or {}
    if (before is _ABSENT or after is _ABSENT) and not (old or new):
        yield path
    for step in {**old, **new}:
        yield from _moved(kind, (*path, step), old.get(step, _ABSENT), new.get(step, _ABSENT))
    if [step for step in old if step in new] != [step for step in new if step in old] and any(isinstance(step, Item) for step in old):
        yield (*path, "order")


def _below(kind: str, path: Path, value: Any) -> dict[Any, Any] | None:
    """What *value* consists of, by step; None of a leaf."""
    type_ = _type(kind, path)
    if isinstance(value, Mapping) and not type_.whole:
        return dict(value)
    if isinstance(value, list) and type_.form == "list" and type_.keys is not None:
        return {step_to(one, type_.keys): one for one in value}
    return None


def _type(kind: str, path: Path) -> schema.Type:
    names = tuple(step for step in path if isinstance(step, str))
    found = schema.at(kind, names)
    if path and isinstance(path[-1], Item) and found.below:
        return found.below
    return found


def declared_paths(manifest: Object) -> frozenset[str]:
    """Every leaf that *manifest* declares, and the orders of its lists."""
    found = marked(manifest)
    return frozenset(moved(manifest["kind"], (), _ABSENT, found)) | frozenset(_orders(manifest["kind"], (), found))


def _orders(kind: str, path: Path, value: Any) -> Iterator[str]:
    below = _below(kind, path, value) or {}
    if any(isinstance(step, Item) for step in below):
        yield f"{spell(path)}.order"
    for step, one in below.items():
        yield from _orders(kind, (*path, step), one)


Mutation = Callable[[Object], object]


def mutated(manifest: Object, mutation: Mutation) -> Object:
    found = copy.deepcopy(manifest)
    mutation(found)
    return found


__all__ = ["Answer", "Object", "Refused", "Subject", "judged", "marked", "moved", "mutated", "ours", "replace", "servers", "subject"]
