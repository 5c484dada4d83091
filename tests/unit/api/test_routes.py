"""The table of routes as a whole: who may ask, and what is answered while the state is rebuilt."""

import re

import pytest

from monitor.api.by_path import EVENT_PATH
from monitor.api.hooks import HOOKS
from monitor.api.relay import RELAY_PATH
from monitor.api.routes import ROUTES, Route
from tests.unit.api.serving import ADMIN_TOKEN, KEYS, SHOP_TOKEN, MemoryService, ask, serving

EARLY = (
    "/v1/events", EVENT_PATH, HOOKS, RELAY_PATH, "/metrics", "/livez", "/-/healthy", "/readyz",
    "/-/ready",
)  # fmt: skip
OPEN = EARLY[2:]
SIGNED = ("/hooks/channels/{name:[^/]+}",)  # a supplier proves itself by its signature
SHOP = ("/v1/events", EVENT_PATH, "/v1/switches/{decision_id}/ack")


def path_of(route: Route) -> str:
    """The route with something in its blanks."""
    if route.path == EVENT_PATH:
        return "/e/-/paid/A1"
    if route.path == RELAY_PATH:
        return "/relay/no/body"
    if route.path == HOOKS:
        return "/hooks/nobody"
    return re.sub(r"{name.*?}", "auto", re.sub(r"{((decision_)?id|rule).*?}", "x", route.path))


def body_of(route: Route) -> object:
    """An empty object for what is posted."""
    return {} if route.method == "POST" else None


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
async def test_route_without_token_is_closed_once_there_are_keys(route: Route) -> None:
    """Only probes and metrics are open to everybody; the stream is not opened by this test."""
    async with serving(keys=KEYS) as server:
        found = await ask(server, path_of(route), body_of(route), token=None)
        assert (found.status == 401) == (route.path not in OPEN)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
async def test_key_of_a_shop_opens_only_ingest(route: Route) -> None:
    """A shop sends events and acknowledges switches; it reads and steers nothing."""
    async with serving(keys=KEYS) as server:
        found = await ask(server, path_of(route), body_of(route), token=SHOP_TOKEN)
        assert (found.status == 403) == (route.path not in (*OPEN, *SHOP, *SIGNED))


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
async def test_route_needs_the_state_unless_it_is_early(route: Route) -> None:
    """While the state is rebuilt everything else says 503, why, and when to come back."""
    service = MemoryService()
    service.is_ready = False
    async with serving(service=service) as server:
        found = await ask(server, path_of(route), body_of(route), token=ADMIN_TOKEN)
        if route.path in EARLY:
            assert found.status != 503 or "ready" in route.path
            return
        assert (found.status, found.body["code"]) == (503, "not_ready")
        assert int(found.headers["Retry-After"]) >= 1
        assert service.given == []


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
async def test_loopback_without_keys_is_open_to_readers_not_to_steering(route: Route) -> None:
    """What changes something needs the token even there; a shop's ack counts as ingest."""
    if route.path == "/v1/stream":
        return  # it would never end; test_stream opens it
    async with serving() as server:
        found = await ask(server, path_of(route), body_of(route), token=None)
        is_closed = route.scope in ("operate", "admin") or route.path in SIGNED
        assert (found.status == 401) == is_closed
        assert found.status < 500
