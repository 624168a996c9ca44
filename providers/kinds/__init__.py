"""The kinds of things: a file each, found by its name. Kinds don't import each other."""
