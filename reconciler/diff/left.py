"""The fields that a resource leaves to others, for people to see what a plan passes over."""

from __future__ import annotations

from reconciler.diff.context import Scene
from reconciler.fields import compare, fieldpath
from reconciler.fields.fieldpath import ABSENT
from reconciler.model.change import Left
from reconciler.model.observation import Observation
from reconciler.model.resource import Resource


def left(resource: Resource, live: Observation, scene: Scene) -> tuple[Left, ...]:
    """Each ceded field of *resource* that is declared or live."""
    kind = scene.policed(resource)
    differing = [one.path for one in compare.differences(resource, live, kind, scene.observed)]
    found = []
    for ceded in resource.ceded:
        path = ceded.path
        theirs, ours = fieldpath.reach(live.fields, path), fieldpath.reach(resource.fields, path)
        if theirs is ABSENT and ours is ABSENT:
            continue
        differs = any(one[: len(path)] == path or path[: len(one)] == one for one in differing)
        secret = kind.policy(resource, compare.names(path)).sensitive
        found.append(
            Left(path, ceded.reason, fieldpath.plain(theirs), compare.resolve(fieldpath.plain(ours), scene.observed), differs, secret)
        )
    return tuple(found)
