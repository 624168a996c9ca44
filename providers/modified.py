"""When volumes were last modified, from one list of all there are: EBS tells it by no tag. Its failure leaves just the budget unknown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from providers import marked
from reconciler import errors
from reconciler.diff import budget
from reconciler.diff.budget import Modification
from reconciler.model.observation import Observation
from reconciler.ports import Cloud, Payload
from reconciler.resources import marks


@dataclass(frozen=True, slots=True)
class Modifications:
    """The latest modification by volume, at AWS's own time *now*; *unread* is why they are not known, "" where they are."""

    latest: Mapping[str, Modification] = field(default_factory=dict)
    now: datetime | None = None
    unread: str = ""

    def told(self, volume: Observation) -> Observation:
        """*volume* with what is known of its budget."""
        if self.unread:
            return replace(volume, busy=f"its modifications could not be read: {self.unread}")
        tags: Any = volume.fields["tags"]
        latest = self.latest.get(volume.live_id)
        known = budget.history(latest, str(tags.get(marks.MODIFIED, "")))
        if not known:
            return volume
        attributes = {**volume.attributes, budget.HISTORY: budget.remembered(known)}
        return replace(volume, busy=budget.busy(latest, known, self.now), attributes=attributes)


def read(cloud: Cloud) -> Modifications:
    """All that EBS tells. A failure of this alone leaves the volumes themselves read."""
    latest: dict[str, Modification] = {}
    now: datetime | None = None
    try:
        for page in cloud.pages("ec2", "describe_volumes_modifications", MaxResults=marked.PAGE):
            now = _time(page)
            begun = (one for one in page["VolumesModifications"] if one.get("StartTime"))  # a volume that never was may be told of, too
            latest |= {one["VolumeId"]: Modification(one["ModificationState"], one["StartTime"]) for one in begun}
    except errors.ProviderError as error:
        return Modifications(unread=error.message)
    return Modifications(latest, now)


def _time(page: Payload) -> datetime | None:
    """When AWS answered, by its own clock, which is the one that its budget goes by."""
    told = page.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    return parsedate_to_datetime(told) if told else None
