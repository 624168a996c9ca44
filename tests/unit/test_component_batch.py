"""Batching: alike together, one in flight per component, nothing stale sent."""

from dataclasses import replace

from reconciler.components import backoff, batch
from reconciler.components.backoff import Backoff
from reconciler.components.batch import Batch, Limits
from reconciler.model.componentstate import ComponentState
from tests.component_samples import component, entry

A, B = "signature-a", "signature-b"
LIMITS = Limits(size=25, window=60.0)
NOBODY: frozenset[str] = frozenset()


def alike(count: int, **fields: object) -> tuple[ComponentState, ...]:
    return tuple(component(A, B, id=f"n{number:03d}", **fields) for number in range(count))


def fill(
    waiting: tuple[Batch, ...], components: tuple[ComponentState, ...], now: float = 0.0, busy: frozenset[str] = NOBODY
) -> tuple[Batch, ...]:
    return batch.fill(waiting, components, busy=busy, now=now, limits=LIMITS)


def sizes(batches: object) -> list[int]:
    return [len(one.members) for one in batches]  # type: ignore[attr-defined]


def test_sixty_alike_go_as_25_25_at_once_and_10_after_the_window() -> None:
    waiting = fill((), alike(60))
    assert sizes(batch.due(waiting, 0.0, LIMITS)) == [25, 25]
    assert sizes(batch.due(waiting, 59.9, LIMITS)) == [25, 25]
    assert sizes(batch.due(waiting, 60.0, LIMITS)) == [25, 25, 10]


def test_the_window_begins_with_the_first_member_and_not_anew() -> None:
    first = fill((), alike(1), now=0.0)
    second = fill(first, alike(2), now=50.0)
    assert sizes(second) == [2]
    assert sizes(batch.due(second, 60.0, LIMITS)) == [2]


def test_a_window_of_zero_sends_at_once() -> None:
    assert sizes(batch.due(fill((), alike(3)), 0.0, Limits(25, 0.0))) == [3]


def test_those_that_miss_other_layers_or_ended_otherwise_go_apart() -> None:
    fresh = component(A, B, id="fresh")
    half = component(A, B, id="half", state=(entry(A, "applied"),))
    failed = component(A, B, id="failed", state=(entry(A, "failed"),), error_count=1)
    keys = {one.members: one.key.layers for one in fill((), (fresh, half, failed))}
    assert keys == {("fresh",): (0, 1), ("half",): (1,), ("failed",): (0, 1)}


def test_a_component_whose_wish_changed_while_it_waited_is_not_sent_with_the_old_one() -> None:
    waiting = fill((), alike(2))
    moved = replace(alike(1)[0], configuration="other")
    after = fill(waiting, (moved, alike(2)[1]), now=10.0)
    assert {(one.key.configuration, one.members) for one in after} == {("c", ("n001",)), ("other", ("n000",))}


def test_disabled_forgotten_configured_and_failed_components_leave_their_batch() -> None:
    waiting = fill((), alike(4))
    disabled, forgotten, configured, failed = alike(4)
    configured = replace(configured, state=(entry(A, "applied", 0), entry(B, "applied", 1)))
    changed = (replace(disabled, enabled=False), replace(forgotten, declared=False), configured, replace(failed, error_count=3))
    assert fill(waiting, changed) == ()


def test_busy_components_are_in_no_batch() -> None:
    after = fill(fill((), alike(3)), alike(3), busy=frozenset({"n001"}))
    assert [one.members for one in after] == [("n000", "n002")]


def test_a_layer_without_a_known_commit_is_not_sent() -> None:
    assert fill((), (component(A, ""),)) == ()
    assert sizes(fill((), (component("", B, state=(entry("", "applied"),)),))) == []


def test_nobody_is_in_two_batches_and_nobody_is_lost() -> None:
    waiting = fill((), alike(30))
    again = fill(waiting, alike(70), now=1.0)
    members = [id for one in again for id in one.members]
    assert sorted(members) == [one.id for one in alike(70)]
    assert max(sizes(again)) <= LIMITS.size


def test_heavy_members_make_smaller_batches() -> None:
    batches = batch.fill((), alike(10), busy=NOBODY, now=0.0, limits=Limits(25, 60.0, weight=100), weigh=lambda _id: 30)
    assert sizes(batches) == [3, 3, 3, 1]


def test_one_that_outweighs_every_batch_goes_alone() -> None:
    batches = batch.fill((), alike(2), busy=NOBODY, now=0.0, limits=Limits(25, 60.0, weight=10), weigh=lambda _id: 30)
    assert sizes(batches) == [1, 1]


def fail(gate: Backoff, times: int, now: float) -> Backoff:
    for _time in range(times):
        gate = backoff.after(gate, now, ok=False)
    return gate


def test_nineteen_failures_hold_nothing_back_and_the_twentieth_does() -> None:
    assert backoff.allowance(fail(Backoff(), 19, 0.0), 0.0, 5) is None
    assert backoff.allowance(fail(Backoff(), 20, 0.0), 0.0, 0) == 0


def test_the_wait_doubles_up_to_an_hour_with_one_probe_after_each() -> None:
    gate, now, waits = fail(Backoff(), 20, 0.0), 0.0, []
    for _probe in range(8):
        waits.append(gate.until - now)
        now = gate.until
        assert backoff.allowance(gate, now, 0) == 1
        assert backoff.allowance(gate, now, 1) == 0
        gate = backoff.after(gate, now, ok=False)
    assert waits == [60, 120, 240, 480, 960, 1920, 3600, 3600]


def test_failures_that_were_under_way_do_not_make_the_wait_longer() -> None:
    gate = fail(Backoff(), 20, 0.0)
    assert fail(gate, 19, 30.0).until == gate.until


def test_one_success_opens_the_gate() -> None:
    assert backoff.allowance(backoff.after(fail(Backoff(), 25, 0.0), 10.0, ok=True), 10.0, 9) is None
