"""Part of the stand-in `aws` plugin: `aws:ec2/networkInterface:NetworkInterface`, after the real one's vpc_network_interface.go."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from lab.plugins import aws_schema, aws_tags
from lab.plugins.aws_client import AwsError, flag, number, tag_specification, tags, text
from lab.plugins.aws_schema import OUTPUT, REGION, TAGS, TAGS_ALL, Field, Schema
from lab.plugins.properties import UNKNOWN, Values
from lab.plugins.provider import Failure

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from lab.plugins.aws_account import Account

TITLE: Final = "EC2 Network Interface"
CREATE_SECONDS: Final = 300.0
DELETE_SECONDS: Final = 600.0


def _held(attachments: Any) -> Any:
    """An attachment's id is AWS's; where it is attached is the program's."""
    return [(one.get("instance"), one.get("deviceIndex")) for one in attachments] if isinstance(attachments, list) else attachments


SCHEMA: Schema = {
    "arn": OUTPUT,
    "attachments": Field(list, computed=True, is_set=True, normal=_held),
    "connectionTrackingSpecification": Field(dict, absent=True),
    "description": Field(),
    "enaSrdSpecification": Field(dict, absent=True),
    "enablePrimaryIpv6": Field(bool, absent=True),
    "interfaceType": Field(computed=True, replaces=True),
    "ipv4PrefixCount": Field(int, absent=True, computed=True),
    "ipv4Prefixes": Field(list, absent=True, computed=True),
    "ipv6AddressCount": Field(int, absent=True, computed=True),
    "ipv6AddressListEnabled": Field(bool, absent=True, computed=True),
    "ipv6AddressLists": Field(list, absent=True, computed=True),
    "ipv6Addresses": Field(list, absent=True, computed=True),
    "ipv6PrefixCount": Field(int, absent=True, computed=True),
    "ipv6Prefixes": Field(list, absent=True, computed=True),
    "macAddress": OUTPUT,
    "outpostArn": OUTPUT,
    "ownerId": OUTPUT,
    "privateDnsName": OUTPUT,
    "privateIp": Field(computed=True, derived=True),
    "privateIpListEnabled": Field(bool, default=False),
    "privateIpLists": Field(list, computed=True, derived=True),
    "privateIps": Field(list, computed=True, is_set=True),
    "privateIpsCount": Field(int, computed=True, derived=True),
    "region": REGION,
    "securityGroups": Field(list, computed=True, is_set=True),
    "sourceDestCheck": Field(bool, default=True),
    "subnetId": Field(required=True, replaces=True),
    "tags": TAGS,
    "tagsAll": TAGS_ALL,
}
_GONE = "InvalidNetworkInterfaceID.NotFound"


def check(news: Values) -> Iterator[Failure]:
    """The schema's own rules; whether an address lies in the subnet is EC2's to judge."""
    yield from aws_schema.conflicts(news, "privateIps", ("privateIpLists",))
    yield from aws_schema.conflicts(news, "privateIpsCount", ("privateIpLists",))
    yield from aws_schema.one_of(news, "interfaceType", ("efa", "efa-only", "branch", "trunk"))


def replaced(olds: Values, news: Values) -> frozenset[str]:
    """A primary address is for life: where it goes, the interface goes (the ForceNewIf of the schema)."""
    primary = next(iter(olds.get("privateIpLists") or ()), None)
    if news.get("privateIpListEnabled"):
        asked: Any = news.get("privateIpLists")
        moved = asked is UNKNOWN or (bool(asked) and asked[0] != primary)
        return frozenset({"privateIpLists"}) if moved else frozenset()
    asked = news.get("privateIps")
    moved = asked is UNKNOWN or (bool(asked) and primary not in asked)
    return frozenset({"privateIps"}) if moved else frozenset()


def create(account: Account, news: Values) -> str:
    """Ask for the interface, its tags with it; its first address is the primary one."""
    addresses = _asked(news)
    specifications = [{"PrivateIpAddress": one, "Primary": position == 0} for position, one in enumerate(addresses)]
    answer = account.client.ec2(
        "CreateNetworkInterface",
        ClientToken=aws_tags.token(),
        SubnetId=news["subnetId"],
        Description=news.get("description") or None,
        InterfaceType=news.get("interfaceType"),
        PrivateIpAddresses=specifications,
        SecondaryPrivateIpAddressCount=None if addresses else news.get("privateIpsCount"),
        SecurityGroupId=news.get("securityGroups"),
        **tag_specification("network-interface", news.get("tagsAll") or {}),
    )
    return text(answer, "networkInterface/networkInterfaceId") or ""


def settle(account: Account, id_: str, news: Values, seconds: float) -> None:
    """Wait until a describe shows the interface, then set what a create can't."""

    def ready() -> bool | None:
        found = _describe(account, id_)
        return True if found is not None and text(found, "status") in {"available", "in-use"} else None

    account.client.patience.until(ready, seconds, "state to become 'available'")
    if news.get("sourceDestCheck") is False:
        account.client.ec2("ModifyNetworkInterfaceAttribute", NetworkInterfaceId=id_, SourceDestCheck={"Value": False})
    for attachment in news.get("attachments") or ():
        _attach(account, id_, attachment)


