"""The same question to both: what would applying a manifest change? A real API server answers with a dry run, the diff by its own rules.

Two answers agree if they have the same verdict and the same changed paths. A verdict is `keep`, `update` or `impossible`: the server
refuses to change the object but would create such a one under another name; the diff refuses, or replaces. Paths are compared so:

- of a structure or a granular mapping each leaf counts, of a list that merges each item by its keys; what is atomic is one leaf;
- amounts are the same by value: `1024Mi` is `1Gi`, though the server would store what it is told;
- an order that changes among items that were there before and are afterwards is a change of `<list>.order`;
- only leaves that are declared count, of what goes those that were declared before: what the server fills in beside them, or drops
  with them, is its own; an empty structure that comes or goes counts for the verdict only;
- `status` and what the server alone writes into `metadata` do not count.
"""

from __future__ import annotations

import copy
import itertools
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from providers.kubernetes import Kubernetes
from providers.kubernetes.transport import Target
from providers.manifest import meaning, schema
from reconciler import kinds
from reconciler.diff import Context, diff
from reconciler.fields.compare import ORDER, steps_to
from reconciler.model.change import Change, FieldChange
from reconciler.model.desired import Desired
from reconciler.model.environment import Environment
from reconciler.model.observation import gather
from reconciler.model.origin import Revision
from reconciler.model.quantity import Quantity
from reconciler.model.resource import Resource
from reconciler.model.value import Item, Path, spell
from reconciler.resources import kubernetes

KIND = kinds.kinds()["kubernetes"]
ENVIRONMENT = Environment.model_validate({"name": "dry", "zones": ["us-east-1a"]})
OTHERS = "somebody-else"
BAD, FORBIDDEN, CONFLICT, INVALID, BROKEN = 400, 403, 409, 422, 500
_NOISE = frozenset({"creationTimestamp", "generation", "managedFields", "resourceVersion", "uid", "selfLink"})
_EXCLUSIVE = re.compile(r"only allowed for updateStrategy|must specify a handler type")
_numbers = itertools.count(1)

Object = dict[str, Any]
Mutation = Callable[[Object], object]


@dataclass(frozen=True)
class Answer:
    """What would become of an object."""

    verdict: str
    paths: frozenset[str] = frozenset()
    why: str = ""


class Refused(AssertionError):
    """The server does not take a manifest at all, or not with what is left of another: a `rollingUpdate` that it filled in where OnDelete
    comes, a probe of which others hold a number where ours says no more what it asks.
    """


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
            tolerate={BAD, FORBIDDEN, CONFLICT, INVALID, BROKEN},
        )
        return answer.status_code, answer.json()

    def live(self) -> Object:
        metadata = self.declared["metadata"]
        kind = kubernetes.KINDS[self.declared["kind"]]
        return dict(self.cluster.get(kind, metadata["name"], namespace=metadata.get("namespace", "")) or {})

    def edit(self, mutation: Mutation) -> None:
        """What a person does with `kubectl edit`, and a webhook or a controller with an update."""
        found = self.live()
        mutation(found)
        assert self.cluster.replace(kubernetes.KINDS[found["kind"]], found)

    def tell(self, status: Object) -> None:
        """What a controller says of it."""
        metadata = self.declared["metadata"]
        kind = kubernetes.KINDS[self.declared["kind"]]
        self.cluster.patch(kind, metadata["name"], {"status": status}, namespace=metadata.get("namespace", ""), subresource="status")

    def add(self, body: Object, *, strict: bool = True) -> None:
        """What another that applies declares of the same object, as far as the server takes it."""
        own = identity(self.declared)
        status, answer = self.apply({**own, **body, "metadata": {**body.get("metadata", {}), **own["metadata"]}}, manager=OTHERS)
        assert status < BAD or not strict, answer["message"]

    def remove(self) -> None:
        metadata = self.declared["metadata"]
        self.edit(lambda found: found["metadata"].pop("finalizers", None))
        self.cluster.delete(kubernetes.KINDS[self.declared["kind"]], metadata["name"], namespace=metadata.get("namespace", ""))


def prepared(cluster: Kubernetes) -> Kubernetes:
    """*cluster* with the environment's storage class, without which no claim may grow."""
    fields = kubernetes.storage_class(ENVIRONMENT).fields
    Subject(cluster, {}).apply(json.loads(json.dumps(fields)))
    return cluster


def subject(cluster: Kubernetes, manifest: Object) -> Subject:
    """*manifest* under a name of its own, with our marks, applied."""
    number = next(_numbers)
    named = copy.deepcopy(manifest)
    named["metadata"] = {**named.get("metadata", {}), "name": f"{named['kind'].lower()}-{number}"}
    if kubernetes.KINDS[named["kind"]].namespaced:
        named["metadata"]["namespace"] = "default"
    made = Subject(cluster, named)
    status, answer = made.apply(marked(named))
    if status >= BAD:
        raise Refused(answer["message"])
    return made


def identity(manifest: Object) -> Object:
    metadata = {name: manifest["metadata"][name] for name in ("name", "namespace") if name in manifest["metadata"]}
    return {"apiVersion": manifest["apiVersion"], "kind": manifest["kind"], "metadata": metadata}


def marked(manifest: Object) -> Object:
    """*manifest* as a stack declares it."""
    found: Object = json.loads(json.dumps(resource(manifest).fields))
    return found


def resource(manifest: Object) -> Resource:
    return kubernetes.claimed(ENVIRONMENT, "svc", manifest)


