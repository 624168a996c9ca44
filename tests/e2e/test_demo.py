"""The demo from beginning to end, as `make demo` runs it: every step checks its own promise, so its end is what counts here."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lab import demo, layout, lifecycle, tool

pytestmark = pytest.mark.e2e
_WITHIN = 300.0  # seconds: the five minutes


@pytest.mark.timeout(_WITHIN + 60)
def test_the_demo_keeps_every_promise_within_five_minutes(tmp_path: Path, lab_can_run: None) -> None:
    began = time.monotonic()
    environment = {**os.environ, "PYTHONPATH": str(tool.root())}
    ended = subprocess.run(
        [sys.executable, "-m", "reconciler", "demo"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    took = time.monotonic() - began
    try:
        assert ended.returncode == 0, f"{ended.stdout[-6000:]}\n{ended.stderr[-2000:]}"
        assert took < _WITHIN
        timed = re.findall(r"^ *[\d.]+ s +(\d+)\. (.+)$", ended.stdout, re.MULTILINE)
        assert timed == [(str(number), title) for number, (title, _) in enumerate(demo.STEPS, start=1)]
        assert "every promise was kept" in ended.stdout
        check_closing_words(ended.stdout.partition("every promise was kept")[2], tmp_path)
    finally:
        lifecycle.down(tmp_path / ".reconcile" / "lab")


def check_closing_words(said: str, directory: Path) -> None:
    """Do what the demo's last words tell the reader to do: look around, then stop it."""
    lines = [line.strip() for line in said.splitlines() if line.startswith("  ")]
    export, *others = (line for line in lines if line.startswith(("export ", "reconcile ", "kubectl ")))
    *looks, stop = others
    assert stop == "reconcile lab down"
    answers = [type_in(f"{export.replace('$PWD/.venv/bin', str(Path(sys.executable).parent))}; {line}", directory) for line in looks]
    assert any(answer.strip() == "hello" for answer in answers), answers
    assert layout.is_held(directory / ".reconcile" / "lab")
    assert "is down" in type_in(f"{export}; {stop}", directory)
    assert not layout.is_held(directory / ".reconcile" / "lab")


def type_in(line: str, directory: Path) -> str:
    """What a shell answers to *line*, which has to end well."""
    environment = {**os.environ, "PATH": tool.path(), "PYTHONPATH": str(tool.root())}
    ended = subprocess.run(["sh", "-c", line], cwd=directory, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, f"{line}: {ended.stdout}{ended.stderr}"
    return ended.stdout


def test_the_demo_refuses_to_begin_where_it_has_no_engine(tmp_path: Path, lab_can_run: None) -> None:
    bare = tmp_path / "bin"
    bare.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(tool.root()), "RECONCILE_TOOLS": str(bare), "PATH": str(bare)}
    ended = subprocess.run(
        [sys.executable, "-m", "reconciler", "demo"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert "make setup" in ended.stderr
    assert not (tmp_path / ".reconcile").exists()
