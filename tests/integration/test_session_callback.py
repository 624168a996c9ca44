"""What the callback plugin says of hosts, out of real runs of ansible-playbook."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reconciler.model.work import Clone, Work, WorkLayer
from runner import descent, frames
from runner.place import MOUNTS, SESSION, WORK

ROOT = Path(__file__).parents[2]
LOCAL = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
Run = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs a playbook as a session of one layer over hosts a, b and c, and returns what the frames say of each host."""

    def playbook(*plays: dict[str, Any], hosts: dict[str, dict[str, Any]] | None = None, **fields: Any) -> list[dict[str, Any]]:
        layer = commit(tmp_path / "layer", {"site.yml": json.dumps([{"gather_facts": False, "hosts": "all", **play} for play in plays])})
        every = {host: {**LOCAL, **(hosts or {}).get(host, {})} for host in "abc"}
        work = Work("s", (WorkLayer(0, layer, "site.yml"),), every, {"first": ("a",), "second": ("b", "c")}, **fields)
        place = tmp_path / "place"
        place.mkdir()
        environment = {**os.environ, "PYTHONPATH": str(ROOT), SESSION: work.text(), WORK: str(place), MOUNTS: str(tmp_path / "mounts")}
        command = [sys.executable, "-m", "runner.local"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
        told = list(frames.read(place / "frames"))
        assert [frame.number for frame in told] == list(range(1, len(told) + 1)), done.stdout
        assert told[-1].kind == "end", done.stdout
        return [json.loads(frame.line()) for frame in told]

    return playbook


def commit(folder: Path, files: dict[str, str]) -> Clone:
    """A repository with one more commit, that adds *files*."""
    folder.mkdir(exist_ok=True)
    git = ["git", "-C", str(folder), "-c", "user.name=test", "-c", "user.email=test@example.invalid"]
    if not (folder / ".git").exists():
        subprocess.run([*git, "init", "-q"], check=True)
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "change"], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    return Clone(str(folder), head.stdout.strip())


def results(told: list[dict[str, Any]]) -> dict[str, str]:
    """What was said of each host; nobody is told of twice."""
    pairs = [(frame["host"], frame["result"]) for frame in told if frame["kind"] == "host"]
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def task(**fields: Any) -> dict[str, Any]:
    return {"name": "it", "ansible.builtin.command": "/bin/true", "changed_when": False, **fields}


def failing(*hosts: str, **fields: Any) -> dict[str, Any]:
    """A task that fails on *hosts*."""
    return {"name": "break", "ansible.builtin.fail": {"msg": "broken here"}, "when": f"inventory_hostname in {list(hosts)}", **fields}


def test_a_failure_is_told_before_the_next_play_and_the_others_are_applied(run: Run) -> None:
    told = run({"name": "one", "tasks": [failing("b")]}, {"name": "two", "tasks": [task()]})
    assert results(told) == {"a": "applied", "b": "failed", "c": "applied"}
    failed = next(frame for frame in told if frame.get("result") == "failed")
    assert (failed["play"], failed["task"], failed["message"]) == ("one", "break", "broken here")
    second = next(frame for frame in told if frame["kind"] == "play" and frame["play"] == "two")
    assert failed["number"] < second["number"]
    assert [frame["kind"] for frame in told[-3:]] == ["stats", "finish", "end"]
    assert told[-1]["code"] == 2


def test_unreachable_is_failed_and_an_ignored_failure_is_not(run: Run) -> None:
    nowhere = {"b": {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}}
    told = run({"tasks": [task(), failing("a", ignore_errors=True), failing("c", ignore_errors=True)]}, hosts=nowhere)
    assert results(told) == {"a": "applied", "b": "failed", "c": "applied"}


def test_a_rescued_failure_is_none_and_one_in_the_rescue_is(run: Run) -> None:
    saved = {"block": [failing("a", "b")], "rescue": [task(), failing("b")], "always": [task()]}
    told = run({"tasks": [saved, task()]})
    assert results(told) == {"a": "applied", "b": "failed", "c": "applied"}


def test_a_failure_in_a_nested_block_is_rescued_by_an_outer_one(run: Run) -> None:
    inner = {"block": [failing("a")], "always": [task()]}
    told = run({"tasks": [{"block": [inner], "rescue": [task()]}, {"block": [task()], "always": [failing("c")]}]})
    assert results(told) == {"a": "applied", "b": "applied", "c": "failed"}


