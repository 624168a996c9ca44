"""Telling the API server what became of a Pod. That the Pod is gone, or another by now, is no trouble: the mirror will say so."""

from __future__ import annotations

import time

from lab.agent import status
from lab.agent.api import CONFLICT, NOT_FOUND, STRATEGIC, Api, ApiError, pod_path
from lab.agent.state import Json, PodState


async def tell(api: Api, pod: Json, state: PodState, host: str) -> Json | None:
    """Write the Pod's status where it differs from what the API server has; the Pod as it is then, None if nothing was written."""
    live = pod.get("status", {})
    wanted = status.build(pod, state, host, time.time())
    if not status.differs(wanted, live):
        return None
    body = {"metadata": {"uid": pod["metadata"]["uid"]}, "status": status.patch(wanted, live)}
    try:
        return await api.patch(f"{pod_path(pod)}/status", body, STRATEGIC)
    except ApiError as error:
        if error.status not in (NOT_FOUND, CONFLICT):
            raise
        return None


async def remove(api: Api, pod: Json) -> None:
    """Let the API server forget the Pod: nothing of it runs any more."""
    body = {"gracePeriodSeconds": 0, "preconditions": {"uid": pod["metadata"]["uid"]}}
    try:
        await api.delete(pod_path(pod), body)
    except ApiError as error:
        if error.status not in (NOT_FOUND, CONFLICT):
            raise
