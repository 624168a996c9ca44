"""Route 53's zones as its name servers know them: read without a call to AWS, so no policy, throttle or fault stands before an answer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.route53.models import RecordSet, route53_backends

from lab.aws.world import World


def read(world: World) -> list[dict[str, Any]]:
    """Each zone's name and its record sets: name, type, ttl, values. Alias records have no values of their own and are left out."""
    with world.lock:
        zones = route53_backends[DEFAULT_ACCOUNT_ID]["aws"].zones.values()
        return [{"name": zone.name, "records": _records(zone.rrsets)} for zone in zones]


def _records(sets: Iterable[RecordSet]) -> list[dict[str, Any]]:
    return [
        {"name": one.name, "type": one.type, "ttl": int(one.ttl or 0), "values": [value["Value"] for value in one.resource_records]}
        for one in sets
        if one.resource_records
    ]
