"""Volumes made of API objects: what they hold, and how they change."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from lab.agent import files
from lab.agent.environment import ConfigError, Place, Sources
from lab.agent.files import Content, File

POD = {"metadata": {"name": "p", "namespace": "n", "uid": "u", "labels": {"a": "b"}}, "spec": {"containers": [{"name": "c"}]}}
SOURCES = Sources(
    {"words": {"data": {"one": "1", "two": "2"}, "binaryData": {"raw": base64.b64encode(b"\xff\x00").decode()}}},
    {"keys": {"data": {"key": base64.b64encode(b"s\xc3").decode()}}},
)
CONTENT = Content(Place(POD, "10.200.128.7", "10.200.16.11"), SOURCES, {("", 3600): "token", ("vault", 600): "other"})


def built(**volume: Any) -> dict[str, File]:
    return files.build({"name": "v", **volume}, CONTENT)


def test_a_config_map_is_a_file_a_key() -> None:
    assert built(configMap={"name": "words"}) == {"one": File(b"1"), "two": File(b"2"), "raw": File(b"\xff\x00")}


def test_items_choose_rename_and_set_modes() -> None:
    items = [{"key": "one", "path": "deep/er", "mode": 0o600}]
    assert built(configMap={"name": "words", "items": items, "defaultMode": 0o440}) == {"deep/er": File(b"1", 0o600)}


def test_a_secret_is_bytes() -> None:
    assert built(secret={"secretName": "keys", "defaultMode": 0o400}) == {"key": File(b"s\xc3", 0o400)}


def test_what_is_missing_is_named_unless_it_is_optional() -> None:
    with pytest.raises(ConfigError, match='configmap "none" not found'):
        built(configMap={"name": "none"})
    with pytest.raises(ConfigError, match='secret "keys" has no key other'):
        built(secret={"secretName": "keys", "items": [{"key": "other", "path": "x"}]})
    assert built(configMap={"name": "none", "optional": True}) == {}


def test_a_projection_lays_its_sources_over_each_other() -> None:
    sources: list[dict[str, Any]] = [
        {"serviceAccountToken": {"path": "token"}},
        {"serviceAccountToken": {"path": "vault/token", "audience": "vault", "expirationSeconds": 600}},
        {"configMap": {"name": "words", "items": [{"key": "one", "path": "one"}]}},
        {"secret": {"name": "keys"}},
        {"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
    ]
    found = built(projected={"sources": sources, "defaultMode": 0o444})
    assert {name: file.content for name, file in found.items()} == {
        "token": b"token", "vault/token": b"other", "one": b"1", "key": b"s\xc3", "labels": b'a="b"',
    }  # fmt: skip
    assert {file.mode for file in found.values()} == {0o444}
    volume = {"name": "v", "projected": {"sources": sources}}
    assert set(files.references(volume)) == {("configmaps", "words"), ("secrets", "keys")}
    assert list(files.tokens(volume)) == [("", 3600), ("vault", 600)]


def test_a_source_that_the_lab_has_not_is_named() -> None:
    with pytest.raises(ConfigError, match="clusterTrustBundle"):
        built(projected={"sources": [{"clusterTrustBundle": {"path": "x"}}]})


def test_a_volume_holds_what_was_written_and_nothing_else(tmp_path: Path) -> None:
    files.write(tmp_path, {"a": File(b"1"), "b/c": File(b"2", 0o600)}, None)
    assert (tmp_path / "a").read_bytes() == b"1"
    assert (tmp_path / "b" / "c").stat().st_mode & 0o777 == 0o600
    files.write(tmp_path, {"a": File(b"3")}, None)
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith("..")] == ["a"]
    assert (tmp_path / "a").read_bytes() == b"3"


def test_a_new_version_takes_the_place_of_the_old_at_once(tmp_path: Path) -> None:
    files.write(tmp_path, {"a": File(b"1"), "b": File(b"1")}, None)
    held = (tmp_path / "..data").resolve()
    files.write(tmp_path, {"a": File(b"2"), "b": File(b"2")}, None)
    assert (tmp_path / "..data").resolve() != held
    assert not held.exists()
    assert (tmp_path / "a").is_symlink()


def test_what_has_not_changed_is_not_written_again(tmp_path: Path) -> None:
    files.write(tmp_path, {"a": File(b"1")}, None)
    held = (tmp_path / "..data").resolve()
    files.write(tmp_path, {"a": File(b"1")}, None)
    assert (tmp_path / "..data").resolve() == held
    files.write(tmp_path, {"a": File(b"1", 0o600)}, None)
    assert (tmp_path / "..data").resolve() != held
