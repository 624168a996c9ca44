"""How partitions are moved off brokers that leave: Kafka's own tools, and awk between them. What is there says what is left to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reconciler.model.initialise import LOOK, Next, Said, Script
from stacks._kafka_login import Entry

_WITHIN = 600  # seconds for asking for it; how long the moving takes is seen by looks

# Partitions, one a line: topic, number, brokers that hold it, those among them that it is being moved off.
_PARTITIONS = """\
partitions() {
  "$bin/kafka-topics.sh" "${at[@]}" --describe | awk -F '\\t' '
    function of(name,  n) { for (n = 2; n <= NF; n++) if (index($n, name ": ") == 1) return substr($n, length(name) + 3); return "" }
    /^\\tTopic: / { print of("Topic") "\\t" of("Partition") "\\t" of("Replicas") "\\t" of("Removing Replicas") }'
  return "${PIPESTATUS[0]}"
}
"""
# Of those that leave: how many replicas they hold, how many of these are on their way; and how many partitions have nowhere to go.
_LOOK = """\
found=$(partitions) || exit 1
count() {
  awk -F '\\t' -v leaving="$leaving" -v staying="$staying" '
    BEGIN { split(leaving, list, " "); for (n in list) goes[list[n]]; stay = split(staying, list, " ") }
    {
      replicas = split($3, has, ","); gone = split($4, off, ","); bound = 0
      delete moving; for (n in off) moving[off[n]]
      for (n in has) if (has[n] in goes) { held++; if (has[n] in moving) away++; else bound++ }
      if (bound && replicas - gone > stay) stuck++
    }
    END { print held + 0, away + 0, stuck + 0 }'
}
read -r held away stuck <<<"$(count <<<"$found")"
say "{\\"held\\": $held, \\"away\\": $away, \\"stuck\\": $stuck}"
"""
# In the place of each replica that leaves comes the broker that stays, has none of the partition, and was given the fewest so far.
_MOVE = """\
set -eo pipefail
plan() {
  awk -F '\\t' -v leaving="$leaving" -v staying="$staying" '
    BEGIN {
      split(leaving, list, " "); for (n in list) goes[list[n]]
      stay = split(staying, stays, " "); printf "{\\"version\\": 1, \\"partitions\\": ["
    }
    $4 == "" {
      replicas = split($3, has, ","); moved = 0
      delete there; for (n = 1; n <= replicas; n++) there[has[n]]
      for (n = 1; n <= replicas; n++) if (has[n] in goes) {
        best = ""
        for (k = 1; k <= stay; k++) if (!(stays[k] in there) && (best == "" || given[stays[k]] + 0 < given[best] + 0)) best = stays[k]
        if (best == "") continue
        there[best]; given[best]++; has[n] = best; moved = 1
      }
      if (!moved) next
      line = ""; for (n = 1; n <= replicas; n++) line = line (n > 1 ? "," : "") has[n]
      printf "%s{\\"topic\\": \\"%s\\", \\"partition\\": %s, \\"replicas\\": [%s]}", (some++ ? ", " : ""), $1, $2, line
    }
    END { print "]}" }'
}
partitions | plan > /tmp/moves.json
"$bin/kafka-reassign-partitions.sh" "${at[@]}" --reassignment-json-file /tmp/moves.json --execute --additional
"""


@dataclass(frozen=True, slots=True)
class Moves:
    """Off the brokers that are *leaving* to those that are *staying*, by the tools in *bin*, which come in by the *entry*."""

    bin: str
    entry: Entry
    staying: Sequence[int]
    leaving: Sequence[int]

    @property
    def look(self) -> Script:
        return Script(LOOK, f"{self._begin}{_LOOK}", _WITHIN)

    def next(self, said: Said) -> Next:
        """What is not on its way yet is sent there; what is, is waited for."""
        if said["stuck"]:
            return f"{said['stuck']} partitions have no more replicas than the {len(self.staying)} brokers that stay"
        if said["held"] > said["away"]:
            return Script(f"move partitions off {_words(self.leaving, ', ')}", f"{self._begin}{_MOVE}", _WITHIN)
        return f"{said['held']} replicas of partitions have moved" if said["held"] else None

    @property
    def _begin(self) -> str:
        told = f"bin={self.bin} leaving='{_words(self.leaving)}' staying='{_words(self.staying)}'"
        return f"{self.entry.begin}{told}\n{_PARTITIONS}"


def _words(numbers: Sequence[int], between: str = " ") -> str:
    return between.join(map(str, numbers))
