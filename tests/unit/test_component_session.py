"""A session as a value: named by its work, carried on by frames that count once, concluded with what nobody reported."""

from dataclasses import replace

import pytest

from reconciler.components import session, state, status
from reconciler.components.batch import Batch, Key
from reconciler.components.ports import Phase
from reconciler.components.session import Recipe
from reconciler.components.state import Happening
from reconciler.components.target import HostEntry, resolve
from reconciler.model.componentstate import ComponentState
from reconciler.model.environment import Sessions
from reconciler.model.frame import Frame
from reconciler.model.layer import Resolved, signatures
from reconciler.model.session import Session
from tests.component_samples import NOW, commit, component, configuration

RESOLVED = resolve(configuration(commit("a"), commit("b")), {}, None)
LAYERS = signatures(RESOLVED, "")
MEMBERS = {id: component(*LAYERS, configuration="compute", id=id, epoch=1) for id in ("n1", "n2")}
FAILED = Frame(2, "host", 0, "n1", "failed", "first", "break", "boom")


def make(members: dict[str, ComponentState] | None = None, resolved: Resolved = RESOLVED, **hosts: HostEntry) -> Session:
    states = members or MEMBERS
    batch = Batch(Key("compute", (0, 1), ""), 0.0, tuple(states))
    return session.make(batch, states, Recipe(resolved, {id: hosts.get(id, HostEntry()) for id in states}, Sessions(), "store"), NOW)


def test_the_same_work_on_the_same_epochs_has_the_same_name() -> None:
    booted = {**MEMBERS, "n2": state.clear(MEMBERS["n2"])}
    moved = resolve(configuration(commit("a"), commit("c")), {}, None)
    names = {one.name for one in (make(), make(booted), make(resolved=moved), session.again(make(), 1))}
    assert make().name == make().name
    assert len(names) == 4


def test_only_tags_that_all_share_come_along() -> None:
    made = make(n1=HostEntry(tags={"rack": "r1", "boot": "b7"}), n2=HostEntry(tags={"rack": "r2", "boot": "b7"}))
    assert made.tags == {"boot": "b7"}


def test_frames_taken_in_again_count_once() -> None:
    """As when another writer came first, and what was read before is taken in after."""
    frames = (Frame(1, "begin", 0), FAILED)
    once, changed = session.take(make(), MEMBERS, frames, NOW)
    twice, again = session.take(once, {**MEMBERS, **changed}, frames, NOW)
    assert changed["n1"].error_count == 1
    assert (twice, again) == (once, {})


def test_a_failure_carries_its_play_and_task() -> None:
    _, changed = session.take(make(), MEMBERS, (FAILED,), NOW)
    assert changed["n1"].state[0].message == "play first, task break: boom"


def test_strangers_and_layers_of_other_sessions_are_not_listened_to() -> None:
    frames = (Frame(1, "host", 0, "localhost", "applied"), Frame(2, "host", 7, "n1", "applied"), Frame(3, "play", 0, "n1"))
    after, changed = session.take(make(), MEMBERS, frames, NOW)
    assert (after.frames, changed) == (3, {})


def test_incomplete_neither_counts_nor_clears() -> None:
    shaken = {"n1": replace(MEMBERS["n1"], error_count=2)}
    _, changed = session.take(make(shaken), shaken, (Frame(1, "host", 0, "n1", "incomplete"),), NOW)
    assert (changed["n1"].error_count, status.missing_layers(changed["n1"])) == (2, (0, 1))


def test_applied_clears_the_errors() -> None:
    shaken = {"n1": replace(MEMBERS["n1"], error_count=2)}
    _, changed = session.take(make(shaken), shaken, (Frame(1, "host", 0, "n1", "applied"),), NOW)
    assert changed["n1"].error_count == 0


@pytest.mark.parametrize(
    ("phase", "ended", "expected"),
    [
        ("succeeded", 0, "true"),
        ("succeeded", None, "unknown"),
        ("succeeded", 2, "unknown"),
        ("failed", 0, "false"),
        ("absent", None, "unknown"),
    ],
)
def test_success_takes_both_the_job_and_the_last_frame(phase: Phase, ended: int | None, expected: str) -> None:
    done, _ = session.conclude(replace(make(), ended=ended), MEMBERS, phase, "", NOW)
    assert (done.status, done.succeeded, done.completed) == ("complete", expected, NOW)


def test_only_layers_that_ended_well_are_skipped() -> None:
    _, changed = session.conclude(replace(make(), ended=0, finished=(0,)), MEMBERS, "succeeded", "", NOW)
    assert [status.missing_layers(one) for one in changed.values()] == [(1,), (1,)]


def test_a_run_that_proves_nothing_touches_nobody() -> None:
    trial = replace(make(), work=replace(make().work, record=False))
    _, told = session.take(trial, MEMBERS, (FAILED,), NOW)
    _, concluded = session.conclude(replace(trial, ended=0, finished=(0, 1)), MEMBERS, "succeeded", "", NOW)
    assert (told, concluded) == ({}, {})


def test_one_playbook_at_two_commits_is_two_layers() -> None:
    """Else each would push the other's entry out, for ever."""
    one, other = RESOLVED.layers
    twin = Resolved("compute", "", (one, replace(other, clone=replace(one.clone, commit=commit("b")))))
    member = component(*signatures(twin, ""), configuration="compute", epoch=1)
    made = make({"n1": member}, twin)
    for layer in made.work.layers:
        member = state.report(member, Happening(made, layer, "applied", NOW))
    assert status.settled(member)


def test_a_new_commit_takes_the_place_of_the_old_one() -> None:
    made = make()
    first = state.report(MEMBERS["n1"], Happening(made, made.work.layers[0], "failed", NOW))
    second = state.report(first, Happening(made, made.work.layers[0], "applied", NOW))
    assert [entry.status for entry in second.state] == ["applied"]
