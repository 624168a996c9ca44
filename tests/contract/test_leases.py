"""Port `Leases`: one body for the fake and for Lease objects, in memory and on a real API server."""

import itertools
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from providers import runs
from providers.kubernetes import Kubernetes
from providers.leases import ClusterLeases
from providers.memory import MemoryCluster, MemoryLeases, Table
from reconciler import errors
from reconciler.ports import Cluster, Leases
from reconciler.resources import kubernetes
from tests.contract.conftest import wait_for

pytest_plugins = ["tests.contract.api_server"]

NUMBERS = itertools.count(1)
Run = Callable[[], Leases]
ELSEWHERE = {"host": "another-machine", "machine": "another-boot"}


@pytest.fixture
def name() -> str:
    return f"lease-{next(NUMBERS)}"


@pytest.fixture(params=["memory", "memory cluster", pytest.param("api_server", marks=pytest.mark.integration)])
def run(request: pytest.FixtureRequest) -> Iterator[Run]:
    """Makes runs that meet each other."""
    if request.param == "memory":
        table = Table()
        yield lambda: MemoryLeases(table)
    elif request.param == "memory cluster":
        cluster = MemoryCluster()
        yield lambda: ClusterLeases(cluster, "default")
    else:
        with closing(Kubernetes(str(request.getfixturevalue("api_server")))) as real:
            yield lambda: ClusterLeases(real, "default")


def test_one_holds_what_another_cannot(run: Run, name: str) -> None:
    first, second = run(), run()
    held = first.hold(name, duration=30)
    assert not held.lost
    with pytest.raises(errors.LockHeld, match="is held by") as caught:
        second.hold(name, duration=30)
    assert caught.value.hint
    held.release()
    with second.hold(name, duration=30), pytest.raises(errors.LockHeld):
        first.hold(name, duration=30)
    first.hold(name, duration=30).release()


def test_a_namespace_that_is_not_there_is_told_with_what_to_do() -> None:
    with pytest.raises(errors.UsageError, match="there is no namespace elsewhere") as caught:
        ClusterLeases(MemoryCluster(), "elsewhere").hold("apply", duration=30)
    assert caught.value.hint == "kubectl create namespace elsewhere"


def test_the_same_run_does_not_hold_twice(run: Run, name: str) -> None:
    leases = run()
    held = leases.hold(name, duration=30)
    with pytest.raises(errors.LockHeld):
        leases.hold(name, duration=30)
    held.release()
    leases.hold(name, duration=30).release()


def test_leases_of_two_names_have_nothing_to_do_with_each_other(run: Run, name: str) -> None:
    leases = run()
    held = [leases.hold(one, duration=30) for one in (name, f"{name}-other")]
    for one in held:
        one.release()


def test_every_holder_has_an_epoch_of_its_own(run: Run, name: str) -> None:
    epochs = []
    for leases in (run(), run(), run()):
        held: Any = leases.hold(name, duration=30)
        epochs.append(held.epoch)
        held.release()
    assert epochs == sorted(set(epochs))


def test_runs_have_tokens_of_their_own(run: Run) -> None:
    tokens: list[Any] = [run(), run()]
    assert tokens[0].token != tokens[1].token


def test_who_lost_the_lease_is_told(run: Run, name: str) -> None:
    first, second = run(), run()
    held = first.hold(name, duration=0.9)
    second.unlock(name)  # type: ignore[attr-defined] # a person's command
    other = second.hold(name, duration=30)
    wait_for(lambda: held.lost, seconds=5)
    held.release()
    assert not other.lost
    other.release()


@pytest.fixture
def cluster() -> MemoryCluster:
    return MemoryCluster()


def lease(cluster: Cluster, name: str) -> Any:
    return cluster.get(kubernetes.LEASE, name, namespace="default")


def aged(cluster: Any, name: str, seconds: float) -> None:
    """Let the lease look as if its holder had last been heard of *seconds* ago."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime(time.time() - seconds))
    cluster.patch(kubernetes.LEASE, name, {"spec": {"renewTime": stamp}}, namespace="default")


def left_behind(cluster: Cluster, name: str, run: runs.Run, duration: float = 30) -> None:
    """A lease whose holder never beats: what a run leaves that was killed."""
    held = ClusterLeases(cluster, "default", run=run).hold(name, duration=duration)
    held._stop.set()
    held._thread.join()


@pytest.fixture
def dead() -> runs.Run:
    """A run on this machine whose process has ended."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        ended = replace(runs.own(), pid=process.pid, started=runs._started(process.pid), token="dead")
        assert not ended.gone()
        process.communicate()
    assert ended.gone()
    return ended


