"""Spec texts → Desired, pure: YAML with positions, one document after another, then what they say of one another."""
