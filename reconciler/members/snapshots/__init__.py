"""Snapshots of services: taken on a schedule by whoever places members, all volumes of a service as close together as EBS allows."""