def test_the_lease_says_who_holds_it_and_since_when(cluster: MemoryCluster, name: str) -> None:
    leases = ClusterLeases(cluster, "default")
    held = leases.hold(name, duration=30)
    spec = lease(cluster, name)["spec"]
    assert runs.parse(spec["holderIdentity"]) == leases.run
    assert spec["leaseDurationSeconds"] == 30
    holder = leases.holder(name)
    assert holder
    assert str(holder) == f"process {leases.run.pid} on {leases.run.host}"
    assert holder.age < 5
    held.release()
    assert leases.holder(name) is None
    assert lease(cluster, name)["spec"]["holderIdentity"] == ""


def test_a_held_lease_is_renewed(cluster: MemoryCluster, name: str) -> None:
    held = ClusterLeases(cluster, "default").hold(name, duration=0.6)
    first = lease(cluster, name)["spec"]["renewTime"]
    wait_for(lambda: lease(cluster, name)["spec"]["renewTime"] > first)
    assert not held.lost
    held.release()


def test_who_only_annotates_a_lease_does_not_take_it(cluster: MemoryCluster, name: str) -> None:
    held = ClusterLeases(cluster, "default").hold(name, duration=0.6)
    cluster.patch(kubernetes.LEASE, name, {"metadata": {"annotations": {"note": "mine"}}}, namespace="default")
    version = lease(cluster, name)["metadata"]["resourceVersion"]
    wait_for(lambda: lease(cluster, name)["metadata"]["resourceVersion"] != version)
    assert not held.lost
    held.release()
    assert lease(cluster, name)["metadata"]["annotations"] == {"note": "mine"}


def test_a_holder_that_cannot_renew_knows_before_others_may_take_it(cluster: MemoryCluster, name: str) -> None:
    held = ClusterLeases(cluster, "default").hold(name, duration=0.6)
    cluster.fail("replace", errors.TransientError("gone"))
    wait_for(lambda: held.lost, seconds=3)
    held.release()


def test_a_dead_holder_of_this_machine_is_taken_over_at_once(cluster: MemoryCluster, name: str, dead: runs.Run) -> None:
    left_behind(cluster, name, dead)
    held = ClusterLeases(cluster, "default").hold(name, duration=30)
    assert held.epoch == 2
    held.release()


def test_a_living_holder_of_this_machine_is_never_taken_over(cluster: MemoryCluster, name: str) -> None:
    left_behind(cluster, name, replace(runs.own(), token="alive"))
    aged(cluster, name, 10_000)
    with pytest.raises(errors.LockHeld, match="it is alive"):
        ClusterLeases(cluster, "default").hold(name, duration=30)


def test_another_machines_holder_keeps_its_time_and_the_longest_create(cluster: MemoryCluster, name: str, dead: runs.Run) -> None:
    left_behind(cluster, name, replace(dead, **ELSEWHERE))  # type: ignore[arg-type]
    aged(cluster, name, 40)
    with pytest.raises(errors.LockHeld, match=rf"process {dead.pid} on another-machine, last heard of 4\d s ago; it counts as dead in"):
        ClusterLeases(cluster, "default", grace=60).hold(name, duration=30)


def test_another_machines_silent_holder_is_taken_over(cluster: MemoryCluster, name: str, dead: runs.Run) -> None:
    left_behind(cluster, name, replace(dead, **ELSEWHERE), duration=1)  # type: ignore[arg-type]
    aged(cluster, name, 40)
    ClusterLeases(cluster, "default", grace=20).hold(name, duration=30).release()


def test_a_holder_whose_clock_is_behind_is_not_taken_for_dead(cluster: MemoryCluster, name: str, dead: runs.Run) -> None:
    other = ClusterLeases(cluster, "default", run=replace(dead, **ELSEWHERE)).hold(name, duration=1)  # type: ignore[arg-type]
    aged(cluster, name, 40)  # its next beat is as late, seen from here: only that it beats tells that it lives
    with pytest.raises(errors.LockHeld, match="whose clock differs"):
        ClusterLeases(cluster, "default", grace=20).hold(name, duration=30)
    other.release()


