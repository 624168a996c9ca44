"""Whose a record is, told by what else is live: Route53 keeps no marks on records. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from reconciler.model.address import ResourceId
from reconciler.model.observation import Observation
from reconciler.ports import Payload
from reconciler.resources import marks

LEASES = "member-"  # how the names of members' Leases begin


def following(leases: Iterable[Payload]) -> dict[str, str]:
    """The addresses of the records that follow a member's Pod, each with its stack: members' Leases name them."""
    metadata = [lease["metadata"] for lease in leases if lease["metadata"]["name"].startswith(LEASES)]
    named = {(one.get("annotations") or {}).get(marks.ADDRESS, ""): (one.get("labels") or {}).get(marks.SERVICE, "") for one in metadata}
    return {address: stack for address, stack in named.items() if address and stack}


def mark(observations: Iterable[Observation], zone: str, following: Mapping[str, str]) -> list[Observation]:
    """*observations*, the A records among them marked that are named by a Lease (*following*) or belong to a live interface of ours."""
    known = list(observations)
    owners = {**_of_interfaces(known, zone), **following}
    return [_marked(one, owners.get(str(one.id), "")) for one in known]


def _of_interfaces(observations: Iterable[Observation], zone: str) -> dict[str, str]:
    ours = [one for one in observations if one.id.kind == "interface" and one.marked]
    return {str(ResourceId("record", one.id.environment, "", f"{one.id.member}.{zone}")): one.stack for one in ours}


def _marked(one: Observation, stack: str) -> Observation:
    ours = stack and one.id.kind == "record" and one.fields.get("type") == "A"
    return replace(one, marked=True, stack=stack) if ours else one
