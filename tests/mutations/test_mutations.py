"""Rows of docs/acceptance.md whose tests notice: a small mutation of the product, in a copy of it, turns the row's test red.

A test that stays green whatever the product does shows nothing. Each mutation is one line of the product; the copy is made once.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COPIED = ("lab", "providers", "reconciler", "runner", "specs", "stacks", "tests", "pyproject.toml")
NOT_COPIED = ("__pycache__", "e2e", "integration", "mutations")


@dataclass(frozen=True, slots=True)
class Mutation:
    """In *file*, *before* becomes *after*; *test* is the row's that has to notice."""

    row: str
    file: str
    before: str
    after: str
    test: str


MUTATIONS = (
    Mutation(
        "3.1.2",
        "reconciler/specs/load.py",
        "faults += reading.faults\n",
        "faults += reading.faults[:1]\n",
        "tests/unit/test_load.py::test_a_fault_has_its_place_and_says_what_to_do[wrong types say which]",
    ),
    Mutation(
        "3.2.4",
        "reconciler/diff/declared.py",
        'return say(resource, "hold", f"could not be read',
        'return say(resource, "create", f"could not be read',
        "tests/unit/test_cases.py::test_a_case_has_the_plan_that_it_says[volume/unread-is-held]",
    ),
    Mutation(
        "3.3.5",
        "providers/kinds/volume.py",
        'return "update" if grows else "refuse"',
        'return "update"',
        "tests/unit/test_cases.py::test_a_case_has_the_plan_that_it_says[volume/shrink-refused]",
    ),
    Mutation(
        "3.3.2",
        "reconciler/plan.py",
        "[_spelt(field) for field in change.fields]]",
        "[]]",
        "tests/unit/test_plan.py::test_the_digest_is_of_tree_and_changes_not_of_the_commit",
    ),
    Mutation(
        "3.3.1",
        "reconciler/plan.py",
        "if deletes and gone >= plan.known:",
        "if deletes and gone > plan.known:",
        "tests/unit/test_plan.py::test_deleting_everything_always_asks",
    ),
    Mutation(
        "3.4.1",
        "reconciler/apply.py",
        "if any(change.acts and change.owner",
        "if any(change.owner",
        "tests/unit/test_convergence.py::test_an_example_once_applied_leaves_nothing_to_do[redis-none]",
    ),
    Mutation(
        "3.4.2",
        "providers/pulumi/gate.py",
        "_LOSS = 3",
        "_LOSS = 2",
        "tests/unit/test_gate.py::test_a_loss_that_the_plan_does_not_say_stops_the_run",
    ),
    Mutation(
        "3.4.5",
        "reconciler/members/readiness.py",
        'return Waiting(f"a Pod of {member.name} is made',
        'return Done() or Waiting(f"a Pod of {member.name} is made',
        "tests/unit/test_member_decisions.py::test_a_stateful_set_whose_pods_nobody_has_made_is_not_ready",
    ),
    Mutation(
        "3.4.6",
        "reconciler/diff/declared.py",
        'action="adopt", reason="live with our marks',
        'action="create", reason="live with our marks',
        "tests/unit/test_cases.py::test_a_case_has_the_plan_that_it_says[volume/left-by-a-crash]",
    ),
    Mutation(
        "3.5.3",
        "reconciler/pin.py",
        "    if not moved:\n",
        "    if moved or not moved:\n",
        "tests/unit/test_cases.py::test_a_case_has_the_plan_that_it_says[redis/zone-kept-by-existing-member]",
    ),
    Mutation(
        "3.6.5",
        "reconciler/components/status.py",
        'return "failed" if spent else "pending"',
        'return "failed"',
        "tests/unit/test_component_controller.py::test_a_failing_host_comes_round_alone_until_its_third_failure",
    ),
    Mutation(
        "3.7.2",
        "reconciler/diff/removal.py",
        'return "retain" if id.kind in {"volume", "zone"}',
        'return "retain" if id.kind in {"zone"}',
        "tests/unit/test_cases.py::test_a_case_has_the_plan_that_it_says[volume/removed-service-keeps-volumes]",
    ),
)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copied(tmp_path_factory.mktemp("mutated"))


def copied(place: Path) -> Path:
    """The product and its fast tests in *place*, to be spoilt."""
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, place / name, ignore=shutil.ignore_patterns(*NOT_COPIED))
        else:
            shutil.copy(ROOT / name, place / name)
    return place


def pytest_in(place: Path, *tests: str) -> subprocess.CompletedProcess[str]:
    """Pytest in the copy, without bytecode: a mutation of the same length in the same second would go unnoticed."""
    environment = {**os.environ, "PYTHONPATH": str(place), "PYTHONDONTWRITEBYTECODE": "1", "PYTEST_ADDOPTS": ""}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--tb=line", *tests]
    return subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, timeout=240, check=False)


def test_without_a_mutation_every_one_of_these_tests_is_green(copy: Path) -> None:
    done = pytest_in(copy, *sorted({mutation.test for mutation in MUTATIONS}))
    assert done.returncode == 0, done.stdout


@pytest.fixture
def mutated(request: pytest.FixtureRequest, copy: Path) -> Iterator[Mutation]:
    """One mutation in place, for as long as a test looks."""
    mutation: Mutation = request.param
    path = copy / mutation.file
    text = path.read_text()
    assert text.count(mutation.before) == 1, f"{mutation.file} has changed: mutate another place for row {mutation.row}"
    path.write_text(text.replace(mutation.before, mutation.after))
    yield mutation
    path.write_text(text)


@pytest.mark.parametrize("mutated", MUTATIONS, indirect=True, ids=lambda mutation: f"{mutation.row} {mutation.file}")
def test_a_mutation_turns_its_row_red(copy: Path, mutated: Mutation) -> None:
    done = pytest_in(copy, mutated.test)
    assert done.returncode == 1, done.stdout  # 1: a test failed; everything else means that none ran
    assert re.search(rf"^FAILED {re.escape(mutated.test)}", done.stdout, re.MULTILINE), done.stdout


def test_every_mutated_row_is_marked_so_and_shown_by_that_test() -> None:
    page = (ROOT / "docs" / "acceptance.md").read_text()
    marked = {line.split("|")[1].removesuffix(" ⚗ ").strip(): line for line in page.splitlines() if line.startswith("| ") and "⚗" in line}
    assert set(marked) == {mutation.row for mutation in MUTATIONS}
    for mutation in MUTATIONS:
        assert mutation.test.partition("[")[0].removeprefix("tests/") in marked[mutation.row], mutation.row
