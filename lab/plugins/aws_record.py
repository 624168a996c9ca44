"""Part of the stand-in `aws` plugin: `aws:route53/record:Record`, after internal/service/route53/record.go of terraform-provider-aws."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from lab.plugins import aws_route53, aws_schema
from lab.plugins.aws_client import AwsError
from lab.plugins.aws_schema import OUTPUT, Field, Schema
from lab.plugins.properties import Values
from lab.plugins.provider import Failure, Refused

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from lab.plugins.aws_account import Account

TITLE: Final = "Route53 Record"
CREATE_SECONDS: Final = 1800.0
DELETE_SECONDS: Final = 1800.0
_POLICIES = (
    "cidrRoutingPolicy",
    "failoverRoutingPolicies",
    "geolocationRoutingPolicies",
    "geoproximityRoutingPolicy",
    "latencyRoutingPolicies",
    "multivalueAnswerRoutingPolicy",
    "weightedRoutingPolicies",
)
_TYPES = ("SOA", "A", "TXT", "NS", "CNAME", "MX", "NAPTR", "PTR", "SRV", "SPF", "AAAA", "CAA", "DS", "TLSA", "SSHFP", "SVCB", "HTTPS")
_ID = (
    "unexpected format of ID ({}), expected ZONEID_RECORDNAME_TYPE[_SET-IDENTIFIER] "
    "(e.g. Z4KAPRWWNC7JR_dev.example.com_NS_dev), where SET-IDENTIFIER is optional"
)


def _plain_name(name: Any) -> Any:
    return name.removesuffix(".").lower() if isinstance(name, str) else name


def _plain_aliases(aliases: Any) -> Any:
    return [{**alias, "name": _plain_name(alias.get("name"))} for alias in aliases] if isinstance(aliases, list) else aliases


SCHEMA: Schema = {
    "aliases": Field(list, normal=_plain_aliases),
    "allowOverwrite": Field(bool, computed=True),
    "cidrRoutingPolicy": Field(dict, absent=True),
    "failoverRoutingPolicies": Field(list),
    "fqdn": OUTPUT,
    "geolocationRoutingPolicies": Field(list),
    "geoproximityRoutingPolicy": Field(dict, absent=True),
    "healthCheckId": Field(),
    "latencyRoutingPolicies": Field(list),
    "multivalueAnswerRoutingPolicy": Field(bool),
    "name": Field(required=True, replaces=True, normal=_plain_name),
    "records": Field(list, is_set=True),
    "setIdentifier": Field(),
    "ttl": Field(int),
    "type": Field(required=True),
    "weightedRoutingPolicies": Field(list),
    "zoneId": Field(required=True, replaces=True),
}


def check(news: Values) -> Iterator[Failure]:
    """The schema's own rules; a record without a ttl, or with a value that is none of its type, is Route53's to refuse."""
    yield from aws_schema.one_of(news, "type", _TYPES)
    yield from aws_schema.exactly_one(news, "aliases", "records")
    yield from aws_schema.conflicts(news, "aliases", ("ttl",))
    if news.get("ttl") is not None and news.get("records") is None:
        yield Failure("ttl", '"ttl": all of `records,ttl` must be specified')
    given = [policy for policy in _POLICIES if news.get(policy) is not None]
    for policy in given:
        yield from aws_schema.conflicts(news, policy, tuple(other for other in given if other != policy))
        if news.get("setIdentifier") is None:
            yield Failure(policy, f'"{policy}": all of `{policy},setIdentifier` must be specified')


def replaced(olds: Values, news: Values) -> frozenset[str]:  # noqa: ARG001 - as other types have it
    """No more than name and zone: a change of type or set is one batch that deletes and creates."""
    return frozenset()


def create(account: Account, news: Values) -> str:
    """CREATE, which Route53 refuses where the record exists, unless the program allows to overwrite it."""
    action = "UPSERT" if news.get("allowOverwrite") else "CREATE"
    _change(account, news, [(action, news)])
    return _id(news)


def settle(account: Account, id_: str, news: Values, seconds: float) -> None:
    """Wait until a listing shows the record."""
    account.client.patience.until(lambda: read(account, id_, news), seconds, "the record to be listed")


def read(account: Account, id_: str, known: Values) -> Values | None:
    """The record as it is; None when it or its zone is gone. Without *known* values the id says where to look."""
    zone, name, kind, set_ = _key(id_, known)
    try:
        zone_name = aws_route53.zone_name(account.client, zone)
        found = aws_route53.find(account.client, zone, _full_name(name, zone_name), kind, set_)
    except AwsError as error:
        if error.code == "NoSuchHostedZone":
            return None
        raise
    if found is None:
        return None
    where = {"zoneId": zone, "name": _plain_name(name), "type": kind, "setIdentifier": set_}
    return {**where, "fqdn": _full_name(name, zone_name), **_values(found, kind)}


def update(account: Account, id_: str, olds: Values, news: Values, seconds: float) -> None:  # noqa: ARG001 - as other types have it
    """UPSERT; where the type or the set changes, the old record goes and the new one comes in one batch."""
    if all(olds.get(name) == news.get(name) or not (olds.get(name) or news.get(name)) for name in ("type", "setIdentifier")):
        _change(account, news, [("UPSERT", news)])
        return
    _change(account, news, [("DELETE", olds), ("UPSERT" if news.get("allowOverwrite") else "CREATE", news)])


def delete(account: Account, id_: str, olds: Values, seconds: float) -> None:  # noqa: ARG001 - as other types have it
    """Delete what is live, whatever its value is by now."""
    live = read(account, id_, olds)
    if live is None:
        return
    try:
        _change(account, live, [("DELETE", live)])
    except AwsError as error:
        if error.code != "InvalidChangeBatch":
            raise


def _change(account: Account, where: Values, changes: list[tuple[str, Values]]) -> None:
    zone = aws_route53.clean(str(where["zoneId"]))
    name = aws_route53.zone_name(account.client, zone)
    batch = [(action, _record_set(values, name)) for action, values in changes]
    aws_route53.change(account.client, zone, batch, CREATE_SECONDS)


def _record_set(values: Values, zone_name: str) -> Element:
    """A record in Route53's form, its parts in the order of its schema."""
    policy = {name: (values.get(name) or [{}])[0] for name in _POLICIES if name.endswith("Policies")}
    place = policy["geolocationRoutingPolicies"]
    alias = (values.get("aliases") or [{}])[0]
    records = [{"Value": aws_route53.quoted(value, str(values["type"]))} for value in values.get("records") or ()]
    parts = {
        "Name": _full_name(str(values["name"]), zone_name),
        "Type": values["type"],
        "SetIdentifier": values.get("setIdentifier") or None,
        "Weight": policy["weightedRoutingPolicies"].get("weight"),
        "Region": policy["latencyRoutingPolicies"].get("region"),
        "GeoLocation": {
            "ContinentCode": place.get("continent") or None,
            "CountryCode": place.get("country") or None,
            "SubdivisionCode": place.get("subdivision") or None,
        },
        "Failover": policy["failoverRoutingPolicies"].get("type"),
        "MultiValueAnswer": values.get("multivalueAnswerRoutingPolicy") or None,
        "TTL": values.get("ttl") if records else None,
        "ResourceRecords": {"ResourceRecord": records} if records else None,
        "AliasTarget": {
            "HostedZoneId": alias.get("zoneId"),
            "DNSName": alias.get("name"),
            "EvaluateTargetHealth": alias.get("evaluateTargetHealth"),
        },
        "HealthCheckId": values.get("healthCheckId") or None,
    }
    return aws_route53.element("ResourceRecordSet", parts)


