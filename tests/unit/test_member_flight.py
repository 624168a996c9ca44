"""A member's slow call holds up nobody but that member."""

from __future__ import annotations

import threading

import pytest

from reconciler.members.flight import Flights
from reconciler.model.outcome import Failed, Outcome, Waiting


def test_a_slow_call_is_not_waited_for_and_not_made_twice() -> None:
    flights, answered, made = Flights(), threading.Event(), []

    def slow() -> Outcome | None:
        made.append("slow")
        answered.wait(10)
        return Failed("in the end")

    first = flights.run({"a": slow, "b": lambda: None, "c": lambda: Failed("no")})
    assert first == {"a": Waiting("the call that was made for it is answered"), "c": Failed("no")}
    assert flights.run({"a": slow}) == {"a": Waiting("the answer to its last call has come")}
    assert made == ["slow"]
    answered.set()
    assert flights.run({"b": lambda: None}) == {}  # what came of it is read from what is live
    assert flights.run({"a": lambda: Failed("at once")}) == {"a": Failed("at once")}


def test_whoever_ends_waits_for_what_is_under_way_but_not_for_ever() -> None:
    flights, answered, made = Flights(), threading.Event(), []

    def slow() -> None:
        answered.wait(10)
        made.append("slow")

    flights.run({"a": slow})
    flights.land(0.05)
    assert made == []
    answered.set()
    flights.land(10)
    assert made == ["slow"]


def test_what_cannot_be_foreseen_is_raised_where_it_was_asked_for() -> None:
    def broken() -> Outcome | None:
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        Flights().run({"a": broken})
