"""`python -m benchmarks.peer_program import|preview one|each`: the same resources under Pulumi alone, in one stack or a stack a service.

The program is inline, which spares the peer a language host and an interpreter a stack. Its state is made as ours is: the first service
by a real `pulumi up` that imports what is live, the others after it; `preview` must then find nothing to do. Prints its costs as JSON.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from pulumi import automation
from pulumi_aws import route53

from benchmarks import seed, town
from providers import checkpoints
from providers.aws import Aws
from providers.kubernetes import Kubernetes
from providers.observe import observe
from providers.pulumi.program import Program
from providers.pulumi.writers import Writers
from reconciler import bootstrap, kinds
from reconciler.model.address import SHARED, ResourceId
from reconciler.model.change import Change
from reconciler.model.desired import Desired
from reconciler.model.observation import Observed
from reconciler.model.resource import Resource
from reconciler.ports import StackRun

ALL = "all"
PARALLEL = 8  # steps a stack, as the product's engine has
AT_ONCE = min(PARALLEL, 2 * (os.cpu_count() or 1))  # stacks, as the product's executor runs


@dataclass
class Peer:
    """Pulumi with a file backend in *folder*, declaring what *desired* declares."""

    folder: Path
    desired: Desired

    @cached_property
    def observed(self) -> Observed:
        """What is live, for its ids."""
        environment = self.desired.environment
        cloud = Aws(environment.region, endpoint=str(environment.aws.endpoint))
        return observe(environment, self.kinds, cloud, Kubernetes())

    @cached_property
    def kinds(self) -> Mapping[str, kinds.Kind]:
        return kinds.kinds()

    @property
    def _declaring(self) -> Mapping[str, Any]:
        return {**self.kinds, "record": _Record(self.kinds["record"])}

    @cached_property
    def resources(self) -> tuple[Resource, ...]:
        """All that is declared; records too, with the values that they have: nobody else would write them."""
        return tuple(self._whole(one) for one in self.desired.resources.values())

    def _whole(self, one: Resource) -> Resource:
        if one.owner == "engine":
            return one
        values = self.observed.live[one.id][0].fields["values"]
        return replace(one, owner="engine", fields={**one.fields, "values": values})

    def stacks(self) -> list[str]:
        return [SHARED, *(service.name for service in self.desired.services)]

    def run(self, stack: str, *, adopting: bool = False) -> StackRun:
        mine = tuple(one for one in self.resources if stack in {one.stack, ALL})
        live = {one.id: self.observed.live[one.id][0] for one in self.resources}
        changes = tuple(Change(one.id, "adopt", "engine", "", stack, live_id=live[one.id].live_id) for one in mine) if adopting else ()
        attributes: dict[ResourceId, Mapping[str, str]] = {id: one.attributes for id, one in live.items()}
        return StackRun(self.desired.revision, stack, mine, changes, attributes)

    def stack(self, stack: str, *, adopting: bool = False) -> automation.Stack:
        name = checkpoints.name(town.ENVIRONMENT, stack)
        folder = self.folder / "work" / name
        folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "engine" / ".pulumi").mkdir(parents=True, exist_ok=True)
        backend = automation.ProjectBackend(f"file://{self.folder}/engine?metadata=skip")
        workspace = automation.LocalWorkspace(
            work_dir=str(folder),
            program=Program(
                self.run(stack, adopting=adopting),
                self._declaring,
                Writers(self.desired.environment),
            ),
            project_settings=automation.ProjectSettings(checkpoints.PROJECT, "python", backend=backend),
            env_vars={"PULUMI_SKIP_UPDATE_CHECK": "1", "PULUMI_K8S_ENABLE_PATCH_FORCE": "true"},
        )
        return automation.Stack.create_or_select(name, workspace)

    def adopt(self) -> None:
        """State for every stack: the shared one's and the sample's by the engine, the others' after the sample's, and one of all."""
        for stack in (SHARED, town.SAMPLE):
            self.stack(stack, adopting=True).up(refresh=True, parallel=PARALLEL)
        sample = self._ids(town.SAMPLE)
        others = {service.name: self._ids(service.name) for service in self.desired.services if service.name != town.SAMPLE}
        seed.clone(self.folder / "engine", checkpoints.PROJECT, sample, others)
        seed.settings(list(others), self.folder / "work")
        self.stack(ALL)
        folder = self.folder / "engine" / ".pulumi" / "stacks" / checkpoints.PROJECT
        names = [checkpoints.name(town.ENVIRONMENT, one) for one in self.stacks()]
        merged = merge([json.loads((folder / f"{name}.json").read_text()) for name in names], names)
        (folder / f"{checkpoints.name(town.ENVIRONMENT, ALL)}.json").write_text(json.dumps(merged))

    def _ids(self, service: str) -> dict[str, str]:
        found = {str(one.id): self.observed.live[one.id][0] for one in self.resources if one.stack == service and one.id.kind != "record"}
        return {id: one.attributes.get("uid") or one.live_id for id, one in found.items()}

    def preview(self, stacks: list[str]) -> dict[str, int]:
        """What `pulumi preview --refresh` says of *stacks*, a number of them at once: how many resources of each operation."""
        counts: dict[str, int] = {}
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for summary in pool.map(self._preview, stacks):
                for operation, count in summary.items():
                    counts[operation] = counts.get(operation, 0) + count
        return counts

    def _preview(self, stack: str) -> dict[str, int]:
        summary = self.stack(stack).preview(refresh=True, parallel=PARALLEL).change_summary
        return {str(operation): count for operation, count in summary.items()}


class _Record:
    """The kind `record`, declared without `allow_overwrite`, which an imported record does not have: each preview would want to add it."""

    def __init__(self, kind: kinds.Kind) -> None:
        self._kind = kind

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kind, name)

    def declare(self, resource: Resource, fields: Mapping[str, Any], options: Any) -> Mapping[str, Any]:
        given = {name: fields[name] for name in ("type", "ttl")}
        made = route53.Record(
            str(resource.id), zone_id=fields["zone"], name=resource.id.name, **given, records=fields["values"], opts=options
        )
        return {"": made, "fqdn": made.fqdn}


def merge(documents: list[dict[str, Any]], names: list[str]) -> dict[str, Any]:
    """One checkpoint that holds what *documents* hold, the stacks' own roots and providers once."""
    whole = checkpoints.name(town.ENVIRONMENT, ALL)
    first = _renamed(documents[0], names[0], whole)
    resources: dict[str, Any] = {}
    providers: dict[str, str] = {}
    for document, name in zip(documents, names, strict=True):
        for one in _renamed(document, name, whole)["checkpoint"]["latest"]["resources"]:
            if "::pulumi:providers:" in one["urn"]:
                providers.setdefault(one["urn"], one["id"])
            if one.get("provider"):
                urn = one["provider"].rpartition("::")[0]
                one["provider"] = f"{urn}::{providers[urn]}"
            resources.setdefault(one["urn"], one)
    first["checkpoint"]["latest"]["resources"] = list(resources.values())
    return first


