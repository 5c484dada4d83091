"""Every change leaves an entry: who, what, before and after, and what came of it."""

from collections.abc import Mapping

import msgspec
import pytest

from monitor.api.auth import Gate, token_sha256
from monitor.api.by_path import EVENT_PATH
from monitor.api.edge import Edge
from monitor.api.hooks import HOOKS
from monitor.api.relay import RELAY_PATH
from monitor.api.routes import ROUTES, Route
from monitor.model.endpoints import IngestKey, Listen
from monitor.model.errors import StorageError
from tests.unit.api.serving import ADMIN_TOKEN, Answered, MemoryService, Server, ask, serving
from tests.unit.api.test_actions import answer as playbook_answer
from tests.unit.api.test_batches import late
from tests.unit.api.test_takeovers import case_of, escalated, stuck

# What shops and suppliers tell are facts, in the log themselves; results of attempts have a test of
# their own, since they need one.
FACTS = (
    "/v1/events",
    EVENT_PATH,
    HOOKS,
    RELAY_PATH,
    "/hooks/channels/{name:[^/]+}",
    "/v1/attempts/{id:[^/]+}/result",
)
CHANGING = tuple(one for one in ROUTES if one.method != "GET" and one.path not in FACTS)


async def switched(server: Server, **headers: str) -> Answered:
    body = {"weights": {"B": 100}, "reason": "A is slow"}
    return await ask(server, "/v1/switches", body, headers=headers)


async def done(route: Route, server: Server) -> Answered:
    """Ask a route for the simplest change it can make."""
    service = server.service
    path, body = route.path, dict[str, object]()
    if "ack" in path:
        await switched(server)
        service.audited.clear()
        decision_id = service.engine.route.decision_id or ""
        body = {"status": "applied", "applied_epoch": service.engine.route.epoch}
        path = path.replace("{decision_id}", decision_id)
    elif path.endswith("/claim") or ("takeovers" in path and path.endswith("/cancel")):
        path = path.replace("{id:[^/]+}", case_of(service, "o1"))
    elif "takeovers" in path:
        body = {"resolution": "delivered", "note": "because"}
        path = path.replace("{id:[^/]+}", case_of(service, "o1"))
    elif "actions" in path:
        body = {"decision": "approve"}
        waiting = playbook_answer(service, orders=1, amount_minor=5_000)
        path = path.replace("{id:[^/]+}", waiting)
    elif "batches" in path:
        body = {"action": "notify", "apply": True}
        if path.endswith("/cancel"):
            made = await ask(server, "/v1/batches", body)
            service.audited.clear()
            path = path.replace("{id:[^/]+}", made.body["id"])
            body = {}
    elif path == "/v1/review":
        body = {"on": True}
    elif path == "/v1/switches":
        return await switched(server)
    return await ask(server, path.replace("{name:[^/]+}", "B"), body)


@pytest.mark.parametrize("route", CHANGING, ids=lambda route: route.path)
async def test_every_route_that_changes_something_leaves_one_entry(route: Route) -> None:
    """All routes of the table that are no reading, so a new one cannot forget it."""
    service = escalated() if route.path.endswith("/claim") else stuck()
    if "batches" in route.path:
        service = late()
    async with serving(service=service) as server:
        answer = await done(route, server)
        assert answer.status in (200, 201)
        (entry,) = server.service.audited
        assert (entry.actor, entry.scope, entry.outcome) == ("admin", route.scope, "done")
        assert entry.action == route.action
        assert entry.request_id == answer.headers["X-Request-Id"]


async def test_entry_tells_what_was_and_what_is() -> None:
    """In the words of the API, with the reason that was given."""
    async with serving() as server:
        await switched(server)
        (shown,) = (await ask(server, "/v1/audit")).body["entries"]
        assert shown.pop("id").startswith("aud_")
        assert shown.pop("request_id").startswith("req_")
        assert shown == {
            "at": "2026-01-05T02:01:00Z",
            "actor": "admin",
            "key_id": None,
            "scope": "operate",
            "action": "switch",
            "target": "*",
            "before": {"weights": {}},
            "after": {"weights": {"B": 100}},
            "reason": "A is slow",
            "outcome": "done",
        }


