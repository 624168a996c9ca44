"""Every file of tests/cases: the plan that comes of it, word for word; and a case for everything that can be declared."""

from pathlib import Path

import pytest

from tests import case
from tests.memory_world import KINDS, TYPES

SUBJECTS = sorted({*KINDS, *TYPES})


@pytest.mark.parametrize("path", case.paths(), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_case_has_the_plan_that_it_says(path: Path) -> None:
    told = case.read(path)
    assert told.says
    assert told.planned() == told.plan


@pytest.mark.parametrize("subject", SUBJECTS)
def test_there_is_a_case(subject: str) -> None:
    assert any(path.parent.name == subject for path in case.paths()), f"{subject} has no case: write tests/cases/{subject}/first.yaml"


def test_every_case_is_of_something_that_there_is() -> None:
    assert {path.parent.name for path in case.paths()} <= set(SUBJECTS)
