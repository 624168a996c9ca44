"""What a service has and lacks: those it depends on, its initialisation, whether strangers are refused, whether anything is to come."""

from __future__ import annotations

import pytest

from reconciler.members.services import conditions
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


def test_a_parent_of_whom_nothing_is_known_is_not_called_ready() -> None:
    service = Service(name="kv", type="redis", depends_on=("ghost",))
    (first, *_) = conditions(service, {"kv": Stand(Done())}, "")
    assert (first.type, first.status) == ("DependenciesReady", "Unknown")


@pytest.mark.parametrize("name", ["postgresql", "mongodb", "mongos", "mariadb"])
def test_types_that_always_have_passwords_see_to_it_that_strangers_are_refused(name: str) -> None:
    wanted = TYPES[name].initialise(example(name), ENVIRONMENT)
    assert wanted
    assert wanted.closed
