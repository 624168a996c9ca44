"""A batch of changes of a zone's records, all or none: checked and applied to a copy, with every complaint gathered."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from moto.route53.exceptions import InvalidInput, Route53ClientError
from moto.route53.models import RecordSet

from lab.aws.strict import dns_name, rdata

Key = tuple[str, str, str | None]
"""Name, type, set identifier."""
Records = dict[Key, RecordSet]

CHANGES, ELEMENTS, CHARACTERS, VALUES = 1000, 1000, 32_000, 400
COMPARED = ("ttl", "weight", "region", "failover", "geo_location", "multi_value_answer", "health_check_id", "alias_target")
IN_ORDER = {("DELETE", "CREATE"), ("DELETE", "UPSERT")}
TTL_MOST = (1 << 31) - 1


def refusal(messages: list[str]) -> Route53ClientError:
    """The one error that a batch gets."""
    return Route53ClientError("InvalidChangeBatch", f"[{', '.join(messages)}]")


def key(record: RecordSet) -> Key:
    """What tells *record* from the others of its zone."""
    return record.name, str(record.type), record.set_identifier


def make(document: dict[str, Any]) -> RecordSet:
    """The record that a change names, its name, and that which an alias leads to, as Route 53 keeps them."""
    values = [each["Value"] for each in document.get("ResourceRecords") or []]
    alias = document.get("AliasTarget")
    named = {"AliasTarget": {**alias, "DNSName": dns_name.canonical(alias["DNSName"])}} if alias else {}
    return RecordSet(  # type: ignore[abstract] # moto makes them, too
        {**document, **named, "Name": dns_name.canonical(document["Name"]), "ResourceRecords": values}
    )


def check_size(changes: list[dict[str, Any]]) -> None:
    """Refuse a batch that is too big; an UPSERT counts twice."""
    weighed = [(2 if change["Action"] == "UPSERT" else 1, change["ResourceRecordSet"].get("ResourceRecords") or []) for change in changes]
    if len(changes) > CHANGES or sum(weight * len(values) for weight, values in weighed) > ELEMENTS:
        raise Route53ClientError("InvalidChangeBatch", f"Number of records limit of {ELEMENTS} exceeded.")
    if sum(weight * sum(len(each["Value"]) for each in values) for weight, values in weighed) > CHARACTERS:
        raise Route53ClientError("InvalidChangeBatch", f"Number of characters limit of {CHARACTERS} exceeded.")


@dataclass(slots=True)
class Batch:
    """Changes on their way into the records of *zone* (its canonical name)."""

    zone: str
    records: Records
    complaints: list[str] = field(default_factory=list)
    actions: dict[Key, tuple[str, ...]] = field(default_factory=dict)

    def apply(self, changes: list[dict[str, Any]]) -> Records:
        """The records after *changes*; refused as a whole if anything is wrong with any."""
        check_size(changes)
        for change in changes:
            self._apply(change["Action"], change["ResourceRecordSet"])
        self._check_whole()
        if self.complaints:
            raise refusal(self.complaints)
        return self.records

    def _apply(self, action: str, document: dict[str, Any]) -> None:
        try:
            record = make(document)
        except dns_name.BadNameError as error:
            self.complaints.append(str(error))
            return
        _check_parts(action, record)
        before = self.complaints.copy()
        self._check_order(action, key(record))
        self._check_record(action, record)
        if self.complaints == before:
            self._put(action, record)

    def _put(self, action: str, record: RecordSet) -> None:
        where, words = key(record), _words(record)
        if action == "CREATE" and where in self.records:
            self.complaints.append(f"Tried to create resource record set {words} but it already exists")
        elif action == "DELETE" and where not in self.records:
            self.complaints.append(f"Tried to delete resource record set {words} but it was not found")
        elif action == "DELETE" and not _same(self.records[where], record):
            self.complaints.append(f"Tried to delete resource record set {words} but the values provided do not match the current values")
        elif action == "DELETE":
            del self.records[where]
        else:
            self.records[where] = record

    def _check_order(self, action: str, where: Key) -> None:
        """Two changes of one record in one batch are a deletion followed by its successor, or wrong."""
        self.actions[where] = (*self.actions.get(where, ()), action)
        # A second deletion finds nothing and a second creation something: both have words of their own.
        if len(self.actions[where]) > 1 and self.actions[where] not in IN_ORDER | {("DELETE", "DELETE"), ("CREATE", "CREATE")}:
            message = f"The request contains an invalid set of changes for a resource record set '{where[1]} {where[0]}'"
            self.complaints.append(message)

    def _check_record(self, action: str, record: RecordSet) -> None:
        if not dns_name.within(record.name, self.zone):
            self.complaints.append(f"RRSet with DNS name {record.name} is not permitted in zone {self.zone}")
        if action == "DELETE":
            return
        self.complaints += [
            f"Invalid Resource Record: '{found}'" for value in record.records if (found := rdata.fault(str(record.type), value))
        ]
        self.complaints += [f"Duplicate Resource Record: '{value}'" for value, times in Counter(record.records).items() if times > 1]
        if len(record.records) > VALUES:
            self.complaints.append(f"Number of records in {_words(record)} exceeds the limit of {VALUES}")
        if record.type == "CNAME" and len(record.records) > 1:
            self.complaints.append(f"CNAME record set {_words(record)} may have one value only")

    def _check_whole(self) -> None:
        """What must hold of the zone once all is applied."""
        apex = {kind for name, kind, _ in self.records if name == self.zone}
        if "NS" not in apex:
            self.complaints.append("A HostedZone must contain at least one NS record for the zone itself.")
        if "SOA" not in apex:
            self.complaints.append("A HostedZone must contain exactly one SOA record.")
        if "CNAME" in apex:
            self.complaints.append(f"RRSet of type CNAME with DNS name {self.zone} is not permitted at apex in zone {self.zone}")
        touched = {name for name, _, _ in self.actions}
        beside: dict[str, set[str]] = {}
        identified: dict[tuple[str, str], set[bool]] = {}
        for name, kind, identifier in self.records:
            if name in touched:
                beside.setdefault(name, set()).add(kind)
                identified.setdefault((name, kind), set()).add(identifier is None)
        for name in sorted(name for name, kinds in beside.items() if "CNAME" in kinds and len(kinds) > 1):
            conflict = "is not permitted as it conflicts with other records with the same DNS name in zone"
            self.complaints.append(f"RRSet of type CNAME with DNS name {name} {conflict} {self.zone}")
        for name, kind in sorted(where for where, simple in identified.items() if len(simple) > 1):
            self.complaints.append(
                f"RRSet with DNS name {name}, type {kind} cannot be created as it conflicts with one of another routing policy"
            )


def _check_parts(action: str, record: RecordSet) -> None:
    """A record is an alias or has a TTL and values; anything else is not even read as a batch."""
    whole = record.ttl is not None and bool(record.records)
    if whole == bool(record.alias_target):
        found = "more than one" if whole else "none"
        where = f"[Action={action}, Name={record.name}, Type={record.type}, SetIdentifier={record.set_identifier or 'null'}]"
        wanted = "exactly one of [AliasTarget, all of [TTL, and ResourceRecords], or TrafficPolicyInstanceId]"
        raise InvalidInput(f"Invalid request: Expected {wanted}, but found {found} in Change with {where}")
    if record.ttl is not None and not 0 <= int(record.ttl) <= TTL_MOST:
        raise InvalidInput(f"Invalid request: TTL {record.ttl} is not between 0 and {TTL_MOST}")


def _same(one: RecordSet, other: RecordSet) -> bool:
    values = sorted(one.records) == sorted(other.records)
    return values and all(getattr(one, name) == getattr(other, name) for name in COMPARED)


def _words(record: RecordSet) -> str:
    identifier = f", set-identifier='{record.set_identifier}'" if record.set_identifier else ""
    return f"[name='{record.name}', type='{record.type}'{identifier}]"
