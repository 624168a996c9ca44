"""What a request touches, for IAM: each resource with its tags, each tag that is set, as the service authorization reference lists them.

https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html and list_amazonroute53.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs

from moto.core.models import DEFAULT_ACCOUNT_ID

from lab import layout
from lab.aws.calls import Call
from lab.aws.policy import Keys, Touched

_MADE = {
    "CreateVolume": "volume",
    "CreateSnapshot": "snapshot",
    "CreateSnapshots": "snapshot",
    "CreateNetworkInterface": "network-interface",
    "AllocateAddress": "elastic-ip",
}
_TYPES = {
    "vol": "volume",
    "snap": "snapshot",
    "eni": "network-interface",
    "eipalloc": "elastic-ip",
    "subnet": "subnet",
    "sg": "security-group",
    "i": "instance",
}
_NAMED = re.compile(
    r"^(InstanceSpecification\.)?(Volume|Snapshot|NetworkInterface|Allocation|Subnet|SecurityGroup|Instance|Resource)Id(\.\d+)?$"
)
_SPECIFIED = re.compile(r"^TagSpecification\.\d+\.Tag\.(\d+)\.Key$")
_TAGGED = re.compile(r"^Tag\.(\d+)\.Key$")
_ZONE = re.compile(r"/hostedzone/(\w+)")
_RECORD = {
    "changeresourcerecordsetsrecordtypes": re.compile(r"<Type>(\w+)</Type>"),
    "changeresourcerecordsetsactions": re.compile(r"<Action>(\w+)</Action>"),
    "changeresourcerecordsetsnormalizedrecordnames": re.compile(r"<Name>([^<]+)</Name>"),
}


def touched(call: Call, path: str, backend: Any) -> list[Touched]:
    """The authorisations that *call* needs; *backend* is moto's EC2, which knows the tags."""
    if not call.writes:
        return [Touched(_action(call))]
    found = _in_route53(call, path) if call.service == "route53" else _in_ec2(call, backend)
    return list(found) or [Touched(_action(call))]


def _action(call: Call) -> str:
    return f"{call.service}:{call.action}"


def _in_route53(call: Call, path: str) -> Iterator[Touched]:
    zone = _ZONE.search(path)
    if zone:
        keys = {f"route53:{name}": tuple(values) for name, pattern in _RECORD.items() if (values := pattern.findall(call.body))}
        yield Touched(_action(call), f"arn:aws:route53:::hostedzone/{zone[1]}", keys)


def _in_ec2(call: Call, backend: Any) -> Iterator[Touched]:
    form = {name: values[0] for name, values in parse_qs(call.body, keep_blank_values=True).items()}
    given = _tags(form, _SPECIFIED) | _tags(form, _TAGGED)
    asked: Keys = {"aws:tagkeys": tuple(given), **{f"aws:requesttag/{key.lower()}": (value,) for key, value in given.items()}}
    made = _MADE.get(call.action)
    if made:
        yield Touched(_action(call), _arn(made, "*"), asked)
    if made and given:
        yield Touched("ec2:CreateTags", _arn(made, "*"), {**asked, "ec2:createaction": (call.action,)})
    for id in _ids(form, backend):
        own = {f"aws:resourcetag/{key.lower()}": (str(value),) for key, value in (backend.tags.get(id) or {}).items()}
        yield Touched(_action(call), _arn(_TYPES[id.rpartition("-")[0]], id), {**asked, **own})


def _tags(form: Mapping[str, str], pattern: re.Pattern[str]) -> dict[str, str]:
    return {key: form.get(f"{name.removesuffix('Key')}Value", "") for name, key in form.items() if pattern.match(name)}


def _ids(form: Mapping[str, str], backend: Any) -> Iterator[str]:
    """The resources that *form* names, also by their attachment or association."""
    for name, value in form.items():
        if _NAMED.match(name) and value.rpartition("-")[0] in _TYPES:
            yield value
        if name == "InstanceSpecification.InstanceId":
            yield from _taken(value, form, backend)
        elif name == "AttachmentId":
            for interface in backend.enis.values():
                if interface.attachment_id == value:
                    yield from (id for id in (interface.id, interface.instance and interface.instance.id) if id)
        elif name == "AssociationId":
            yield from (one.allocation_id for one in backend.addresses if one.association_id == value)


def _taken(instance: str, form: Mapping[str, str], backend: Any) -> Iterator[str]:
    """The volumes of *instance* of which CreateSnapshots takes one each."""
    excluded = {value for name, value in form.items() if name.startswith("InstanceSpecification.ExcludeDataVolumeId")}
    boots = form.get("InstanceSpecification.ExcludeBootVolume", "").lower() != "true"
    for volume in backend.volumes.values():
        at = volume.attachment
        if at and at.instance.id == instance and volume.id not in excluded and (boots or at.device != at.instance.root_device_name):
            yield volume.id


def _arn(kind: str, id: str) -> str:
    """A snapshot belongs to its region, whose account is told by its tags alone."""
    if kind == "snapshot":
        return f"arn:aws:ec2:{layout.REGION}::snapshot/{id}"
    return f"arn:aws:ec2:{layout.REGION}:{DEFAULT_ACCOUNT_ID}:{kind}/{id}"
