"""The version of this program, as `pyproject.toml` has it."""

from importlib.metadata import version

VERSION = version("reconciler")
