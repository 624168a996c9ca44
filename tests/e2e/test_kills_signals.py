"""Applies that end before their time without being killed: interrupted, terminated, locked out, with a service that fails."""

from __future__ import annotations

import random
import signal
import socket
import threading

import pytest

from lab.aws.client import Switches
from lab.halt.effects import Stop
from tests.e2e import kill, replica, run, trial
from tests.e2e.replica import APPLY, Replica, Replicas
from tests.e2e.run import Run
from tests.e2e.trial import Reference
from tests.e2e.workshop import Workshop

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
INTERRUPTED, LOCKED, PARTLY = 130, 3, 6
SIGNALS = (signal.SIGINT, signal.SIGTERM)


@pytest.fixture(scope="module")
def replicas(workshop: Workshop) -> Replicas:
    return replica.settle(workshop, ("reference", *(number.name.lower() for number in SIGNALS), "early", "locked", "faulty"))


@pytest.fixture(scope="module")
def reference(replicas: Replicas) -> Reference:
    return trial.refer(replicas, "reference")


def _held(one: Replica, number: int, of: str) -> Run:
    """An apply whose world stands still once *number* effects like *of* have happened: the last one is in flight, its caller not told."""
    reached = threading.Event()
    one.effects.stop_at(Stop(number, "after", lambda _: reached.set(), of))
    started = one.start(*APPLY)
    assert started.until(reached.is_set), started.said
    return started


@pytest.mark.parametrize("number", SIGNALS)
def test_an_interrupted_apply_finishes_what_is_in_flight_and_names_the_rest(
    replicas: Replicas, reference: Reference, seed: int, number: signal.Signals
) -> None:
    """Interrupted as at a terminal, where all processes of the group hear of it; terminated as by a supervisor."""
    nth = random.Random(f"{seed}/{number}").randint(2, reference.creates)  # the first is what all services wait for
    with replicas.open(number.name.lower()) as one:
        started = _held(one, nth, kill.CREATES)
        begun = started.begun()
        started.signal(number, group=number is signal.SIGINT)
        one.effects.release(drop=False)
        assert started.end() == INTERRUPTED, started.said
        assert "safe to run again" in started.said
        assert begun
        assert begun <= started.ended(), started.said
        assert ": failed after" not in started.said
        assert one.engine_is_at_rest(), started.said
        assert not run.alive(one.mark)
        assert not one.all.judge.holder(one.name)
        unnamed = _planned(started) - started.ended() - _named(started)
        assert not unnamed, f"nothing is said of {unnamed}:\n{started.said}"
        assert not list(trial.heal(one, reference))


def test_an_apply_interrupted_before_its_first_effect_has_changed_nothing(replicas: Replicas, reference: Reference) -> None:
    with replicas.open("early") as one:
        started = _held(one, 1, "leases")
        started.signal(signal.SIGINT, group=True)
        one.effects.release(drop=False)
        assert started.end() == INTERRUPTED, started.said
        assert {effect.what.partition(" ")[2].partition("/")[0] for effect in one.effects.log if effect.who == "engine"} == set()
        assert not one.all.judge.holder(one.name)
        assert not list(trial.heal(one, reference))


def test_of_two_applies_at_once_the_second_is_told_who_is_before_it(replicas: Replicas, reference: Reference) -> None:
    with replicas.open("locked") as one:
        started = _held(one, 1, kill.CREATES)
        second = one.start(*APPLY)
        one.effects.release(drop=False)
        assert second.end() == LOCKED, second.said
        assert f"process {started.process.pid} on {socket.gethostname()}" in second.said
        assert started.end() == 0, started.said
        assert not list(trial.heal(one, reference))


def test_a_failing_service_stops_no_other_and_is_healed_by_the_next_apply(replicas: Replicas, reference: Reference) -> None:
    with replicas.open("faulty") as one:
        switches = Switches(replicas.workshop.running.aws.endpoint)
        match = {"service": "ec2", "action": "CreateVolume", "contains": "db-0"}
        fault = switches.order("error", match=match, code="VolumeLimitExceeded", status=400, message="no more volumes")
        try:
            told = one.reconcile(*APPLY)
        finally:
            switches.lift(fault)
        assert told.returncode == PARTLY, told.stdout
        assert f"volume/{one.name}/db/db-0/data: failed: " in told.stdout
        assert "no more volumes" in told.stdout
        seen = one.standing()
        assert [volume[0] for volume in seen["volumes"]] == ["volume/NAME/kv/kv-0/data"]
        assert ["Pod", "kv-0", "ready: True"] in seen["objects"]
        assert seen["runs"] == reference.standing["runs"]
        assert not list(trial.heal(one, reference))


def _planned(started: Run) -> set[str]:
    """What the plan says will be done by the engine."""
    return {line.split()[1] for line in started.lines if line.startswith("  # ") and "owner: members" not in line}


def _named(started: Run) -> set[str]:
    """What the last words say has not been done."""
    return {word.rstrip(":") for line in started.lines for word in line.split() if not line.startswith("  ")}
