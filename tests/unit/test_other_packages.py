"""Service types of other installed packages: found by their entry points, and never in the way of ours."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from reconciler import kinds
from reconciler.errors import UsageError
from tests.unit.specs import service
from tests.unit.test_load import outcome

REDIS = Path(__file__).parents[2] / "stacks" / "redis.py"


def install(place: Path, name: str, text: str, *, entry: str = "queue", version: str = "1.2") -> None:
    """A package as pip leaves it in *place*: a module, and what says that it has a service type."""
    package = name.replace("-", "_")
    (place / package).mkdir()
    (place / package / "__init__.py").touch()
    (place / package / "queue.py").write_text(text)
    told = place / f"{package}-{version}.dist-info"
    told.mkdir()
    (told / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (told / "entry_points.txt").write_text(f"[reconciler.stacks]\n{entry} = {package}.queue\n")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_a_type_of_another_package_is_one_like_ours(place: Path) -> None:
    ours = kinds.service_types()
    install(place, "one-queue", REDIS.read_text().replace('name="redis"', 'name="queue"'))
    found = kinds.service_types()
    assert set(found) - set(ours) == {"queue"}
    assert (found["queue"].origin, found["redis"].origin) == ("one-queue 1.2", "")
    assert found["queue"].resources.__module__ == "one_queue.queue"


def test_a_service_of_that_type_loads(place: Path) -> None:
    text = service("jobs", "volumes: {data: {size: 1Gi}}", "queue")
    name, faults = outcome(text, kinds.service_types())
    assert (name, [fault.message for fault in faults]) == ("", ["there is no service type queue"])
    install(place, "two-queue", REDIS.read_text().replace('name="redis"', 'name="queue"'))
    assert outcome(text, kinds.service_types()) == ("lab", ())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (REDIS.read_text(), "bad-queue 1.2 has a service type redis, which this program has as well"),
        ("import nothing_of_that_name", "the service type queue of bad-queue 1.2 cannot be loaded: ModuleNotFoundError"),
        ("", "bad_queue.queue of bad-queue 1.2 is no service type"),
    ],
    ids=["a name that is taken", "broken", "none"],
)
def test_what_is_wrong_with_it_names_the_package(text: str, words: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("bad_queue", "bad_queue.queue"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    install(place, "bad-queue", text)
    with pytest.raises(UsageError, match=words):
        kinds.service_types()
