"""`make verify-aws`: the main job against a real account and cluster with the real plugins, opt-in, cleaned up by tags whatever happens."""
