"""The lab's DNS answers from Route53 and from Services as they are at that moment, on both sides and over both transports."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import lightkube
import pytest
from dns.message import Message
from lightkube import codecs

from lab import access
from lab.layout import Layout

pytestmark = pytest.mark.integration

TRANSPORTS = [dns.query.udp, dns.query.tcp]
numbers = itertools.count(1)


@pytest.fixture(scope="module")
def route53(lab: Layout) -> Iterator[Any]:
    key, secret = access.read_credentials(Path(lab.aws.credentials_file), "judge")
    client = boto3.Session(key, secret, region_name=lab.region).client("route53", endpoint_url=lab.aws.endpoint)
    yield client
    client.close()


@pytest.fixture(scope="module")
def kubernetes(lab: Layout) -> Iterator[lightkube.Client]:
    client = lightkube.Client(lightkube.KubeConfig.from_file(lab.kubernetes.kubeconfigs["judge"]), field_manager="test", trust_env=False)
    yield client
    client.close()


@pytest.fixture
def name(lab: Layout) -> str:
    (zone,) = lab.aws.hosted_zones
    return f"dns-{next(numbers)}.{zone}"


def change(route53: Any, lab: Layout, action: str, name: str, kind: str, *values: str) -> None:
    (zone,) = lab.aws.hosted_zones.values()
    record = {"Name": name, "Type": kind, "TTL": 5, "ResourceRecords": [{"Value": value} for value in values]}
    route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": [{"Action": action, "ResourceRecordSet": record}]})


def ask(lab: Layout, name: str, kind: str = "A", over: Callable[..., Message] = dns.query.udp) -> Message:
    host, port = lab.dns.split(":")
    return over(dns.message.make_query(name, kind), host, port=int(port), timeout=5)


def values(answer: Message) -> set[str]:
    return {str(value) for found in answer.answer for value in found}


@pytest.mark.parametrize("over", TRANSPORTS)
def test_a_record_is_answered_as_soon_as_it_is_and_denied_as_soon_as_it_is_not(
    route53: Any, lab: Layout, name: str, over: Callable[..., Message]
) -> None:
    assert ask(lab, name, over=over).rcode() is dns.rcode.NXDOMAIN
    for address in ("10.200.128.7", "10.200.128.8"):
        change(route53, lab, "UPSERT", name, "A", address)
        answer = ask(lab, name, over=over)
        assert values(answer) == {address}
        assert answer.answer[0].ttl == 5
    change(route53, lab, "DELETE", name, "A", "10.200.128.8")
    assert ask(lab, name, over=over).rcode() is dns.rcode.NXDOMAIN


def test_aliases_of_the_zone_are_followed(route53: Any, lab: Layout, name: str) -> None:
    change(route53, lab, "UPSERT", name, "A", "10.200.128.7")
    change(route53, lab, "UPSERT", f"alias.{name}", "CNAME", name)
    assert values(ask(lab, f"alias.{name}")) == {f"{name}.", "10.200.128.7"}


def test_nothing_is_said_for_no_longer_than_the_zones_start_of_authority_allows(route53: Any, lab: Layout, name: str) -> None:
    (zone,) = lab.aws.hosted_zones
    denied = ask(lab, name)
    (authority,) = denied.authority
    assert str(authority.name) == f"{zone}."
    assert authority.ttl == min(authority[0].minimum, 900)
    change(route53, lab, "UPSERT", name, "TXT", '"here"')
    assert ask(lab, name).rcode() is dns.rcode.NOERROR, "the name exists, only not this type"


@pytest.mark.parametrize("stranger", ["www.example.com", "localhost.localdomain", "com"])
def test_what_no_zone_holds_does_not_exist_and_nobody_outside_is_asked(lab: Layout, stranger: str) -> None:
    denied = ask(lab, stranger)
    assert denied.rcode() is dns.rcode.NXDOMAIN
    assert denied.authority[0].ttl == 1


def test_a_headless_service_names_its_pods(lab: Layout, kubernetes: lightkube.Client) -> None:
    labels = {"kubernetes.io/service-name": "dns-kv"}
    endpoints = [
        {"addresses": ["10.200.128.21"], "hostname": "kv-0", "conditions": {"ready": True}},
        {"addresses": ["10.200.128.22"], "hostname": "kv-1", "conditions": {"ready": False}},
    ]
    document = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": {"name": "dns-kv", "labels": labels}}
    kubernetes.create(codecs.from_dict(document | {"addressType": "IPv4", "endpoints": endpoints, "ports": [{"port": 6379}]}))
    assert values(ask(lab, "kv-0.dns-kv.default.svc.cluster.local")) == {"10.200.128.21"}
    assert values(ask(lab, "dns-kv.default.svc.cluster.local")) == {"10.200.128.21"}
    assert ask(lab, "kv-1.dns-kv.default.svc.cluster.local").rcode() is dns.rcode.NXDOMAIN, "not ready"


def test_what_does_not_fit_a_datagram_is_truncated_and_whole_over_tcp(lab: Layout, route53: Any, name: str) -> None:
    many = [f"10.200.129.{number}" for number in range(1, 201)]
    change(route53, lab, "UPSERT", name, "A", *many)
    truncated = ask(lab, name)
    assert truncated.flags & dns.flags.TC
    assert values(ask(lab, name, over=dns.query.tcp)) == set(many)
