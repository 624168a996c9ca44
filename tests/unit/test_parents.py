"""What a service sees of those that it depends on: their members' names in its configuration; faults where they are not what it needs."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from providers.shelf import FileShelf
from reconciler.model.origin import Revision
from reconciler.model.text import Texts
from reconciler.specs import load
from tests.memory_world import ENVIRONMENT, TYPES, MemoryWorld, desired, loaded

PLACE = "specs/lab/services.yaml"
SEARCH = """\
apiVersion: reconciler/v1
kind: Service
metadata: {name: search}
spec: {type: opensearch, volumes: {data: {size: 10Gi}}, replicas: 3}
"""
KV = """\
---
apiVersion: reconciler/v1
kind: Service
metadata: {name: kv}
spec: {type: redis, volumes: {data: {size: 10Gi}}, replicas: 1}
"""
PAGES = """\
---
apiVersion: reconciler/v1
kind: Service
metadata: {name: pages}
spec:
  type: dashboards
  replicas: 1
  dependsOn: [search]
"""


def hosts(text: str) -> str:
    """The line of the child's configuration that names its parent's members."""
    config = next(one for id, one in desired(text).resources.items() if "ConfigMap/default/pages" in id.name)
    data: Any = config.fields["data"]
    return next(line for line in data["pages-0.yml"].splitlines() if line.startswith("opensearch.hosts"))


def faults(text: str) -> list[str]:
    return [str(fault) for fault in loaded(text).faults]


def test_f22_a_parents_members_stand_in_the_childs_configuration_by_name_wherever_the_parent_is_declared() -> None:
    wanted = (
        'opensearch.hosts: ["http://search-0.db.internal:9200", "http://search-1.db.internal:9200", "http://search-2.db.internal:9200"]'
    )
    assert hosts(SEARCH + PAGES) == hosts(PAGES.removeprefix("---\n") + f"---\n{SEARCH}") == wanted


def test_f22_trap_38_a_scaled_parent_is_wholly_known_to_its_child_and_rolls_it() -> None:
    world = MemoryWorld()
    assert world.converge(SEARCH + PAGES).ok
    plan = world.plan(desired(SEARCH.replace("replicas: 3", "replicas: 4") + PAGES)).plan
    impacts = {str(change.id): change.impact for change in plan.changes if change.action == "update" and change.stack == "pages"}
    assert impacts == {
        "kubernetes/lab/pages/ConfigMap/default/pages-config": "",
        "kubernetes/lab/pages/StatefulSet/default/pages": "restarts pages-0",
    }


def test_a_parent_is_known_under_the_names_that_its_members_kept_when_it_was_renamed() -> None:
    renamed = SEARCH.replace("name: search", "name: find").replace("replicas: 3", "replicas: 1, movedFrom: {name: search}")
    assert hosts(renamed + PAGES.replace("[search]", "[find]")) == 'opensearch.hosts: ["http://search-0.db.internal:9200"]'


def test_f22_a_parent_of_another_type_is_refused_where_it_is_named() -> None:
    assert faults(SEARCH + KV + PAGES.replace("[search]", "[search, kv]")) == [
        f"{PLACE}:17:23: kv is of type redis, and a service of type dashboards depends on opensearch. name another, or leave it out"
    ]


def test_f22_no_parent_and_two_are_refused() -> None:
    assert faults(PAGES.replace("  dependsOn: [search]\n", "")) == [
        f"{PLACE}:6:3: a service of type dashboards needs one of type opensearch. add dependsOn: [NAME]"
    ]
    other = f"---\n{SEARCH.replace('name: search', 'name: other')}"
    assert faults(SEARCH + other + PAGES.replace("[search]", "[search, other]")) == [
        f"{PLACE}:17:14: a service of type dashboards has one parent of type opensearch, and these are 2. leave one"
    ]


def test_f22_a_parent_that_nobody_declares_is_one_fault_not_two() -> None:
    assert faults(KV + PAGES.replace("[search]", "[serach]")) == [f"{PLACE}:13:15: there is no Service serach. there are kv, pages"]


def test_a_parent_with_a_fault_holds_its_child_and_blames_it_for_nothing() -> None:
    found = loaded(SEARCH.replace("10Gi", "10Gx") + PAGES)
    assert [str(fault.origin) for fault in found.faults] == [f"{PLACE}:4:49"]
    assert set(found.held) == {"search", "pages"}


def test_an_older_parent_is_refused() -> None:
    assert faults(
        SEARCH.replace("opensearch,", 'opensearch, version: "3.5.0",') + PAGES.replace("  replicas", '  version: "3.6.0"\n  replicas')
    ) == [f"{PLACE}:11:12: 3.6.0 does not work with search, which has 3.5.0: it must be of that major and no newer. choose 3.5.0"]


def test_what_was_found_out_about_a_child_is_found_out_anew_once_its_parent_is_another(tmp_path: Path) -> None:
    shelf = FileShelf(tmp_path / "kept.db")
    assert told(SEARCH, shelf) == told(SEARCH, shelf) == []
    other = told(KV.removeprefix("---\n").replace("name: kv", "name: search"), shelf)
    assert len(other) == 1
    assert "search is of type redis" in other[0]
    assert told(SEARCH, shelf) == []
    assert len(told(SEARCH.replace("10Gi", "10Gx"), shelf)) == 1


def told(parent: str, shelf: FileShelf) -> list[str]:
    """The faults of *parent* and its child, each a file of its own, where *shelf* keeps what is found out."""
    texts = {"environment": ENVIRONMENT, "parent": parent, "child": PAGES.removeprefix("---\n")}
    paths = {f"specs/lab/{name}.yaml": text.encode() for name, text in texts.items()}
    blobs = {path: hashlib.sha1(text, usedforsecurity=False).hexdigest() for path, text in paths.items()}
    return [str(one) for one in load.load(Texts(paths, blobs), Revision("", "", "lab"), TYPES, shelf=shelf).faults]
