"""A run's way to the lab by wires that can be cut, and the faults that its AWS is told to have; otherwise as `lab.halt.station`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from lab import defaults
from lab.aws.client import Switches
from lab.aws.faults import Kind
from lab.halt.effects import Effects
from lab.layout import Layout
from tests.e2e.wire import Wire


@dataclass
class Line:
    """Leads to the lab *running*; *wires* are those to AWS and to the API server."""

    running: Layout
    effects: Effects = field(default_factory=Effects)
    wires: dict[str, Wire] = field(default_factory=dict)
    _stack: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        ports = {"aws": self.running.aws.endpoint, "kubernetes": self.running.kubernetes.server}
        self.wires = {name: self._stack.enter_context(Wire(urlsplit(url).port or 0)) for name, url in ports.items()}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.switches.lift()
        self._stack.close()

    @property
    def switches(self) -> Switches:
        return Switches(self.running.aws.endpoint)

    @contextmanager
    def fault(self, kind: Kind, *, match: dict[str, str] | None = None, **more: Any) -> Iterator[int]:
        """*kind* befalls the calls that *match* names, for as long as this lasts."""
        number = self.switches.order(kind, match=match, **more)
        try:
            yield number
        finally:
            self.switches.lift(number)

    def hits(self, number: int) -> int:
        """How often the fault of that number has struck."""
        return next(int(one["hits"]) for one in self.switches.faults() if one["id"] == number)

    def cut(self) -> None:
        """Take the network away."""
        for wire in self.wires.values():
            wire.cut()

    def mend(self) -> None:
        for wire in self.wires.values():
            wire.mend()

    def settle(self, directory: Path, environment: str) -> Path:
        """Make *directory* one where runs of *environment* go by these wires, with store and engine state of its own; their folder."""
        own = directory / ".reconcile" / environment
        own.mkdir(parents=True, exist_ok=True)
        told = defaults.defaults(self.running)
        spec = told["spec"]
        engine = {**spec["engine"], "backend": f"file://{own}/engine", "kubeconfig": self._cluster(own, "engine")}
        ours = {
            "aws": {**spec["aws"], "endpoint": f"http://127.0.0.1:{self.wires['aws'].here}"},
            "kubernetes": {"kubeconfig": self._cluster(own, "reconciler")},
            "engine": engine,
            "members": {**spec["members"], "kubeconfig": self._cluster(own, "members")},
            "store": f"sqlite:///{own}/store/store.db",
        }
        (own / "store").mkdir()
        process = {**told["process"], "PULUMI_HOME": f"{self.running.dir}/reconciler/pulumi", "PULUMI_CONFIG_PASSPHRASE": "lab"}
        (own / defaults.FILE).write_text(json.dumps({**told, "spec": {**spec, **ours}, "process": process}, indent=1))
        return own

    def _cluster(self, folder: Path, role: Any) -> str:
        """The kubeconfig of *role*, by our own wire."""
        text = Path(self.running.kubernetes.kubeconfigs[role]).read_text()
        server = self.running.kubernetes.server
        assert server in text
        path = folder.with_name(f"{folder.name}-{role}.kubeconfig")
        path.write_text(text.replace(server, f"https://127.0.0.1:{self.wires['kubernetes'].here}"))
        return str(path)
