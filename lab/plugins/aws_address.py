"""Part of the stand-in `aws` plugin: `aws:ec2/eip:Eip`, after internal/service/ec2/ec2_eip.go of terraform-provider-aws."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from lab.plugins import aws_schema, aws_tags
from lab.plugins.aws_client import AwsError, tag_specification, tags, text
from lab.plugins.aws_schema import OUTPUT, REGION, TAGS, TAGS_ALL, Field, Schema
from lab.plugins.properties import Values
from lab.plugins.provider import Failure

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from lab.plugins.aws_account import Account

TITLE: Final = "EC2 EIP"
CREATE_SECONDS: Final = 900.0
DELETE_SECONDS: Final = 180.0
SCHEMA: Schema = {
    "address": Field(replaces=True),
    "allocationId": OUTPUT,
    "arn": OUTPUT,
    "associateWithPrivateIp": Field(),
    "associationId": OUTPUT,
    "carrierIp": OUTPUT,
    "customerOwnedIp": OUTPUT,
    "customerOwnedIpv4Pool": Field(),
    "domain": Field(computed=True, replaces=True),
    "instance": Field(computed=True),
    "ipamPoolId": Field(computed=True, replaces=True),
    "networkBorderGroup": Field(computed=True, replaces=True),
    "networkInterface": Field(computed=True),
    "privateDns": OUTPUT,
    "privateIp": OUTPUT,
    "ptrRecord": OUTPUT,
    "publicDns": OUTPUT,
    "publicIp": OUTPUT,
    "publicIpv4Pool": Field(computed=True, replaces=True),
    "region": REGION,
    "tags": TAGS,
    "tagsAll": TAGS_ALL,
}
_HELD = ("instance", "networkInterface", "associateWithPrivateIp")


def check(news: Values) -> Iterator[Failure]:
    """The schema's own rules."""
    yield from aws_schema.one_of(news, "domain", ("vpc", "standard"))


def replaced(olds: Values, news: Values) -> frozenset[str]:  # noqa: ARG001 - as other types have it
    """No more than the schema says."""
    return frozenset()


def create(account: Account, news: Values) -> str:
    """Allocate an address, its tags with it."""
    answer = account.client.ec2(
        "AllocateAddress",
        Address=news.get("address"),
        CustomerOwnedIpv4Pool=news.get("customerOwnedIpv4Pool"),
        Domain=news.get("domain") or "vpc",
        IpamPoolId=news.get("ipamPoolId"),
        NetworkBorderGroup=news.get("networkBorderGroup"),
        PublicIpv4Pool=news.get("publicIpv4Pool"),
        **tag_specification("elastic-ip", news.get("tagsAll") or {}),
    )
    return text(answer, "allocationId") or ""


def settle(account: Account, id_: str, news: Values, seconds: float) -> None:
    """Wait until a describe shows the address, then associate it where the program says."""
    account.client.patience.until(lambda: _describe(account, id_), seconds, "the address to be listed")
    if news.get("instance") or news.get("networkInterface"):
        _associate(account, id_, news, seconds)


def read(account: Account, id_: str, known: Values) -> Values | None:  # noqa: ARG001 - as other types have it
    """The address as it is; None when it is released."""
    found = _describe(account, id_)
    if found is None:
        return None
    public, private = text(found, "publicIp") or "", text(found, "privateIpAddress") or ""
    where = "compute-1.amazonaws.com" if account.region == "us-east-1" else f"{account.region}.compute.amazonaws.com"
    inside = "ec2.internal" if account.region == "us-east-1" else f"{account.region}.compute.internal"
    return {
        "allocationId": id_,
        "arn": account.arn(f"elastic-ip/{id_}"),
        "associationId": text(found, "associationId") or "",
        "carrierIp": text(found, "carrierIp") or "",
        "customerOwnedIp": text(found, "customerOwnedIp") or "",
        "customerOwnedIpv4Pool": text(found, "customerOwnedIpv4Pool") or "",
        "domain": text(found, "domain"),
        "instance": text(found, "instanceId") or "",
        "ipamPoolId": "",
        "networkBorderGroup": text(found, "networkBorderGroup") or account.region,
        "networkInterface": text(found, "networkInterfaceId") or "",
        "privateDns": f"ip-{private.replace('.', '-')}.{inside}" if private else "",
        "privateIp": private,
        "ptrRecord": "",
        "publicDns": f"ec2-{public.replace('.', '-')}.{where}",
        "publicIp": public,
        "publicIpv4Pool": text(found, "publicIpv4Pool") or "amazon",
        "region": account.region,
        "tagsAll": tags(found),
    }


def update(account: Account, id_: str, olds: Values, news: Values, seconds: float) -> None:
    """Move the address to what the program names by now; then the tags."""
    if any(news.get(name) is not None and news[name] != olds.get(name) for name in _HELD):
        release(account, str(olds.get("associationId") or ""))
        if news.get("instance") or news.get("networkInterface"):
            _associate(account, id_, news, seconds)
    aws_tags.change(account.client, id_, olds.get("tagsAll") or {}, news.get("tagsAll") or {})


def delete(account: Account, id_: str, olds: Values, seconds: float) -> None:  # noqa: ARG001 - as other types have it
    """Take the address from what holds it, then give it back."""
    found = _describe(account, id_)
    if found is None:
        return
    release(account, text(found, "associationId") or "")
    try:
        account.client.ec2("ReleaseAddress", AllocationId=id_)
    except AwsError as error:
        if error.code != "InvalidAllocationID.NotFound":
            raise


def release(account: Account, association: str) -> None:
    """End an association; one that is gone already is as good."""
    if not association:
        return
    try:
        account.client.ec2("DisassociateAddress", AssociationId=association)
    except AwsError as error:
        if error.code != "InvalidAssociationID.NotFound":
            raise


def _associate(account: Account, id_: str, news: Values, seconds: float) -> None:
    answer = account.client.ec2(
        "AssociateAddress",
        AllocationId=id_,
        InstanceId=news.get("instance") or None,
        NetworkInterfaceId=news.get("networkInterface") or None,
        PrivateIpAddress=news.get("associateWithPrivateIp") or None,
    )
    association = text(answer, "associationId")

    def shown() -> bool | None:
        return True if text(_describe(account, id_), "associationId") == association else None

    account.client.patience.until(shown, seconds, "the association to be listed")


def _describe(account: Account, id_: str) -> Element | None:
    try:
        answer = account.client.ec2("DescribeAddresses", AllocationId=[id_])
    except AwsError as error:
        if error.code == "InvalidAllocationID.NotFound":
            return None
        raise
    return answer.find("addressesSet/item")
