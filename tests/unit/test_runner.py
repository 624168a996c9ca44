"""The runner's own parts: frames, the report, clones, the inventory, ssh settings, Ansible left aside."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model import frame, work
from reconciler.model.frame import Frame
from reconciler.model.work import Clone, Work, WorkLayer
from runner import alive, clone, frames, git, inventory, report, ssh
from runner.place import MOUNTS, WORK, Place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "work", tmp_path / "mounts")


@given(st.text(), st.text(), st.integers(-1, 9), st.integers(0, 255))
def test_a_frame_is_one_line_and_reads_back(host: str, message: str, layer: int, code: int) -> None:
    one = Frame(7, "host", layer, host, "failed", message=message, code=code)
    assert "\n" not in one.line()
    assert frame.parse(one.line()) == one


@given(st.text())
def test_what_is_no_frame_is_none(line: str) -> None:
    found = frame.parse(line)
    assert found is None or isinstance(found, Frame)


@pytest.mark.parametrize("line", ["", "{", "[]", "3", '{"number": "1", "kind": "host"}', '{"kind": "end"}'])
def test_broken_lines_are_no_frames(line: str) -> None:
    assert frame.parse(line) is None


def test_work_reads_back(place: Place) -> None:
    one = Work(
        "s", (WorkLayer(1, Clone("u", "c"), "p.yml"),), {"a": {"x": [1, {"y": None}]}}, {"g": ("a",)}, Clone("i", "d"), passthrough=("-v",)
    )
    assert work.parse(one.text()) == one
    assert place.keep(one.text()) == place.work() == one


def test_frames_of_several_writers_are_numbered_without_a_gap(tmp_path: Path) -> None:
    path = tmp_path / "frames"
    writers = [threading.Thread(target=lambda: [frames.append(path, "play", host="h") for _ in range(25)]) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [one.number for one in frames.read(path)] == list(range(1, 101))


def test_a_torn_line_costs_no_frame_after_it(tmp_path: Path) -> None:
    path = tmp_path / "frames"
    frames.append(path, "begin")
    with path.open("a") as file:
        file.write('{"number":2,"ki')
    assert frames.append(path, "end").number == 3
    assert [one.kind for one in frames.read(path)] == ["begin", "end"]


def test_lines_are_read_whole_and_from_where_one_was(tmp_path: Path) -> None:
    path = tmp_path / "frames"
    assert frames.lines(path) == ([], 0)
    path.write_text("one\ntw")
    assert frames.lines(path) == (["one"], 4)
    path.write_text("one\ntwo\n")
    assert frames.lines(path, 4) == (["two"], 8)


def test_a_lock_is_held_for_as_long_as_its_process_lives(tmp_path: Path) -> None:
    path = tmp_path / "alive"
    with pytest.raises(FileNotFoundError):
        alive.held(path)
    with alive.hold(path, "text"):
        assert alive.held(path)
        assert path.read_text() == "text"
    assert not alive.held(path)


@pytest.fixture
def reporting(place: Place, monkeypatch: pytest.MonkeyPatch) -> Callable[[], subprocess.Popen[str]]:
    """Starts the report as the process that it is in a Pod."""
    place.root.mkdir()
    monkeypatch.setenv(WORK, str(place.root))
    monkeypatch.setenv(MOUNTS, str(place.mounts))
    monkeypatch.chdir(Path(__file__).parents[2])
    return lambda: subprocess.Popen([sys.executable, "-m", "runner.report"], stdout=subprocess.PIPE, text=True)


def test_the_report_prints_frames_as_they_come_and_ends_with_the_last(place: Place, reporting: Callable[[], subprocess.Popen[str]]) -> None:
    with reporting() as process, alive.hold(place.alive):
        assert process.stdout is not None
        first = frames.append(place.frames, "host", host="a", result="failed")
        assert frame.parse(process.stdout.readline()) == first
        last = frames.append(place.frames, "end")
        assert process.communicate(timeout=30)[0] == last.line() + "\n"
        assert process.returncode == 0


def test_the_report_ends_when_ansible_dies_without_a_word(place: Place, reporting: Callable[[], subprocess.Popen[str]]) -> None:
    with alive.hold(place.alive):
        frames.append(place.frames, "begin", layer=0)
    with reporting() as process:
        assert process.communicate(timeout=30)[0].count("\n") == 1
    assert report.INTERVAL < 1


@pytest.fixture
def repository(tmp_path: Path) -> Callable[[str], str]:
    """Commits a file to a repository, and returns the commit."""
    folder = tmp_path / "repository"
    run = ["git", "-C", str(folder), "-c", "user.name=test", "-c", "user.email=test@example.invalid"]
    subprocess.run(["git", "init", "-q", str(folder)], check=True)

    def commit(text: str) -> str:
        (folder / "site.yml").write_text(text)
        subprocess.run([*run, "add", "."], check=True)
        subprocess.run([*run, "commit", "-q", "-m", "change"], check=True)
        return subprocess.run([*run, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()

    return commit


def test_a_clone_is_at_its_commit_also_when_the_branch_has_moved_on(place: Place, tmp_path: Path, repository: Callable[[str], str]) -> None:
    first = repository("one")
    repository("two")
    place.root.mkdir()
    clone.fetch(place, Clone(str(tmp_path / "repository"), first), place.layer(0))
    assert (place.layer(0) / "site.yml").read_text() == "one"


def test_a_clone_runs_no_hook_and_no_other_transport(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clone, "DELAYS", ())
    place.root.mkdir()
    bad = f"ext::sh -c touch% {tmp_path}/owned"
    with pytest.raises(git.GitError, match="ext"):
        clone.fetch(place, Clone(bad, "a" * 40), place.layer(0))
    assert not (tmp_path / "owned").exists()


def test_a_missing_playbook_is_told_by_name(place: Place, tmp_path: Path, repository: Callable[[str], str]) -> None:
    at = Clone(str(tmp_path / "repository"), repository("one"))
    with pytest.raises(git.GitError, match=r"has no playbook other\.yml"):
        clone.prepare(place, Work("s", (WorkLayer(0, at, "other.yml"),), {}).text())


def test_git_asks_for_credentials_by_file(place: Place) -> None:
    secret = place.mounts / "credentials" / "login"
    secret.mkdir(parents=True)
    (secret / "username").write_text("me")
    (secret / "password").write_text("p a;s's")
    place.root.mkdir()
    environment = git.environment(place, Clone("https://git/x", "c", "login"))
    ask = [environment["GIT_ASKPASS"]]
    answers = [
        subprocess.run([*ask, prompt], env=environment, capture_output=True, text=True, check=True).stdout
        for prompt in ("Username for 'https://git/x':", "Password for 'https://git/x':")
    ]
    assert answers == ["me", "p a;s's"]
    assert not any("p a;s's" in value for value in environment.values())
    (secret / "token").write_text("abc")
    environment = git.environment(place, Clone("https://git/x", "c", "login", "token"))
    assert subprocess.run([*ask, "Password"], env=environment, capture_output=True, text=True, check=True).stdout == "abc"


def test_the_inventory_holds_exactly_the_hosts_and_is_read_before_the_additional_one(place: Place) -> None:
    one = Work("s", (), {"b": {"x": 1}, "a": {}}, {"g-1": ("a", "b")})
    inventory.write(one, place)
    tree = json.loads(place.inventory.read_text())
    assert tree == {"all": {"hosts": {"a": {}, "b": {"x": 1}}, "children": {"g-1": {"hosts": {"a": None, "b": None}}}}}
    assert place.limit.read_text() == "a\nb\n"
    assert inventory.sources(place) == str(place.inventory)
    place.additional.mkdir()
    assert inventory.sources(place) == f"{place.inventory},{place.additional}"


def test_known_hosts_are_held_to_and_without_them_the_first_sight_counts(place: Place) -> None:
    place.root.mkdir()
    with ssh.prepared(place, "") as settings:
        assert "StrictHostKeyChecking=accept-new" in settings["ANSIBLE_SSH_COMMON_ARGS"]
        assert "ANSIBLE_REMOTE_USER" not in settings
    for purpose, name, text in (
        ("known-hosts", "known_hosts", "h ssh-ed25519 AAA"),
        ("ssh-ca", "ca.pub", "ssh-ed25519 CCC"),
        ("ssh", "key", "KEY"),
    ):
        (place.mounts / purpose).mkdir(parents=True)
        (place.mounts / purpose / name).write_text(text)
    with ssh.prepared(place, "root") as settings:
        assert "StrictHostKeyChecking=yes" in settings["ANSIBLE_SSH_COMMON_ARGS"]
        known = (place.root / "ssh" / "known_hosts").read_text()
        assert known.splitlines() == ["h ssh-ed25519 AAA", "@cert-authority * ssh-ed25519 CCC"]
        key = Path(settings["ANSIBLE_PRIVATE_KEY_FILE"])
        assert (key.read_text(), key.stat().st_mode & 0o777) == ("KEY\n", 0o600)
        assert settings["ANSIBLE_REMOTE_USER"] == "root"
    assert not key.exists()
