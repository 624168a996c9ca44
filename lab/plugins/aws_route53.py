"""Part of the stand-in `aws` plugin: Route53's REST calls that records and zones share."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree import ElementTree as ET

from lab.plugins.aws_client import Client, text

_SPACE = "https://route53.amazonaws.com/doc/2013-04-01/"
_QUOTED = frozenset({"TXT", "SPF"})


def clean(id_: str) -> str:
    """A zone's or a change's bare id: AWS answers `/hostedzone/Z1` and takes both."""
    return id_.rpartition("/")[2]


def zone_name(client: Client, zone: str) -> str:
    """The name of the zone, with its last dot."""
    return text(client.route53("GetHostedZone", "GET", f"hostedzone/{zone}"), "HostedZone/Name") or ""


def find(client: Client, zone: str, name: str, kind: str, set_: str = "") -> ET.Element | None:
    """The record set of exactly this name, type and set, or None."""
    query = urllib.parse.urlencode({"name": name, "type": kind, "maxitems": 100 if set_ else 1}, quote_via=urllib.parse.quote)
    answer = client.route53("ListResourceRecordSets", "GET", f"hostedzone/{zone}/rrset?{query}")
    wanted = (name.removesuffix(".").lower(), kind, set_)
    for found in answer.findall("ResourceRecordSets/ResourceRecordSet"):
        if (_unescaped(found.findtext("Name") or ""), found.findtext("Type"), found.findtext("SetIdentifier") or "") == wanted:
            return found
    return None


def change(client: Client, zone: str, batch: Sequence[tuple[str, ET.Element]], seconds: float) -> None:
    """Make the changes of *batch*, all or none, and wait until every server of Route53 answers them."""
    request = element("ChangeResourceRecordSetsRequest", {"ChangeBatch": {"Comment": "Managed by Pulumi"}})
    request.set("xmlns", _SPACE)
    changes = ET.SubElement(request[0], "Changes")
    for action, record_set in batch:
        one = ET.SubElement(changes, "Change")
        ET.SubElement(one, "Action").text = action
        one.append(record_set)
    answer = client.route53("ChangeResourceRecordSets", "POST", f"hostedzone/{zone}/rrset/", request)
    in_sync(client, answer, seconds)


def in_sync(client: Client, answer: ET.Element, seconds: float) -> None:
    """Wait for the change that *answer* speaks of."""
    change_id = clean(text(answer, "ChangeInfo/Id") or "")

    def done() -> bool | None:
        return True if text(client.route53("GetChange", "GET", f"change/{change_id}"), "ChangeInfo/Status") == "INSYNC" else None

    if change_id and text(answer, "ChangeInfo/Status") != "INSYNC":
        client.patience.until(done, seconds, f"change {change_id} to become 'INSYNC'")


def element(tag: str, parts: Mapping[str, Any]) -> ET.Element:
    """XML of *parts* in their order; a list repeats its tag, and what is None or has nothing in it is left out."""
    node = ET.Element(tag)
    for name, value in parts.items():
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, Mapping):
                child = element(name, item)
                if len(child):
                    node.append(child)
            elif item is not None:
                ET.SubElement(node, name).text = str(item).lower() if isinstance(item, bool) else str(item)
    return node


def request(tag: str, parts: Mapping[str, Any]) -> ET.Element:
    """A request's body."""
    node = element(tag, parts)
    node.set("xmlns", _SPACE)
    return node


def quoted(value: str, kind: str) -> str:
    """Texts are quoted in Route53 and bare in programs."""
    return f'"{value}"' if kind in _QUOTED else value


def unquoted(value: str, kind: str) -> str:
    """The other way round."""
    return value.removeprefix('"').removesuffix('"') if kind in _QUOTED else value


def _unescaped(name: str) -> str:
    r"""Route53 answers `\052.example.com.` for `*.example.com`."""
    return re.sub(r"\\(\d{3})", lambda found: chr(int(found[1], 8)), name).removesuffix(".").lower()
