"""The wheel: one package of one name, which works by itself, far from the source."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = ("lab", "providers", "reconciler", "runner", "stacks", "LICENSE", "README.md", "pyproject.toml")
ENVIRONMENT = "apiVersion: reconciler/v1\nkind: Environment\nmetadata: {name: lab}\nspec: {zones: [us-east-1a]}\n"
SERVICE = "apiVersion: reconciler/v1\nkind: Service\nmetadata: {name: kv}\nspec: {type: redis, volumes: {data: {size: 1Gi}}}\n"
# Only the wheel and the dependencies: site-packages is put on the path by hand, so that no .pth of it leads to the source.
ALONE = (
    "import sys; sys.path[:0] = sys.argv[1:3]; del sys.argv[1:3]; sys.argv[0] = 'reconcile'; from reconciler.__main__ import main; main()"
)

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A built wheel, unpacked as an installer would. Built from a copy: nothing is written beside the source."""
    place = tmp_path_factory.mktemp("wheel")
    source = place / "source"
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, source / name)
    offline = {**os.environ, "PIP_NO_INDEX": "1"}
    built = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(place)],
        cwd=source,
        env=offline,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    (wheel,) = place.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(place / "unpacked")
    return place / "unpacked"


def reconcile(unpacked: Path, cwd: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-S", "-c", ALONE, str(unpacked), sysconfig.get_path("purelib"), *words]
    environment = {"PATH": os.environ["PATH"], "HOME": str(cwd)}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def test_the_wheel_has_one_name_of_its_own(unpacked: Path) -> None:
    assert {path.name for path in unpacked.iterdir()} == {"reconciler", "reconciler-0.1.0.dist-info"}
    assert {path.name for path in (unpacked / "reconciler/_parts").iterdir()} == {"lab", "providers", "runner", "stacks"}
    entry = (unpacked / "reconciler-0.1.0.dist-info/entry_points.txt").read_text()
    assert "reconcile = reconciler.__main__:main" in entry


def test_everything_in_the_wheel_is_ours_to_ship(unpacked: Path) -> None:
    """No caches, no tests, and every file of the source."""
    shipped = {str(path.relative_to(unpacked / "reconciler")) for path in (unpacked / "reconciler").rglob("*") if path.is_file()}
    assert not [name for name in shipped if "__pycache__" in name or name.startswith("tests/")]
    tracked = {path for folder in ("providers", "stacks", "runner") for path in (ROOT / folder).rglob("*.py")}
    assert {f"_parts/{path.relative_to(ROOT)}" for path in tracked} <= shipped


def test_the_wheel_alone_shows_its_help(unpacked: Path, tmp_path: Path) -> None:
    done = reconcile(unpacked, tmp_path, "--help")
    assert done.returncode == 0, done.stderr
    assert "Make AWS, Kubernetes and the configuration of nodes match" in " ".join(done.stdout.split())


def test_the_wheel_alone_runs_validate(unpacked: Path, tmp_path: Path) -> None:
    specs = tmp_path / "specs/lab"
    specs.mkdir(parents=True)
    (specs / "environment.yaml").write_text(ENVIRONMENT)
    (specs / "kv.yaml").write_text(SERVICE)
    subprocess.run(["git", "init", "-q", "."], cwd=tmp_path, check=True)
    done = reconcile(unpacked, tmp_path, "validate")
    assert (done.returncode, done.stdout) == (0, "lab: valid\n"), done.stderr
    (specs / "kv.yaml").write_text(SERVICE.replace("redis", "rediss"))
    done = reconcile(unpacked, tmp_path, "validate")
    assert done.returncode == 1
    assert done.stdout == "specs/lab/kv.yaml:4:14: there is no service type rediss. did you mean redis?\n"
