"""The nouns, a module each: frozen, without I/O, and the only things that cross a boundary."""
