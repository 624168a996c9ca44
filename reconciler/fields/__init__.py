"""Fields of resources: where they stand, who owns them, and whether two values mean the same."""
