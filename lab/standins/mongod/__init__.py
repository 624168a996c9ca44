"""A stand-in for `mongod`, MongoDB's server, which is in no registry: wire protocol, replica sets, log-in. lab/README.md has its limits."""
