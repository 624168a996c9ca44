"""What a stack builds and a kind observes and declares: one constructor a kind, with the names of its fields and attributes."""
