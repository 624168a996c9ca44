"""One observation asks once for what several of its readings need."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from providers.once import Once
from reconciler import errors
from reconciler.ports import Payload


class Slow:
    """A cloud that answers when told to, or fails, and counts what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answers = threading.Event()
        self.broken = False

    def pages(self, service: str, operation: str, **arguments: Any) -> Iterator[Payload]:
        yield self.call(service, operation, **arguments)

    def call(self, service: str, operation: str, **arguments: Any) -> Payload:
        self.asked.append(f"{operation} {arguments}")
        assert self.answers.wait(10)
        if self.broken:
            raise errors.TransientError("away")
        return {"Zone": service}


@pytest.fixture
def cloud() -> Slow:
    return Slow()


def test_two_that_ask_alike_at_once_share_the_answer(cloud: Slow) -> None:
    once = Once(cloud)
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(once.call, "route53", "get_hosted_zone", Id="Z1") for _ in range(2)]
        cloud.answers.set()
        assert [one.result() for one in both] == [{"Zone": "route53"}] * 2
    assert len(cloud.asked) == 1


def test_another_question_is_asked(cloud: Slow) -> None:
    cloud.answers.set()
    once = Once(cloud)
    for zone in ("Z1", "Z2"):
        once.call("route53", "get_hosted_zone", Id=zone)
    assert len(cloud.asked) == 2


def test_the_next_observation_asks_anew(cloud: Slow) -> None:
    cloud.answers.set()
    for _ in range(2):
        assert list(Once(cloud).pages("route53", "list_hosted_zones_by_name", DNSName="a")) == [{"Zone": "route53"}]
    assert len(cloud.asked) == 2


def test_an_error_is_everybodys(cloud: Slow) -> None:
    cloud.broken = True
    cloud.answers.set()
    once = Once(cloud)
    for _ in range(2):
        with pytest.raises(errors.TransientError, match="away"):
            once.call("route53", "get_hosted_zone", Id="Z1")
    assert len(cloud.asked) == 1


def test_long_lists_are_read_a_page_at_a_time_and_not_kept(cloud: Slow) -> None:
    cloud.answers.set()
    once = Once(cloud)
    for _ in range(2):
        list(once.pages("route53", "list_resource_record_sets", HostedZoneId="Z1"))
    assert len(cloud.asked) == 2
