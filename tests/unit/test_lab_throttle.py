"""Token buckets by a clock of the test's own."""

from __future__ import annotations

from lab.aws.calls import Call
from lab.aws.settings import Settings
from lab.aws.throttle import Throttle


class Clock:
    """Stands still until moved."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def call(action: str, service: str = "ec2", *, writes: bool = False, paged: bool = True) -> Call:
    return Call(service, action, "", "", writes, paged, "")


def taken(throttle: Throttle, one: Call, settings: Settings | None = None) -> int:
    """How many calls pass before one is refused."""
    count = 0
    while throttle.allows(one, settings or Settings()):
        count += 1
    return count


def test_a_bucket_holds_its_burst_and_fills_at_its_rate() -> None:
    clock = Clock()
    throttle = Throttle(clock)
    assert taken(throttle, call("CreateVolume", writes=True)) == 50
    clock.now = 2
    assert taken(throttle, call("CreateVolume", writes=True)) == 10
    clock.now = 1000
    assert taken(throttle, call("CreateVolume", writes=True)) == 50


def test_each_action_has_a_bucket_of_its_own() -> None:
    throttle = Throttle(Clock())
    taken(throttle, call("CreateVolume", writes=True))
    assert throttle.allows(call("DeleteVolume", writes=True), Settings())


def test_a_describe_of_all_has_a_smaller_bucket_than_one_of_a_part() -> None:
    throttle = Throttle(Clock())
    assert taken(throttle, call("DescribeVolumes", paged=False)) == 50
    assert taken(throttle, call("DescribeVolumes")) == 100
    assert taken(throttle, call("DescribeAddresses", paged=False)) == 100


def test_route_53_calls_draw_from_the_account_and_a_refused_one_draws_nothing() -> None:
    clock = Clock()
    throttle = Throttle(clock)
    settings = Settings().changed({"buckets": {"route53:GetChange": [3, 1]}})
    assert taken(throttle, call("GetChange", "route53"), settings) == 3
    assert taken(throttle, call("ListHostedZones", "route53"), settings) == 47


def test_other_services_and_a_throttle_that_is_off_refuse_nobody() -> None:
    throttle = Throttle(Clock())
    assert all(throttle.allows(call("CreateUser", "iam", writes=True), Settings()) for _ in range(500))
    assert all(throttle.allows(call("CreateVolume", writes=True), Settings(throttle=False)) for _ in range(500))
