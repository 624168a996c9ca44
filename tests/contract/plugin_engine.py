"""A process that starts a plugin and asks it for a create, as the engine does; it may be killed while it waits."""

from __future__ import annotations

import json
import subprocess
import sys

import grpc
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from lab.plugins import properties

launcher, settings, token, news = sys.argv[1:]
plugin = subprocess.Popen([launcher, "127.0.0.1:1"], stdout=subprocess.PIPE, text=True, start_new_session=True)
assert plugin.stdout is not None
port = plugin.stdout.readline().strip()
sys.stdout.write(f"{plugin.pid}\n")
sys.stdout.flush()
stub = provider_pb2_grpc.ResourceProviderStub(grpc.insecure_channel(f"127.0.0.1:{port}"))
stub.Configure(provider_pb2.ConfigureRequest(args=properties.encode(json.loads(settings))))
stub.Create(provider_pb2.CreateRequest(urn=f"urn:pulumi:s::p::{token}::x", properties=properties.encode(json.loads(news))))
