"""OpenSearch: who votes, and who begins a cluster and how long; its start is run for real, against a stand-in of the server."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from reconciler.model.service import Service
from tests.unit.test_stacks import changed, example, rendered, template

HOME = "/usr/share/opensearch"


def files(service: Service) -> Mapping[str, str]:
    data: Mapping[str, str] = next(one.fields["data"] for id, one in rendered(service).items() if "ConfigMap" in id)  # type: ignore[assignment]
    return data


def settings(service: Service) -> dict[str, dict[str, Any]]:
    """The settings of each member."""
    return {name.removesuffix(".yml"): YAML(typ="safe").load(text) for name, text in files(service).items() if name.endswith(".yml")}


def search(replicas: int, **options: Any) -> Service:
    return changed(example("opensearch"), replicas=replicas, options=options)


@pytest.mark.parametrize("replicas", range(1, 14))
def test_trap_37_an_odd_number_votes_whatever_the_number_of_members(replicas: int) -> None:
    voters = [name for name, told in settings(search(replicas)).items() if "cluster_manager" in told["node.roles"]]
    assert voters == [f"search-{n}" for n in range(3 if replicas >= 3 else 1)]
    assert len([name for name, told in settings(search(7, managers=5)).items() if "cluster_manager" in told["node.roles"]]) == 5


def test_members_find_each_other_by_the_voters_names() -> None:
    assert {tuple(told["discovery.seed_hosts"]) for told in settings(search(5)).values()} == {
        ("search-0.db.internal", "search-1.db.internal", "search-2.db.internal")
    }


def test_no_member_s_file_says_who_begins_a_cluster() -> None:
    assert not [name for name, text in files(search(5)).items() if "initial_cluster" in text and name != "start.sh"]


@pytest.mark.parametrize(
    ("member", "joined", "begins"),
    [("search-0", False, True), ("search-0", True, False), ("search-1", False, False), ("search-4", True, False)],
)
def test_only_member_0_begins_a_cluster_and_only_until_its_volume_was_in_one(
    tmp_path: Path, member: str, joined: bool, begins: bool
) -> None:
    for folder in ("config", "data", "etc"):
        (tmp_path / folder).mkdir()
    for name, text in files(search(5)).items():
        (tmp_path / "etc" / name).write_text(text.replace("/etc/service", str(tmp_path / "etc")).replace(HOME, str(tmp_path)))
    entrypoint = tmp_path / "opensearch-docker-entrypoint.sh"
    entrypoint.write_text('#!/bin/bash\nprintf "%s\\n" "$@"\n')
    entrypoint.chmod(0o755)
    if joined:
        (tmp_path / "data" / "joined").touch()
    said = subprocess.run(["bash", tmp_path / "etc" / "start.sh"], env={"MEMBER": member}, capture_output=True, text=True, check=True)
    initial = ["-Ecluster.initial_cluster_manager_nodes=search-0,search-1,search-2"]
    assert said.stdout.split() == ["opensearch", *(initial if begins else [])]
    assert f'node.name: "{member}"' in (tmp_path / "config" / "opensearch.yml").read_text()


@pytest.mark.parametrize("replicas", [1, 3, 5])
def test_more_members_restart_nobody(replicas: int) -> None:
    assert template(search(replicas)) == template(search(13))


def test_more_voters_restart_all() -> None:
    assert template(search(7)) != template(search(7, managers=5))