def servers(on: Subject, wanted: Object) -> Answer:
    """The real API server's answer."""
    before = on.live()
    status, answer = on.apply(marked(wanted), dry_run=True)
    if status >= BAD:
        other = copy.deepcopy(wanted)
        other["metadata"]["name"] += "-other"
        other_status, other_answer = on.apply(marked(other), dry_run=True)
        if other_status >= BAD or _EXCLUSIVE.search(answer["message"]):
            raise Refused(answer["message"] if other_status < BAD else other_answer["message"])
        return Answer("impossible", why=answer["message"])
    found = moved(wanted["kind"], quiet(before), quiet(answer))
    return Answer("update" if found else "keep", _counted(found, on.declared, wanted), why=", ".join(sorted(found)))


def ours(on: Subject, wanted: Object) -> Answer:
    """The diff's answer."""
    change = judged(on, wanted)
    found = {path: way for field in change.fields for path, way in _told(wanted["kind"], field).items()}
    verdict = "impossible" if change.action in {"refuse", "replace"} else change.action
    counted = frozenset() if verdict == "impossible" else _counted(found, on.declared, wanted)
    return Answer(verdict, counted, why=f"{change.reason}: {sorted(found)}")


def _counted(found: Mapping[str, str], first: Object, wanted: Object) -> frozenset[str]:
    """The leaves that somebody declares: what comes is declared now, what goes was declared before."""
    then, now = declared_paths(first), declared_paths(wanted)
    declared = {"comes": now, "goes": then | now, "differs": then | now, "empty": frozenset[str]()}
    return frozenset(path for path, way in found.items() if path in declared[way])


def judged(on: Subject, wanted: Object) -> Change:
    """What the diff of *wanted* and what is live comes to."""
    declared = resource(wanted)
    observed = gather([replace(KIND.view(on.live(), ENVIRONMENT.name), id=declared.id, marked=True)], {})  # whatever became of its marks
    desired = Desired(ENVIRONMENT, Revision("c", "t", ENVIRONMENT.name), resources={declared.id: declared})
    (change,) = diff(desired, observed, Context({"kubernetes": KIND}))
    return change


def quiet(found: Object) -> Object:
    metadata = {name: value for name, value in found["metadata"].items() if name not in _NOISE}
    return {**{name: value for name, value in found.items() if name != "status"}, "metadata": metadata}


def _told(kind: str, field: FieldChange) -> dict[str, str]:
    """The leaves that *field* speaks of."""
    if field.path[-1] == ORDER:
        return {f"{spell(field.path[:-1])}.order": "differs"}
    before = _ABSENT if field.before is None else field.before
    after = _ABSENT if field.after is None else field.after
    if before is _ABSENT and isinstance(after, Mapping | list):
        stored = meaning.normal(_type(kind, field.path), after)  # of what is new as a whole, the zeros in it are not stored
        after = _ABSENT if stored is None else stored
    return moved(kind, before, after, field.path)


_ABSENT: Any = object()


def moved(kind: str, before: Any, after: Any, path: Path = ()) -> dict[str, str]:
    """The leaves that differ, and whether each comes, goes or differs."""
    return {spell(one): way for one, way in _moved(kind, path, before, after)}


def _moved(kind: str, path: Path, before: Any, after: Any) -> Iterator[tuple[Path, str]]:
    if before == after or _same_amount(kind, path, before, after):
        return
    old, new = _below(kind, path, before) or {}, _below(kind, path, after) or {}
    if not (old or new):
        yield path, _way(before, after)
    for step in {**old, **new}:
        yield from _moved(kind, (*path, step), old.get(step, _ABSENT), new.get(step, _ABSENT))
    if [step for step in old if step in new] != [step for step in new if step in old] and any(isinstance(step, Item) for step in old):
        yield (*path, "order"), "differs"


def _way(before: Any, after: Any) -> str:
    if before is not _ABSENT and after is not _ABSENT:
        return "differs"
    if (after if before is _ABSENT else before) in ({}, []):
        return "empty"
    return "comes" if before is _ABSENT else "goes"


def _same_amount(kind: str, path: Path, before: Any, after: Any) -> bool:
    if _type(kind, path).name != "quantity" or _ABSENT in {before, after}:
        return False
    return Quantity.parse(str(before)) == Quantity.parse(str(after))


def _below(kind: str, path: Path, value: Any) -> dict[Any, Any] | None:
    """What *value* consists of, by step; None of a leaf."""
    type_ = _type(kind, path)
    if isinstance(value, Mapping) and not type_.whole:
        return dict(value)
    if isinstance(value, list) and type_.form == "list" and type_.keys is not None:
        return dict(zip(steps_to(value, type_.keys), value, strict=True))
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
    return frozenset(moved(manifest["kind"], _ABSENT, found)) | frozenset(_orders(manifest["kind"], (), found))


def _orders(kind: str, path: Path, value: Any) -> Iterator[str]:
    below = _below(kind, path, value) or {}
    if any(isinstance(step, Item) for step in below):
        yield f"{spell(path)}.order"
    for step, one in below.items():
        yield from _orders(kind, (*path, step), one)


def mutated(manifest: Object, mutation: Mutation) -> Object:
    found = copy.deepcopy(manifest)
    mutation(found)
    return found


__all__ = ["Answer", "Object", "Refused", "Subject", "judged", "marked", "moved", "mutated", "ours", "replace", "servers", "subject"]
