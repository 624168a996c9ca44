"""Progress: lines where it goes into a pipe, a bar where it goes to a terminal."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys

APPLYING = """
from reconciler.cli import progress
from reconciler.model.outcome import Done, Waiting
with progress.shown(2, plain=False) as shown:
    shown.step("volume/lab/kv/kv-0/data", "start", "create")
    shown.step("volume/lab/kv/kv-0/data", "done", "create")
    shown.stand({"kv": Waiting("a Pod of kv-0 is made")})
    shown.step("kubernetes/lab/kv/StatefulSet/default/kv", "failed", "the API server refused it")
    shown.stand({"kv": Done()})
"""


def test_a_pipe_gets_lines() -> None:
    said = subprocess.run([sys.executable, "-c", APPLYING], capture_output=True, text=True, check=True)
    lines = [re.sub(r"[\d.]+s", "…s", line) for line in said.stderr.splitlines()]
    assert lines[0] == "  volume/lab/kv/kv-0/data: creating"
    assert "  volume/lab/kv/kv-0/data: created after …s" in lines
    assert "  kv: waiting until a Pod of kv-0 is made" in lines
    assert "  kubernetes/lab/kv/StatefulSet/default/kv: the API server refused it" in lines
    assert lines[-1] == "  kv: ready"
    assert said.stdout == ""


def test_a_terminal_gets_a_bar_that_says_what_is_waited_for() -> None:
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "140"}
    process = subprocess.Popen([sys.executable, "-c", APPLYING], stderr=theirs, env=environment)
    os.close(theirs)
    said = b""
    try:
        while chunk := os.read(ours, 4096):
            said += chunk
    except OSError:  # the other end is closed
        pass
    os.close(ours)
    assert process.wait() == 0
    shown = said.decode()
    assert "━" in shown
    assert re.search(r"1/2|2/2", shown)
    assert "volume/lab/kv/kv-0/data: created after" in shown
    assert "kv: ready" in shown
