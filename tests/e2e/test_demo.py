"""The demo from beginning to end, as `make demo` runs it: every step checks its own promise, so its end is what counts here."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lab import demo, layout, tool

pytestmark = pytest.mark.e2e
_WITHIN = 300.0  # seconds: the five minutes


@pytest.mark.timeout(_WITHIN + 60)
def test_the_demo_keeps_every_promise_within_five_minutes(tmp_path: Path, lab_can_run: None) -> None:
    began = time.monotonic()
    environment = {**os.environ, "PYTHONPATH": str(tool.root())}
    ended = subprocess.run(
        [sys.executable, "-m", "reconciler", "demo", "--down"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    took = time.monotonic() - began
    assert ended.returncode == 0, f"{ended.stdout[-6000:]}\n{ended.stderr[-2000:]}"
    assert took < _WITHIN
    timed = re.findall(r"^ *[\d.]+ s +(\d+)\. (.+)$", ended.stdout, re.MULTILINE)
    assert timed == [(str(number), title) for number, (title, _) in enumerate(demo.STEPS, start=1)]
    assert "every promise was kept" in ended.stdout
    assert ended.stdout.endswith("The lab is down.\n")
    assert not layout.is_held(tmp_path / ".reconcile" / "lab")


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
