"""The inventory of a session, exactly its hosts: written as JSON, which is YAML. An additional inventory is read after it and wins."""

from __future__ import annotations

import json
from typing import Any

from reconciler.model.work import Work
from runner.place import Place


def write(work: Work, place: Place) -> None:
    """The inventory, and the limit: whatever an additional inventory brings along, the session touches its own hosts only."""
    place.inventory.parent.mkdir(parents=True, exist_ok=True)
    place.inventory.write_text(json.dumps(tree(work), indent=1) + "\n", encoding="utf-8")
    place.limit.write_text("".join(f"{host}\n" for host in work.limit), encoding="utf-8")


def tree(work: Work) -> dict[str, Any]:
    """As Ansible's yaml plugin reads it."""
    groups: dict[str, Any] = {name: {"hosts": dict.fromkeys(members)} for name, members in sorted(work.groups.items())}
    return {"all": {"hosts": {host: dict(work.hosts[host]) for host in work.limit}, "children": groups}}


def sources(place: Place) -> str:
    """What ANSIBLE_INVENTORY is set to."""
    return ",".join(str(path) for path in (place.inventory, place.additional) if path.exists())
