"""Where in git a thing stands, and what is wrong there."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, order=True)
class Origin:
    """A place in a spec; line and column count from 1, 0 where only the file is known."""

    path: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}" if self.line else self.path


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One error of a spec, printed as `path:line:column: what. hint`. *also* is where the other documents begin that it is about."""

    origin: Origin
    message: str
    hint: str = ""
    also: tuple[Origin, ...] = field(default=(), compare=False)

    def __str__(self) -> str:
        text = f"{self.origin}: {self.message.removesuffix('.')}"
        return f"{text}. {self.hint}" if self.hint else text


@dataclass(frozen=True, slots=True)
class Revision:
    """A commit of the specs: *commit* is its hash ("" for a working tree with changes), *tree* the hash of `specs/<environment>`."""

    commit: str
    tree: str
    environment: str

    @property
    def short(self) -> str:
        return self.commit[:7] or "the working tree"
