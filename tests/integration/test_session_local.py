"""The component side with nothing made up: SQLite, git, and Ansible in processes of this machine."""

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from providers.branch import tips
from providers.session_directory import DirectoryRunner, no_secret
from providers.sqlite import SqliteRecords
from reconciler.components.controller import Controller
from reconciler.components.summary import Standing
from reconciler.model.configuration import Configuration, Layer
from reconciler.model.desired import Desired
from reconciler.model.outcome import Done, Failed, Waiting
from reconciler.model.work import Clone
from runner import descent, frames
from runner.place import WORK
from tests.clocks import WALL
from tests.component_samples import components, desired
from tests.integration.test_session_callback import commit

LOCAL = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
PATIENCE = 120.0


class Site:
    """A store, a folder of sessions and two layers in git, each of which writes a file a host."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.hosts = folder, folder / "hosts"
        self.hosts.mkdir()
        self.records = SqliteRecords(folder / "store.db", "lab")
        self.runner = DirectoryRunner(folder / "sessions", desired().environment.sessions)
        self.controller = Controller(self.records, self.runner, WALL, tips(no_secret))
        self.layers: dict[str, Clone] = {}

    def push(self, layer: str, text: str, *before: dict[str, Any]) -> None:
        write = {"name": "write", "ansible.builtin.copy": {"dest": f"{self.hosts}/{{{{ inventory_hostname }}}}.{layer}", "content": text}}
        plays = [
            {"name": "first", "hosts": "all", "gather_facts": False, "tasks": list(before) or [{"ansible.builtin.ping": {}}]},
            {"name": "second", "hosts": "compute", "gather_facts": False, "tasks": [write]},
        ]
        self.layers[layer] = commit(self.folder / layer, {"site.yml": json.dumps(plays)})

    def wish(self, *ids: str, **fields: Any) -> Desired:
        layers = tuple(Layer(clone_url=one.clone_url, playbook="site.yml", commit=one.commit) for one in self.layers.values())
        configuration = Configuration(name="compute", layers=fields.pop("layers", layers))
        return desired(components(*ids, vars=LOCAL, groups=("compute",), **fields), configurations=(configuration,))

    def settle(self, wish: Desired, watch: Callable[[], None] = lambda: None) -> Standing:
        until = time.monotonic() + PATIENCE
        while True:
            (standing,) = self.controller.tick(wish, sweep=True)
            watch()
            if not isinstance(standing.outcome, Waiting):
                return standing
            assert time.monotonic() < until, standing
            time.sleep(0.1)

    def written(self) -> dict[str, str]:
        return {path.name: path.read_text() for path in self.hosts.iterdir()}

    def ran(self) -> list[tuple[tuple[int, ...], tuple[str, ...]]]:
        return [(one.layers, one.members) for one in reversed(self.records.sessions())]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    one = Site(tmp_path)
    yield one
    for session in one.records.live():
        one.runner.stop(session.name)
    one.records.close()


def test_hosts_are_configured_and_a_new_commit_runs_its_layer_only(site: Site) -> None:
    site.push("base", "one")
    site.push("extra", "one")
    standing = site.settle(site.wish("n[1-3]"))
    assert (standing.outcome, standing.summary.configured) == (Done(), 3)
    assert site.written() == {f"n{host}.{layer}": "one" for host in (1, 2, 3) for layer in ("base", "extra")}
    site.push("extra", "two")
    assert site.settle(site.wish("n[1-3]")).outcome == Done()
    assert site.ran() == [((0, 1), ("n1", "n2", "n3")), ((1,), ("n1", "n2", "n3"))]
    assert site.written()["n2.extra"] == "two"
    assert site.settle(site.wish("n[1-3]")).outcome == Done()
    assert len(site.ran()) == 2


def test_a_failed_host_is_known_before_the_session_ends_and_comes_round_until_it_works(site: Site) -> None:
    """The host fails as long as a file is missing; what it wrote is read by nobody but Ansible."""
    mended = site.folder / "mended"
    look = {"name": "look", "ansible.builtin.stat": {"path": str(mended)}, "register": "found"}
    refuse = {"name": "refuse", "ansible.builtin.fail": {"msg": "no"}, "when": "inventory_hostname == 'n2' and not found.stat.exists"}
    site.push("base", "one", look, refuse)
    site.push("extra", "one")
    seen: list[int] = []

    def watch() -> None:
        errors = site.records.get(["n2"])["n2"].error_count
        if errors and not seen:
            assert site.records.live(), "told of only when the session was over"
        seen.extend({errors} - set(seen))
        if errors == 2:
            mended.touch()

    standing = site.settle(site.wish("n[1-3]"), watch)
    assert standing.outcome == Done()
    assert {1, 2} <= set(seen)
    assert site.written().keys() == {f"n{host}.{layer}" for host in (1, 2, 3) for layer in ("base", "extra")}
    attempts = [(layers, members) for layers, members in site.ran() if "n2" in members]
    assert attempts == [((0, 1), ("n1", "n2", "n3")), ((0, 1), ("n2",)), ((0, 1), ("n2",))]
    assert ((1,), ("n1", "n3")) in site.ran()


def test_a_layer_that_cannot_be_cloned_fails_in_words_after_its_attempts(site: Site) -> None:
    site.push("base", "one")
    nowhere = Layer(clone_url=str(site.folder / "nowhere"), playbook="site.yml", commit="a" * 40)
    standing = site.settle(site.wish("n1", layers=(nowhere,), retry_policy=1))
    assert isinstance(standing.outcome, Failed)
    assert "the session cannot begin: git: " in standing.outcome.message
    assert "nowhere" in standing.outcome.message


def test_a_killed_session_counts_and_the_next_one_does_its_work(site: Site) -> None:
    once = site.folder / "once"
    hang = {"ansible.builtin.shell": f"test -e {once} || {{ touch {once}; sleep 600; }}"}
    site.push("base", "one", hang)
    killed: list[str] = []

    def watch() -> None:
        for session in site.records.live():
            process = site.folder / "sessions" / session.name / "process"
            if once.exists() and not killed and process.exists():
                killed.append(session.name)
                os.kill(int(process.read_text()), signal.SIGKILL)

    assert site.settle(site.wish("n1"), watch).outcome == Done()
    assert descent.carriers(WORK, str(site.folder / "sessions" / killed[0])) == []
    assert not any(path.exists() for path in (site.folder / "sessions" / killed[0] / name for name in ("ssh", "mounts", "sockets")))
    first, second = reversed(site.records.sessions())
    assert (first.name, first.succeeded, second.succeeded) == (killed[0], "false", "true")
    assert site.written() == {"n1.base": "one"}


def test_a_reconciler_that_comes_back_takes_in_what_went_on_without_it(site: Site) -> None:
    site.push("base", "one")
    want = site.wish("n[1-2]")
    site.controller.tick(want, sweep=True)
    (session,) = site.records.live()
    until = time.monotonic() + PATIENCE
    while not any(frame.kind == "end" for frame in frames.read(site.folder / "sessions" / session.name / "frames")):
        assert time.monotonic() < until
        time.sleep(0.1)
    site.controller = Controller(site.records, site.runner, WALL, tips(no_secret))
    assert site.settle(want).outcome == Done()
    assert len(site.ran()) == 1


def test_a_branch_is_read_from_its_repository(site: Site) -> None:
    site.push("base", "one")
    base = site.layers["base"]
    (site.folder / "base" / ".git" / "HEAD").read_text()
    branch = Layer(clone_url=base.clone_url, playbook="site.yml", branch=(site.folder / "base" / ".git" / "HEAD").read_text().strip()[16:])
    assert site.settle(site.wish("n1", layers=(branch,))).outcome == Done()
    assert site.records.get(["n1"])["n1"].state[0].commit == base.commit
    missing = Layer(clone_url=base.clone_url, playbook="site.yml", branch="no-such-branch")
    (standing,) = site.controller.tick(site.wish("n1", layers=(missing,)), sweep=True)
    assert "has no branch or tag no-such-branch" in str(standing.outcome)
