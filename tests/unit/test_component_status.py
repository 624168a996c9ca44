"""CFS's executed truth table (its A1), a row a test, and the answers that are ours on purpose."""

from dataclasses import replace

import pytest

from reconciler.components import state, status
from reconciler.model.componentstate import ComponentState
from tests.component_samples import component, entry, target

A, B = "signature-a", "signature-b"
A_APPLIED, B_APPLIED = entry(A, "applied", 0), entry(B, "applied", 1)

TABLE = [
    ("no desired, no state", ComponentState("n1"), "unconfigured"),
    ("no desired, some state", ComponentState("n1", state=(A_APPLIED,)), "configured"),
    ("nothing applied", component(A, B), "pending"),
    ("A applied only", component(A, B, state=(A_APPLIED,)), "pending"),
    ("A applied, B failed, err 1", component(A, B, state=(A_APPLIED, entry(B, "failed", 1)), error_count=1), "pending"),
    ("A applied, B failed, err 3", component(A, B, state=(A_APPLIED, entry(B, "failed", 1)), error_count=3), "failed"),
    ("A applied, B incomplete, err 3", component(A, B, state=(A_APPLIED, entry(B, "incomplete", 1)), error_count=3), "failed"),
    ("A applied, B incomplete, err 0", component(A, B, state=(A_APPLIED, entry(B, "incomplete", 1))), "pending"),
    ("A applied, B skipped", component(A, B, state=(A_APPLIED, entry(B, "skipped", 1))), "configured"),
    ("both applied, err 9", component(A, B, state=(A_APPLIED, B_APPLIED), error_count=9), "configured"),
    ("retry_policy 0, err 0", component(A, retry_policy=0), "failed"),
    ("retry_policy -1, err 99", component(A, retry_policy=-1, error_count=99), "pending"),
    ("retry_policy -2, err 0", component(A, retry_policy=-2), "failed"),
    ("unrelated extra entries", component(A, state=(A_APPLIED, entry("other", "failed", 7))), "configured"),
    ("no layers at all", component(), "configured"),
    ("err 2 of 3", component(A, state=(entry(A, "failed"),), error_count=2), "pending"),
    # Ours on purpose:
    ("desired name unknown, state holds a failed entry", component(known=False, state=(entry(A, "failed"),)), "unconfigured"),
    ("a layer whose commit is not known yet", component(""), "pending"),
]


@pytest.mark.parametrize(("component", "expected"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_truth_table(component: ComponentState, expected: str) -> None:
    assert status.configuration_status(component) == expected


def test_an_incomplete_layer_shows_pending_though_its_component_failed() -> None:
    spent = component(A, B, state=(A_APPLIED, entry(B, "incomplete", 1)), error_count=3)
    assert status.layer_statuses(spent) == ("configured", "pending")


def test_a_mended_commit_re_arms_a_failed_component() -> None:
    """CFS leaves it failed until somebody zeroes its error count."""
    failed = component(A, B, state=(A_APPLIED, entry(B, "failed", 1)), error_count=3)
    mended = state.desire(failed, target(A, "signature-b2"))
    assert (status.configuration_status(mended), mended.error_count, status.missing_layers(mended)) == ("pending", 0, (1,))


def test_asking_for_the_same_again_re_arms_nothing() -> None:
    failed = component(A, state=(entry(A, "failed"),), error_count=3)
    assert state.desire(failed, target(A)) is failed


def test_missing_layers_are_those_that_a_session_has_to_run() -> None:
    assert status.missing_layers(component(A, B, "c", state=(B_APPLIED,))) == (0, 2)


def test_settled_means_that_no_layer_is_missing_however_often_it_failed() -> None:
    done = component(A, state=(A_APPLIED,), error_count=9)
    assert status.settled(done)
    assert not status.settled(replace(done, layers=(A, B)))
    assert not status.settled(component(known=False))