def test_a_process_of_the_same_number_is_not_the_holder(dead: runs.Run) -> None:
    mine = runs.own()
    assert not mine.gone()
    assert replace(mine, started="1").gone()


def test_another_process_namespace_of_this_machine_is_another_machine() -> None:
    mine = runs.own()
    boot, _, namespace = mine.machine.rpartition(".")
    assert not replace(mine, machine=f"{boot}.{int(namespace) + 1}").beside(mine)


def test_a_pods_only_container_sees_that_the_one_before_it_is_gone(
    cluster: MemoryCluster, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(runs.POD, "0f3c9d0e-52a8")
    mine = runs.own()
    left_behind(cluster, name, replace(mine, token="before", started="1"))  # another process namespace, as every container has it
    ClusterLeases(cluster, "default", run=mine).hold(name, duration=30).release()
    left_behind(cluster, name, replace(mine, token="before", started="1", machine=mine.machine.replace("0f3c", "77aa")))
    with pytest.raises(errors.LockHeld, match="it counts as dead in"):
        ClusterLeases(cluster, "default", run=mine).hold(name, duration=30)


def test_a_machine_of_another_name_is_still_the_same(cluster: MemoryCluster, name: str, dead: runs.Run) -> None:
    left_behind(cluster, name, replace(dead, host="its-old-name"))
    ClusterLeases(cluster, "default").hold(name, duration=30).release()


def test_a_dead_run_of_another_user_may_have_left_what_cannot_be_seen(cluster: MemoryCluster, name: str, dead: runs.Run) -> None:
    me, other = replace(runs.own(), user=1001), replace(dead, user=1002)
    left_behind(cluster, name, other)
    with pytest.raises(errors.LockHeld, match="it counts as dead in"):
        ClusterLeases(cluster, "default", run=me).hold(name, duration=30)
    ClusterLeases(cluster, "default", run=replace(me, user=0)).hold(name, duration=30).release()  # root sees everything


def test_where_processes_cannot_be_seen_everybody_is_elsewhere(cluster: MemoryCluster, name: str, tmp_path: Path) -> None:
    here = runs.own(proc=tmp_path)
    assert not here.beside(replace(here, token="other"))
    left_behind(cluster, name, here)
    with pytest.raises(errors.LockHeld, match="it counts as dead in"):
        ClusterLeases(cluster, "default", run=replace(here, token="other")).hold(name, duration=30)


def test_who_is_written_by_an_earlier_release_is_still_read() -> None:
    mine = runs.own()
    assert runs.parse(str(mine)) == mine
    assert runs.parse(str(mine).rpartition("/")[0]) == replace(mine, user=0)
    assert runs.parse("somebody") is None


def test_a_clock_that_was_ahead_delays_nobody_for_longer_than_the_lease(cluster: MemoryCluster, name: str, dead: runs.Run) -> None:
    left_behind(cluster, name, replace(dead, **ELSEWHERE), duration=1)  # type: ignore[arg-type]
    aged(cluster, name, -10_000)
    began = time.monotonic()
    ClusterLeases(cluster, "default", grace=0.5).hold(name, duration=30).release()
    assert time.monotonic() - began >= 1.5


def test_a_clock_that_is_ahead_does_not_cost_a_living_holder_its_lease(cluster: MemoryCluster, name: str, dead: runs.Run) -> None:
    other = ClusterLeases(cluster, "default", run=replace(dead, **ELSEWHERE)).hold(name, duration=1)  # type: ignore[arg-type]
    aged(cluster, name, -10_000)
    with pytest.raises(errors.LockHeld, match="whose clock differs"):
        ClusterLeases(cluster, "default", grace=0.5).hold(name, duration=30)
    other.release()


def test_the_refusal_names_the_lock_that_a_person_may_take_away(cluster: MemoryCluster, name: str) -> None:
    left_behind(cluster, name, replace(runs.own(), token="f00"))
    with pytest.raises(errors.LockHeld) as caught:
        ClusterLeases(cluster, "default").hold(name, duration=30)
    assert "(lock id f00)" in caught.value.hint


def test_a_lock_is_taken_away_from_the_run_that_was_named_only(cluster: MemoryCluster, name: str, dead: runs.Run) -> None:
    leases = ClusterLeases(cluster, "default")
    left_behind(cluster, name, dead)
    with pytest.raises(errors.LockHeld, match="is now held by"):
        leases.unlock(name, "another")
    assert leases.holder(name)
    leases.unlock(name, dead.token)
    assert leases.holder(name) is None


def test_who_can_be_seen_or_heard_is_alive(cluster: MemoryCluster, name: str, dead: runs.Run) -> None:
    leases = ClusterLeases(cluster, "default")

    def standing(run: runs.Run) -> str:
        left_behind(cluster, f"{name}-{run.token}", run)
        holder = leases.holder(f"{name}-{run.token}")
        assert holder
        return leases.standing(holder)

    assert standing(replace(runs.own(), token="mine")) == "alive"
    assert standing(dead) == "dead"
    assert standing(replace(dead, token="far", **ELSEWHERE)) == "unknown"  # type: ignore[arg-type]
    held = ClusterLeases(cluster, "default", run=replace(dead, **ELSEWHERE)).hold(name, duration=0.6)  # type: ignore[arg-type]
    assert not leases.silent(name)
    held._stop.set()
    held._thread.join()
    assert leases.silent(name)


def test_what_the_dead_run_started_is_ended_before_its_lease_is_taken(cluster: MemoryCluster, name: str, dead: runs.Run) -> None:
    left_behind(cluster, name, dead)
    plugin = subprocess.Popen(["sleep", "60"], env={runs.VARIABLE: dead.token, "PATH": "/usr/bin:/bin"}, start_new_session=True)
    bystander = subprocess.Popen(["sleep", "60"], env={runs.VARIABLE: f"{dead.token}-not", "PATH": "/usr/bin:/bin"})
    try:
        ClusterLeases(cluster, "default").hold(name, duration=30).release()
        assert plugin.wait(5) == -9
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_it_is_known_when_a_holder_was_last_heard_of(run: Run, name: str) -> None:
    leases = run()
    assert leases.heard(name) is None
    with leases.hold(name, duration=30):
        assert 0 <= (run().heard(name) or 0.0) < 30
    heard = leases.heard(name)  # after its release, too
    assert heard is not None
    assert 0 <= heard < 30


def test_what_was_not_heard_of_for_long_says_for_how_long(cluster: MemoryCluster, name: str) -> None:
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime(time.time() - 600))
    cluster.create(kubernetes.LEASE, {"metadata": {"name": name, "namespace": "default"}, "spec": {"renewTime": stamp}})
    assert 599 <= (ClusterLeases(cluster, "default").heard(name) or 0.0) < 700


