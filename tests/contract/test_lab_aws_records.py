"""The lab's AWS is as strict with Route 53's records as AWS. Each test names the page of docs.aws.amazon.com that says so."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from lab.aws.client import Switches

from .conftest import refused, wait_for

if TYPE_CHECKING:
    from mypy_boto3_route53 import Route53Client

CHANGES = "https://docs.aws.amazon.com/Route53/latest/APIReference/API_ChangeResourceRecordSets.html"


def record(name: str, *values: str, kind: str = "A", ttl: int = 60, **more: Any) -> dict[str, Any]:
    return {"Name": name, "Type": kind, "TTL": ttl, "ResourceRecords": [{"Value": value} for value in values], **more}


def change(route53: Route53Client, zone: str, *changes: tuple[str, dict[str, Any]]) -> Any:
    batch: Any = {"Changes": [{"Action": action, "ResourceRecordSet": each} for action, each in changes]}
    return route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch=batch)["ChangeInfo"]


def records(route53: Route53Client, zone: str) -> dict[tuple[str, str], list[str]]:
    pages = route53.get_paginator("list_resource_record_sets").paginate(HostedZoneId=zone)
    found = (each for page in pages for each in page["ResourceRecordSets"])
    return {(each["Name"], each["Type"]): [value["Value"] for value in each.get("ResourceRecords", [])] for each in found}


def test_a_record_that_exists_cannot_be_created(route53: Route53Client, zone: str) -> None:
    """https://docs.aws.amazon.com/Route53/latest/APIReference/API_ChangeResourceRecordSets.html: CREATE, InvalidChangeBatch."""
    change(route53, zone, ("CREATE", record("a.lab.example", "192.0.2.1")))
    with refused("InvalidChangeBatch"):
        change(route53, zone, ("CREATE", record("a.lab.example", "192.0.2.2")))
    assert records(route53, zone)["a.lab.example.", "A"] == ["192.0.2.1"]


def test_an_upsert_creates_and_replaces(route53: Route53Client, zone: str) -> None:
    """https://docs.aws.amazon.com/Route53/latest/APIReference/API_ChangeResourceRecordSets.html: UPSERT."""
    for address in ("192.0.2.1", "192.0.2.2"):
        change(route53, zone, ("UPSERT", record("a.lab.example", address)))
        assert records(route53, zone)["a.lab.example.", "A"] == [address]


@pytest.mark.parametrize(
    "wrong",
    [record("a.lab.example", "192.0.2.9"), record("a.lab.example", "192.0.2.1", "192.0.2.2", ttl=61), record("b.lab.example", "192.0.2.1")],
)
def test_a_deletion_names_what_is_there(route53: Route53Client, zone: str, wrong: dict[str, Any]) -> None:
    """To delete, specify all the same values: https://docs.aws.amazon.com/Route53/latest/APIReference/API_ChangeResourceRecordSets.html"""
    change(route53, zone, ("CREATE", record("a.lab.example", "192.0.2.1", "192.0.2.2")))
    with refused("InvalidChangeBatch"):
        change(route53, zone, ("DELETE", wrong))
    change(route53, zone, ("DELETE", record("A.lab.example", "192.0.2.2", "192.0.2.1")))
    assert ("a.lab.example.", "A") not in records(route53, zone)


def test_a_batch_is_applied_whole_or_not_at_all(route53: Route53Client, zone: str) -> None:
    """Transactional changes: https://docs.aws.amazon.com/Route53/latest/APIReference/API_ChangeResourceRecordSets.html"""
    before = records(route53, zone)
    with pytest.raises(ClientError, match=r"b\.lab\.example\.'.*not found.*c\.lab\.example\.'.*not found"):
        change(
            route53,
            zone,
            ("CREATE", record("a.lab.example", "192.0.2.1")),
            ("DELETE", record("b.lab.example", "192.0.2.1")),
            ("DELETE", record("c.lab.example", "192.0.2.1")),
        )
    assert records(route53, zone) == before


def test_a_batch_may_replace_a_record_by_another_type(route53: Route53Client, zone: str) -> None:
    """A CNAME deleted and another created in one batch: https://docs.aws.amazon.com/Route53/latest/APIReference/API_ChangeResourceRecordSets.html"""
    change(route53, zone, ("CREATE", record("a.lab.example", "b.lab.example", kind="CNAME")))
    change(
        route53,
        zone,
        ("DELETE", record("a.lab.example", "b.lab.example", kind="CNAME")),
        ("CREATE", record("a.lab.example", "192.0.2.1")),
    )
    assert records(route53, zone)["a.lab.example.", "A"] == ["192.0.2.1"]


