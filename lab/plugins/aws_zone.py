"""Part of the stand-in `aws` plugin: `aws:route53/zone:Zone`, after internal/service/route53/zone.go of terraform-provider-aws."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from lab.plugins import aws_route53, aws_schema, aws_tags
from lab.plugins.aws_client import AwsError, pairs, text
from lab.plugins.aws_schema import OUTPUT, TAGS, TAGS_ALL, Field, Schema
from lab.plugins.properties import Values
from lab.plugins.provider import Failure

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from lab.plugins.aws_account import Account

TITLE: Final = "Route53 Hosted Zone"
CREATE_SECONDS: Final = 1800.0
DELETE_SECONDS: Final = 1800.0


def _plain_name(name: Any) -> Any:
    return name.removesuffix(".") if isinstance(name, str) else name


def _vpc_ids(vpcs: Any) -> Any:
    return [vpc.get("vpcId") for vpc in vpcs] if isinstance(vpcs, list) else vpcs


SCHEMA: Schema = {
    "arn": OUTPUT,
    "comment": Field(default="Managed by Pulumi"),
    "delegationSetId": Field(replaces=True),
    "enableAcceleratedRecovery": Field(bool, absent=True),
    "forceDestroy": Field(bool, default=False),
    "name": Field(required=True, replaces=True, normal=_plain_name),
    "nameServers": OUTPUT,
    "primaryNameServer": OUTPUT,
    "tags": TAGS,
    "tagsAll": TAGS_ALL,
    "vpcs": Field(list, is_set=True, normal=_vpc_ids),
    "zoneId": OUTPUT,
}


def check(news: Values) -> Iterator[Failure]:
    """The schema's own rules."""
    yield from aws_schema.conflicts(news, "delegationSetId", ("vpcs",))
    if isinstance(news.get("comment"), str) and len(news["comment"]) > 256:
        yield Failure("comment", f"expected length of comment to be in the range (0 - 256), got {news['comment'][:20]}…")


def replaced(olds: Values, news: Values) -> frozenset[str]:  # noqa: ARG001 - as other types have it
    """No more than the schema says."""
    return frozenset()


def create(account: Account, news: Values) -> str:
    """A zone is private when it is made with its first VPC."""
    vpcs = news.get("vpcs") or []
    body = aws_route53.request(
        "CreateHostedZoneRequest",
        {
            "Name": news["name"],
            "VPC": _vpc(account, vpcs[0]) if vpcs else {},
            "CallerReference": aws_tags.token(),
            "HostedZoneConfig": {"Comment": news.get("comment"), "PrivateZone": bool(vpcs)},
            "DelegationSetId": news.get("delegationSetId"),
        },
    )
    answer = account.client.route53("CreateHostedZone", "POST", "hostedzone", body)
    return aws_route53.clean(text(answer, "HostedZone/Id") or "")


def settle(account: Account, id_: str, news: Values, seconds: float) -> None:  # noqa: ARG001 - as other types have it
    """Tag the zone and give it its further VPCs."""
    _tag(account, id_, {}, news.get("tagsAll") or {})
    for vpc in (news.get("vpcs") or [])[1:]:
        _associate(account, id_, vpc, "Associate")


def read(account: Account, id_: str, known: Values) -> Values | None:  # noqa: ARG001 - as other types have it
    """The zone as it is; None when it is gone."""
    id_ = aws_route53.clean(id_)
    try:
        found = account.client.route53("GetHostedZone", "GET", f"hostedzone/{id_}")
    except AwsError as error:
        if error.code == "NoSuchHostedZone":
            return None
        raise
    servers = [node.text or "" for node in found.findall("DelegationSet/NameServers/NameServer")] or _listed_servers(account, id_, found)
    tags = account.client.route53("ListTagsForResource", "GET", f"tags/hostedzone/{id_}")
    return {
        "arn": f"arn:aws:route53:::hostedzone/{id_}",
        "comment": text(found, "HostedZone/Config/Comment") or "",
        "delegationSetId": aws_route53.clean(text(found, "DelegationSet/Id") or ""),
        "name": _plain_name(text(found, "HostedZone/Name")),
        "nameServers": sorted(servers),
        "primaryNameServer": servers[0] if servers else "",
        "tagsAll": {text(tag, "Key") or "": text(tag, "Value") or "" for tag in tags.iter("Tag")},
        "vpcs": [{"vpcId": text(vpc, "VPCId"), "vpcRegion": text(vpc, "VPCRegion")} for vpc in found.findall("VPCs/VPC")],
        "zoneId": id_,
    }


