"""Stand-ins for servers that no registry has: each speaks its server's own protocol and keeps its state machine."""
