"""Part of the stand-in `aws` plugin: `aws:ec2/eipAssociation:EipAssociation`, after ec2_eip_association.go of terraform-provider-aws."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from lab.plugins import aws_address
from lab.plugins.aws_client import AwsError, text
from lab.plugins.aws_schema import REGION, Field, Schema
from lab.plugins.properties import Values
from lab.plugins.provider import Failure

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from lab.plugins.aws_account import Account

TITLE: Final = "EC2 EIP Association"
CREATE_SECONDS: Final = 300.0
DELETE_SECONDS: Final = 180.0
SCHEMA: Schema = {
    "allocationId": Field(computed=True, replaces=True),
    "allowReassociation": Field(bool, replaces=True),
    "instanceId": Field(computed=True, replaces=True),
    "networkInterfaceId": Field(computed=True, replaces=True),
    "privateIpAddress": Field(computed=True, replaces=True),
    "publicIp": Field(computed=True, replaces=True),
    "region": REGION,
}


def check(news: Values) -> Iterator[Failure]:  # noqa: ARG001 - as other types have it
    """The schema has no rules of its own."""
    return iter(())


def replaced(olds: Values, news: Values) -> frozenset[str]:  # noqa: ARG001 - as other types have it
    """No more than the schema says, which is everything."""
    return frozenset()


def create(account: Account, news: Values) -> str:
    """Associate the address; one that is associated already is refused unless the program allows to take it."""
    answer = account.client.ec2(
        "AssociateAddress",
        AllocationId=news.get("allocationId"),
        AllowReassociation=bool(news.get("allowReassociation")),
        InstanceId=news.get("instanceId"),
        NetworkInterfaceId=news.get("networkInterfaceId"),
        PrivateIpAddress=news.get("privateIpAddress"),
        PublicIp=news.get("publicIp"),
    )
    return text(answer, "associationId") or ""


def settle(account: Account, id_: str, news: Values, seconds: float) -> None:  # noqa: ARG001 - as other types have it
    """Wait until a describe shows the association."""
    account.client.patience.until(lambda: _describe(account, id_), seconds, "the association to be listed")


def read(account: Account, id_: str, known: Values) -> Values | None:  # noqa: ARG001 - as other types have it
    """The association as it is; None when it is ended."""
    found = _describe(account, id_)
    if found is None:
        return None
    return {
        "allocationId": text(found, "allocationId"),
        "instanceId": text(found, "instanceId") or "",
        "networkInterfaceId": text(found, "networkInterfaceId") or "",
        "privateIpAddress": text(found, "privateIpAddress") or "",
        "publicIp": text(found, "publicIp"),
        "region": account.region,
    }


def update(account: Account, id_: str, olds: Values, news: Values, seconds: float) -> None:
    """Nothing of an association changes in place."""


def delete(account: Account, id_: str, olds: Values, seconds: float) -> None:  # noqa: ARG001 - as other types have it
    """End the association."""
    aws_address.release(account, id_)


def _describe(account: Account, id_: str) -> Element | None:
    try:
        answer = account.client.ec2("DescribeAddresses", Filter=[{"Name": "association-id", "Value": [id_]}])
    except AwsError as error:
        if error.code == "InvalidAssociationID.NotFound":
            return None
        raise
    return answer.find("addressesSet/item")
