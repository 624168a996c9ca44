"""Botocore's own descriptions of services, read as little as possible: EC2's alone has eight hundred operations, and a plan asks for five.

Text stays text until somebody looks at it. Nothing is left out of a description but, on demand, operations that will not be used.
"""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from botocore import loaders

_PARTS = frozenset({"operations", "shapes"})  # of a description; the rest is small
_Texts = dict[str, msgspec.Raw]


class Loader(loaders.Loader):
    """Finds and reads descriptions as botocore's does; of operations those that *keep* says."""

    def __init__(self, extra_search_paths: list[str] | None = None, keep: Callable[[str], bool] = lambda _: True) -> None:
        super().__init__(extra_search_paths=extra_search_paths, file_loader=_Files(keep))

    def list_available_services(self, _type_name: str) -> list[str]:
        """Every service there is; botocore looks into four hundred folders to learn which of them have a file of the type."""
        return sorted({entry.name for path in self.search_paths if Path(path).is_dir() for entry in os.scandir(path) if entry.is_dir()})


class _Files(loaders.JSONFileLoader):
    """Reads one file, whose name comes without its suffix."""

    def __init__(self, keep: Callable[[str], bool]) -> None:
        self._keep = keep

    def exists(self, file_path: str) -> bool:
        return any(Path(f"{file_path}{suffix}").is_file() for suffix in (".json", ".json.gz"))

    def load_file(self, file_path: str) -> Any:
        """The document; None where there is none, which lets botocore look elsewhere."""
        for suffix, opened in ((".json", bytes), (".json.gz", gzip.decompress)):
            path = Path(f"{file_path}{suffix}")
            if path.is_file():
                content = opened(path.read_bytes())
                return self._described(content) if path.name.startswith("service-2.json") else msgspec.json.decode(content)
        return None

    def _described(self, content: bytes) -> dict[str, Any]:
        parts = msgspec.json.decode(content, type=_Texts)
        whole = {name: msgspec.json.decode(part) for name, part in parts.items() if name not in _PARTS}
        texts = {name: msgspec.json.decode(parts[name], type=_Texts) for name in _PARTS if name in parts}
        texts["operations"] = {name: text for name, text in texts.get("operations", {}).items() if self._keep(name)}
        return whole | {name: _Lazy(part) for name, part in texts.items()}


class _Lazy(dict[str, Any]):
    """A mapping whose values are parsed when they are first asked for."""

    def __getitem__(self, name: str) -> Any:
        found = super().__getitem__(name)
        if isinstance(found, msgspec.Raw):
            found = self[name] = msgspec.json.decode(found)
        return found

    def get(self, name: str, default: Any = None) -> Any:
        try:
            return self[name]
        except KeyError:
            return default

    def values(self) -> Any:
        return [self[name] for name in self]

    def items(self) -> Any:
        return [(name, self[name]) for name in self]
