"""What a change does to those who run and to what they keep, in words for the end of its headline."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler import compare
from reconciler.model.change import FieldChange
from reconciler.model.resource import Resource


def impact(resource: Resource, fields: tuple[FieldChange, ...]) -> str:
    """A set whose Pod template differs restarts its Pods, the last first."""
    spec = resource.fields.get("spec")
    if not resource.id.name.startswith("StatefulSet/") or not isinstance(spec, Mapping):
        return ""
    if not any(compare.names(change.path)[:2] == ("spec", "template") for change in fields):
        return ""
    name, replicas = resource.id.name.rpartition("/")[2], spec.get("replicas")
    pods = [f"{name}-{n}" for n in reversed(range(replicas if isinstance(replicas, int) else 0))]
    return f"restarts {', '.join(pods)}" if pods else ""
