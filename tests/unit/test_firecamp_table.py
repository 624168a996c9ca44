"""docs/reference/firecamp.md has a row for each of FireCamp's features, traps and faults, and names tests that there are."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = "docs/reference/firecamp.md"
FEATURES, TRAPS, FAULTS = (f"F{n}" for n in range(1, 24)), (f"trap {n}" for n in range(1, 39)), (f"fault {a}" for a in "abcdefghijklm")


def test_every_row_trap_and_fault_has_one_row() -> None:
    found = re.findall(r"^\| (F\d+|trap \d+|fault \w+) \|", (ROOT / PAGE).read_text(), re.MULTILINE)
    assert Counter(found) == Counter([*FEATURES, *TRAPS, *FAULTS])


def test_what_it_names_is_there_and_runs() -> None:
    done = subprocess.run([sys.executable, ROOT / "scripts" / "acceptance", ROOT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"{PAGE}: 74 rows: " in done.stdout


def test_a_wrong_row_is_told(tmp_path: Path) -> None:
    page = tmp_path / PAGE
    page.parent.mkdir(parents=True)
    rows = "| F1 | x | `unit/test_a.py::test_gone` | shown |", "| trap 2 | x | | shown |", "| fault a | x |", "| fault b | x | | open: y |"
    page.write_text("\n".join(rows))
    done = subprocess.run([sys.executable, ROOT / "scripts" / "acceptance", tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert sorted(line.removeprefix(f"{PAGE}: ") for line in done.stderr.splitlines()) == [
        "F1: there is no test unit/test_a.py::test_gone",
        "fault a: this row cannot be read: | id | line | shown by | state |",
        "trap 2: is called shown, but names nothing that shows it",
    ]
