"""The demo shows little and keeps everything; a promise that is not kept ends it."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from lab.demo.fold import Fold
from lab.demo.stage import Broken, Stage


def folded(fold: Fold, lines: list[str]) -> list[str]:
    shown = [shown for line in lines for shown in fold.add(line)]
    return [*shown, *fold.rest()]


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path, dict(os.environ))


def test_what_fits_is_shown_whole() -> None:
    lines = [str(number) for number in range(5)]
    assert folded(Fold(3, 2, "log"), lines) == lines


def test_the_middle_of_long_output_is_counted_and_its_place_named() -> None:
    lines = [str(number) for number in range(10)]
    assert folded(Fold(3, 2, "log"), lines) == ["0", "1", "2", "  … 5 lines more, all in log", "8", "9"]


def test_nothing_is_folded_after_the_totals() -> None:
    lines = ["a", "b", "c", "Plan: 3 to add", "d", "e", "f"]
    fold = Fold(1, 0, "log", re.compile("Plan: "))
    assert folded(fold, lines) == ["a", "  … 2 lines more, all in log", "Plan: 3 to add", "d", "e", "f"]


def test_all_output_is_kept_and_little_is_shown(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    result = stage.shell("seq 100; echo said >&2")
    assert (result.stdout.count("\n"), result.stderr) == (100, "said\n")
    (log,) = stage.folder.iterdir()
    assert sorted(log.read_text().split()) == sorted([*(str(number) for number in range(1, 101)), "said"])
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "$ seq 100; echo said >&2"
    assert "74 lines more" in "".join(shown)
    assert len(shown) == 1 + 20 + 1 + 6 + 1


def test_a_command_that_ends_otherwise_than_promised_breaks_the_demo(stage: Stage) -> None:
    stage.run(["sh", "-c", "exit 5"], code=5)
    with pytest.raises(Broken, match=r"`sh -c 'exit 5'` ended with 5, not 0"):
        stage.run(["sh", "-c", "exit 5"])
    with pytest.raises(Broken, match="ended with 3, not 0"):
        stage.quiet_shell("exit 3")


def test_a_promise_that_is_not_kept_breaks_the_demo(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    stage.check(holds=True, promise="the sun rises")
    assert "✓ the sun rises" in capsys.readouterr().out
    with pytest.raises(Broken) as broken:
        stage.check(holds=[], promise="the sun rises")
    assert str(stage.folder) in broken.value.hint
    assert "✓" not in capsys.readouterr().out


def test_a_step_that_breaks_is_not_timed_as_done(stage: Stage) -> None:
    with stage.step("First"):
        pass
    with pytest.raises(Broken), stage.step("Second"):
        stage.check(holds=False, promise="anything")
    assert [title for title, _ in stage.steps] == ["First"]
