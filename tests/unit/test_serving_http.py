"""What `serve` answers over HTTP, and how an apply that is handed over ends where it was asked for."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from providers.memory import MemoryEngine
from providers.served import Served
from reconciler import errors, loop
from reconciler.api.routes import APPLY, TOKEN, Routes
from reconciler.api.server import served
from reconciler.cli import handing
from reconciler.cli import serve as serve_command
from reconciler.cli.handing import Hand
from reconciler.loop import Options, Prepared
from reconciler.model.outcome import Blocked, Done, Failed, Outcome, Waiting
from reconciler.serving import attendance, handover, orders
from reconciler.serving.handover import Desk
from reconciler.serving.post import Post, Step
from tests.memory_world import KINDS, MemoryWorld, desired, loaded
from tests.unit.serving_world import Serving, service, serving, town

SECRET = "a token that nobody guesses"


def routes(one: Serving, *posts: Post, desk: bool = True) -> Routes:
    return Routes(posts, one.branch.memory.clock, one.tenders, one.follower.desk if desk else None, lambda: SECRET)


def test_health_is_told_to_everybody() -> None:
    one = serving(service())
    post = Post("members", lambda: Step(1.0), 60.0, held=True)
    told = routes(one, post)
    assert (told.get("/healthz", "").status, told.get("/healthz", "").body) == (200, b"ok\n")
    assert told.get("/readyz", "").status == 503
    post.beat(one.branch.memory.clock)
    assert told.get("/readyz?verbose", "").status == 200


def test_an_apply_is_taken_from_who_shows_the_token_only() -> None:
    told = routes(serving(service()))
    for token in ("", "another"):
        assert told.post(APPLY, token, b"{}").status == 401
        assert told.get(f"{APPLY}/1", token).status == 401
    assert told.post(APPLY, SECRET, b"{}").status == 400
    assert told.get(f"{APPLY}/1", SECRET).status == 404


def test_without_the_role_api_nothing_is_taken() -> None:
    told = routes(serving(service()), desk=False)
    assert told.post(APPLY, SECRET, b"{}").status == 404
    assert told.get(f"{APPLY}/1", SECRET).status == 404


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"environment": "lab"}', b"\xff", b'{"environment": 1, "commit": "", "tree": "", "digest": ""}']
)
def test_what_is_not_written_as_it_has_to_be_is_refused(body: bytes) -> None:
    answer = routes(serving(service())).post(APPLY, SECRET, body)
    assert answer.status == 400
    assert answer.document["message"]


def test_over_real_http_and_only_so_much_of_it() -> None:
    one = serving(service())
    with served("127.0.0.1:0", routes(one)) as address:
        with urllib.request.urlopen(f"http://{address}/healthz", timeout=5) as answer:
            assert answer.read() == b"ok\n"
        request = urllib.request.Request(f"http://{address}{APPLY}", data=b"x" * 70_000, headers={TOKEN: SECRET})
        with pytest.raises((urllib.error.HTTPError, urllib.error.URLError)) as refused:
            urllib.request.urlopen(request, timeout=5)
        if isinstance(refused.value, urllib.error.HTTPError):
            with refused.value as response:
                assert response.status == 413


@pytest.mark.parametrize("listen", ["nonsense", "127.0.0.1:", "127.0.0.1:99999"])
def test_an_address_that_is_none_is_told(listen: str) -> None:
    with pytest.raises(errors.UsageError), served(listen, routes(serving(service()))):
        pytest.fail("it listens")


@pytest.mark.parametrize("outcome", [Done(), Waiting("it is there"), Blocked("another"), Failed("no"), Failed("busy", retryable=True)])
def test_an_outcome_comes_through(outcome: Outcome) -> None:
    assert handover.heard(json.loads(json.dumps(handover.tell(outcome)))) == outcome


@pytest.mark.parametrize("error", [errors.StalePlan("a", hint="b"), errors.UnsafePlanError("a"), errors.ProviderError("c", hint="d")])
def test_a_refusal_comes_through(error: errors.ReconcilerError) -> None:
    order = Desk().take(handover.wanted({"environment": "lab", "commit": "c", "tree": "t", "digest": "d"}))
    order.refuse(error)
    assert order.refusal
    made = handover.error(json.loads(json.dumps(order.refusal)))
    assert (type(made), made.message, made.hint) == (type(error), error.message, error.hint)


@dataclass
class Wire:
    """A Service behind the API server's proxy, which is the routes of *one*; each time it is asked, its threads take *turns*."""

    one: Serving
    asked: list[tuple[str, str, str, str]] = field(default_factory=list)
    before: Callable[[int], None] = lambda _: None

    def proxied(self, namespace: str, service: str, verb: str, path: str, *, json: Any, headers: Mapping[str, str]) -> tuple[int, bytes]:
        self.asked.append((namespace, service, verb, path.rpartition("/")[0] if verb == "GET" else path))
        self.before(len(self.asked))
        told = routes(self.one)
        answer = told.get(path, headers[TOKEN]) if verb == "GET" else told.post(path, headers[TOKEN], _dumped(json))
        self.one.turn(1)
        return answer.status, answer.body


