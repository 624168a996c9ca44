"""The inline program: what it registers, in which order, and that no two of them touch the SDK at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from providers.checkpoints import Checkpoints
from providers.pulumi.program import Program
from providers.pulumi.workspace import Settings, Workspace, tell_salt, whole
from reconciler.kinds import Kind
from reconciler.model.address import ResourceId
from reconciler.model.origin import Revision
from reconciler.model.resource import Resource
from reconciler.ports import StackRun


class Slow:
    """A kind whose declarations take a while, and which sees how many are under way."""

    def __init__(self) -> None:
        self.now = self.most = 0
        self.declared: list[ResourceId] = []

    def declare(self, resource: Resource, fields: Mapping[str, Any], options: Any) -> Mapping[str, Any]:
        self.now += 1
        self.most = max(self.most, self.now)
        time.sleep(0.01)
        self.declared.append(resource.id)
        self.now -= 1
        return {"": None}


def run(stack: str) -> StackRun:
    ids = [ResourceId("volume", "lab", stack, f"{stack}-{number}/data") for number in range(3)]
    return StackRun(Revision("lab", "c" * 40, "t" * 40), stack, tuple(Resource(id, {}, stack) for id in ids), (), {})


def test_two_programs_never_declare_at_once() -> None:
    kind = Slow()
    providers = {"aws": SimpleNamespace(), "kubernetes": SimpleNamespace()}
    programs = [Program(run(stack), {"volume": cast("Kind", kind)}, lambda: cast("Any", providers)) for stack in ("one", "two", "three")]
    threads = [threading.Thread(target=program) for program in programs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(kind.declared) == 9
    assert kind.most == 1


def test_the_engines_own_words_are_shown_without_what_its_environment_keeps_to_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI")
    settings = Settings(f"file://{tmp_path}", tmp_path, {"PULUMI_CONFIG_PASSPHRASE": "a phrase", "RECONCILE_RUN": "f00"})
    workspace = Workspace(settings, Checkpoints(settings.backend))
    for line in ("signed with wJalrXUtnFEMI and a phrase", "  ", "run f00"):
        workspace._tell(line)
    assert capsys.readouterr().err.splitlines() == ["pulumi: signed with [secret] and [secret]", "pulumi: run f00"]


def test_the_settings_of_a_stack_are_those_of_its_record(tmp_path: Path) -> None:
    path, salted = tmp_path / "Pulumi.lab.kv.yaml", {"secrets_providers": {"state": {"salt": "v1:abc"}}}
    for before in (None, "encryptions", "encryptionsalt: v1:other\n", "encryptionsalt: v1:abc\n"):
        if before is not None:
            path.write_text(before)
        tell_salt(path, salted)
        assert path.read_text() == "encryptionsalt: v1:abc\n"
    tell_salt(path, {})
    assert not path.exists()


def test_a_file_backend_keeps_nothing_beside_its_files_that_a_kill_could_halve() -> None:
    assert whole("file:///srv/engine") == "file:///srv/engine?metadata=skip"
    assert whole("file:///srv/engine?no_tmp_dir=true") == "file:///srv/engine?no_tmp_dir=true&metadata=skip"
    assert whole("s3://bucket/engine") == "s3://bucket/engine"
