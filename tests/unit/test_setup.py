"""What `make setup` decides: what is missed, which tools are built, that CI leaves nothing out. Nothing is installed here."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLAIN = (
    "bash",
    "cat",
    "chmod",
    "cut",
    "dirname",
    "env",
    "flock",
    "grep",
    "head",
    "id",
    "ln",
    "mkdir",
    "mv",
    "printf",
    "rm",
    "sh",
    "sha256sum",
    "sort",
    "touch",
)
NEEDED = ("redis-server", "sshd", "ip")
TOOLS = {
    "etcd": "etcd Version: 3.7.0",
    "kube-apiserver": "Kubernetes v1.36.3",
    "kube-controller-manager": "Kubernetes v1.36.3",
    "kube-scheduler": "Kubernetes v1.36.3",
    "kubectl": "Client Version: v1.36.3",
    "pulumi": "v3.250.0",
}


def program(folder: Path, name: str, script: str = "exit 0") -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A machine with the plainest programs: its folder `bin` is all of its PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in PLAIN:
        (folder / name).symlink_to(str(shutil.which(name)))
    return tmp_path


def run(machine: Path, script: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    told = {"PATH": str(machine / "bin"), "HOME": str(machine / "home"), **environment}
    return subprocess.run(["bash", script], env=told, cwd=machine, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture
def checkout(machine: Path) -> Path:
    """A checkout that was set up before, whose tools are there."""
    place = machine / "checkout"
    (place / "scripts").mkdir(parents=True)
    for name in ("requirements.lock", "pyproject.toml", "scripts/setup"):
        shutil.copy(ROOT / name, place / name)
    program(place / "scripts", "build-tools", "echo /the/tools")
    (place / ".venv").mkdir()
    key = next(line for line in (place / "scripts/setup").read_text().splitlines() if line.startswith("key="))
    subprocess.run(["bash", "-c", f'{key}; echo "$key" > .venv/.key'], cwd=place, check=True)
    program(machine / "bin", "go")
    return place


def test_the_second_time_nothing_is_left_to_do(machine: Path, checkout: Path) -> None:
    for name in NEEDED:
        program(machine / "bin", name)
    done = run(machine, checkout / "scripts/setup")
    assert done.returncode == 0, done.stderr
    assert "ready: .venv/bin/reconcile" in done.stderr
    assert "Python packages" not in done.stderr
    assert (checkout / ".venv/tools").readlink() == Path("/the/tools")


def test_what_is_missing_is_named_with_what_it_costs_and_in_ci_it_is_the_end(machine: Path, checkout: Path) -> None:
    done = run(machine, checkout / "scripts/setup")
    assert done.returncode == 0, done.stderr
    assert "missing: redis-server" in done.stderr
    assert "the demo and the tests that need them are left out" in done.stderr
    assert run(machine, checkout / "scripts/setup", CI="1").returncode == 1


def test_other_dependencies_make_the_environment_anew(machine: Path, checkout: Path) -> None:
    (checkout / "requirements.lock").write_text("another")
    program(machine / "bin", "python3", "echo python3 $@ >&2; exit 3")
    done = run(machine, checkout / "scripts/setup")
    assert done.returncode != 0
    assert "Python packages into .venv (about " in done.stderr
    assert "Python 3.11 or newer is needed" in done.stderr


def tools(machine: Path, versions: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Build the tools on a machine that has these; its `go` writes down what it was asked for."""
    (machine / "home").mkdir(exist_ok=True)
    for name, version in versions.items():
        program(machine / "bin", name, f"echo '{version}'")
    program(machine / "bin", "go", f'echo "$@" >> {machine}/built; while [ "$1" != -o ]; do shift; done; printf "#!/bin/sh\\n" > "$2"')
    return run(machine, ROOT / "scripts/build-tools")


def built(machine: Path) -> list[str]:
    record = machine / "built"
    return [line.split()[-1] for line in record.read_text().splitlines()] if record.exists() else []


def test_official_binaries_that_are_new_enough_are_used(machine: Path) -> None:
    done = tools(machine, TOOLS)
    assert done.returncode == 0, done.stderr
    assert built(machine) == []
    folder = Path(done.stdout.strip())
    assert folder.is_relative_to(machine / "home/.cache/reconciler/tools")
    assert {name: (folder / name).readlink() for name in TOOLS} == {name: machine / "bin" / name for name in TOOLS}


def test_what_is_too_old_or_not_there_is_built_once_with_an_expected_time(machine: Path) -> None:
    done = tools(machine, {**TOOLS, "pulumi": "v3.249.9"} | {"etcd": "no version at all"})
    assert done.returncode == 0, done.stderr
    assert built(machine) == ["go.etcd.io/etcd/server/v3", "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"]
    assert "pulumi: building from Go modules (cold: about 5 min)" in done.stderr
    assert tools(machine, TOOLS).returncode == 0
    assert len(built(machine)) == 2


def test_without_maven_the_lab_does_without_kafka_and_what_maven_brings_has_to_be_what_was_pinned(machine: Path) -> None:
    done = tools(machine, TOOLS)
    assert "kafka: Maven is missing" in done.stderr
    assert not (Path(done.stdout.strip()) / "kafka-java").exists()
    program(
        machine / "bin", "mvn", 'for word; do case $word in -D*=*) mkdir -p "${word#*=}"; echo other > "${word#*=}/a.jar" ;; esac; done'
    )
    done = tools(machine, TOOLS)
    assert done.returncode != 0
    assert "kafka_2.13-4.1.1.jar" in done.stderr
    assert not list(machine.rglob("kafka-java"))


@pytest.mark.parametrize(("ci", "outcome"), [("", "1 skipped"), ("1", "1 error")])
def test_what_cannot_run_is_left_out_but_in_ci_it_fails(tmp_path: Path, ci: str, outcome: str) -> None:
    (tmp_path / "none").mkdir()
    environment = {**os.environ, "CI": ci, "RECONCILE_TOOLS": str(tmp_path / "none"), "PATH": "/nowhere", "PYTEST_ADDOPTS": ""}
    test = "tests/integration/test_lab_hosts.py::test_hosts_start_once"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", test]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert outcome in done.stdout, done.stdout
    assert "the lab's programs are not there" in done.stdout
