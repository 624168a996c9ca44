"""What the demo does where the machine lacks something: it says so, leaves it out, and the specs still hold together."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lab import tool

pytestmark = pytest.mark.integration

_MAKE = """
import sys
from lab.demo import beginning, place
from lab.demo.stage import Stage
place.prepare()
beginning.make_repositories(Stage(place.LOG, place.environment()))
"""


def make_repositories(directory: Path, programs: Path, *before: str) -> subprocess.CompletedProcess[str]:
    """Play the demo's second step in *directory*, with *programs* for PATH."""
    environment = {**os.environ, "PATH": str(programs), "RECONCILE_TOOLS": str(programs), "PYTHONPATH": str(tool.root())}
    command = [*before, sys.executable, "-c", _MAKE]
    return subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=False)


def validate(directory: Path) -> str:
    """What `reconcile validate` says of the repository that was made."""
    environment = {**os.environ, "PYTHONPATH": str(tool.root())}
    words = [sys.executable, "-m", "reconciler", "validate", "--repo", ".reconcile/demo/config.git"]
    return subprocess.run(words, cwd=directory, env=environment, capture_output=True, text=True, check=False).stdout


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder with nothing but what the step itself needs; no java."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("sh", "git", "cp", "mkdir", "redis-server", "redis-cli"):
        found = shutil.which(name)
        assert found, f"{name} is needed here"
        (folder / name).symlink_to(found)
    (folder / "pulumi").write_text("#!/bin/sh\n")
    (folder / "pulumi").chmod(0o755)
    return folder


def test_without_java_there_is_no_zookeeper(tmp_path: Path, programs: Path) -> None:
    made = make_repositories(tmp_path, programs)
    assert made.returncode == 0, made.stderr
    assert "zk is left out" in made.stdout
    assert not (tmp_path / ".reconcile/demo/config/specs/lab/services/zk.yaml").exists()
    assert (tmp_path / ".reconcile/demo/config/specs/lab/services/kv.yaml").exists()
    assert validate(tmp_path) == "lab: valid\n"


def test_where_sshd_cannot_run_sessions_connect_locally(tmp_path: Path, programs: Path) -> None:
    unshare = shutil.which("unshare")
    assert unshare
    made = make_repositories(tmp_path, programs, unshare, "--user", "--map-root-user")
    assert made.returncode == 0, made.stderr
    assert "There can be no sshd here" in made.stdout
    specs = tmp_path / ".reconcile/demo/config/specs/lab"
    assert "executor: local" in (specs / "environment.yaml").read_text()
    assert "ansible_connection: local" in (specs / "components/nodes.yaml").read_text()
    assert validate(tmp_path) == "lab: valid\n"


def test_without_redis_the_demo_does_not_begin(tmp_path: Path, programs: Path) -> None:
    (programs / "redis-server").unlink()
    made = make_repositories(tmp_path, programs)
    assert made.returncode != 0
    assert "redis-server and redis-cli are not there" in made.stderr
