"""What happens to a live thing whose spec is gone: data, and what others may lean on, is kept and forgotten; the rest is deleted."""

from __future__ import annotations

from reconciler.model.address import INSTALLED, ResourceId
from reconciler.model.resource import Removal

KEPT = "; it is kept"  # the end of the reason why something is forgotten


def of(id: ResourceId) -> Removal:
    """`retain` for volumes, hosted zones, namespaces and what an installed reconciler remembers, `delete` for everything else."""
    kept = ("Namespace/", "PersistentVolumeClaim/") if id.environment.endswith(INSTALLED) else ("Namespace/",)
    return "retain" if id.kind in {"volume", "zone"} or (id.kind == "kubernetes" and id.name.startswith(kept)) else "delete"
