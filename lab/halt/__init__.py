"""Stops a run's world at a boundary between two effects, so that a test can kill it exactly there. Stands before the lab, one a run."""