def _values(found: Element, kind: str) -> Values:
    """What is live, under Pulumi's names; None where the record has no such part."""
    get = found.findtext
    alias, place = found.find("AliasTarget"), found.find("GeoLocation")
    ttl = get("TTL")
    return {
        "records": [aws_route53.unquoted(node.text or "", kind) for node in found.findall("ResourceRecords/ResourceRecord/Value")] or None,
        "ttl": int(ttl) if ttl else None,
        "aliases": [
            {
                "evaluateTargetHealth": alias.findtext("EvaluateTargetHealth") == "true",
                "name": _plain_name(alias.findtext("DNSName")),
                "zoneId": alias.findtext("HostedZoneId"),
            }
        ]
        if alias is not None
        else None,
        "weightedRoutingPolicies": [{"weight": int(get("Weight", "0"))}] if found.find("Weight") is not None else None,
        "latencyRoutingPolicies": [{"region": get("Region")}] if get("Region") else None,
        "failoverRoutingPolicies": [{"type": get("Failover")}] if get("Failover") else None,
        "geolocationRoutingPolicies": [_geolocation(place)] if place is not None else None,
        "multivalueAnswerRoutingPolicy": get("MultiValueAnswer") == "true",
        "healthCheckId": get("HealthCheckId") or "",
    }


def _geolocation(place: Element) -> dict[str, str]:
    names = {"continent": "ContinentCode", "country": "CountryCode", "subdivision": "SubdivisionCode"}
    return {name: place.findtext(tag) or "" for name, tag in names.items() if place.findtext(tag)}


def _full_name(name: str, zone_name: str) -> str:
    """`a` and `a.example.com.` both are `a.example.com` in the zone `example.com.`; the empty name is the zone's own."""
    plain, zone = str(_plain_name(name)), zone_name.removesuffix(".")
    if plain.endswith(zone):
        return plain
    return f"{plain}.{zone}" if plain else zone


def _id(values: Values) -> str:
    parts = [aws_route53.clean(str(values["zoneId"])), str(values["name"]).lower(), values["type"], values.get("setIdentifier")]
    return "_".join(str(part) for part in parts if part)


def _key(id_: str, known: Values) -> tuple[str, str, str, str]:
    if known.get("zoneId") and known.get("name") and known.get("type"):
        zone, name, kind = str(known["zoneId"]), str(known["name"]), str(known["type"])
        return aws_route53.clean(zone), name, kind, str(known.get("setIdentifier") or "")
    parts = id_.split("_")
    at = next((position for position, part in enumerate(parts) if position > 1 and part in _TYPES), 0)
    if not at:
        raise Refused(_ID.format(id_))
    return parts[0], "_".join(parts[1:at]).removesuffix("."), parts[at], "_".join(parts[at + 1 :])
