"""docs/acceptance.md holds, and the first impression: README, locked dependencies with a reason each, one command for CI."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.components import summary
from reconciler.render import text
from tests.memory_world import MemoryWorld, desired

ROOT = Path(__file__).parents[2]
HEAD = "| id | line | shown by | state |\n|---|---|---|---|\n"
TESTS = """\
import pytest

from reconciler.components import summary
from reconciler.render import text
from tests.memory_world import MemoryWorld, desired

def test_fine(): ...

@pytest.mark.skip(reason="no")
def test_skipped(): ...

@pytest.mark.xfail
def test_expected_to_fail(): ...

def test_that_skips_itself():
    if True:
        pytest.skip("not here")

class TestOf:
    def test_inside(self): ...

def not_a_test(): ...
"""


def acceptance(root: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, ROOT / "scripts" / "acceptance", root], capture_output=True, text=True, check=False)


def test_the_page_is_sound() -> None:
    done = acceptance(ROOT)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^docs/acceptance\.md: \d+ rows: \d+ shown", done.stdout, re.MULTILINE)


def test_every_section_of_the_issue_has_rows() -> None:
    page = (ROOT / "docs" / "acceptance.md").read_text()
    assert {number.split(".")[0] for number in re.findall(r"^\| (\d+\.\d+\.\d+)", page, re.MULTILINE)} == set(map(str, range(1, 17)))


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A project with one module of tests, a demo of one step, and a page to write rows on."""
    for folder in ("docs", "tests/unit", "lab/demo"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "tests/unit/test_a.py").write_text(TESTS)
    (tmp_path / "tests/unit/test_left_out.py").write_text("import pytest\npytestmark = pytest.mark.skip\ndef test_b(): ...\n")
    (tmp_path / "lab/demo/__init__.py").write_text('STEPS: tuple[tuple[str, object], ...] = (("Plan", None),)\n')
    return tmp_path


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("| 1.1 | x | `unit/test_a.py::test_gone` | shown |", "there is no test unit/test_a.py::test_gone"),
        ("| 1.1 | x | `unit/test_gone.py::test_fine` | shown |", "there is no test unit/test_gone.py::test_fine"),
        ("| 1.1 | x | `unit/test_a.py` | shown |", "there is no test unit/test_a.py"),
        ("| 1.1 | x | `unit/test_a.py::not_a_test` | shown |", "unit/test_a.py::not_a_test is no test"),
        ("| 1.1 | x | `unit/test_a.py::TestOf::test_gone` | shown |", "there is no test unit/test_a.py::TestOf::test_gone"),
        ("| 1.1 | x | `unit/test_a.py::test_skipped` | shown |", "is skipped or expected to fail"),
        ("| 1.1 | x | `unit/test_a.py::test_expected_to_fail` | shown |", "is skipped or expected to fail"),
        ("| 1.1 | x | `unit/test_a.py::test_that_skips_itself` | shown |", "can skip itself"),
        ("| 1.1 | x | `unit/test_left_out.py::test_b` | shown |", "is left out by its module's pytestmark"),
        ("| 1.1 | x | `demo: Apply` | shown |", "the demo has no step 'Apply'"),
        ("| 1.1 | x | `file: README.md` | shown |", "there is no file: README.md"),
        ("| 1.1 | x | | shown |", "is called shown, but names nothing that shows it"),
        ("| 1.1 | x | `demo: Plan` | maybe |", "its state is neither shown nor"),
        ("| 1.1 | x | `demo: Plan` |", "this row cannot be read"),
        ("| 1.1 | x | `demo: Plan` | shown |\n| 1.1 | y | `demo: Plan` | shown |", "2 rows have this id"),
    ],
)
def test_what_is_wrong_with_a_page_is_told(page: Path, row: str, told: str) -> None:
    (page / "docs/acceptance.md").write_text(f"{HEAD}{row}\n")
    done = acceptance(page)
    assert done.returncode == 1
    assert f"docs/acceptance.md: 1.1: {told}" in done.stderr or told in done.stderr


def test_a_sound_page_passes_and_lists_what_is_open(page: Path) -> None:
    good = "`unit/test_a.py::test_fine`, `unit/test_a.py::TestOf::test_inside`, `demo: Plan`, `file: tests`"
    (page / "docs/acceptance.md").write_text(f"{HEAD}| 1.1 | x | {good} | shown |\n| 1.2 ⚗ | y | | open: nobody did it |\n")
    done = acceptance(page)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "1.2 open: nobody did it\ndocs/acceptance.md: 2 rows: 1 shown, 0 partly, 1 open\n"


def test_the_readme_has_a_spec_its_plan_and_two_commands() -> None:
    text = (ROOT / "README.md").read_text()
    spec, plan, commands = re.findall(r"```\w*\n(.*?)```", text, re.DOTALL)[:3]
    assert len(spec.splitlines()) <= 24
    assert "apiVersion: reconciler/v1" in spec
    assert re.search(r"^\$ reconcile plan", plan)
    assert re.search(r"^Plan: \d+ to add, 0 to change, 0 to destroy\.$", plan, re.MULTILINE)
    assert [line.split("#")[0].strip() for line in commands.splitlines()] == ["make demo", "make test"]


def test_the_readmes_spec_is_that_of_the_demo() -> None:
    """So that the plan below it is what a reader gets."""
    spec = re.findall(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)[0]
    documents = [document.split("apiVersion", 1)[1] for document in spec.split("---\n")]
    kv, nodes = (
        (ROOT / "specs/lab" / path).read_text().split("apiVersion", 1)[1] for path in ("services/kv.yaml", "components/nodes.yaml")
    )
    assert documents[0] == kv
    assert nodes.startswith(documents[1].rstrip())


def test_ci_runs_the_readmes_own_command() -> None:
    assert (ROOT / ".ci/run").read_text().rstrip().endswith("exec make test")
    assert "run: sudo --preserve-env=CI HOME=/root .ci/run" in (ROOT / ".github/workflows/ci.yml").read_text()


def _names(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[><=~ ;]", requirement)[0].lower().replace(".", "-") for requirement in requirements}


def _declared() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = [one for extra in project["project"]["optional-dependencies"].values() for one in extra]
    return _names([*project["project"]["dependencies"], *extras, *project["dependency-groups"]["dev"]])


def test_every_dependency_is_locked_with_hashes_and_names_no_index() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    entries = re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==[^\n]*\n((?:    --hash=sha256:[0-9a-f]{64}[^\n]*\n)*)", lock, re.MULTILINE)
    assert all(hashes for _, hashes in entries)
    assert _declared() <= {name.lower().replace(".", "-") for name, _ in entries}
    assert "://" not in lock


def test_every_dependency_has_its_reason() -> None:
    page = (ROOT / "docs/decisions/0002-dependencies.md").read_text().lower().replace(".", "-")
    assert {name for name in _declared() if not re.search(rf"\b{name}\b", page)} == set()


def test_the_readmes_plan_comes_of_its_spec() -> None:
    """Every line of it that is not left out is what the product says, in that order; commit and account aside."""
    spec, plan = re.findall(r"```\w*\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)[:2]
    beside = [(ROOT / "specs/lab" / path).read_text() for path in ("environment.yaml", "configurations/base.yaml")]
    wanted = desired("---\n".join([spec, *beside]))
    made = replace(MemoryWorld().plan(wanted).plan, components=summary.summarise(wanted, {}, {}))
    said = iter(text.render(made).splitlines())
    for line in plan.splitlines():
        if line.strip() not in {"$ reconcile plan -e lab", "…"} and not line.startswith("Digest "):
            assert line in said, f"the product does not say (any more, or here): {line}"
