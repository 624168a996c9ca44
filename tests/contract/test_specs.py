"""One body on every way to keep specs: a working tree, a bare repository, a ref of each, a URL, and memory."""

from __future__ import annotations

import base64
import contextlib
import os
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from providers.git import GitSpecs
from providers.memory.specs import MemorySpecs
from reconciler.errors import ProviderError, UsageError
from reconciler.model.text import Unreadable
from reconciler.ports import Specs

FILES = {
    "specs/lab/environment.yaml": "environment",
    "specs/lab/services/kv.yaml": "kind: Service\nmetadata: {name: kv}\n",
    "specs/lab/services/README.md": "no spec",
    "specs/lab.d/x.yaml": "sorts between lab and lab/",
    "specs/prod/a.yml": "of prod",
    "specs/schema/service.json": "{}",
    "other/b.yaml": "elsewhere",
}
IDENTITY = ("-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false", "-c", "init.defaultBranch=main")


def run(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *IDENTITY, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def write(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A working tree with one commit."""
    folder = tmp_path / "tree"
    folder.mkdir()
    write(folder, FILES)
    run(folder, "init", "-q")
    commit(folder, "first")
    return folder


def commit(folder: Path, subject: str) -> str:
    run(folder, "add", "-A")
    run(folder, "commit", "-q", "--allow-empty", "-m", subject)
    return run(folder, "rev-parse", "HEAD")


def bare(folder: Path) -> Path:
    """A bare repository beside *folder* that has what it has."""
    place = folder.parent / "config.git"
    run(folder.parent, "clone", "-q", "--bare", str(folder), str(place))
    return place


@dataclass
class Kept:
    specs: Specs
    commit: str
    tree: str


WAYS: dict[str, Callable[[Path, Path], Specs]] = {
    "working tree": lambda folder, cache: GitSpecs(str(folder), cache=cache),
    "below a working tree": lambda folder, cache: GitSpecs(str(folder / "specs" / "lab"), cache=cache),
    "commit of a working tree": lambda folder, cache: GitSpecs(str(folder), run(folder, "rev-parse", "HEAD"), cache=cache),
    "bare": lambda folder, cache: GitSpecs(str(bare(folder)), cache=cache),
    "branch of bare": lambda folder, cache: GitSpecs(str(bare(folder)), "main", cache=cache),
    "URL": lambda folder, cache: GitSpecs(f"file://{bare(folder)}", cache=cache),
    "branch of URL": lambda folder, cache: GitSpecs(f"file://{bare(folder)}", "main", cache=cache),
    "commit of URL": lambda folder, cache: GitSpecs(f"file://{bare(folder)}", run(folder, "rev-parse", "HEAD"), cache=cache),
    "memory": lambda folder, cache: MemorySpecs({name: text.encode() for name, text in FILES.items()}, run(folder, "rev-parse", "HEAD")),
}


@pytest.fixture(params=WAYS)
def kept(request: pytest.FixtureRequest, tree: Path, tmp_path: Path) -> Kept:
    return Kept(WAYS[request.param](tree, tmp_path / "cache"), run(tree, "rev-parse", "HEAD"), run(tree, "rev-parse", "HEAD:specs/lab"))


def test_what_is_read_are_the_yaml_files_of_one_environment(kept):
    _, texts = kept.specs.read("lab")
    assert dict(texts) == {name: FILES[name].encode() for name in ("specs/lab/environment.yaml", "specs/lab/services/kv.yaml")}
    assert list(kept.specs.read("prod")[1]) == ["specs/prod/a.yml"], "a name to be refused by load"


def test_the_revision_names_the_commit_and_the_tree(kept):
    revision, _ = kept.specs.read("lab")
    assert (revision.commit, revision.tree, revision.environment) == (kept.commit, kept.tree, "lab")
    if isinstance(kept.specs, GitSpecs):
        assert kept.specs.revision("lab") == revision


def test_environments_are_the_folders_of_specs(kept):
    assert kept.specs.environments() == ("lab", "lab.d", "prod")


@pytest.mark.parametrize("name", ["stage", "../other", "lab/services", ""])
def test_an_environment_that_is_not_there_is_a_usage_error(kept, name):
    with pytest.raises(UsageError) as caught:
        kept.specs.read(name)
    assert caught.value.hint
    if isinstance(kept.specs, GitSpecs):
        with pytest.raises(UsageError):
            kept.specs.revision(name)


def test_a_working_tree_is_read_as_it_is(tree, tmp_path):
    """New and changed files count, deleted and ignored ones don't; a change elsewhere is no change of the specs."""
    specs = GitSpecs(str(tree), cache=tmp_path)
    clean, _ = specs.read("lab")
    write(tree, {"other/b.yaml": "changed"})
    assert specs.read("lab")[0] == clean
    write(
        tree,
        {"specs/lab/new.yaml": "new", "specs/lab/environment.yaml": "changed", ".gitignore": "*.tmp.yaml\n", "specs/lab/x.tmp.yaml": "no"},
    )
    (tree / "specs/lab/services/kv.yaml").unlink()
    revision, texts = specs.read("lab")
    assert texts == {"specs/lab/new.yaml": b"new", "specs/lab/environment.yaml": b"changed"}
    assert revision.commit == ""
    assert revision.short == "the working tree"
    commit(tree, "second")
    after, _ = GitSpecs(str(tree), cache=tmp_path).read("lab")
    assert after.tree == revision.tree == run(tree, "rev-parse", "HEAD:specs/lab"), "the hash is the one that git gives the same files"
    assert after.commit == run(tree, "rev-parse", "HEAD")


def test_specs_that_were_never_committed_are_read(tmp_path):
    write(tmp_path, FILES)
    run(tmp_path, "init", "-q")
    revision, texts = GitSpecs(str(tmp_path), cache=tmp_path / "cache").read("lab")
    assert revision.commit == ""
    assert len(texts) == 2


def test_a_url_is_read_as_it_is_now(tree, tmp_path):
    """Also after a force push, with a branch gone, and with the same cache."""
    place, cache = bare(tree), tmp_path / "cache"
    run(tree, "remote", "add", "origin", str(place))
    run(tree, "push", "-q", "origin", "main:gone")
    assert GitSpecs(f"file://{place}", "gone", cache=cache).read("lab")
    write(tree, {"specs/lab/new.yaml": "new"})
    run(tree, "add", "-A")
    run(tree, "commit", "-q", "--amend", "-m", "another first")
    run(tree, "push", "-q", "--force", "origin", "main")
    run(tree, "push", "-q", "origin", ":gone")
    assert "specs/lab/new.yaml" in GitSpecs(f"file://{place}", cache=cache).read("lab")[1]
    with pytest.raises(UsageError, match="has no gone"):
        GitSpecs(f"file://{place}", "gone", cache=cache).read("lab")
    assert len([one for one in cache.iterdir() if one.is_dir()]) == 1


def test_a_ref_is_a_branch_before_a_tag_and_a_tag_is_peeled(tree, tmp_path):
    first = run(tree, "rev-parse", "HEAD")
    run(tree, "tag", "-a", "-m", "annotated", "v1")
    run(tree, "tag", "-a", "-m", "same name", "both")
    run(tree, "checkout", "-q", "-b", "both")
    write(tree, {"specs/lab/new.yaml": "new"})
    second = commit(tree, "second")
    for repo in (str(tree), f"file://{bare(tree)}"):
        found = {ref: GitSpecs(repo, ref, cache=tmp_path / "cache").read("lab")[0].commit for ref in ("v1", "both", "main", second[:9])}
        assert found == {"v1": first, "both": second, "main": first, second[:9]: second}


@pytest.mark.parametrize("ref", ["nowhere", "--upload-pack=x", "", "HEAD:specs/lab/environment.yaml", "0" * 40, "main:specs"])
def test_a_ref_that_is_not_there_is_a_usage_error(tree, tmp_path, ref):
    for repo in (str(tree), f"file://{tree}"):
        with pytest.raises((UsageError, ProviderError)) as caught:
            GitSpecs(repo, ref, cache=tmp_path / "cache").read("lab")
        assert caught.value.hint


def test_what_is_no_file_is_unreadable(tree, tmp_path):
    """Symbolic links (also to folders and to nothing), submodules and names that are not UTF-8: from disk as from a commit."""
    (tree / "specs/lab/link.yaml").symlink_to("/etc/passwd")
    (tree / "specs/lab/away").symlink_to("/etc")
    run(tree, "clone", "-q", str(tree), str(tree / "specs/lab/sub"))
    with open(os.fsencode(tree) + b"/specs/lab/\xff.yaml", "w") as file:  # noqa: PTH123 - a Path is text
        file.write("x")
    found = [GitSpecs(str(tree), cache=tmp_path).read("lab")]
    commit(tree, "second")
    found += [GitSpecs(str(tree), ref, cache=tmp_path).read("lab") for ref in (None, "HEAD")]
    for _, texts in found:
        assert {name: text.decode() for name, text in texts.items() if isinstance(text, Unreadable)} == {
            "specs/lab/link.yaml": "is a symbolic link: put the file itself there",
            "specs/lab/away": "is a symbolic link: put the file itself there",
            "specs/lab/sub": "is a submodule: put the files themselves there",
            "specs/lab/\\xff.yaml": "has a name that is not UTF-8: rename it",
        }


def test_a_file_that_is_too_large_is_cut_off(tree, tmp_path):
    write(tree, {"specs/lab/big.yaml": "x" * (1 << 22)})
    commit(tree, "big")
    for ref in (None, "HEAD"):
        texts = GitSpecs(str(tree), ref, cache=tmp_path).read("lab")[1]
        assert len(texts["specs/lab/big.yaml"]) == (1 << 20) + 1
        assert texts["specs/lab/services/kv.yaml"] == FILES["specs/lab/services/kv.yaml"].encode()


def test_no_hook_and_no_command_of_a_repository_runs(tree, tmp_path):
    witness = tmp_path / "ran"
    script = tmp_path / "script"
    script.write_text(f"#!/bin/sh\ntouch {witness}\n")
    script.chmod(0o755)
    place = bare(tree)
    for folder in (tree / ".git", place):
        for hook in ("post-checkout", "post-merge", "reference-transaction", "fsmonitor-watchman"):
            (folder / "hooks").mkdir(exist_ok=True)
            (folder / "hooks" / hook).write_text(script.read_text())
            (folder / "hooks" / hook).chmod(0o755)
    run(tree, "config", "core.fsmonitor", str(script))
    write(tree, {".gitattributes": "*.yaml filter=x\n"})
    run(tree, "config", "filter.x.clean", str(script))
    witness.unlink(missing_ok=True)
    GitSpecs(str(tree), cache=tmp_path / "cache").read("lab")
    GitSpecs(str(tree), "main", cache=tmp_path / "cache").read("lab")
    GitSpecs(f"file://{place}", cache=tmp_path / "cache").read("lab")
    assert not witness.exists()
    with pytest.raises(ProviderError):
        GitSpecs(f"ext::{script}", cache=tmp_path / "cache").read("lab")
    assert not witness.exists()


def test_nothing_to_read_is_said(tmp_path):
    run(tmp_path, "init", "-q", "--bare", "empty.git")
    cache = tmp_path / "cache"
    with pytest.raises(UsageError, match="has no commit yet"):
        GitSpecs(str(tmp_path / "empty.git"), cache=cache).read("lab")
    with pytest.raises(UsageError, match="has no commit yet"):
        GitSpecs(f"file://{tmp_path}/empty.git", cache=cache).read("lab")
    with pytest.raises(UsageError, match="is no git repository"):
        GitSpecs(str(tmp_path / "nowhere"), cache=cache).read("lab")
    with pytest.raises(ProviderError, match="cannot be read"):
        GitSpecs(f"file://{tmp_path}/nowhere.git", cache=cache).read("lab")


def test_a_password_is_in_no_error_no_argument_and_no_file(tmp_path, monkeypatch):
    """The server refuses everybody: port 9 of this machine is closed."""
    shim = tmp_path / "bin" / "git"
    shim.parent.mkdir()
    real = subprocess.run(["which", "git"], check=True, capture_output=True, text=True).stdout.strip()
    shim.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/arguments\nexec {real} "$@"\n')
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", f"{shim.parent}:{os.environ['PATH']}")
    with pytest.raises(ProviderError) as caught:
        GitSpecs("http://me:hunter2@127.0.0.1:9/x.git", cache=tmp_path / "cache").read("lab")
    assert "127.0.0.1" in str(caught.value)
    assert "hunter2" not in str(caught.value) + str(caught.value.__cause__)
    assert "fetch" in (tmp_path / "arguments").read_text()
    kept = [one.read_bytes() for one in tmp_path.rglob("*") if one.is_file()]
    assert not any(b"hunter2" in one for one in kept)


@contextlib.contextmanager
def guarded(folder: Path, credentials: str) -> Iterator[str]:
    """An HTTP server of *folder* on loopback that wants *credentials*; its host and port."""
    wanted = "Basic " + base64.b64encode(credentials.encode()).decode()

    class Guard(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.headers.get("Authorization") == wanted:
                return super().do_GET()
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="specs"')
            return self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Guard, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_credentials_of_a_url_open_it(tree, tmp_path):
    place = bare(tree)
    run(place, "update-server-info")
    with guarded(place.parent, "me:a b@c") as host:
        specs = GitSpecs(f"http://me:a%20b%40c@{host}/config.git", cache=tmp_path / "cache")
        assert specs.read("lab")[0].commit == run(tree, "rev-parse", "HEAD")
        assert specs.base_url == f"http://{host}/config.git"
        with pytest.raises(ProviderError) as caught:
            GitSpecs(f"http://me:wrong@{host}/config.git", cache=tmp_path / "cache").read("lab")
    assert "Authentication failed" in str(caught.value)
    assert "wrong" not in str(caught.value)


def test_the_base_of_relative_urls(tree, tmp_path):
    """As for git's submodules: the remote `origin`, else the repository itself; never with a password."""
    cache, place = tmp_path / "cache", bare(tree)
    assert GitSpecs(str(tree), cache=cache).base_url == str(tree)
    run(tree, "remote", "add", "origin", "../config.git")
    assert GitSpecs(str(tree), cache=cache).base_url == str(place)
    run(tree, "remote", "set-url", "origin", "https://me:secret@example.org/a/config.git")
    assert GitSpecs(str(tree), cache=cache).base_url == "https://example.org/a/config.git"
    run(place, "remote", "remove", "origin")
    assert GitSpecs(str(place), cache=cache).base_url == str(place)
    assert GitSpecs(f"file://{place}", cache=cache).base_url == f"file://{place}"


def test_the_commit_that_took_a_service_away_is_known(tree, tmp_path):
    """A document that moves is not gone; one that was taken away, came back and went has gone the second time."""
    kv = FILES["specs/lab/services/kv.yaml"]
    write(tree, {"specs/lab/all.yaml": kv + "---\n" + kv.replace("kv", "zk") + "---\n" + kv.replace("kv", "mq")})
    (tree / "specs/lab/services/kv.yaml").unlink()
    commit(tree, "kv moves; zk, mq come")
    write(tree, {"specs/lab/all.yaml": kv})
    gone = commit(tree, "zk, mq go")
    write(tree, {"specs/lab/all.yaml": kv, "specs/lab/mq.yaml": kv.replace("kv", "mq")})
    commit(tree, "mq comes back")
    write(tree, {"other/b.yaml": "x"})
    commit(tree, "elsewhere")
    asked = ("kv", "zk", "mq", "never")
    for repo in (str(tree), f"file://{bare(tree)}"):
        assert GitSpecs(repo, cache=tmp_path / "cache").vanished("lab", asked) == {"zk": gone[:7]}
    (tree / "specs/lab/mq.yaml").unlink()
    again = commit(tree, "mq goes")
    assert GitSpecs(str(tree), cache=tmp_path / "cache").vanished("lab", asked) == {"zk": gone[:7], "mq": again[:7]}
    run(tmp_path, "clone", "-q", "--depth=1", f"file://{tree}", "shallow")
    assert GitSpecs(str(tmp_path / "shallow"), cache=tmp_path / "cache").vanished("lab", asked) == {}
    with pytest.raises(UsageError) as caught:
        GitSpecs(str(tmp_path / "shallow"), gone, cache=tmp_path / "cache").read("lab")
    assert "--unshallow" in caught.value.hint


def test_a_merge_is_where_a_service_vanishes_from_the_branch(tree, tmp_path):
    run(tree, "checkout", "-q", "-b", "topic")
    (tree / "specs/lab/services/kv.yaml").unlink()
    commit(tree, "remove kv")
    run(tree, "checkout", "-q", "main")
    write(tree, {"specs/lab/new.yaml": "a: b"})
    commit(tree, "something else")
    run(tree, "merge", "-q", "--no-ff", "-m", "merge topic", "topic")
    merge = run(tree, "rev-parse", "HEAD")
    assert GitSpecs(str(tree), cache=tmp_path).vanished("lab", ["kv"]) == {"kv": merge[:7]}
