"""What stands where the text of a file should."""

from __future__ import annotations


class Unreadable(bytes):
    """In a file's place where there is none to be read; its content says why, in words that follow the path."""

    __slots__ = ()
