"""Adding a service type: its file alone turns exactly one test red, its first case turns that green; no other file changes."""

from __future__ import annotations

import re
from pathlib import Path

from tests.mutations.test_mutations import copied, pytest_in

COVERED = (
    "tests/unit/test_cases.py",
    "tests/unit/test_stacks.py",
    "tests/unit/test_convergence.py::test_an_example_once_applied_leaves_nothing_to_do",
)
CASE = """\
says: Nothing of it is there and nothing is declared.
desired: ""
plan: |
  No changes. Your infrastructure matches the configuration.
"""


def test_a_new_type_is_one_file_and_one_case(tmp_path: Path) -> None:
    place = copied(tmp_path)
    type_ = (place / "stacks/redis.py").read_text().replace('name="redis"', 'name="valkey"').replace("type: redis", "type: valkey")
    (place / "stacks/valkey.py").write_text(type_)
    alone = pytest_in(place, *COVERED)
    assert re.findall(r"^FAILED (\S+)", alone.stdout, re.MULTILINE) == ["tests/unit/test_cases.py::test_there_is_a_case[valkey]"], (
        alone.stdout
    )
    assert "valkey has no case" in alone.stdout
    (place / "tests/cases/valkey").mkdir()
    (place / "tests/cases/valkey/first.yaml").write_text(CASE)
    assert pytest_in(place, *COVERED).returncode == 0