def update(account: Account, id_: str, olds: Values, news: Values, seconds: float) -> None:  # noqa: ARG001 - as other types have it
    """Comment, tags and VPCs change in place; a VPC comes before another goes, since a private zone is never without."""
    if olds.get("comment") != news.get("comment"):
        body = aws_route53.request("UpdateHostedZoneCommentRequest", {"Comment": news.get("comment")})
        account.client.route53("UpdateHostedZoneComment", "POST", f"hostedzone/{id_}", body)
    _tag(account, id_, olds.get("tagsAll") or {}, news.get("tagsAll") or {})
    before = {vpc["vpcId"]: vpc for vpc in olds.get("vpcs") or ()}
    after = {vpc["vpcId"]: vpc for vpc in news.get("vpcs") or ()}
    for vpc in after.keys() - before.keys():
        _associate(account, id_, after[vpc], "Associate")
    for vpc in before.keys() - after.keys():
        _associate(account, id_, before[vpc], "Disassociate")


def delete(account: Account, id_: str, olds: Values, seconds: float) -> None:
    """Delete the zone; what it still holds goes first only where the program said so."""
    try:
        if olds.get("forceDestroy"):
            _empty(account, id_, seconds)
        account.client.route53("DeleteHostedZone", "DELETE", f"hostedzone/{id_}")
    except AwsError as error:
        if error.code != "NoSuchHostedZone":
            raise


def _vpc(account: Account, vpc: Values) -> Values:
    return {"VPCRegion": vpc.get("vpcRegion") or account.region, "VPCId": vpc["vpcId"]}


def _associate(account: Account, id_: str, vpc: Values, verb: str) -> None:
    body = aws_route53.request(f"{verb}VPC{'With' if verb == 'Associate' else 'From'}HostedZoneRequest", {"VPC": _vpc(account, vpc)})
    account.client.route53(f"{verb}VPCWithHostedZone", "POST", f"hostedzone/{id_}/{verb.lower()}vpc", body)


def _tag(account: Account, id_: str, olds: dict[str, str], news: dict[str, str]) -> None:
    added = {key: value for key, value in news.items() if olds.get(key) != value}
    gone = sorted(olds.keys() - news.keys())
    if added or gone:
        parts = {"AddTags": {"Tag": pairs(added)}, "RemoveTagKeys": {"Key": gone}}
        body = aws_route53.request("ChangeTagsForResourceRequest", parts)
        account.client.route53("ChangeTagsForResource", "POST", f"tags/hostedzone/{id_}", body)


def _listed_servers(account: Account, id_: str, found: Element) -> list[str]:
    """A private zone's servers stand in its own NS record only."""
    name = (text(found, "HostedZone/Name") or "").removesuffix(".")
    record = aws_route53.find(account.client, id_, name, "NS")
    return [node.text or "" for node in record.iter("Value")] if record is not None else []


def _empty(account: Account, id_: str, seconds: float) -> None:
    apex = aws_route53.zone_name(account.client, id_)
    while held := _held(account, id_, apex):
        aws_route53.change(account.client, id_, [("DELETE", record) for record in held], seconds)


def _held(account: Account, id_: str, apex: str) -> list[Element]:
    """The first page of what the zone holds beside its own NS and SOA."""
    answer = account.client.route53("ListResourceRecordSets", "GET", f"hostedzone/{id_}/rrset")
    records = answer.findall("ResourceRecordSets/ResourceRecordSet")
    return [record for record in records if record.findtext("Name") != apex or record.findtext("Type") not in {"NS", "SOA"}]
