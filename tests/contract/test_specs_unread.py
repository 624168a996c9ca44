"""What cannot be read of a repository is not gone: shallow, partial, sparse, damaged and locked ones, of real git."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from providers.git import GitSpecs
from reconciler.errors import ProviderError, UsageError
from reconciler.model.text import Unreadable
from reconciler.specs.load import load
from tests.contract.test_specs import bare, commit, run, write
from tests.unit.specs import ENVIRONMENT, TYPES, service

FILES = {
    "specs/lab/environment.yaml": ENVIRONMENT,
    "specs/lab/services/kv.yaml": service("kv"),
    "specs/lab/more/kw.yaml": service("kw"),
}
NOBODY = 65534


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    folder.mkdir()
    write(folder, FILES)
    run(folder, "init", "-q")
    commit(folder, "first")
    return folder


def unread(texts):
    return {path: text.decode() for path, text in texts.items() if isinstance(text, Unreadable)}


def loaded(specs):
    revision, texts = specs.read("lab")
    return load(texts, revision, TYPES, lost=specs.lost)


def declared(desired):
    return [one.name for one in desired.services]


def test_of_a_shallow_clone_everything_is_planned_but_removals(tree, tmp_path):
    """As actions/checkout makes them by default."""
    write(tree, {"specs/lab/services/kx.yaml": service("kx")})
    head = commit(tree, "second")
    run(tmp_path, "clone", "-q", "--depth=1", f"file://{tree}", "shallow")
    for ref in (None, "HEAD", head):
        desired = loaded(GitSpecs(str(tmp_path / "shallow"), ref, cache=tmp_path / "cache"))
        assert (declared(desired), desired.faults, desired.held) == (["kv", "kw", "kx"], (), {})
        assert "shallow" in desired.lost
        assert "git fetch --unshallow" in desired.lost
        assert "fetch-depth: 0" in desired.lost
    run(tmp_path / "shallow", "fetch", "-q", "--unshallow")
    assert loaded(GitSpecs(str(tmp_path / "shallow"), cache=tmp_path / "cache")).lost == ""


def test_a_worktree_of_a_shallow_clone_is_shallow(tree, tmp_path):
    commit(tree, "second")
    run(tmp_path, "clone", "-q", "--depth=1", f"file://{tree}", "shallow")
    run(tmp_path / "shallow", "worktree", "add", "-q", str(tmp_path / "beside"))
    assert "shallow" in GitSpecs(str(tmp_path / "beside"), cache=tmp_path / "cache").lost


def test_what_a_sparse_checkout_left_out_is_there(tree, tmp_path):
    run(tree, "sparse-checkout", "set", "--no-cone", "specs/lab/environment.yaml", "specs/lab/services")
    assert not (tree / "specs/lab/more").exists()
    specs = GitSpecs(str(tree), cache=tmp_path)
    desired = loaded(specs)
    assert (declared(desired), desired.lost) == (["kv", "kw"], "")
    assert desired.revision.commit == run(tree, "rev-parse", "HEAD"), "nothing was changed"
    assert dict(specs.read("lab")[1]) == {path: text.encode() for path, text in FILES.items()}


def test_a_file_that_was_deleted_is_gone(tree, tmp_path):
    (tree / "specs/lab/services/kv.yaml").unlink()
    desired = loaded(GitSpecs(str(tree), cache=tmp_path))
    assert (declared(desired), desired.lost) == (["kw"], "")


@pytest.mark.parametrize("ref", [None, "HEAD"])
def test_what_a_partial_clone_has_not_is_unreadable_and_not_fetched(tree, tmp_path, ref):
    """Its remote would answer: nothing may be asked of it."""
    place = bare(tree)
    run(place, "config", "uploadpack.allowFilter", "true")
    run(tmp_path, "clone", "-q", "--no-checkout", "--filter=blob:none", f"file://{place}", "partial")
    run(tmp_path / "partial", "sparse-checkout", "set", "--no-cone", "specs/lab/environment.yaml", "specs/lab/services")
    run(tmp_path / "partial", "checkout", "-q")
    specs = GitSpecs(str(tmp_path / "partial"), ref, cache=tmp_path / "cache")
    _, texts = specs.read("lab")
    said = "is not in this repository, which is a partial clone or damaged: clone it without --filter, or run git fsck"
    assert unread(texts) == {"specs/lab/more/kw.yaml": said}
    desired = loaded(specs)
    assert declared(desired) == ["kv"]
    assert desired.lost.startswith("the specs have faults: specs/lab/more/kw.yaml: is not in this repository")
    assert "?" in run(tmp_path / "partial", "rev-list", "--objects", "--missing=print", "HEAD")


def test_trees_that_a_partial_clone_has_not_are_an_error(tree, tmp_path):
    first = run(tree, "rev-parse", "HEAD")
    write(tree, {"specs/lab/services/kx.yaml": service("kx")})
    commit(tree, "second")
    place = bare(tree)
    run(place, "config", "uploadpack.allowFilter", "true")
    run(tmp_path, "clone", "-q", "--filter=tree:0", f"file://{place}", "partial")
    specs = GitSpecs(str(tmp_path / "partial"), first, cache=tmp_path / "cache")
    with pytest.raises((ProviderError, UsageError)) as caught:
        specs.read("lab")
    assert caught.value.hint
    assert declared(loaded(GitSpecs(str(tmp_path / "partial"), cache=tmp_path / "cache"))) == ["kv", "kw", "kx"]


def damage(tree, path, content=None):
    """Take the object of *path* away, or put *content* in its place."""
    sha = run(tree, "rev-parse", f"HEAD:{path}")
    file = tree / ".git/objects" / sha[:2] / sha[2:]
    file.chmod(0o600)
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)


@pytest.mark.parametrize("content", [None, b"", b"not zlib at all"])
def test_a_blob_that_is_damaged_is_unreadable_and_the_others_are_read(tree, tmp_path, content):
    damage(tree, "specs/lab/more/kw.yaml", content)
    specs = GitSpecs(str(tree), "HEAD", cache=tmp_path)
    assert list(unread(specs.read("lab")[1])) == ["specs/lab/more/kw.yaml"]
    desired = loaded(specs)
    assert declared(desired) == ["kv"]
    assert desired.lost


@pytest.mark.parametrize("content", [None, b"not zlib at all"])
def test_a_folder_that_is_damaged_is_an_error(tree, tmp_path, content):
    damage(tree, "specs/lab/more", content)
    with pytest.raises(ProviderError) as caught:
        GitSpecs(str(tree), "HEAD", cache=tmp_path).read("lab")
    assert "no tree" in str(caught.value)
    assert "git fsck" in caught.value.hint


def test_an_environment_that_is_empty_at_the_commit_is_an_error(tree, tmp_path):
    before = commit(tree, "all there")
    shutil.rmtree(tree / "specs/lab")
    for keep in ({}, {"specs/lab/README.md": "empty"}):
        write(tree, keep)
        commit(tree, "gone")
        for ref in (None, "HEAD"):
            with pytest.raises(Exception, match=r"specs/lab") as caught:
                loaded(GitSpecs(str(tree), ref, cache=tmp_path))
            assert caught.value.hint
    assert declared(loaded(GitSpecs(str(tree), before, cache=tmp_path))) == ["kv", "kw"]


@contextlib.contextmanager
def as_nobody() -> Iterator[None]:
    """Permissions mean nothing to root."""
    if os.geteuid():
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def ours(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working tree that belongs to who reads it, in a folder that everybody may pass."""
    top = Path(tempfile.mkdtemp(prefix="specs-"))
    top.chmod(0o755)
    monkeypatch.setenv("HOME", str(top))  # git reads settings there
    folder = top / "tree"
    folder.mkdir()
    write(folder, FILES)
    run(folder, "init", "-q")
    commit(folder, "first")
    if not os.geteuid():
        for one in [folder, *folder.rglob("*")]:
            os.chown(one, NOBODY, NOBODY)
    try:
        yield folder
    finally:
        for one in (folder, *folder.rglob("*")):
            one.chmod(0o755)
        shutil.rmtree(top)


