"""`engine.allow` of an Environment document: what is wrong with an entry is said where it stands."""

from __future__ import annotations

import pytest

from reconciler import errors
from tests.memory_world import ENVIRONMENT, desired

HARMLESS = "update kubernetes/lab/*/Service/*/* spec.clusterIPs"


def environment(entries: str) -> str:
    return f"{ENVIRONMENT}  engine:\n    allow:\n{entries}"


def test_entries_are_taken_as_they_are_written() -> None:
    assert desired(environment(f"    - {HARMLESS}\n")).environment.engine.allow == (HARMLESS,)


def test_an_entry_that_would_allow_a_loss_is_refused_with_its_place() -> None:
    with pytest.raises(errors.SpecError) as caught:
        desired(environment(f"    - {HARMLESS}\n    - delete volume/lab/*/*/*\n"), "environment.yaml")
    (fault,) = caught.value.faults
    line = ENVIRONMENT.count("\n") + 4
    assert str(fault).startswith(f"specs/lab/environment.yaml:{line}:7: ")
    assert "it has to be planned" in str(fault)


def test_an_entry_written_twice_is_refused() -> None:
    with pytest.raises(errors.SpecError, match="more than once"):
        desired(environment(f"    - {HARMLESS}\n    - {HARMLESS}\n"))
