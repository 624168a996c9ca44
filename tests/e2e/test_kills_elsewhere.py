"""A killed apply taken up where nothing is known of it, and two that race: no record of ours is needed to make everything once."""

from __future__ import annotations

import random
import shutil

import pytest

from tests.e2e import kill, replica, trial
from tests.e2e.kill import Kill
from tests.e2e.replica import APPLY, Replica, Replicas
from tests.e2e.trial import Reference
from tests.e2e.workshop import Workshop

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]
RUNS = 2  # of a playbook: without the store nobody knows that it has run
MOMENTS = ("a create", "early", "late")
HELD = 3  # the exit code of a run that finds another before it


@pytest.fixture(scope="module")
def replicas(workshop: Workshop) -> Replicas:
    return replica.settle(workshop, ("reference", *(f"e{number}" for number in range(len(MOMENTS))), "race", "again"))


@pytest.fixture(scope="module")
def reference(replicas: Replicas) -> Reference:
    return trial.refer(replicas, "reference")


def _drawn(moment: str, reference: Reference, seed: int) -> Kill:
    """A kill of the group; what was asked for and not made yet never is, for nothing is left that could know of it."""
    draw, effects = random.Random(f"{seed}/{moment}"), len(reference.log)
    if moment == "a create":
        return Kill("group", draw.randint(1, reference.creates), of=kill.CREATES, late=None)
    first, last = (1, effects // 2) if moment == "early" else (effects // 2, effects)
    return Kill("group", draw.randint(first, last), late=None)


@pytest.mark.parametrize("moment", MOMENTS)
def test_an_apply_that_lost_store_and_engine_state_is_taken_up_from_another_directory(
    replicas: Replicas, reference: Reference, seed: int, moment: str
) -> None:
    wanted = _drawn(moment, reference, seed)
    with replicas.open(f"e{MOMENTS.index(moment)}") as killed:
        told = kill.carry_out(killed, wanted)
        there = killed.elsewhere("second")
        _lose(killed)
        faults = tuple(trial.heal(there, reference, RUNS))
    assert not faults, "\n".join((str(wanted), *faults, told.said))


def _lose(replica: Replica) -> None:
    """Remove all that it keeps; the engine outlives its parent by a moment, and still writes there."""
    while replica.directory.exists():
        shutil.rmtree(replica.directory, ignore_errors=True)


def test_of_two_applies_from_two_directories_one_goes_first(replicas: Replicas, reference: Reference) -> None:
    with replicas.open("race") as first:
        faults = tuple(_race(first, first.elsewhere("second"), reference))
    assert not faults, "\n".join(faults)


def test_two_applies_that_race_after_a_kill_make_nothing_twice(replicas: Replicas, reference: Reference, seed: int) -> None:
    wanted = _drawn("a create", reference, seed + 1)
    with replicas.open("again") as first:
        second = first.elsewhere("second")
        told = kill.carry_out(first, wanted)
        faults = tuple(_race(first, second, reference))
    assert not faults, "\n".join((str(wanted), *faults, told.said))


def _race(first: Replica, second: Replica, reference: Reference) -> list[str]:
    """Start an apply in either; the one that comes second is told who is before it. Both converge when they are asked again."""
    first.effects.forget()
    started = [one.start(*APPLY) for one in (first, second)]
    codes = [run.end() for run in started]
    assert sorted(codes) == [0, HELD], "\n".join(run.said for run in started)
    won, lost = codes.index(0), codes.index(HELD)
    assert f"process {started[won].process.pid} on " in started[lost].said
    replicas = (first, second)
    return [fault for one in (replicas[won], replicas[lost]) for fault in trial.heal(one, reference, RUNS)]
