"""One file per service type: spec → resources, and how it initialises. Found by file name."""
