"""Hosted zones by name: what the kinds `zone` and `record` both have to look up."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from providers import marked
from reconciler.model.environment import Environment
from reconciler.ports import Cloud, Payload
from reconciler.resources import cloud as declared

PREFIX = "/hostedzone/"
_ESCAPE = re.compile(r"\\([0-7]{3})")
MOST = "100"  # zones of one name, and the largest page


def serving(cloud: Cloud, environment: Environment) -> list[Payload]:
    """The live zones that serve the environment, as get_hosted_zone tells them. More than one is for a person to see.

    They have its name, are private or public as it says, and a private one answers in its network: other networks of the account may
    have a zone of the same name. Where none does, one that carries the environment's marks was only taken out of its network.
    """
    found = [cloud.call("route53", "get_hosted_zone", Id=bare(zone["Id"])) for zone in _named(cloud, environment)]
    network = environment.aws.vpc
    if not environment.dns.private or not network:
        return found
    inside = [zone for zone in found if network in networks(zone)]
    return inside or [zone for zone in found if _is_ours(zone, cloud, environment)]


def ids(cloud: Cloud, environment: Environment) -> list[str]:
    """Their ids."""
    return [id_of(zone) for zone in serving(cloud, environment)]


def _named(cloud: Cloud, environment: Environment) -> Iterator[Mapping[str, Any]]:
    """Those of its name, private or public as it says."""
    wanted = environment.dns.zone
    for page in cloud.pages("route53", "list_hosted_zones_by_name", DNSName=wanted, MaxItems=MOST):
        for zone in page["HostedZones"]:
            private = bool(zone.get("Config", {}).get("PrivateZone"))
            if plain(zone["Name"]) == plain(wanted) and private == environment.dns.private:
                yield zone


def _is_ours(zone: Payload, cloud: Cloud, environment: Environment) -> bool:
    return marked.claim("zone", environment.name, tags(cloud, zone)) == declared.zone_id(environment)


def networks(zone: Payload) -> list[str]:
    """The networks in which a private zone answers."""
    return [network["VPCId"] for network in zone.get("VPCs") or ()]


def tags(cloud: Cloud, zone: Payload) -> dict[str, str]:
    """The tags of a zone, which Route53 tells apart from it."""
    told = cloud.call("route53", "list_tags_for_resource", ResourceType="hostedzone", ResourceId=id_of(zone))
    return marked.tags(told["ResourceTagSet"].get("Tags"))


def id_of(zone: Payload) -> str:
    return bare(zone["HostedZone"]["Id"])


def bare(id: str) -> str:
    """A zone's id without the prefix that Route53 writes only sometimes."""
    return id.removeprefix(PREFIX)


def plain(name: str) -> str:
    """A domain name as it is compared: in lower case, without the trailing dot and without Route53's octal escapes for `*` and its like."""
    return _ESCAPE.sub(lambda escaped: chr(int(escaped[1], 8)), name).lower().removesuffix(".")
