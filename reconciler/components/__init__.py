"""The component side: which layers a component still needs, in which sessions it gets them, and what came of it."""
