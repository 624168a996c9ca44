"""Route 53's zones and records: batches all or none, changes that are pending first, lists in its own order and pages."""

from __future__ import annotations

import secrets
import string
import time
from typing import Any, ClassVar

from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.route53.exceptions import InvalidInput, Route53ClientError
from moto.route53.models import FakeZone, RecordSet
from moto.route53.responses import Route53

from lab.aws.strict import change_batch, dns_name
from lab.aws.world import World

PAGE = 300
ACTIONS = {"CREATE", "DELETE", "UPSERT"}
LETTERS = string.ascii_uppercase + string.digits


class Records(Route53):
    """Route 53's actions on hosted zones and their records; *world* is set once, by the server."""

    world: ClassVar[World]

    def create_hosted_zone(self) -> ActionResult:
        reference = self._get_param("CallerReference")
        if any(zone.caller_reference == reference for zone in self.backend.zones.values()):
            message = f"A hosted zone has already been created with the specified caller reference: {reference}"
            raise Route53ClientError("HostedZoneAlreadyExists", message)
        self.params["Name"] = _name(self._get_param("Name"), "InvalidDomainName")
        result: Any = super().create_hosted_zone().result
        _tidy(result["HostedZone"])
        return ActionResult(result | {"ChangeInfo": self._change()})

    def change_resource_record_sets(self) -> ActionResult:
        zone = self.backend.get_hosted_zone(self._get_param("HostedZoneId"))
        changes = self._get_param("ChangeBatch.Changes") or []
        if not changes:
            raise InvalidInput("1 validation error detected: 'changeBatch.changes' must have at least one element")
        for change in changes:
            if change["Action"] not in ACTIONS:
                raise InvalidInput(f"Invalid XML ; '{change['Action']}' is not one of CREATE, DELETE, UPSERT")
        records = {change_batch.key(record): record for record in zone.rrsets}
        zone.rrsets = list(change_batch.Batch(zone.name, records).apply(changes).values())
        comment = self._get_param("ChangeBatch.Comment")
        return ActionResult({"ChangeInfo": self._change() | {"Comment": comment}})

    def list_resource_record_sets(self) -> ActionResult:
        zone = self.backend.get_hosted_zone(self._get_param("HostedZoneId"))
        start, kind, identifier = (self._get_param(f"StartRecord{part}") for part in ("Name", "Type", "Identifier"))
        if kind and not start:
            raise InvalidInput("The input is not valid: a type to start from needs a name to start from")
        first = (dns_name.order(_name(start, "InvalidInput")) if start else "", kind or "", identifier or "")
        most = min(self._get_int_param("MaxItems", PAGE), PAGE)
        rest = sorted((record for record in zone.rrsets if _place(record) >= first), key=_place)
        following = rest[most] if len(rest) > most else None
        result = {"ResourceRecordSets": rest[:most], "IsTruncated": following is not None, "MaxItems": most}
        return ActionResult(result | _next(following))

    def get_change(self) -> ActionResult:
        number = self._get_param("Id").removeprefix("/change/")
        if number not in self.world.changes:
            raise Route53ClientError("NoSuchChange", f"A change with the specified change ID {number} does not exist.")
        return ActionResult({"ChangeInfo": self._told(number)})

    def _change(self) -> dict[str, Any]:
        number = "C" + "".join(secrets.choice(LETTERS) for _ in range(20))
        self.world.changes[number] = (utcnow(), time.monotonic() + self.world.settings.insync)
        return self._told(number)

    def _told(self, number: str) -> dict[str, Any]:
        submitted, in_sync = self.world.changes[number]
        status = "INSYNC" if time.monotonic() >= in_sync else "PENDING"
        return {"Id": f"/change/{number}", "Status": status, "SubmittedAt": submitted}


def _place(record: RecordSet) -> tuple[str, str, str]:
    return dns_name.order(record.name), str(record.type), record.set_identifier or ""


def _next(record: RecordSet | None) -> dict[str, Any]:
    if record is None:
        return {}
    return {"NextRecordName": record.name, "NextRecordType": record.type, "NextRecordIdentifier": record.set_identifier}


def _name(name: str, code: str) -> str:
    try:
        return dns_name.canonical(name)
    except dns_name.BadNameError as error:
        raise Route53ClientError(code, str(error)) from None


def _tidy(zone: FakeZone) -> None:
    """Moto makes a zone's first records in shapes of their own; bring them into that of all others."""
    for record in zone.rrsets:
        record.name, record.ttl = zone.name, int(record.ttl or 0)
        values = [each["Value"] if isinstance(each, dict) else each for each in record.records]
        record.records = [value if record.type == "SOA" or value.endswith(".") else f"{value}." for value in values]
