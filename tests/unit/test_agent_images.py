"""The table of images."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from lab import images


@pytest.mark.parametrize(
    ("image", "pattern"),
    [
        ("redis:8.0", "redis:*"),
        ("redis", "redis:*"),
        ("docker.io/library/redis:8.0@sha256:0123", "redis:*"),
        ("localhost:5000/zookeeper:3.9", "zookeeper:*"),
        ("registry.example.com/reconciler/runner:1", "reconciler/runner:*"),
        ("registry.example.com/reconciler/reconciler:1", "reconciler/reconciler:*"),
        ("docker.io/apache/kafka:4.1.1", "apache/kafka:*"),
        ("ghcr.io/zalando/spilo-18:4.1-p2", "zalando/spilo-*:*"),
    ],
)
def test_an_image_is_found_whatever_its_registry(image: str, pattern: str) -> None:
    found = images.find(image)
    assert found is not None
    assert found.pattern == pattern


def test_an_image_that_nobody_entered_is_not_found() -> None:
    assert images.find("example.com/redis-exporter:1") is None
    assert images.find("nobody/redis:1") is None


def test_command_stands_in_for_the_entrypoint_and_args_for_the_cmd() -> None:
    image = images.Image("x:*", "sh", entrypoint=("entry",), cmd=("default",))
    assert image.command({}) == ["entry", "default"]
    assert image.command({"args": ["a"]}) == ["entry", "a"]
    assert image.command({"command": ["c"]}) == ["c"]
    assert image.command({"command": ["c"], "args": ["a"]}) == ["c", "a"]


def test_rows_have_folders_of_their_own(tmp_path: Path) -> None:
    images.write_scripts(tmp_path)
    assert len({row.key for row in images.TABLE}) == len(images.TABLE)
    for row in images.TABLE:
        assert sorted(path.name for path in (tmp_path / row.key / "bin").iterdir()) == sorted(row.scripts)
        for name, text in row.files.items():
            assert (tmp_path / row.key / "files" / name.lstrip("/")).read_text() == text


def test_every_script_parses(tmp_path: Path) -> None:
    images.write_scripts(tmp_path)
    for script in tmp_path.glob("*/bin/*"):
        subprocess.run(["bash", "-n", script], check=True)


@pytest.fixture
def redis(tmp_path: Path) -> Path:
    """The scripts of the redis image, with an `echo` in the place of the server."""
    images.write_scripts(tmp_path / "images")
    (tmp_path / "bin").mkdir()
    server = tmp_path / "bin" / "redis-server"
    server.write_text('#!/bin/sh\necho "$@"\n')
    server.chmod(0o755)
    return tmp_path


def run(root: Path, *command: str) -> str:
    path = f"{root}/images/redis/bin:{root}/bin:/usr/bin:/bin"
    return subprocess.run(["env", f"PATH={path}", *command], capture_output=True, text=True, check=True).stdout.strip()


def test_the_redis_entrypoint_takes_options_and_files_for_the_server(redis: Path) -> None:
    assert run(redis, "docker-entrypoint.sh", "--port", "1") == "--port 1 --protected-mode no"
    assert run(redis, "docker-entrypoint.sh", "/x.conf") == "/x.conf --protected-mode no"
    assert run(redis, "docker-entrypoint.sh", "echo", "hi") == "hi"


def test_redis_is_unprotected_as_in_its_image_unless_somebody_says_otherwise(redis: Path) -> None:
    config = redis / "redis.conf"
    config.write_text("# protected-mode\nprotected-mode yes\n")
    assert run(redis, "redis-server", str(config)) == str(config)
    assert run(redis, "redis-server", "--protected-mode", "yes") == "--protected-mode yes"
    assert run(redis, "redis-server", "--version") == "--version"