def _renamed(document: dict[str, Any], name: str, whole: str) -> dict[str, Any]:
    """*document* as that of the stack *whole*; an address has no stack's name in it, since that has a dot."""
    renamed: dict[str, Any] = json.loads(json.dumps(document).replace(name, whole))
    return renamed


def _cpu() -> Iterator[float]:
    """Seconds of CPU of this process, and of those that it has started and waited for."""
    for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        used = resource.getrusage(whose)
        yield used.ru_utime + used.ru_stime


def main() -> None:
    work, form = sys.argv[1:]
    peer = Peer(Path.cwd() / "peer", bootstrap.load(os.environ["RECONCILE_REPO"], None, town.ENVIRONMENT))
    if work == "import":
        peer.adopt()
        return
    stacks = [ALL] if form == "one" else peer.stacks()
    peer.run(stacks[0])  # what is observed for its ids is no part of the peer's work
    began, before = time.perf_counter(), tuple(_cpu())
    counts = peer.preview(stacks)
    seconds, (own, theirs) = time.perf_counter() - began, tuple(_cpu())
    cpu = own - before[0] + theirs - before[1]
    print(json.dumps({"seconds": round(seconds, 3), "cpu": round(cpu, 3), "stacks": len(stacks), "operations": counts}))


if __name__ == "__main__":
    main()
