"""What Kafka's members do only once all of them can: the features of a release, finalised after the last of them runs it.

https://kafka.apache.org/41/getting-started/upgrade/: until then they write what the former release reads. One request changes all features,
or none, and the active controller refuses what a broker or controller does not support.
"""

from __future__ import annotations

from reconciler.model.initialise import Next, Script
from stacks._kafka_login import Entry

PATIENCE = 60  # seconds for a look: an answer comes from the controllers' quorum
_METADATA = "metadata.version"  # the one feature that each release has anew


def look(tools: str, entry: Entry) -> str:
    """Lines that leave in `finalised` the level of the metadata's version, such as 4.1-IV1; nothing where nobody says."""
    return f"""\
{entry.begin}finalised=$(timeout {PATIENCE} {tools}/kafka-features.sh "${{at[@]}}" describe 2> /dev/null |
  sed -n 's/^Feature: {_METADATA}[[:space:]].*FinalizedVersionLevel: *\\([^[:space:]]*\\).*/\\1/p')
"""


def lacking(tools: str, entry: Entry, version: str, finalised: str) -> Next:
    """Those of *version* are finalised where an earlier release's are; where a later one's are, nobody goes back."""
    if not finalised:
        return "it says which release's features it uses"
    release = ".".join(version.split(".")[:2])
    if _numbers(finalised.partition("-")[0]) >= _numbers(release):
        return None
    text = f'{entry.begin}{tools}/kafka-features.sh "${{at[@]}}" upgrade --release-version {release}\n'
    return Script(f"finalise the features of {release}", text)


def _numbers(release: str) -> list[int]:
    return [int(word) for word in release.split(".")]
