"""The engine's record of a stack as a document: what is left of it once something has been struck out. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from providers import checkpoints
from reconciler.model.address import ResourceId

Deployment = Mapping[str, Any]


def settled(deployment: Deployment) -> Deployment:
    """*deployment* without operations whose end nobody knows, and without what was deleted to be replaced: it is only still to be made."""
    resources = deployment.get("resources") or ()
    gone = {one["urn"] for one in resources if one.get("pendingReplacement")}
    left = [_apart_from(one, gone) for one in resources if not one.get("pendingReplacement")]
    return {**deployment, "resources": left, "pending_operations": []}


def without(deployment: Deployment, ids: Iterable[ResourceId]) -> Deployment:
    """*deployment* without *ids*: their resources, what was under way for them, and every word of them in what others depend on."""
    names = {str(id) for id in ids}
    resources = deployment.get("resources") or ()
    operations = deployment.get("pending_operations") or ()
    gone = {one["urn"] for one in (*resources, *(operation["resource"] for operation in operations)) if _named(one, names)}
    return {
        **deployment,
        "resources": [_apart_from(one, gone) for one in resources if one["urn"] not in gone],
        "pending_operations": [one for one in operations if one["resource"]["urn"] not in gone],
    }


def _named(resource: Mapping[str, Any], names: set[str]) -> bool:
    return checkpoints.ours(resource["urn"]) and checkpoints.logical(resource["urn"]) in names


def _apart_from(resource: Mapping[str, Any], gone: set[str]) -> dict[str, Any]:
    """*resource*, which depends on nothing of *gone* any more: the engine refuses a record that refers to what it does not hold."""
    left = {**resource}
    if "dependencies" in left:
        left["dependencies"] = _kept(left["dependencies"], gone)
    if "propertyDependencies" in left:
        left["propertyDependencies"] = {name: _kept(urns, gone) for name, urns in left["propertyDependencies"].items()}
    if left.get("deletedWith") in gone:
        del left["deletedWith"]
    return left


def _kept(urns: Iterable[str] | None, gone: set[str]) -> list[str]:
    return [urn for urn in urns or () if urn not in gone]


__all__ = ["settled", "without"]
