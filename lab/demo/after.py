"""What happens once it stands: nothing, drift, a commit that is refused, a service that goes."""

from __future__ import annotations

import json
from collections.abc import Iterator

from lab.demo import outside, place
from lab.demo.first import ZONE
from lab.demo.stage import Stage

_NO_CHANGES = "No changes. Your infrastructure matches the configuration."
_DATA = "volume/lab/kv/kv-0/data"
_DRIFTED = {
    f"record/lab/kv-1.{ZONE}",
    _DATA,
    "kubernetes/lab/scratch/StatefulSet/default/scratch",
    "kubernetes/lab/kv/Service/default/kv",
}


def plan_again(stage: Stage) -> None:
    began = place.engine_starts()
    said = stage.reconcile("plan", "--detailed-exitcode").stdout
    stage.check(_NO_CHANGES in said, "nothing is to be done: exit code 0 of --detailed-exitcode")
    stage.reconcile("apply", "--auto-approve")
    now = place.engine_starts()
    stage.check(now == began, f"the engine was not started by either (the `pulumi` on PATH counts: {began} starts before, {now} now)")


def drift(stage: Stage) -> None:
    """Four things that somebody changes by hand; a plan that names these and no others; an apply that heals them."""
    aws = outside.connect(place.running())
    stage.say("Somebody changes things by hand: a record's ttl, a volume's tag, a StatefulSet's image; and deletes a Service.")
    stage.show_python(f"route53.change_resource_record_sets(… UPSERT kv-1.{ZONE} … TTL=300)")
    aws.set_ttl(ZONE, f"kv-1.{ZONE}", 300)
    volume = aws.volume(_DATA)["VolumeId"]
    stage.show_python(f"ec2.create_tags(Resources=['{volume}'], Tags=[{{'Key': 'team', 'Value': 'nobody'}}])")
    aws.tag(_DATA, "team", "nobody")
    stage.shell("kubectl set image statefulset/scratch redis=redis:7.4")
    stage.shell("kubectl delete service kv")
    stage.reconcile("plan", head=40)
    stage.check(set(_changed(stage)) == _DRIFTED, "the plan names exactly these four")
    stage.reconcile("apply", "--auto-approve", head=0, tail=0)
    tags = {tag["Key"]: tag["Value"] for tag in aws.volume(_DATA)["Tags"]}
    healed = aws.record(ZONE, f"kv-1.{ZONE}")["TTL"] == 5 and tags["team"] == "storage"
    stage.check(healed, "boto3 sees the old ttl and the old tag again")
    said = stage.shell("kubectl get statefulset scratch -o wide").stdout
    stage.shell("kubectl get service kv")
    stage.check(" redis:8.0" in said, "kubectl sees the image as declared, and the Service is back")
    stage.check(_NO_CHANGES in stage.reconcile("plan").stdout, "all four are healed")


def _changed(stage: Stage) -> Iterator[str]:
    document = json.loads(stage.quietly("plan", "--format", "json"))
    yield from (change["address"] for change in document["resource_changes"] if change["change"]["actions"] != ["no-op"])
    yield from (one["address"] for one in (*document["held"], *document["refused"]))


def shrink(stage: Stage) -> None:
    """A commit that would lose data is refused where it stands."""
    file = place.SPECS / "services" / "kv.yaml"
    stage.shell(f"sed -i 's/size: 10Gi/size: 5Gi/' {file}")
    _push(stage, "Save space")
    said = stage.reconcile("apply", "--auto-approve", code=5).stdout
    line = next(number for number, text in enumerate(file.read_text().splitlines(), start=1) if "5Gi" in text)
    refused = f"services/kv.yaml:{line}:" in said and "cannot shrink" in said
    stage.check(refused, f"refused, naming line {line} of services/kv.yaml; nothing was done")
    stage.shell(f"git -C {place.CLONE} revert --no-edit HEAD >/dev/null && git -C {place.CLONE} push -q")


def remove(stage: Stage) -> None:
    """A service goes; its data stays."""
    aws = outside.connect(place.running())
    volume = aws.volume("volume/lab/scratch/scratch-0/data")["VolumeId"]
    stage.shell(f"git -C {place.CLONE} rm -q specs/lab/services/scratch.yaml")
    _push(stage, "Remove scratch")
    stage.reconcile("plan", head=20)
    stage.reconcile("apply", "--auto-approve", head=0, tail=0)
    pods = stage.shell("kubectl get pods -l reconciler/service=scratch").stdout
    stage.check("scratch" not in pods, "its Pod is gone")
    said = stage.reconcile("volumes").stdout
    kept = [line for line in said.splitlines() if volume in line and line.endswith("retained")]
    aws.ec2.get_waiter("volume_available").wait(VolumeIds=[volume], WaiterConfig={"Delay": 1, "MaxAttempts": 30})  # its node lets go
    stage.check(kept, f"{volume} is kept, unattached, marked as retained")


def _push(stage: Stage, message: str) -> None:
    stage.shell(f"git -C {place.CLONE} commit -qam '{message}' && git -C {place.CLONE} push -q")
