"""The reference pages are what `scripts/reference` writes now: no field, option or command is missing or invented."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reference")
    subprocess.run([sys.executable, ROOT / "scripts/reference", folder], check=True)
    return folder


@pytest.mark.parametrize("page", ["documents.md", "commands.md"])
def test_a_generated_page_is_fresh(written: Path, page: str) -> None:
    assert (ROOT / "docs/reference" / page).read_text() == (written / page).read_text(), "run scripts/reference"
