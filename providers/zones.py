"""Hosted zones by name: what the kinds `zone` and `record` both have to look up."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from reconciler.model.environment import Environment
from reconciler.ports import Cloud

PREFIX = "/hostedzone/"
_ESCAPE = re.compile(r"\\([0-7]{3})")
MOST = "100"  # zones of one name, and the largest page


def named(cloud: Cloud, environment: Environment) -> Iterator[Mapping[str, Any]]:
    """The live zones that serve the environment: of its name, and private or public as it says. More than one is for a person to see."""
    wanted = environment.dns.zone
    for page in cloud.pages("route53", "list_hosted_zones_by_name", DNSName=wanted, MaxItems=MOST):
        for zone in page["HostedZones"]:
            private = bool(zone.get("Config", {}).get("PrivateZone"))
            if plain(zone["Name"]) == plain(wanted) and private == environment.dns.private:
                yield zone


def ids(cloud: Cloud, environment: Environment) -> list[str]:
    """Their ids, without the prefix that Route53 writes only sometimes."""
    return [zone["Id"].removeprefix(PREFIX) for zone in named(cloud, environment)]


def plain(name: str) -> str:
    """A domain name as it is compared: in lower case, without the trailing dot and without Route53's octal escapes for `*` and its like."""
    return _ESCAPE.sub(lambda escaped: chr(int(escaped[1], 8)), name).lower().removesuffix(".")
