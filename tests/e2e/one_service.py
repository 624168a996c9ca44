"""The smallest environment that has something to apply: one zone, one Redis with a volume."""

from __future__ import annotations

PATH = "specs/lab/services/kv.yaml"
ENVIRONMENT = """\
apiVersion: reconciler/v1
kind: Environment
metadata: {name: lab}
spec: {zones: [us-east-1a]}
"""
SERVICE = """\
apiVersion: reconciler/v1
kind: Service
metadata: {name: kv}
spec:
  type: redis
  replicas: 1
  volumes: {data: {size: 3Gi}}
"""
