"""What a plan says of components, and how a range becomes single components."""

import time
from pathlib import Path

from providers.memory.records import MemoryRecords
from providers.sqlite import SqliteRecords
from reconciler.components import summary
from reconciler.components.controller import Controller
from reconciler.components.target import host_entries, resolve, targets
from reconciler.model.configuration import Checkout, Configuration, Credentials, Layer, Source
from reconciler.model.document import SecretRef
from reconciler.model.plan import ComponentsSummary
from reconciler.model.work import Clone
from tests.component_samples import Clock, commit, components, configuration, desired
from tests.memory_runner import MemoryRunner

TWO = configuration(commit("a"), commit("b"))


def applied(want: object) -> MemoryRecords:
    """A store in which everything of *want* is configured."""
    records, runner, clock = MemoryRecords(), MemoryRunner(), Clock()
    controller = Controller(records, runner, clock, lambda _clone, _branch: commit("f"))
    while True:
        controller.tick(want, sweep=True)  # type: ignore[arg-type]
        if not records.live():
            return records
        for one in records.live():
            if one.started:
                runner.play(one)


def test_without_a_store_everything_is_pending() -> None:
    want = desired(components("n[001-040]"), configurations=(TWO,))
    assert summary.summarise(want, {}) == (ComponentsSummary("compute", 40, 40, 0, 0, (0, 1)),)


def test_a_plan_shows_what_a_new_commit_will_make_pending() -> None:
    want = desired(components("n[1-3]"), configurations=(TWO,))
    records = applied(want)
    moved = desired(components("n[1-4]"), configurations=(configuration(commit("a"), commit("c")),))
    assert summary.summarise(moved, records.everything(), records.resolved()) == (ComponentsSummary("compute", 4, 4, 0, 0, (0, 1)),)
    fewer = desired(components("n[1-3]"), configurations=(configuration(commit("a"), commit("c")),))
    assert summary.summarise(fewer, records.everything(), records.resolved()) == (ComponentsSummary("compute", 3, 3, 0, 0, (1,)),)
    assert summary.summarise(want, records.everything(), records.resolved()) == (ComponentsSummary("compute", 3, 0, 0, 3),)


def test_a_plan_changes_nothing_and_asks_no_repository() -> None:
    branched = Configuration(name="compute", layers=(Layer(clone_url="https://git/x", playbook="site.yml", branch="main"),))
    want = desired(components("n1"), configurations=(branched,))
    assert summary.summarise(want, {})[0].pending == 1
    records = applied(want)
    assert summary.summarise(want, records.everything(), records.resolved())[0].configured == 1


def test_an_additional_inventory_is_part_of_what_is_applied() -> None:
    want = desired(components("n1"), configurations=(TWO,))
    records = applied(want)
    extra = TWO.model_copy(update={"additional_inventory": Checkout(clone_url="https://git/i", commit=commit("d"))})
    assert summary.summarise(desired(components("n1"), configurations=(extra,)), records.everything())[0].layers == (0, 1)


def test_a_source_gives_url_and_credentials() -> None:
    source = Source(name="ours", clone_url="https://git/ours", credentials=Credentials(secret_ref=SecretRef(name="login", key="token")))
    layered = Configuration(name="compute", layers=(Layer(source="ours", playbook="site.yml", commit=commit("a")),))
    assert resolve(layered, {"ours": source}, None).layers[0].clone == Clone("https://git/ours", commit("a"), "login", "token")
    moved = source.model_copy(update={"clone_url": "https://elsewhere/ours"})
    known = resolve(layered, {"ours": source}, None)
    assert resolve(layered, {"ours": source}, known) is known
    assert resolve(layered, {"ours": moved}, known).layers[0].clone.clone_url == "https://elsewhere/ours"


def test_hosts_have_the_variables_of_their_document_and_their_own() -> None:
    document = components("n[1-2]", groups=("compute",), vars={"user": "root", "port": 22}, hosts={"n2": {"port": 23}}, tags={"rack": "r1"})
    entries = host_entries(desired(document, configurations=(TWO,)), ("n1", "n2", "stranger"))
    assert {id: entry.vars for id, entry in entries.items()} == {"n1": {"user": "root", "port": 22}, "n2": {"user": "root", "port": 23}}
    assert entries["n1"].groups == ("compute",)


def test_only_those_whose_variables_differ_have_other_signatures() -> None:
    want = desired(components("n[1-3]", hosts={"n2": {"port": 23}}), configurations=(TWO,))
    resolved = {"compute": resolve(TWO, {}, None)}
    first, second, third = (target.layers for target in targets(want, resolved))
    assert first == third != second


def test_ten_thousand_components_are_handed_over_and_looked_at_in_seconds(tmp_path: Path) -> None:
    want = desired(components("nid[00001-10000]"), configurations=(TWO,), max_concurrent=5)
    records = SqliteRecords(tmp_path / "store.db", "lab")
    controller = Controller(records, MemoryRunner(), Clock(), lambda _clone, _branch: commit("f"))
    began = time.process_time()
    controller.tick(want, sweep=True)
    first = time.process_time() - began
    controller.tick(want, sweep=True)
    again = time.process_time() - began - first
    assert controller.standings(want)[0].summary.pending == 10_000
    records.close()
    assert first < 5.0
    assert again < 2.0