def test_somebody_elses_lease_is_respected(cluster: MemoryCluster, name: str) -> None:
    metadata = {"name": name, "namespace": "default"}
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime())
    spec = {"holderIdentity": "a person", "leaseDurationSeconds": 30, "renewTime": stamp}
    cluster.create(kubernetes.LEASE, {"metadata": metadata, "spec": spec})
    with pytest.raises(errors.LockHeld, match=f"{name} is held by a person, last heard of \\d s ago; it counts as dead in"):
        ClusterLeases(cluster, "default").hold(name, duration=30)


@pytest.mark.integration
def test_of_many_runs_at_once_one_gets_the_lease(api_server: Path, name: str) -> None:
    script = (
        "import sys, time\n"
        "from providers.kubernetes import Kubernetes; from providers.leases import ClusterLeases; from reconciler import errors\n"
        "leases = ClusterLeases(Kubernetes(sys.argv[1]), 'default'); input()\n"
        "try: leases.hold(sys.argv[2], duration=30); print('held', flush=True); time.sleep(60)\n"
        "except errors.LockHeld: print('refused', flush=True)\n"
    )
    command = [sys.executable, "-c", script, str(api_server), name]
    rivals = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(5)]
    try:
        for rival in rivals:
            assert rival.stdin
            rival.stdin.write("\n")
            rival.stdin.flush()
        said = [rival.stdout.readline().strip() for rival in rivals if rival.stdout]
        assert sorted(said) == ["held", *["refused"] * 4]
    finally:
        for rival in rivals:
            rival.kill()
            rival.communicate()
    with closing(Kubernetes(str(api_server))) as real:
        taken = ClusterLeases(real, "default").hold(name, duration=30)  # the killed holder is taken over at once
        assert taken.epoch == 2
        taken.release()