def _dumped(document: Any) -> bytes:
    return json.dumps(document).encode()


def hand(wire: Wire, token: str = SECRET) -> Hand:
    return Hand(Served("kubernetes://ops/reconciler:http", wire, lambda: token))


def planned(one: Serving) -> Prepared:
    ground = one.branch.open(one.branch.newest().commit)
    return loop.prepare(ground.world, ground.desired)


def over(wire: Wire, prepared: Prepared, how: Options | None = None, token: str = SECRET) -> tuple[Any, list[tuple[str, str, str]]]:
    steps: list[tuple[str, str, str]] = []
    how = how or Options(timeout=60.0)
    world = wire.one.branch.memory.world(prepared.desired.environment)
    told = Options(how.timeout, how.wait, lambda *step: steps.append(step))
    return hand(wire, token).over(world, prepared, told), steps


def test_an_apply_that_is_handed_over_ends_as_if_it_were_done_here() -> None:
    wire = Wire(serving(service(), policy="approval"))
    prepared = planned(wire.one)
    report, steps = over(wire, prepared)
    assert report.ok
    assert {str(change.id) for change in prepared.plan.acting if change.owner == "engine"} <= set(report.outcomes)
    assert report.outcomes["kv"] == Done()
    assert ("volume/lab/kv/kv-0/data", "start", "create") in steps
    assert wire.asked[0] == ("ops", "reconciler:http", "POST", "/v1/apply")
    assert set(wire.asked[1:]) == {("ops", "reconciler:http", "GET", "/v1/apply")}


def test_it_waits_for_members_that_were_looked_at_since() -> None:
    one = serving(service(), policy="approval")
    order = one.follower.desk.take(_wanted(one))
    one.follower.step()
    assert order.state == "applied"
    assert orders.outcomes(order, one.tenders)["members"] == Waiting("members have been looked at")
    one.turn(1)
    assert orders.outcomes(order, one.tenders)["kv"] == Done()


def _wanted(one: Serving) -> handover.Wanted:
    return hand(Wire(one))._wanted(planned(one))


def test_a_branch_that_has_moved_on_is_told_as_a_stale_plan() -> None:
    wire = Wire(serving(service(), policy="approval"))
    prepared = planned(wire.one)
    wire.one.branch.push(town(service(replicas=1), policy="approval"))
    with pytest.raises(errors.StalePlan, match="the branch that is served is at"):
        over(wire, prepared)


def test_the_wrong_token_is_told_with_where_the_right_one_is() -> None:
    wire = Wire(serving(service(), policy="approval"))
    with pytest.raises(errors.ProviderError) as refused:
        over(wire, planned(wire.one), token="another")
    assert refused.value.status == 401
    assert "reconciler-api" in refused.value.hint


def test_a_server_that_was_started_anew_has_forgotten_and_says_so() -> None:
    wire = Wire(serving(service(), policy="approval"))

    def forget(asked: int) -> None:
        if asked == 2:
            wire.one.follower.desk._orders.clear()

    wire.before = forget
    report, _ = over(wire, planned(wire.one))
    assert report.failed["serve"].message.startswith("the server was started anew")


def test_a_server_that_is_away_for_a_moment_is_waited_for() -> None:
    wire = Wire(serving(service(), policy="approval"))

    def away(asked: int) -> None:
        if asked in {2, 3}:
            raise errors.TransientError("no endpoints available")

    wire.before = away
    report, _ = over(wire, planned(wire.one))
    assert report.ok
    assert len(wire.asked) > 3


def test_it_waits_no_longer_than_it_was_told_to() -> None:
    wire = Wire(serving(service(), policy="approval"))
    wire.one.follower.converges = lambda: False
    report, _ = over(wire, planned(wire.one), Options(timeout=20.0))
    assert "another process has the role" in report.waiting["serve"].until


