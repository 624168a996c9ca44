"""What a container sees where."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab.agent import mounts
from lab.agent.container import Mount
from lab.agent.environment import ConfigError
from lab.agent.mounts import Volume

NAMESERVER = "nameserver 10.200.0.10\n"


def pod(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "kv-0", "namespace": "db"}, "spec": spec}


def of(mount: dict[str, Any], root: Path, *, read_only: bool = False) -> Mount:
    (found,) = mounts.of_container({"volumeMounts": [{"name": "v", **mount}]}, {"v": Volume(root, read_only)}, {"POD": "kv-0"})
    return found


def test_a_volume_is_seen_at_its_path(tmp_path: Path) -> None:
    assert of({"mountPath": "/data"}, tmp_path) == Mount(str(tmp_path), "/data")


def test_either_the_mount_or_the_volume_may_be_read_only(tmp_path: Path) -> None:
    assert of({"mountPath": "/data", "readOnly": True}, tmp_path).read_only
    assert of({"mountPath": "/data"}, tmp_path, read_only=True).read_only


def test_a_sub_path_is_made_where_it_is_not(tmp_path: Path) -> None:
    assert of({"mountPath": "/data", "subPath": "a/b"}, tmp_path).source == str(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()


def test_a_sub_path_may_name_variables_and_files(tmp_path: Path) -> None:
    (tmp_path / "kv-0.conf").touch()
    assert of({"mountPath": "/etc/x.conf", "subPathExpr": "$(POD).conf"}, tmp_path).source == str(tmp_path / "kv-0.conf")


@pytest.mark.parametrize("part", ["../x", "/etc", "a/../../x"])
def test_a_sub_path_stays_within_its_volume(tmp_path: Path, part: str) -> None:
    with pytest.raises(ConfigError, match="within"):
        of({"mountPath": "/data", "subPath": part}, tmp_path)


def test_a_link_does_not_lead_out_of_a_volume(tmp_path: Path) -> None:
    (tmp_path / "volume").mkdir()
    (tmp_path / "volume" / "link").symlink_to("/etc")
    with pytest.raises(ConfigError, match="out of its volume"):
        of({"mountPath": "/data", "subPath": "link"}, tmp_path / "volume")


def test_a_volume_that_the_pod_has_not_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'other'"):
        mounts.of_container({"volumeMounts": [{"name": "other", "mountPath": "/x"}]}, {"v": Volume(tmp_path)}, {})


def test_outer_mounts_come_first() -> None:
    paths = ["/a/b/c", "/", "/a", "/a/b"]
    assert [mount.target for mount in mounts.ordered(Mount("/x", path) for path in paths)] == ["/", "/a", "/a/b", "/a/b/c"]


def test_a_pod_looks_names_up_in_its_namespace_first() -> None:
    assert mounts.resolv_conf(pod()) == NAMESERVER + "search db.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n"


def test_a_pod_on_its_nodes_network_looks_names_up_as_the_node_does() -> None:
    assert mounts.resolv_conf(pod(hostNetwork=True)) == NAMESERVER
    assert "svc.cluster.local" in mounts.resolv_conf(pod(hostNetwork=True, dnsPolicy="ClusterFirstWithHostNet"))


def test_a_pod_may_bring_its_own_resolver() -> None:
    config = {
        "nameservers": ["10.9.9.9"],
        "searches": ["db.example.internal"],
        "options": [{"name": "ndots", "value": "1"}, {"name": "edns0"}],
    }
    found = mounts.resolv_conf(pod(dnsPolicy="None", dnsConfig=config))
    assert found == "nameserver 10.9.9.9\nsearch db.example.internal\noptions ndots:1 edns0\n"


def test_the_hosts_file_knows_the_pod_by_its_names() -> None:
    text = mounts.hosts(pod(subdomain="kv", hostAliases=[{"ip": "10.1.1.1", "hostnames": ["a", "b"]}]), "10.200.128.7", "node-a1")
    assert "10.200.128.7\tkv-0.kv.db.svc.cluster.local\tkv-0\n" in text
    assert text.endswith("10.1.1.1\ta\tb\n")


def test_a_pod_on_its_nodes_network_is_called_as_the_node() -> None:
    assert mounts.hostname(pod(hostNetwork=True), "node-a1") == "node-a1"
    assert mounts.hostname(pod(hostname="me"), "node-a1") == "me"


def test_file_systems_below_a_container_are_the_machines_without_the_kernels_and_the_agents(tmp_path: Path) -> None:
    spaced = tmp_path / "with space"
    spaced.mkdir()
    points = [
        "/",
        "/proc",
        "/proc/x",
        "/sys/fs/cgroup",
        "/dev/pts",
        str(tmp_path),
        str(spaced).replace(" ", "\\040"),
        "/lab/agent",
        "/no/such",
    ]
    lines = "\n".join(f"1 1 0:1 / {point} rw - tmpfs tmpfs rw" for point in points)
    assert mounts.lowers(lines, Path("/lab/agent")) == [str(tmp_path), str(spaced)]
