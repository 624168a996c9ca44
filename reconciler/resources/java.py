"""What services that run in a Java virtual machine share: its heap, how it looks names up, and how secrets get into its files. Pure."""

from __future__ import annotations

from reconciler.model.quantity import Quantity

_MIB = 2**20
# The machine forgets a name's old address after as long as the record may be cached.
FRESH_NAMES = "-Dsun.net.inetaddr.ttl=5"
# Functions of bash, which start no process that could be listed with a secret among its words.
# `quoted FILE`: what it holds, between the quotes of a JAAS file. ASCII in octal, whatever it would mean there; the rest in UTF-8.
QUOTED = """\
quoted() {
  local LC_ALL=C text n c
  text=$(<"$1")
  for ((n = 0; n < ${#text}; n++)); do
    c=${text:n:1}
    case $c in [$'\\x01'-$'\\x7f']) printf '\\\\%03o' "'$c" ;; *) printf %s "$c" ;; esac
  done
}
"""
# `escaped TEXT`: the same, as java.util.Properties reads it in whatever encoding: each of its UTF-16 units by number.
ESCAPED = """\
escaped() {
  local LC_ALL=C.UTF-8 n c
  for ((n = 0; n < ${#1}; n++)); do
    printf -v c %d "'${1:n:1}"
    if ((c > 0xffff)); then printf '\\\\u%04x' $((0xd800 + (c - 0x10000 >> 10))) $((0xdc00 + (c & 0x3ff))); else printf '\\\\u%04x' "$c"; fi
  done
}
"""
# Java replaces ${…} in a JAAS file, as in policies: not where this is named by -Djava.security.properties.
SECURITY = "policy.expandProperties=false\n"


def heap_flags(heap: Quantity) -> str:
    """All of the heap from the beginning: what a member needs later it has."""
    return f"-Xms{heap.bytes // _MIB}m -Xmx{heap.bytes // _MIB}m"