def test_a_working_tree_is_no_commit() -> None:
    memory, wanted = MemoryWorld(), desired(town(service()))
    bare = loop.prepare(memory.world(wanted.environment), wanted)
    dirty = replace(bare, plan=replace(bare.plan, revision=replace(bare.plan.revision, commit="")))
    with pytest.raises(errors.UsageError, match="the working tree has changes"):
        over(Wire(serving(service())), dirty)


def test_a_url_is_asked_as_it_is() -> None:
    one = serving(service(), policy="approval")
    with served("127.0.0.1:0", routes(one)) as address:
        client = Served(f"http://{address}", Wire(one), lambda: SECRET)
        standing = client.hand_over(APPLY, _wanted(one))
        assert standing["state"] == "waiting"
        assert client.look(f"{APPLY}/{standing['id']}")["id"] == standing["id"]
        assert client.look(f"{APPLY}/none") is None
    with pytest.raises(errors.TransientError, match="could not be reached") as away:
        client.look(f"{APPLY}/none")
    assert "--allow-unattended" in away.value.hint


API = town(service()).replace("spec:\n  zones", "spec:\n  api: kubernetes://default/reconciler\n  zones", 1)


@pytest.mark.parametrize(
    ("text", "heard", "told"),
    [
        (town(service()), None, ""),  # nobody ever served, and nobody said that somebody would
        (town(service()), attendance.LATELY, ""),
        (town(service()), 3600.0, "nobody has placed members of lab for 60 minutes"),
        (town(service()), 3 * 3600.0, "for 3 hours"),
        (town(service()), 5 * 86400.0, "for 5 days"),
        (API, None, "nobody has placed members of lab so far"),
        (API, 10.0, ""),
    ],
)
def test_members_are_unattended_where_somebody_was_promised_and_nobody_is_there(text: str, heard: float | None, told: str) -> None:
    found = attendance.unattended(desired(text).environment, heard)
    assert told in found if told else found == ""


def test_an_environment_without_members_is_never_unattended() -> None:
    memory, wanted = MemoryWorld(), desired(town(service()))
    assert not attendance.has_members(memory.observed(wanted.environment))
    memory.converge(town(service()))
    assert attendance.has_members(memory.observed(wanted.environment))


FIXED = service().replace("replicas: 2", "replicas: 2\n  addresses: private")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((service(),), (service(replicas=3),)),
        ((service(),), (service(replicas=1),)),
        ((FIXED,), (FIXED.replace("replicas: 2", "replicas: 1"),)),
        ((service(), service("old")), (service(),)),
    ],
)
def test_a_runner_without_the_engines_record_plans_as_the_server_does(before: tuple[str, ...], after: tuple[str, ...]) -> None:
    one = serving(*before, policy="approval")
    one.branch.memory.converge(one.branch.texts[-1])
    one.branch.push(town(*after, policy="approval"))
    order = one.follower.desk.take(_wanted(one))
    ground = one.branch.open(one.branch.newest().commit)
    bare = replace(ground.world, checkpoints=MemoryEngine(one.branch.memory.cloud, one.branch.memory.cluster, KINDS))
    assert loop.prepare(bare, ground.desired).plan.digest != order.wanted["digest"]  # everything would be imported
    seen = handing.from_here(bare, ground.desired)
    assert loop.prepare(seen, ground.desired).plan.digest == order.wanted["digest"]
    assert handing.from_here(ground.world, ground.desired) is ground.world


@pytest.mark.parametrize("roles", ["", "cook", "members,cook", "reconcile,batcher", "operator", "members,api"])
def test_roles_that_cannot_be_are_refused_with_words(roles: str) -> None:
    with pytest.raises(errors.UsageError) as refused:
        serve_command._roles(roles)
    assert refused.value.hint


def test_roles_are_listed_with_commas() -> None:
    assert serve_command._roles("members, reconcile") == {"members", "reconcile"}


@pytest.mark.parametrize(
    "api", ["kubernetes://ops/reconciler", "kubernetes://ops/reconciler:http", "http://127.0.0.1:8080", "https://a.example/b"]
)
def test_an_api_is_a_service_or_a_url(api: str) -> None:
    assert desired(API.replace("kubernetes://default/reconciler", api)).environment.api == api


@pytest.mark.parametrize("api", ["ops/reconciler", "kubernetes://reconciler", "kubernetes://ops/reconciler/more", "ftp://a", "https://"])
def test_what_is_neither_is_refused_where_it_stands(api: str) -> None:
    with pytest.raises(errors.SpecError, match=r"services.yaml:\d+:\d+: .*kubernetes://<namespace>/<service>"):
        loaded(API.replace("kubernetes://default/reconciler", api))