@pytest.mark.parametrize(
    ("action", "before", "after"),
    [
        ("lock", {"locked": False, "drained": False}, {"locked": True, "drained": False}),
        ("drain", {"locked": False, "drained": False}, {"locked": False, "drained": True}),
    ],
)
async def test_mark_on_a_channel_is_told_before_and_after(
    action: str, before: Mapping[str, bool], after: Mapping[str, bool]
) -> None:
    """And taking it back is the way round."""
    async with serving() as server:
        for step in (action, "unlock"):
            await ask(server, f"/v1/channels/B/{step}", {})
        told = [(one.target, msgspec.json.decode(one.before), msgspec.json.decode(one.after))
                for one in server.service.audited]  # fmt: skip
        assert told == [("B", before, after), ("B", after, before)]


async def test_trying_and_repeating_changes_nothing_and_leaves_nothing() -> None:
    """A dry run is a question; the second request with a key is the first."""
    async with serving() as server:
        body = {"weights": {"B": 100}, "dry_run": True}
        assert (await ask(server, "/v1/switches", body)).status == 200
        assert server.service.audited == []
        for _ in range(2):
            await switched(server, **{"Idempotency-Key": "k1"})
        assert len(server.service.audited) == 1


async def test_refusal_of_who_has_the_right_is_noted_with_its_code() -> None:
    """Whoever has no right leaves nothing, else strangers could fill the disk."""
    async with serving() as server:
        assert (await ask(server, "/v1/channels/nobody/lock", {})).status == 404
        assert (await ask(server, "/v1/switches", {"weights": {}})).status == 400
        assert (await ask(server, "/v1/channels/B/lock", {}, token="dm_wrong")).status == 401
        outcomes = [(one.action, one.target, one.outcome) for one in server.service.audited]
        assert outcomes == [
            ("channel.lock", "nobody", "unknown_channel"),
            ("switch", "", "no_weight"),
        ]


async def test_change_that_cannot_be_written_is_not_made() -> None:
    """The order and its entry are one write; of what is wrong with us no refusal is noted."""
    service = MemoryService()
    async with serving(service=service) as server:
        service.trouble = StorageError("disk full")
        assert (await switched(server)).status == 503
        assert service.audited == []


@pytest.mark.parametrize(
    ("given", "is_taken"), [("abc-1", True), ("x" * 128, True), ("x" * 129, False), ("é", False)]
)
async def test_sender_may_name_its_request(given: str, is_taken: bool) -> None:
    """So that its own log leads to ours; what is too long or unprintable is named by us."""
    async with serving() as server:
        answer = await switched(server, **{"X-Request-Id": given})
        (entry,) = server.service.audited
        assert (entry.request_id == given) is is_taken
        assert answer.headers["X-Request-Id"] == entry.request_id


async def test_entries_are_listed_newest_first_page_by_page() -> None:
    """Nothing is left out and nothing comes twice, also when entries are added meanwhile."""
    async with serving() as server:
        for number in range(5):
            await ask(server, "/v1/channels/B/lock", {"reason": str(number)})
        first = (await ask(server, "/v1/audit?limit=2")).body
        await ask(server, "/v1/channels/B/lock", {"reason": "new"})
        rest = (await ask(server, f"/v1/audit?limit=50&cursor={first['next']}")).body
        assert [one["reason"] for one in first["entries"] + rest["entries"]] == list("43210")
        assert rest["next"] is None


async def test_audit_is_read_with_the_scope_of_reading() -> None:
    """A shop's key sends events and does not look around."""
    keys = tuple(IngestKey("shop", token_sha256(f"dm_{one}"), (one,)) for one in ("read", "ingest"))
    async with serving(keys=keys) as server:
        assert (await ask(server, "/v1/audit", token="dm_ingest")).status == 403
        assert (await ask(server, "/v1/audit", token=None)).status == 401
        answer = await ask(server, "/v1/audit", token="dm_read")
        assert answer.body == {"entries": [], "next": None}


def test_names_of_requests_differ_between_processes() -> None:
    """An entry is stored once by its id, so no two may share one."""
    gate = Gate(Listen(), (), token_sha256(ADMIN_TOKEN))
    service = MemoryService()
    names = {
        edge.next_name()
        for session in ("session_a", "session_b")
        for edge in [Edge(service, service.clock, gate, session=session)]
        for _ in range(3)
    }
    assert len(names) == 6
