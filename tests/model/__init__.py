"""A model of the whole: what git declares, what outsiders do, and what must hold after every run, against the world in memory."""
