"""Every line that touches the outside: an adapter a file, and `kinds/`, a file per kind of thing. Siblings never import each other."""