def test_a_folder_that_may_not_be_looked_into_is_not_empty(ours, tmp_path):
    """Neither what git knows of it nor what it does not know."""
    write(ours, {"specs/lab/new/kx.yaml": service("kx")})
    for folder in ("more", "new"):
        (ours / "specs/lab" / folder).chmod(0)
    with as_nobody():
        specs = GitSpecs(str(ours), cache=tmp_path)
        desired = loaded(specs)
        found = unread(specs.read("lab")[1])
    assert declared(desired) == ["kv"]
    assert "cannot be read (Permission denied): check who owns it" in found.values()
    assert {"specs/lab/more/kw.yaml", "specs/lab/new"} <= set(found)
    assert "cannot be read (Permission denied)" in desired.lost


def test_a_file_that_may_not_be_read_is_not_gone(ours, tmp_path):
    (ours / "specs/lab/more/kw.yaml").chmod(0)
    with as_nobody():
        desired = loaded(GitSpecs(str(ours), cache=tmp_path))
    assert declared(desired) == ["kv"]
    assert [str(fault) for fault in desired.faults] == ["specs/lab/more/kw.yaml: cannot be read (Permission denied). check who owns it"]


@pytest.mark.parametrize("closed", ["specs", "specs/lab"])
def test_an_environment_that_may_not_be_looked_into_is_an_error(ours, tmp_path, closed):
    (ours / closed).chmod(0)
    with as_nobody(), pytest.raises(Exception, match=r"cannot be read|specs/lab") as caught:
        loaded(GitSpecs(str(ours), cache=tmp_path))
    assert caught.value.hint
