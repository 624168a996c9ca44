"""What is declared beside the specs' own words, so that the engine does no more than they say. Pure.

A volume that becomes gp3 has the IOPS of a gp3: without, the provider asks for those of its old type, which EBS refuses (100 of a small
gp2) or which cost (10,000 of an io2). A zone keeps the networks that others have put it into: the provider takes out what it is not told.
"""

from __future__ import annotations

from dataclasses import replace

from reconciler.model.desired import Desired
from reconciler.model.observation import Observation, Observed
from reconciler.model.resource import Resource
from reconciler.model.value import Fields

GP3, IOPS = "gp3", 3000  # https://docs.aws.amazon.com/ebs/latest/userguide/general-purpose.html
NETWORKS = "networks"  # the attribute of a private zone: all the networks that it answers in, each with its region
OTHERS = "other_networks"  # the field with those that are not the environment's


def fill(desired: Desired, observed: Observed) -> Desired:
    """*desired* with what its volumes and zones need said beside their specs."""
    filled = {}
    for id, resource in desired.resources.items():
        live = observed.one(id) if id.kind in {"volume", "zone"} else None
        more = _beside(resource, live) if live else None
        if more:
            filled[id] = replace(resource, fields={**resource.fields, **more})
    return replace(desired, resources={**desired.resources, **filled}) if filled else desired


def _beside(resource: Resource, live: Observation) -> Fields | None:
    return _performance(resource, live) if resource.id.kind == "volume" else _networks(resource, live)


def _performance(resource: Resource, live: Observation) -> Fields | None:
    """One that is gp3 already keeps what it has."""
    becomes = resource.fields.get("type") == GP3 != live.fields.get("type")
    return {"iops": IOPS} if becomes and "iops" not in resource.fields else None


def _networks(resource: Resource, live: Observation) -> Fields | None:
    others = [one for one in live.attributes.get(NETWORKS, "").split() if one.partition("/")[0] != resource.fields.get("vpc")]
    return {OTHERS: others} if others and "vpc" in resource.fields else None