def test_a_task_included_into_a_block_is_rescued_too(run: Run, tmp_path: Path) -> None:
    commit(tmp_path / "layer", {"more.yml": json.dumps([failing("a")])})
    told = run({"tasks": [{"block": [{"ansible.builtin.include_tasks": "more.yml"}], "rescue": [task()]}]})
    assert results(told) == {"a": "applied", "b": "applied", "c": "applied"}


def test_any_errors_fatal_leaves_the_others_incomplete(run: Run) -> None:
    told = run({"any_errors_fatal": True, "tasks": [failing("b"), task()]})
    assert results(told) == {"a": "incomplete", "b": "failed", "c": "incomplete"}


def test_max_fail_percentage_leaves_the_others_incomplete(run: Run) -> None:
    told = run({"max_fail_percentage": 30, "tasks": [failing("b"), task()]})
    assert results(told) == {"a": "incomplete", "b": "failed", "c": "incomplete"}


def test_a_play_that_ends_for_all_its_hosts_leaves_those_of_earlier_plays_incomplete(run: Run) -> None:
    told = run({"hosts": "first", "tasks": [task()]}, {"hosts": "second", "tasks": [failing("b", "c")]}, {"tasks": [task()]})
    assert results(told) == {"a": "incomplete", "b": "failed", "c": "failed"}


def test_serial_batches_after_one_that_failed_whole_are_not_called_applied(run: Run) -> None:
    told = run({"tasks": [task()]}, {"serial": 1, "tasks": [failing("a")]})
    assert results(told) == {"a": "failed", "b": "incomplete", "c": "incomplete"}


def test_hosts_that_no_play_reaches_are_not_told_of(run: Run) -> None:
    told = run({"hosts": "first", "tasks": [task()]}, {"hosts": "nobody", "tasks": [task()]})
    assert results(told) == {"a": "applied"}
    assert told[-1].get("code", 0) == 0


def test_a_secret_of_a_failed_task_is_in_no_frame(run: Run) -> None:
    hidden = {"name": "secret", "ansible.builtin.fail": {"msg": "hunter2"}, "no_log": True}
    told = run({"tasks": [{"block": [hidden], "when": "inventory_hostname == 'a'"}]})
    assert results(told)["a"] == "failed"
    assert "hunter2" not in json.dumps(told)
    assert "(hidden by no_log)" in json.dumps(told)


def test_a_run_that_proves_nothing_tells_of_no_host(run: Run) -> None:
    told = run({"tasks": [task(tags=["some"])]}, record=False, passthrough=("--tags", "some"))
    assert results(told) == {}
    assert told[-1].get("code", 0) == 0


def test_a_playbook_that_cannot_be_read_fails_without_telling_of_hosts(run: Run) -> None:
    told = run({"tasks": [{"no_such_module_at_all": {}}]})
    assert results(told) == {}
    assert told[-1]["code"] != 0


def test_a_session_ends_itself_before_its_deadline(run: Run, tmp_path: Path) -> None:
    told = run({"tasks": [{"ansible.builtin.command": "/bin/sleep 60"}]}, deadline=4.0)
    assert results(told) == {}
    assert "deadline of 4 s passed" in told[-1]["message"]
    assert descent.carriers(WORK, str(tmp_path / "place")) == []


def test_a_session_that_is_told_to_go_leaves_nothing_running(tmp_path: Path) -> None:
    started = tmp_path / "started"
    play = {"hosts": "all", "gather_facts": False, "tasks": [{"ansible.builtin.shell": f"touch {started}; sleep 600"}]}
    layer = commit(tmp_path / "layer", {"site.yml": json.dumps([play])})
    work = Work("s", (WorkLayer(0, layer, "site.yml"),), {"a": LOCAL})
    environment = {**os.environ, "PYTHONPATH": str(ROOT), SESSION: work.text(), WORK: str(tmp_path), MOUNTS: str(tmp_path / "mounts")}
    with subprocess.Popen([sys.executable, "-m", "runner.local"], env=environment, stdout=subprocess.DEVNULL) as session:
        while not started.exists():
            assert session.poll() is None
            time.sleep(0.1)
        session.terminate()
        assert session.wait(timeout=30) == 143
    assert descent.carriers(WORK, str(tmp_path)) == []