def read(account: Account, id_: str, known: Values) -> Values | None:  # noqa: ARG001 - as other types have it
    """The interface as it is; None when it is gone."""
    found = _describe(account, id_)
    if found is None:
        return None
    addresses = sorted(found.findall("privateIpAddressesSet/item"), key=lambda item: not flag(item, "primary"))
    listed = [text(item, "privateIpAddress") for item in addresses]
    return {
        "arn": account.arn(f"network-interface/{id_}"),
        "attachments": [_attachment(one) for one in found.findall("attachment") if text(one, "attachmentId")],
        "description": text(found, "description") or "",
        "interfaceType": text(found, "interfaceType"),
        "macAddress": text(found, "macAddress"),
        "outpostArn": text(found, "outpostArn") or "",
        "ownerId": text(found, "ownerId"),
        "privateDnsName": text(found, "privateDnsName") or "",
        "privateIp": text(found, "privateIpAddress"),
        "privateIpLists": listed,
        "privateIps": listed,
        "privateIpsCount": max(len(listed) - 1, 0),
        "region": account.region,
        "securityGroups": [text(group, "groupId") for group in found.findall("groupSet/item")],
        "sourceDestCheck": flag(found, "sourceDestCheck"),
        "subnetId": text(found, "subnetId"),
        "tagsAll": tags(found),
    }


def update(account: Account, id_: str, olds: Values, news: Values, seconds: float) -> None:
    """Addresses, attachments, attributes and tags, each where it changed."""
    if news.get("attachments") is not None and _held(news["attachments"]) != _held(olds.get("attachments") or []):
        _detach(account, id_, seconds)
        for attachment in news["attachments"]:
            _attach(account, id_, attachment)
    _readdress(account, id_, olds.get("privateIpLists") or [], _asked(news))
    attributes: dict[str, Any] = {"SecurityGroupId": news["securityGroups"]} if news.get("securityGroups") else {}
    for name, argument, empty in (("sourceDestCheck", "SourceDestCheck", True), ("description", "Description", "")):
        wanted = news[name] if news.get(name) is not None else empty
        if wanted != (olds[name] if olds.get(name) is not None else empty):
            account.client.ec2("ModifyNetworkInterfaceAttribute", NetworkInterfaceId=id_, **{argument: {"Value": wanted}})
    if attributes and sorted(news["securityGroups"]) != sorted(olds.get("securityGroups") or []):
        account.client.ec2("ModifyNetworkInterfaceAttribute", NetworkInterfaceId=id_, **attributes)
    aws_tags.change(account.client, id_, olds.get("tagsAll") or {}, news.get("tagsAll") or {})


def delete(account: Account, id_: str, olds: Values, seconds: float) -> None:  # noqa: ARG001 - as other types have it
    """Take the interface from whatever it is attached to, then delete it."""
    _detach(account, id_, seconds)
    try:
        account.client.ec2("DeleteNetworkInterface", NetworkInterfaceId=id_)
    except AwsError as error:
        if error.code != _GONE:
            raise
    account.client.patience.until(lambda: True if _describe(account, id_) is None else None, seconds, "the interface to be gone")


def _asked(news: Values) -> list[str]:
    """The addresses that the program asks for, the primary one first."""
    name = "privateIpLists" if news.get("privateIpListEnabled") else "privateIps"
    return list(news.get(name) or ())


def _readdress(account: Account, id_: str, before: list[str], after: list[str]) -> None:
    if not after:
        return
    gone, added = [one for one in before if one not in after], [one for one in after if one not in before]
    if gone:
        account.client.ec2("UnassignPrivateIpAddresses", NetworkInterfaceId=id_, PrivateIpAddress=gone)
    if added:
        account.client.ec2("AssignPrivateIpAddresses", NetworkInterfaceId=id_, PrivateIpAddress=added)


def _attach(account: Account, id_: str, attachment: Values) -> None:
    account.client.ec2(
        "AttachNetworkInterface", NetworkInterfaceId=id_, InstanceId=attachment["instance"], DeviceIndex=attachment["deviceIndex"]
    )


def _detach(account: Account, id_: str, seconds: float) -> None:
    found = _describe(account, id_)
    attachment = text(found, "attachment/attachmentId")
    if attachment is None:
        return
    account.client.ec2("DetachNetworkInterface", AttachmentId=attachment, Force=True)

    def free() -> bool | None:
        now = _describe(account, id_)
        return True if now is None or text(now, "attachment/attachmentId") is None else None

    account.client.patience.until(free, seconds, "the interface to be detached")


def _attachment(found: Element) -> Values:
    return {"attachmentId": text(found, "attachmentId"), "deviceIndex": number(found, "deviceIndex"), "instance": text(found, "instanceId")}


def _describe(account: Account, id_: str) -> Element | None:
    try:
        answer = account.client.ec2("DescribeNetworkInterfaces", NetworkInterfaceId=[id_])
    except AwsError as error:
        if error.code == _GONE:
            return None
        raise
    return answer.find("networkInterfaceSet/item")
