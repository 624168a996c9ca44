"""The IOPS that a volume has when it becomes gp3 and its spec says none: EBS's own, said aloud. Pure.

The provider would ask for those of its old type, which EBS refuses (100 of a small gp2) or which cost (10,000 of an io2).
"""

from __future__ import annotations

from dataclasses import replace

from reconciler.model.desired import Desired
from reconciler.model.observation import Observed
from reconciler.model.resource import Resource

GP3, IOPS = "gp3", 3000  # https://docs.aws.amazon.com/ebs/latest/userguide/general-purpose.html


def fill(desired: Desired, observed: Observed) -> Desired:
    """*desired* with the IOPS of every volume that is about to become gp3; one that is gp3 keeps what it has."""
    filled = {id: _filled(resource) for id, resource in desired.resources.items() if id.kind == "volume" and _becomes(resource, observed)}
    return replace(desired, resources={**desired.resources, **filled}) if filled else desired


def _becomes(resource: Resource, observed: Observed) -> bool:
    live = observed.one(resource.id)
    return live is not None and resource.fields.get("type") == GP3 != live.fields.get("type") and "iops" not in resource.fields


def _filled(resource: Resource) -> Resource:
    return replace(resource, fields={**resource.fields, "iops": IOPS})
