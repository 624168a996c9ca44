"""The machine's own clock, for tests in which real programs take their time."""

from __future__ import annotations

import threading

from providers.clock import SystemClock

WALL = SystemClock(threading.Event())
