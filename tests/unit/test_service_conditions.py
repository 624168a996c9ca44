"""What a service has and lacks: those it depends on, its initialisation, whether strangers are refused, whether anything is to come."""

from __future__ import annotations

import pytest

from reconciler.members import services
from reconciler.members.services import conditions
from reconciler.model.condition import Condition
from reconciler.model.outcome import Done, Failed, Outcome, Waiting
from reconciler.model.service import Service
from reconciler.model.stand import Stand
from tests.unit.test_stacks import ENVIRONMENT, TYPES, example

STARTS = Waiting("kv-0 has a node")


def told(stand: Stand, unsynced: str = "", *, parent: Stand | None = None) -> dict[str, tuple[str, str, str]]:
    service = Service(name="kv", type="redis", depends_on=("coordination",) if parent else ())
    stands = {"kv": stand} | ({"coordination": parent} if parent else {})
    return {one.type: (one.status, one.reason, one.message) for one in conditions(service, stands, unsynced)}


def test_a_service_that_is_all_there_is_settled() -> None:
    assert told(Stand(Done(), Done(), closed=True), parent=Stand(Done())) == {
        "DependenciesReady": ("True", "Ready", ""),
        "Initialised": ("True", "Initialised", ""),
        "AuthEnforced": ("True", "StrangersRefused", ""),
        "Progressing": ("False", "Settled", ""),
    }


def test_what_it_lacks_is_told_each_by_itself() -> None:
    asked = Waiting("its application says how it is")
    found = told(Stand(Done(), asked, closed=True), parent=Stand(STARTS))
    assert found["DependenciesReady"] == ("False", "NotReady", "coordination: waiting until kv-0 has a node")
    assert found["Initialised"] == ("False", "Initialising", "waiting until its application says how it is")
    assert found["AuthEnforced"] == ("False", "NotSeenYet", "waiting until its application says how it is")
    assert found["Progressing"] == ("True", "Waiting", "waiting until its application says how it is")


def test_one_that_asks_nobody_for_a_password_says_so() -> None:
    status, reason, _ = told(Stand(Done()))["AuthEnforced"]
    assert (status, reason) == ("False", "NotAskedFor")
    assert "Initialised" not in told(Stand(Done()))


@pytest.mark.parametrize(
    ("outcome", "unsynced", "status", "reason"),
    [
        (Done(), "2 to do: volume/lab/kv/kv-0/data (declared, not found)", "True", "ToBeApplied"),
        (STARTS, "", "True", "Waiting"),
        (Failed("refused", retryable=True), "", "True", "Waiting"),
        (Failed("refused"), "1 to do", "False", "Failed"),
    ],
)
def test_whether_anything_is_to_come(outcome: Outcome, unsynced: str, status: str, reason: str) -> None:
    assert told(Stand(outcome), unsynced)["Progressing"][:2] == (status, reason)


EARLY, LATE, LATER = (f"2026-11-22T18:0{minute}:00Z" for minute in (1, 2, 3))


def since(stand: Stand, parent: Stand, unsynced: str = "") -> dict[str, str]:
    service = Service(name="kv", type="redis", depends_on=("coordination",))
    return {one.type: one.since for one in conditions(service, {"kv": stand, "coordination": parent}, unsynced)}


def test_each_says_since_when_as_far_as_anything_tells() -> None:
    whole = since(Stand(Done(), Done(), closed=True, since=EARLY, answered=LATE), Stand(Done(), Done(), since=EARLY, answered=LATER))
    assert whole == {"DependenciesReady": LATER, "Initialised": LATE, "AuthEnforced": LATE, "Progressing": LATE}
    lacking = since(Stand(STARTS, Waiting("its members run"), closed=True, since=EARLY), Stand(STARTS, since=LATE), unsynced="1 to do")
    assert lacking == {"DependenciesReady": LATE, "Initialised": EARLY, "AuthEnforced": EARLY, "Progressing": ""}
    assert since(Stand(STARTS, since=EARLY), Stand(Done()))["Progressing"] == EARLY


def test_members_stand_as_they_do_since_the_first_lacks_something_or_the_last_works() -> None:
    def member(ready: str, volume: str = "") -> tuple[Condition, ...]:
        held = Condition("VolumeReady", "False" if volume else "True", "NotAttached", since=volume)
        return held, Condition("AppReady", "True" if ready else "False", "Ready", since=ready)

    assert services.since([member(EARLY), member(LATER), member(LATE)]) == LATER
    assert services.since([member(EARLY), member("", volume=LATE), member("", volume=LATER)]) == LATE
    assert services.since([member(EARLY), member("")]) == ""
    assert services.since([]) == ""


def test_a_parent_of_whom_nothing_is_known_is_not_called_ready() -> None:
    service = Service(name="kv", type="redis", depends_on=("ghost",))
    (first, *_) = conditions(service, {"kv": Stand(Done())}, "")
    assert (first.type, first.status) == ("DependenciesReady", "Unknown")


@pytest.mark.parametrize("name", ["postgresql", "mongodb", "mongos", "mariadb"])
def test_types_that_always_have_passwords_see_to_it_that_strangers_are_refused(name: str) -> None:
    wanted = TYPES[name].initialise(example(name), ENVIRONMENT)
    assert wanted
    assert wanted.closed
