"""What a commit declares for one environment, whole and checked: everything after `load` starts from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reconciler.model.address import ResourceId
    from reconciler.model.component import Components
    from reconciler.model.configuration import Configuration, Source
    from reconciler.model.environment import Environment
    from reconciler.model.origin import Fault, Revision
    from reconciler.model.resource import Resource
    from reconciler.model.service import Service


@dataclass(frozen=True, slots=True)
class Desired:
    """The desired state. Services are in the order of their names; Components stay ranges.

    *held* names the services that are left as they are, each with the fault of its document or of one that it depends on. Those whose
    own documents are sound are among *services* all the same; those with faults of their own are not. *lost* says why not everything
    that git declares is known here, "" where it is: then nothing is removed. *faults* are all that was found wrong, in file order.
    """

    environment: Environment
    revision: Revision
    services: Sequence[Service] = ()
    resources: Mapping[ResourceId, Resource] = field(default_factory=dict)
    configurations: Mapping[str, Configuration] = field(default_factory=dict)
    sources: Mapping[str, Source] = field(default_factory=dict)
    components: tuple[Components, ...] = ()
    held: Mapping[str, str] = field(default_factory=dict)
    lost: str = ""
    faults: tuple[Fault, ...] = ()

    def service(self, name: str) -> Service | None:
        """The service of that name; None where none is declared."""
        return next((service for service in self.services if service.name == name), None)
