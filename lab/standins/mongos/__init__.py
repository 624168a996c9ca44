"""A stand-in for MongoDB's router, `mongos`: see `lab/README.md` for what it keeps to and what it is not."""