def test_a_record_is_changed_once_a_batch(route53: Route53Client, zone: str) -> None:
    """https://docs.aws.amazon.com/Route53/latest/APIReference/API_ChangeResourceRecordSets.html: deleted twice, InvalidChangeBatch."""
    one = record("a.lab.example", "192.0.2.1")
    with refused("InvalidChangeBatch"):
        change(route53, zone, ("UPSERT", one), ("UPSERT", record("a.lab.example", "192.0.2.2")))
    change(route53, zone, ("CREATE", one))
    with refused("InvalidChangeBatch"):
        change(route53, zone, ("DELETE", one), ("DELETE", one))


@pytest.mark.parametrize(
    "wrong",
    [
        record("a.other.example", "192.0.2.1"),
        record("a.lab.example", "192.0.2"),
        record("a.lab.example", "2001:db8::1::1", kind="AAAA"),
        record("a.lab.example", "without quotes", kind="TXT"),
        record("a.lab.example", "10 20 target.example", kind="SRV"),
        record("a.lab.example", "192.0.2.1", "192.0.2.1"),
        record("a.lab.example", "b.lab.example", "c.lab.example", kind="CNAME"),
        record("lab.example", "b.lab.example", kind="CNAME"),
        record("a..lab.example", "192.0.2.1"),
        record(f"{'a' * 64}.lab.example", "192.0.2.1"),
        record("a.lab.example", *(f"10.0.{number // 256}.{number % 256}" for number in range(401))),
    ],
)
def test_a_record_that_may_not_be_is_refused(route53: Route53Client, zone: str, wrong: dict[str, Any]) -> None:
    """https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/ResourceRecordTypes.html, DomainNameFormat.html and
    DNSLimitations.html (400 records in a record set)."""
    with refused("InvalidChangeBatch"):
        change(route53, zone, ("CREATE", wrong))


def test_a_cname_stands_alone(route53: Route53Client, zone: str) -> None:
    """https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/ResourceRecordTypes.html#CNAMEFormat"""
    change(route53, zone, ("CREATE", record("a.lab.example", "192.0.2.1")))
    with refused("InvalidChangeBatch"):
        change(route53, zone, ("CREATE", record("a.lab.example", "b.lab.example", kind="CNAME")))


def test_a_zone_keeps_its_own_records(route53: Route53Client, zone: str) -> None:
    """https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/SOA-NSrecords.html: they can't be deleted."""
    found = route53.list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
    assert [each["Type"] for each in found] == ["NS", "SOA"]
    for each in found:
        with refused("InvalidChangeBatch"):
            change(route53, zone, ("DELETE", dict(each)))


def test_a_record_has_a_ttl_and_values_or_an_alias(route53: Route53Client, zone: str) -> None:
    """https://docs.aws.amazon.com/Route53/latest/APIReference/API_ResourceRecordSet.html"""
    with refused("InvalidInput"):
        change(route53, zone, ("CREATE", {"Name": "a.lab.example", "Type": "A", "ResourceRecords": [{"Value": "192.0.2.1"}]}))


@pytest.mark.parametrize(("action", "most"), [("CREATE", 1000), ("UPSERT", 500)])
def test_a_batch_has_a_thousand_elements_at_most_and_an_upsert_counts_twice(
    route53: Route53Client, zone: str, action: str, most: int
) -> None:
    """https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DNSLimitations.html#limits-api-requests-changeresourcerecordsets"""
    named = itertools.count()
    changes = [(action, record(f"m{next(named)}.lab.example", "192.0.2.1")) for _ in range(most + 1)]
    with refused("InvalidChangeBatch"):
        change(route53, zone, *changes)
    change(route53, zone, *changes[:most])
    assert len(records(route53, zone)) == most + 2


def test_a_batch_has_32000_characters_at_most(route53: Route53Client, zone: str) -> None:
    """https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DNSLimitations.html#limits-api-requests-changeresourcerecordsets"""
    long = [("CREATE", record(f"m{number}.lab.example", f'"{"x" * 248}"', kind="TXT")) for number in range(128)]
    with refused("InvalidChangeBatch"):
        change(route53, zone, *long, ("CREATE", record("a.lab.example", "192.0.2.1")))
    change(route53, zone, *long)


