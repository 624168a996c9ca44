"""A disk without room for the engine's record is told before anything is begun."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from providers import room
from reconciler.errors import ProviderError


@pytest.mark.parametrize("short", [0, 1])
def test_only_a_disk_without_room_is_refused(short: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=room.ROOM - short) if path == tmp_path else None)
    if not short:
        room.require(tmp_path / "not" / "there")
        return
    with pytest.raises(ProviderError, match=f"{tmp_path} has 2047 KiB left") as told:
        room.require(tmp_path / "not" / "there")
    assert "nothing was begun" in told.value.hint
