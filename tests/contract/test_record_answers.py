"""Records in Route53's words: one body for the fake and for botocore against the lab's AWS, and what the kind makes of their answers."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from lab.aws.client import Switches
from providers.aws import Aws
from providers.kinds import record
from providers.memory import MemoryCloud, MemoryCluster
from reconciler import errors
from reconciler.kinds import Sources
from reconciler.model.environment import Environment
from reconciler.model.observation import Observation
from reconciler.ports import Cloud

NUMBERS = itertools.count(1)
ALIAS = {"DNSName": "LB-1.elb.amazonaws.com", "HostedZoneId": "Z35SXDOTRQ7X7K", "EvaluateTargetHealth": True}


@pytest.fixture
def aws(aws_endpoint: str, switches: Switches, monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    del switches  # asked for so that what a test has changed is put back
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAMADEUP")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "made-up")
    with closing(Aws("us-east-1", endpoint=aws_endpoint)) as found:
        yield found


@pytest.fixture(params=["memory", "aws"])
def cloud(request: pytest.FixtureRequest) -> Cloud:
    if request.param == "memory":
        return MemoryCloud()
    found: Cloud = request.getfixturevalue("aws")
    return found


@pytest.fixture
def environment() -> Environment:
    """Whose zone no other test writes to."""
    told = {"name": "lab", "zones": ("us-east-1a",), "dns": {"zone": f"answers-{next(NUMBERS)}.example", "private": False}}
    return Environment.model_validate(told)


@pytest.fixture
def zone(cloud: Cloud, environment: Environment) -> str:
    made = cloud.call("route53", "create_hosted_zone", Name=environment.dns.zone.upper(), CallerReference=environment.dns.zone)
    return str(made["HostedZone"]["Id"])


def write(cloud: Cloud, zone: str, name: str, kind: str = "A", **more: Any) -> None:
    values = {} if "AliasTarget" in more else {"TTL": 60, "ResourceRecords": [{"Value": "10.0.0.1"}]}
    batch = {"Changes": [{"Action": "CREATE", "ResourceRecordSet": {"Name": name, "Type": kind, **values, **more}}]}
    cloud.call("route53", "change_resource_record_sets", HostedZoneId=zone, ChangeBatch=batch)


def answered(cloud: Cloud, zone: str) -> list[dict[str, Any]]:
    pages = cloud.pages("route53", "list_resource_record_sets", HostedZoneId=zone)
    return [one for page in pages for one in page["ResourceRecordSets"] if one["Type"] not in {"NS", "SOA"}]


def seen(cloud: Cloud, environment: Environment) -> dict[str, Observation]:
    (reading,) = record.KIND.readings(environment)
    return {one.id.name: one for one in reading.read(Sources(cloud, MemoryCluster(), environment))}


def test_names_come_back_in_lower_case_escaped_and_with_a_dot(cloud: Cloud, environment: Environment, zone: str) -> None:
    """https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DomainNameFormat.html"""
    own = environment.dns.zone
    write(cloud, zone, f"*.{own}")
    write(cloud, zone, f"KV-0.{own.upper()}")
    write(cloud, zone, f"a_b.{own}.")
    assert {one["Name"] for one in answered(cloud, zone)} == {f"\\052.{own}.", f"kv-0.{own}.", f"a_b.{own}."}
    assert seen(cloud, environment).keys() == {f"*.{own}", f"kv-0.{own}", f"a_b.{own}"}


def test_values_come_back_as_they_were_given(cloud: Cloud, environment: Environment, zone: str) -> None:
    name = f"kv-0.{environment.dns.zone}"
    write(cloud, zone, name, ResourceRecords=[{"Value": "10.0.0.2"}, {"Value": "10.0.0.1"}])
    assert sorted(seen(cloud, environment)[name].fields["values"]) == ["10.0.0.1", "10.0.0.2"]  # type: ignore[arg-type,type-var]


def test_an_alias_comes_back_with_its_target_spelt_in_full(cloud: Cloud, environment: Environment, zone: str) -> None:
    """https://docs.aws.amazon.com/Route53/latest/APIReference/API_AliasTarget.html"""
    name = f"api.{environment.dns.zone}"
    write(cloud, zone, name, AliasTarget=ALIAS)
    (found,) = answered(cloud, zone)
    assert found["AliasTarget"]["DNSName"] == "lb-1.elb.amazonaws.com."
    assert {"TTL", "ResourceRecords"}.isdisjoint({key for key, value in found.items() if value})
    fields = seen(cloud, environment)[name].fields
    assert fields["alias"] == {"name": "lb-1.elb.amazonaws.com", "zone": ALIAS["HostedZoneId"], "health": True}
    assert {"ttl", "values"}.isdisjoint(fields)


def test_a_weighted_set_of_others_is_one_thing_and_no_simple_record(cloud: Cloud, environment: Environment, zone: str) -> None:
    name = f"www.{environment.dns.zone}"
    for identifier in ("green", "blue"):
        write(cloud, zone, name, SetIdentifier=identifier, Weight=10)
    assert seen(cloud, environment)[name].fields["type"] == "A of the set blue, green"
    with pytest.raises(errors.ProviderError, match="InvalidChangeBatch"):
        write(cloud, zone, name)


def test_other_types_of_the_same_name_are_nobodys_business(cloud: Cloud, environment: Environment, zone: str) -> None:
    name = f"kv-0.{environment.dns.zone}"
    write(cloud, zone, name, "TXT", ResourceRecords=[{"Value": '"theirs" "and more"'}])
    write(cloud, zone, name)
    assert seen(cloud, environment)[name].fields["type"] == "A"
