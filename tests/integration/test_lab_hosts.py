"""The lab's hosts are machines to Ansible: each with a name, keys and folders of its own, and what is written there is read outside."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lab import hosts
from lab.error import LabError
from lab.hosts import Host, Hosts
from lab.layout import Layout

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def started(lab: Layout) -> Hosts:
    return hosts.start(lab, ["nid000001", "nid000002"])


def ssh(lab: Layout, started: Hosts, host: Host, command: str, *options: str) -> subprocess.CompletedProcess[str]:
    words = ["ssh", "-F", "none", "-i", str(started.key), "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes"]
    known = ["-o", f"UserKnownHostsFile={started.known_hosts}"]
    inside = [sys.executable, "-m", "lab.cli", "exec", "--dir", lab.dir, "--", *words, *(options or known), f"root@{host.address}", command]
    return subprocess.run(inside, capture_output=True, text=True, check=False)


def test_each_host_has_a_name_and_folders_of_its_own(lab: Layout, started: Hosts) -> None:
    for host in started.hosts:
        result = ssh(lab, started, host, "hostname | tee /etc/layer /srv/layer /tmp/layer ~/layer")
        assert (result.returncode, result.stdout) == (0, f"{host.name}\n"), result.stderr
    for host in started.hosts:
        written = [host.root / folder / "layer" for folder in ("etc", "srv", "tmp", "root")]
        assert {path.read_text() for path in written} == {f"{host.name}\n"}
    assert not Path("/etc/layer").exists()
    assert not Path("/srv/layer").exists()


def test_a_host_key_is_its_hosts_alone(lab: Layout, started: Hosts, tmp_path: Path) -> None:
    first, second = started.known_hosts.read_text().splitlines()
    assert first.split()[2] != second.split()[2]
    swapped = tmp_path / "known_hosts"
    swapped.write_text(f"{started.hosts[0].address} {second.partition(' ')[2]}\n")
    result = ssh(lab, started, started.hosts[0], "true", "-o", f"UserKnownHostsFile={swapped}")
    assert result.returncode == 255
    assert "Host key verification failed" in result.stderr


def test_hosts_let_nobody_in_without_the_key(lab: Layout, started: Hosts, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "other"], check=True)
    stranger = Hosts(started.hosts, tmp_path / "other", started.known_hosts)
    assert "Permission denied (publickey)" in ssh(lab, stranger, started.hosts[0], "true").stderr


def test_hosts_start_once(lab: Layout, started: Hosts) -> None:
    with pytest.raises(LabError, match="has its hosts already"):
        hosts.start(lab, ["nid000003"])
