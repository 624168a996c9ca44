"""Pods in a lab: what a real kubelet would make of them. Each test has names of its own in a namespace of this module."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from lab import layout
from lab.layout import Layout
from tests.integration.kube import Kube, container, shell

pytestmark = pytest.mark.integration

WHO = """
import json, os, ssl, urllib.request
folder = "/var/run/secrets/kubernetes.io/serviceaccount/"
server = f"https://{os.environ['KUBERNETES_SERVICE_HOST']}:{os.environ['KUBERNETES_SERVICE_PORT']}"
review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
headers = {"Authorization": "Bearer " + open(folder + "token").read(), "Content-Type": "application/json"}
request = urllib.request.Request(server + "/apis/authentication.k8s.io/v1/selfsubjectreviews", json.dumps(review).encode(), headers)
answer = urllib.request.urlopen(request, context=ssl.create_default_context(cafile=folder + "ca.crt"))
print(json.load(answer)["status"]["userInfo"]["username"])
"""


@pytest.fixture(scope="module")
def kube(lab: Layout) -> Iterator[Kube]:
    found = Kube(lab, "agent-pods")
    found.ctl("create", "namespace", found.namespace)
    found.ctl("wait", "--for=create", "serviceaccount/default", "--timeout=20s")
    yield found
    found.ctl("delete", "namespace", found.namespace, "--timeout=60s")


def test_a_pod_runs_its_command_with_its_environment_and_its_name(kube: Kube) -> None:
    kube.apply(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "words"}, "data": {"greeting": "hello"}},
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys"}, "stringData": {"TOKEN": "s3cret"}},
    )
    env = [
        {"name": "GREETING", "valueFrom": {"configMapKeyRef": {"name": "words", "key": "greeting"}}},
        {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "LIMIT", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}},
        {"name": "BOTH", "value": "$(GREETING) $(NAME) $$(NAME)"},
    ]
    script = 'echo "$BOTH|$IP|$LIMIT|$K_TOKEN|$(hostname)|$0"; getent hosts "$(hostname)"; pwd'
    main = {
        "name": "main", "image": "busybox", "command": ["sh", "-c", script, "$(GREETING)"], "env": env, "workingDir": "/app/here",
        "envFrom": [{"prefix": "K_", "secretRef": {"name": "keys"}}], "resources": {"limits": {"memory": "64Mi"}},
    }  # fmt: skip
    pod = kube.run("env", main)
    address = pod["status"]["podIP"]
    first, hosts, where = kube.ctl("logs", "env").splitlines()
    assert first == f"hello env $(NAME)|{address}|64|s3cret|env|hello"
    assert hosts.split() == [address, "env"]
    assert where == "/app/here"
    assert ip_address(address) in ip_network(layout.PODS)


def test_an_init_container_runs_first_and_exit_codes_and_last_words_are_reported(kube: Kube) -> None:
    mounts = [{"name": "shared", "mountPath": "/shared"}]
    init = shell("echo 7 > /shared/code", name="first", volumeMounts=mounts)
    main = shell("echo not today > /dev/termination-log; exit $(cat /shared/code)", volumeMounts=mounts)
    template = {
        "spec": {"restartPolicy": "Never", "initContainers": [init], "containers": [main], "volumes": [{"name": "shared", "emptyDir": {}}]}
    }
    kube.apply({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "seven"}, "spec": {"backoffLimit": 0, "template": template}})
    kube.until("job", "seven", lambda job: any(one["type"] == "Failed" for one in job["status"].get("conditions", [])))
    pod = json.loads(kube.ctl("get", "pods", "--selector=job-name=seven", "-o", "json"))["items"][0]
    assert pod["status"]["phase"] == "Failed"
    assert container(pod, "first")["state"]["terminated"]["exitCode"] == 0
    ended = container(pod)["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"], ended["message"]) == (7, "Error", "not today\n")
    assert ended["startedAt"] >= container(pod, "first")["state"]["terminated"]["finishedAt"]


def test_a_job_completes(kube: Kube) -> None:
    main = shell("test -e /keep/mark || { touch /keep/mark; exit 1; }", volumeMounts=[{"name": "keep", "mountPath": "/keep"}])
    template = {"spec": {"restartPolicy": "OnFailure", "containers": [main], "volumes": [{"name": "keep", "emptyDir": {}}]}}
    kube.apply({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "twice"}, "spec": {"template": template}})
    kube.until("job", "twice", lambda job: any(one["type"] == "Complete" for one in job["status"].get("conditions", [])))
    pod = json.loads(kube.ctl("get", "pods", "--selector=job-name=twice", "-o", "json"))["items"][0]
    assert container(pod)["restartCount"] == 1


def test_a_last_word_can_come_from_the_log(kube: Kube) -> None:
    pod = kube.run("falls-back", shell("echo it broke here >&2; exit 1", terminationMessagePolicy="FallbackToLogsOnError"))
    assert container(pod)["state"]["terminated"]["message"] == "it broke here\n"


def test_logs_are_served_as_a_kubelet_serves_them(kube: Kube) -> None:
    kube.pod("talks", shell("for i in 1 2 3 4 5; do echo line $i; sleep 0.3; done; sleep 0.5; exit 1"))
    kube.until("pod", "talks", lambda pod: container(pod)["state"].get("running"))
    assert kube.ctl("logs", "-f", "talks") == "".join(f"line {i}\n" for i in range(1, 6))
    kube.until("pod", "talks", lambda pod: container(pod)["restartCount"] >= 1)
    assert kube.ctl("logs", "talks", "--previous", "--tail=2") == "line 4\nline 5\n"
    stamped = kube.ctl("logs", "talks", "--previous", "--timestamps", "--tail=1").split(" ", 1)
    assert stamped[1] == "line 5\n"
    assert stamped[0].endswith("Z")
    assert kube.ctl("logs", "talks", "--previous", "--limit-bytes=6") == "line 1"
    kube.ctl("delete", "pod", "talks", "--timeout=20s")


def test_a_crashing_container_is_restarted_with_growing_pauses(kube: Kube) -> None:
    kube.pod("crashes", shell("exit 3"))
    pod = kube.until("pod", "crashes", lambda pod: container(pod)["restartCount"] >= 2)
    assert container(pod)["lastState"]["terminated"]["exitCode"] == 3
    pod = kube.until("pod", "crashes", lambda pod: container(pod)["state"].get("waiting"))
    assert container(pod)["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert pod["status"]["phase"] == "Running"
    kube.ctl("delete", "pod", "crashes", "--timeout=20s")


def test_what_a_container_refers_to_must_be_there(kube: Kube) -> None:
    env = [{"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "late", "key": "key"}}}]
    kube.pod("waits", shell("echo $KEY", env=env), restartPolicy="Never")
    pod = kube.until("pod", "waits", lambda pod: container(pod)["state"].get("waiting", {}).get("reason") == "CreateContainerConfigError")
    assert container(pod)["state"]["waiting"]["message"] == 'secret "late" not found'
    kube.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "late"}, "stringData": {"key": "here"}})
    kube.ended("waits")
    assert kube.ctl("logs", "waits") == "here\n"


def test_an_image_that_the_table_has_not_is_not_run(kube: Kube) -> None:
    kube.pod("unknown", {"name": "main", "image": "example.com/nobody/nothing:1"})
    pod = kube.until("pod", "unknown", lambda pod: container(pod)["state"].get("waiting", {}).get("reason") == "ImagePullBackOff")
    assert "lab/images.py" in container(pod)["state"]["waiting"]["message"]
    kube.ctl("delete", "pod", "unknown", "--timeout=20s")


def test_a_command_that_is_not_there_says_so(kube: Kube) -> None:
    pod = kube.run("nonesuch", {"name": "main", "image": "busybox", "command": ["/no/such/program"]})
    ended = container(pod)["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (128, "StartError")
    assert "/no/such/program" in ended["message"]


def test_sigterm_comes_first_then_the_grace_then_sigkill(kube: Kube) -> None:
    hook = {"preStop": {"exec": {"command": ["sh", "-c", "echo hook > /proc/1/fd/1"]}}}
    script = "trap 'echo asked' TERM; echo up; while true; do sleep 0.1; done"
    kube.pod("stubborn", shell(script, lifecycle=hook), terminationGracePeriodSeconds=3)
    kube.ready("stubborn")
    uid = kube.get("pod", "stubborn")["metadata"]["uid"]
    begun = time.monotonic()
    kube.ctl("delete", "pod", "stubborn", "--timeout=20s")
    assert 2.5 < time.monotonic() - begun < 8
    log = Path(kube.lab.dir) / "logs" / "pods" / f"{kube.namespace}_stubborn_{uid}" / "main" / "0.log"
    assert [line.split(" ", 3)[3] for line in log.read_text().splitlines()] == ["up", "hook", "asked"]


def test_a_polite_container_ends_at_once_with_all_that_it_started(kube: Kube) -> None:
    script = "sleep 4321 & trap 'exit 0' TERM; while true; do sleep 0.1; done"
    kube.pod("polite", shell(script), terminationGracePeriodSeconds=30)
    kube.ready("polite")
    assert "sleep 4321" in kube.inside(["ps", "axo", "args"])
    begun = time.monotonic()
    kube.ctl("delete", "pod", "polite", "--timeout=20s")
    assert time.monotonic() - begun < 5
    assert "sleep 4321" not in kube.inside(["ps", "axo", "args"])


def test_probes_decide_about_readiness_and_restarts(kube: Kube) -> None:
    ready = {"exec": {"command": ["test", "-e", "/tmp/ready"]}, "periodSeconds": 1, "failureThreshold": 1}
    alive = {"exec": {"command": ["test", "!", "-e", "/tmp/ill"]}, "periodSeconds": 1, "failureThreshold": 2}
    started = {"exec": {"command": ["test", "-e", "/tmp/started"]}, "periodSeconds": 1, "failureThreshold": 30}
    wait = "trap 'exit 0' TERM; while true; do sleep 0.1; done"
    script = f"sleep 1; touch /tmp/started; sleep 1; touch /tmp/ready; sleep 4; touch /tmp/ill; {wait}"
    kube.pod("probed", shell(script, readinessProbe=ready, livenessProbe=alive, startupProbe=started))
    pod = kube.until("pod", "probed", lambda pod: container(pod).get("started"))
    assert not container(pod)["ready"]
    kube.ready("probed")
    pod = kube.until("pod", "probed", lambda pod: container(pod)["restartCount"] == 1)
    assert not container(pod)["ready"]
    assert "Liveness probe of main failed" in kube.ctl("get", "events", "--field-selector=reason=Unhealthy")
    kube.ctl("delete", "pod", "probed", "--timeout=20s")


def test_a_readiness_gate_keeps_a_pod_unready_until_somebody_opens_it(kube: Kube) -> None:
    kube.pod("gated", shell("sleep 1000"), readinessGates=[{"conditionType": "example.com/placed"}])
    kube.until("pod", "gated", lambda pod: container(pod)["ready"])
    condition = next(one for one in kube.get("pod", "gated")["status"]["conditions"] if one["type"] == "Ready")
    assert (condition["status"], condition["reason"]) == ("False", "ReadinessGatesNotReady")
    patch = {"status": {"conditions": [{"type": "example.com/placed", "status": "True"}]}}
    kube.ctl("patch", "pod", "gated", "--subresource=status", f"--patch={json.dumps(patch)}")
    kube.ready("gated")
    kube.ctl("delete", "pod", "gated", "--timeout=20s")


def test_a_config_map_volume_follows_its_config_map(kube: Kube) -> None:
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "changing"}, "data": {"value": "one"}}
    kube.apply(config)
    script = "cat /etc/app/value; while grep -q one /etc/app/value; do sleep 0.1; done; cat /etc/app/value"
    volumes = [{"name": "config", "configMap": {"name": "changing"}}]
    kube.pod("reads", shell(script, volumeMounts=[{"name": "config", "mountPath": "/etc/app"}]), volumes=volumes, restartPolicy="Never")
    kube.until("pod", "reads", lambda pod: container(pod)["state"].get("running"))
    kube.apply(config | {"data": {"value": "two"}})
    kube.ended("reads")
    assert kube.ctl("logs", "reads") == "onetwo"


def test_a_pod_may_run_as_somebody_else(kube: Kube) -> None:
    script = "id -u; id -g; touch /data/mine; stat -c %g /data/mine; touch /root/no 2>/dev/null || echo refused; python3 -c 'print(1)'"
    who = {"runAsUser": 1234, "runAsGroup": 1235, "fsGroup": 2000}
    volumes = [{"name": "data", "emptyDir": {}}]
    main = shell(script, image="python:3.11", volumeMounts=[{"name": "data", "mountPath": "/data"}])
    pod = kube.run("other", main, securityContext=who, volumes=volumes)
    assert kube.ctl("logs", "other").split() == ["1234", "1235", "2000", "refused", "1"], pod["status"]


def test_what_a_container_writes_outside_its_volumes_stays_its_own(kube: Kube) -> None:
    mark = Path(f"/var/tmp/of-a-container-{os.getpid()}")
    pod = kube.run("writes", shell(f"echo x > {mark}; mkdir /a-folder; cat {mark}"))
    assert pod["status"]["phase"] == "Succeeded"
    assert not mark.exists()
    assert not Path("/a-folder").exists()


def test_a_pod_has_run_long_enough_at_its_deadline(kube: Kube) -> None:
    pod = kube.run("long", shell("sleep 1000"), activeDeadlineSeconds=2, terminationGracePeriodSeconds=1)
    assert (pod["status"]["phase"], pod["status"]["reason"]) == ("Failed", "DeadlineExceeded")


def test_containers_of_a_pod_share_its_network_and_pods_do_not(kube: Kube) -> None:
    redis = {"name": "redis", "image": "redis:8.0", "readinessProbe": {"tcpSocket": {"port": 6379}}}
    kube.pod("left", redis, shell("sleep 1; redis-cli set who left; sleep 1000", name="beside"))
    kube.pod("right", redis)
    left, right = kube.ready("left"), kube.ready("right")
    kube.until("pod", "left", lambda _: kube.inside(["redis-cli", "-h", left["status"]["podIP"], "get", "who"]) == "left\n")
    assert kube.inside(["redis-cli", "-h", right["status"]["podIP"], "get", "who"]) == "\n"
    kube.ctl("delete", "pod", "left", "right", "--timeout=20s")


def test_a_sidecar_is_there_before_the_others_and_ends_after_them(kube: Kube) -> None:
    side = shell(
        "trap 'echo end; exit 0' TERM; redis-server --save '' > /dev/null & while true; do sleep 0.1; done",
        name="side",
        restartPolicy="Always",
    )
    side["startupProbe"] = {"exec": {"command": ["redis-cli", "ping"]}, "periodSeconds": 1}
    pod = kube.run("aside", shell("redis-cli ping"), initContainers=[side])
    assert kube.ctl("logs", "aside", "--container=main") == "PONG\n"
    assert kube.ctl("logs", "aside", "--container=side") == "end\n"
    assert pod["status"]["phase"] == "Succeeded"


def test_a_service_account_token_opens_the_api_server(kube: Kube) -> None:
    kube.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "script"}, "data": {"who.py": WHO}})
    mounts, volumes = [{"name": "script", "mountPath": "/script"}], [{"name": "script", "configMap": {"name": "script"}}]
    main = {"name": "main", "image": "python:3.11", "command": ["python3", "/script/who.py"], "volumeMounts": mounts}
    kube.run("self", main, volumes=volumes)
    assert kube.ctl("logs", "self") == f"system:serviceaccount:{kube.namespace}:default\n"


def test_nothing_of_a_pod_is_left_when_it_is_gone(kube: Kube) -> None:
    kube.pod("gone", shell("sleep 1000"))
    uid = kube.ready("gone")["metadata"]["uid"]
    link = f"p{uid[:13].replace('-', '')}"
    pod = kube.get("pod", "gone")
    node, address = pod["spec"]["nodeName"], pod["status"]["podIP"]
    assert link in kube.inside(["ip", "-brief", "link"], node)
    assert f"{address} via {pod['status']['hostIP']} dev vpc" in kube.inside(["ip", "route"])
    kube.ctl("delete", "pod", "gone", "--timeout=20s")
    assert link not in kube.inside(["ip", "-brief", "link"], node)
    assert f"{address} via" not in kube.inside(["ip", "route"])
    assert uid not in kube.inside(["ls", f"{kube.lab.dir}/agent/pods"])
    outside = subprocess.run(["ls", f"{kube.lab.dir}/agent"], capture_output=True, text=True, check=True)
    assert outside.stdout == ""  # the scratch is a file system of the lab's own


def test_zookeeper_runs_as_in_its_image(kube: Kube) -> None:
    probe = {"exec": {"command": ["zkServer.sh", "status"]}, "periodSeconds": 2, "timeoutSeconds": 5, "failureThreshold": 20}
    env = [{"name": "ZOO_4LW_COMMANDS_WHITELIST", "value": "srvr,ruok"}, {"name": "ZOO_ADMINSERVER_ENABLED", "value": "false"}]
    kube.pod("zk", {"name": "main", "image": "zookeeper:3.9", "env": env, "readinessProbe": probe})
    address = kube.ready("zk")["status"]["podIP"]
    answer = kube.inside(["bash", "-c", f"exec 3<>/dev/tcp/{address}/2181; printf ruok >&3; cat <&3"])
    assert answer == "imok"
    kube.ctl("delete", "pod", "zk", "--timeout=30s")
