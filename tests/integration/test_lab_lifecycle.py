"""A lab comes up whole and fast, goes without a trace, whoever is killed on the way, and never meets another."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from lab import cli, layout, lifecycle, namespace
from lab.error import LabError
from lab.layout import Layout

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("lab_can_run")]

LIMIT = 15.0  # seconds


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    """A lab's folder of the test's own; whatever the test does, nothing outlives it."""
    yield tmp_path / "lab"
    lifecycle.down(tmp_path / "lab")


def start(command: str, directory: Path) -> subprocess.Popen[bytes]:
    """Begin *command* as a shell would, to be killed."""
    arguments = [sys.executable, "-m", "lab.cli", command, "--dir", str(directory)]
    return subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


ABANDONS = """
import ctypes, subprocess, sys
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
entered = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE, text=True)
entered.stdout.readline()
entered.kill()
print("abandoned", flush=True)
sys.stdin.read()
"""


def kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def everyone(directory: Path) -> set[int]:
    """All processes of the lab in *directory*, however far it has come."""
    return {pid for init in namespace.inits(directory) for pid in (init, *namespace.members(init).values())}


def alive(pids: set[int]) -> set[int]:
    return {pid for pid in pids if namespace.is_alive(pid)}


def outer_machine() -> tuple[str, str]:
    """The mounts and addresses of the machine that the lab runs on."""
    addresses = subprocess.run(["ip", "-oneline", "address"], capture_output=True, text=True, check=True).stdout
    return Path("/proc/self/mounts").read_text(), addresses


def refuses(endpoint: str) -> bool:
    host, port = endpoint.rpartition("//")[2].split(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) != 0


def assert_gone(directory: Path, pids: set[int]) -> None:
    assert alive(pids) == set()
    assert namespace.inits(directory) == []
    assert not layout.is_held(directory)
    assert layout.read(directory) is None


def test_a_lab_is_up_in_time_and_gone_without_a_trace(directory: Path) -> None:
    before = outer_machine()
    started = time.monotonic()
    running, fresh = lifecycle.up(directory)
    took = time.monotonic() - started
    pids = set(lifecycle.status(directory)["pids"])
    assert fresh
    assert took < LIMIT
    assert running.pid in pids
    assert alive(pids) == pids
    assert outer_machine() == before, "a running lab shows on the outer machine only as processes and loopback ports"
    assert lifecycle.down(directory)
    assert_gone(directory, pids)
    assert outer_machine() == before
    assert all(refuses(endpoint) for endpoint in (running.aws.endpoint, running.kubernetes.server, running.dns))
    assert not lifecycle.down(directory)


def test_up_on_a_running_lab_leaves_it_alone_and_says_so(lab: Layout) -> None:
    again, fresh = lifecycle.up(Path(lab.dir))
    assert again == lab
    assert not fresh
    assert "was up already" in CliRunner().invoke(cli.lab, ["up", "--dir", lab.dir]).output


def test_status_tells_judges_how_to_reach_the_lab(lab: Layout) -> None:
    result = CliRunner().invoke(cli.lab, ["status", "--dir", lab.dir, "--format", "json"])
    document = json.loads(result.output)
    assert set(document["aws"]) == {"endpoint", "region", "access_key_id", "secret_access_key"}
    assert document["aws"]["endpoint"] == lab.aws.endpoint
    assert document["kubeconfig"] == lab.kubernetes.kubeconfigs["judge"]
    assert (document["dns"], document["dir"]) == (lab.dns, lab.dir)
    assert alive(set(document["pids"])) == set(document["pids"])
    core = {name: process["state"] for name, process in document["processes"].items() if name != "setup"}
    assert set(core.values()) == {"running"}


def test_only_loopback_listens_outside(lab: Layout) -> None:
    listening = subprocess.run(["ss", "-Htulnp"], capture_output=True, text=True, check=True).stdout
    ours = [line for line in listening.splitlines() if any(f"pid={pid}," in line for pid in lifecycle.status(Path(lab.dir))["pids"])]
    assert ours
    assert all(line.split()[4].startswith("127.0.0.1:") for line in ours)


def test_exec_runs_inside_and_passes_streams_and_exit_code_on(lab: Layout) -> None:
    command = ["-m", "lab.cli", "exec", "--dir", lab.dir, "--", "sh", "-c", "cat; pwd; cat /etc/resolv.conf; ip -br address >&2; exit 7"]
    result = subprocess.run([sys.executable, *command], input="said\n", capture_output=True, text=True, check=False)
    assert result.returncode == 7
    assert result.stdout.splitlines()[:3] == ["said", str(Path.cwd()), f"nameserver {layout.DNS}"]
    assert f"{layout.API_SERVER}/32" in result.stderr


def test_credentials_are_for_their_owner_only(lab: Layout) -> None:
    private = [Path(lab.aws.credentials_file), *map(Path, lab.kubernetes.kubeconfigs.values()), *Path(lab.dir).glob("pki/*.key")]
    assert {path.stat().st_mode & 0o777 for path in private} == {0o600}


@pytest.mark.parametrize("after", [0.05, 0.8, 2.5])
def test_a_killed_up_leaves_nothing_that_down_does_not_end(directory: Path, after: float) -> None:
    before = outer_machine()
    process = start("up", directory)
    time.sleep(after)
    kill(process)
    pids = everyone(directory)
    lifecycle.down(directory)
    assert_gone(directory, pids)
    assert outer_machine() == before


def test_an_up_after_a_killed_up_is_whole(directory: Path) -> None:
    process = start("up", directory)
    time.sleep(1.0)
    kill(process)
    running, _ = lifecycle.up(directory)
    assert len(namespace.inits(directory)) == 1
    assert not refuses(running.kubernetes.server)


def test_a_down_that_is_killed_again_and_again_can_be_repeated(directory: Path) -> None:
    running, _ = lifecycle.up(directory)
    pids = everyone(directory)
    for after in (0.1, 0.2, 0.3, 0.4):
        process = start("down", directory)
        time.sleep(after)
        kill(process)
    lifecycle.down(directory)
    assert running.pid in pids
    assert_gone(directory, pids)


def test_a_lab_goes_down_though_nobody_collects_who_came_in_from_outside(directory: Path) -> None:
    running, _ = lifecycle.up(directory)
    command = namespace.entering(running.pid, ("sh", "-c", "echo in; read nothing < /dev/zero"), directory="/")
    pids = everyone(directory)
    with subprocess.Popen([sys.executable, "-c", ABANDONS, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as outside:
        assert outside.stdout
        assert outside.stdout.readline() == b"abandoned\n"
        assert lifecycle.down(directory)
        assert alive(pids) <= {running.pid}, "it waits for the entry of whom nobody collects, and runs no more"
        assert layout.read(directory) is None
        assert not layout.is_held(directory)


def test_the_end_of_init_is_the_end_of_everything_and_the_next_lab_begins_empty(directory: Path) -> None:
    before = outer_machine()
    running, _ = lifecycle.up(directory)
    assert kubectl(running, "run", "left", "--image=redis:8.0").returncode == 0
    assert kubectl(running, "wait", "pod/left", "--for=condition=Ready", "--timeout=30s").returncode == 0
    pids = everyone(directory)
    assert any("redis-server" in Path(f"/proc/{pid}/cmdline").read_text() for pid in pids), "Pods run inside the lab"
    (directory / "volumes" / "vol-left").mkdir()
    os.kill(running.pid, signal.SIGKILL)
    deadline = time.monotonic() + 5
    while alive(pids) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert_gone(directory, pids)
    assert outer_machine() == before
    with pytest.raises(LabError, match="not up"):
        lifecycle.status(directory)
    following, fresh = lifecycle.up(directory)
    assert fresh
    assert following.aws.vpc != running.aws.vpc
    assert not (directory / "volumes" / "vol-left").exists()


def test_two_labs_side_by_side_do_not_meet(directory: Path, lab: Layout) -> None:
    other, _ = lifecycle.up(directory)
    assert not set(lifecycle.status(directory)["pids"]) & set(lifecycle.status(Path(lab.dir))["pids"])
    assert len({other.aws.endpoint, lab.aws.endpoint, other.kubernetes.server, lab.kubernetes.server, other.dns, lab.dns}) == 6
    marker = ["create", "configmap", "only-in-the-other"]
    assert kubectl(other, *marker).returncode == 0
    assert "NotFound" in kubectl(lab, "get", "configmap", "only-in-the-other").stderr
    crossed = kubectl(lab, "--server", other.kubernetes.server, "get", "nodes")
    assert crossed.returncode != 0, "neither lab trusts the other's authority"
    assert lifecycle.down(directory)
    assert kubectl(lab, "get", "nodes").returncode == 0


def kubectl(running: Layout, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"KUBECONFIG": running.kubernetes.kubeconfigs["judge"], "PATH": f"{running.tools}:{os.environ['PATH']}"}
    return subprocess.run(["kubectl", *arguments], env=env, capture_output=True, text=True, check=False)


def test_what_dies_is_started_again_and_the_end_of_aws_is_told(directory: Path) -> None:
    """The memory of AWS is gone with it: started again it would be empty, and the tests would judge another world."""
    lifecycle.up(directory)
    first = lifecycle.status(directory)["processes"]["kube-scheduler"]
    os.kill(first["pid"], signal.SIGKILL)
    deadline = time.monotonic() + 10
    while (now := lifecycle.status(directory)["processes"]["kube-scheduler"])["starts"] == 1 or now["state"] != "running":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert now["pid"] not in (None, first["pid"])
    os.kill(lifecycle.status(directory)["processes"]["aws"]["pid"], signal.SIGKILL)
    deadline = time.monotonic() + 10
    while lifecycle.status(directory)["processes"]["aws"]["state"] != "lost":
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_folder_that_is_not_a_labs_is_never_emptied(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(LabError, match="neither empty nor a lab's"):
        lifecycle.up(tmp_path)
    assert (tmp_path / "thesis.tex").exists()


def test_without_root_the_lab_says_what_it_needs(tmp_path: Path) -> None:
    said = as_nobody(tmp_path)
    assert "needs root" in said
    assert "unshare --user" in said


def as_nobody(directory: Path) -> str:
    """What a user without rights is told; a fork, since that user may not even read this interpreter."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.setresuid(65534, 65534, 65534)
            lifecycle.up(directory)
        except LabError as error:
            os.write(writer, f"{error} {error.hint}".encode())
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader) as said:
        return said.read()


def test_missing_programs_are_named_all_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECONCILE_TOOLS", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LabError, match="etcd, kube-apiserver, kube-controller-manager, kube-scheduler") as caught:
        lifecycle.up(tmp_path / "lab")
    assert "make setup" in caught.value.hint
    assert not (tmp_path / "lab").exists()