def test_names_come_back_as_route_53_keeps_them(route53: Route53Client, zone: str) -> None:
    r"""Lower case, a dot at the end, `\052` for an asterisk, however they were given.
    https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DomainNameFormat.html"""
    change(route53, zone, ("CREATE", record("*.Wild.LAB.example", "192.0.2.1")), ("CREATE", record(r"\141\100b.lab.example.", "192.0.2.2")))
    assert {name for name, kind in records(route53, zone) if kind == "A"} == {r"\052.wild.lab.example.", r"a\100b.lab.example."}
    change(route53, zone, ("DELETE", record(r"\052.wild.lab.example", "192.0.2.1")))


def test_a_list_has_300_records_a_page_in_route_53s_order(route53: Route53Client, zone: str) -> None:
    """By name with the labels reversed, then by type. https://docs.aws.amazon.com/Route53/latest/APIReference/API_ListResourceRecordSets.html"""
    change(route53, zone, *(("CREATE", record(f"m{number}.lab.example", "192.0.2.1")) for number in range(310)))
    change(route53, zone, ("CREATE", record("z.m1.lab.example", "192.0.2.1")), ("CREATE", record("m1.lab.example", '"x"', kind="TXT")))
    first = route53.list_resource_record_sets(HostedZoneId=zone, MaxItems="1000")
    assert (len(first["ResourceRecordSets"]), first["IsTruncated"]) == (300, True)
    last = first["ResourceRecordSets"][-1]
    second = route53.list_resource_record_sets(
        HostedZoneId=zone, StartRecordName=first["NextRecordName"], StartRecordType=first["NextRecordType"]
    )
    assert (len(second["ResourceRecordSets"]), second["IsTruncated"]) == (14, False)
    assert second["ResourceRecordSets"][0]["Name"] == first["NextRecordName"] != last["Name"]
    found = [(each["Name"], each["Type"]) for page in (first, second) for each in page["ResourceRecordSets"]]
    assert found == sorted(found, key=lambda each: (".".join(reversed(each[0].rstrip(".").split("."))) + ".", each[1]))
    assert found.index(("m1.lab.example.", "TXT")) + 1 == found.index(("z.m1.lab.example.", "A"))


def test_a_list_from_a_type_needs_a_name(route53: Route53Client, zone: str) -> None:
    """https://docs.aws.amazon.com/Route53/latest/APIReference/API_ListResourceRecordSets.html: InvalidInput."""
    with refused("InvalidInput"):
        route53.list_resource_record_sets(HostedZoneId=zone, StartRecordType="A")


def test_a_change_is_pending_then_in_sync(route53: Route53Client, zone: str, switches: Switches) -> None:
    """https://docs.aws.amazon.com/Route53/latest/APIReference/API_GetChange.html"""
    switches.set(insync=0.8)
    made = change(route53, zone, ("CREATE", record("a.lab.example", "192.0.2.1")))
    assert made["Status"] == route53.get_change(Id=made["Id"])["ChangeInfo"]["Status"] == "PENDING"
    wait_for(lambda: route53.get_change(Id=made["Id"])["ChangeInfo"]["Status"] == "INSYNC")
    with refused("NoSuchChange"):
        route53.get_change(Id="CMADEUP")


def test_a_caller_reference_makes_one_zone(route53: Route53Client, zone: str) -> None:
    """https://docs.aws.amazon.com/Route53/latest/APIReference/API_CreateHostedZone.html: HostedZoneAlreadyExists."""
    reference = route53.get_hosted_zone(Id=zone)["HostedZone"]["CallerReference"]
    with refused("HostedZoneAlreadyExists"):
        route53.create_hosted_zone(Name="other.example", CallerReference=reference)


def test_a_zone_with_records_is_not_deleted(route53: Route53Client, zone: str) -> None:
    """https://docs.aws.amazon.com/Route53/latest/APIReference/API_DeleteHostedZone.html: HostedZoneNotEmpty."""
    change(route53, zone, ("CREATE", record("a.lab.example", "192.0.2.1")))
    with refused("HostedZoneNotEmpty"):
        route53.delete_hosted_zone(Id=zone)
    change(route53, zone, ("DELETE", record("a.lab.example", "192.0.2.1")))
    route53.delete_hosted_zone(Id=zone)
