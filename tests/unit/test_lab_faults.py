"""Which calls a fault hits."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from lab.aws import faults
from lab.aws.calls import Call
from lab.aws.faults import Faults


def call(action: str = "CreateVolume", user: str = "engine", body: str = "") -> Call:
    return Call("ec2", action, user, "AKIA", writes=not action.startswith("Describe"), paged=True, body=body)


def ordered(**document: Any) -> Faults:
    found = Faults()
    found.add(faults.parse(document))
    return found


def hits(found: Faults, *struck: Call) -> list[bool]:
    return [bool(found.strike(each)) for each in struck]


def test_every_field_of_a_match_must_fit() -> None:
    found = ordered(fault="throttle", match={"action": "CreateVolume", "user": "engine", "contains": "Size=1"})
    others = [call(body="Size=2"), call(user="judge", body="Size=1"), call("DeleteVolume", body="Size=1")]
    assert hits(found, call(body="Size=1"), *others) == [True, False, False, False]


def test_an_empty_match_fits_all() -> None:
    assert hits(ordered(fault="throttle"), call(), call("DescribeVolumes", "")) == [True, True]


def test_after_passes_and_count_ends() -> None:
    assert hits(ordered(fault="error", after=1, count=2), *[call()] * 5) == [False, True, True, False, False]


def test_stale_strikes_reads_only() -> None:
    found = ordered(fault="stale", seconds=3)
    assert hits(found, call(), call("DescribeVolumes")) == [False, True]
    assert found.reach == 3


def test_a_number_lifts_its_fault_only() -> None:
    found = ordered(fault="throttle")
    second = found.add(faults.parse({"fault": "error"}))
    found.clear(second)
    assert [each["fault"] for each in found.read()] == ["throttle"]


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"fault": "explode"}, "must be one of"),
        ({"fault": "error", "hits": 3}, "no field hits"),
        ({"match": {"acton": "x"}}, "no field acton"),
    ],
)
def test_a_wrong_order_is_refused_in_words(document: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        faults.parse(document)


def test_a_held_call_waits_until_its_fault_is_lifted() -> None:
    found = ordered(fault="hold", match={"action": "CreateVolume"})
    (fault,) = found.strike(call())
    held = threading.Thread(target=found.hold, args=(fault,))
    held.start()
    held.join(0.05)
    assert held.is_alive()
    found.clear(fault.id)
    held.join(5)
    assert not held.is_alive()
