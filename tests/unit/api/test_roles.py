"""Events and metrics have an address of their own where the configuration says so."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import ClientSession

from monitor.api.auth import token_sha256
from monitor.api.door import Door
from monitor.api.listener import Listener
from monitor.model.endpoints import Endpoints, IngestKey, Listen, Places
from tests.unit.api.samples import paid
from tests.unit.api.serving import SHOP_TOKEN, MemoryService
from tests.unit.api.test_hooks import Plain

HERE = Listen("127.0.0.1", 0)
PATHS = (
    "/v1/events",
    "/hooks/main",
    "/e/-/paid/A1",
    "/metrics",
    "/v1/orders",
    "/v1/route",
    "/livez",
    "/readyz",
)


@asynccontextmanager
async def door(endpoints: Endpoints) -> AsyncIterator[tuple[MemoryService, list[Listener]]]:
    """An open door, and its listeners: `listen` first, then ingest, then metrics."""
    service = MemoryService()
    service.pushes = {"main": Plain()}
    opened = Door(
        service,
        service.clock,
        endpoints,
        new_token=lambda: "t",
        session="s",
        name_customer=str,
        name_goods=str,
    )
    await opened.open(())
    try:
        yield service, opened._listeners
    finally:
        await opened.close()


async def served(listener: Listener) -> list[str]:
    """Which of the paths are there, whatever they answer."""
    found = []
    async with ClientSession(listener.url) as session:
        for path in PATHS:
            async with session.get(path) as answer:
                if answer.status != 404:
                    found.append(path)
    return found


@pytest.mark.parametrize(
    ("ingest", "metrics", "expected"),
    [
        (None, None, [list(PATHS)]),
        (
            HERE,
            None,
            [
                ["/metrics", "/v1/orders", "/v1/route", "/livez", "/readyz"],
                ["/v1/events", "/hooks/main", "/e/-/paid/A1", "/v1/route", "/livez", "/readyz"],
            ],
        ),
        (
            HERE,
            HERE,
            [
                ["/v1/orders", "/v1/route", "/livez", "/readyz"],
                ["/v1/events", "/hooks/main", "/e/-/paid/A1", "/v1/route", "/livez", "/readyz"],
                ["/metrics", "/livez", "/readyz"],
            ],
        ),
    ],
)
async def test_each_address_serves_its_own(
    tmp_path: Path, ingest: Listen | None, metrics: Listen | None, expected: list[list[str]]
) -> None:
    """What moved is a 404 where it was; the probes are everywhere."""
    endpoints = Endpoints(
        listen=HERE, listen_ingest=ingest, listen_metrics=metrics, data_dir=str(tmp_path)
    )
    async with door(endpoints) as (_, listeners):
        assert [await served(listener) for listener in listeners] == expected


async def test_event_through_its_own_address_reaches_readers_of_the_other(tmp_path: Path) -> None:
    """All addresses lead to one service; its stream is told once."""
    keys = (IngestKey("shop", token_sha256(SHOP_TOKEN)),)
    endpoints = Endpoints(listen=HERE, listen_ingest=HERE, keys=keys, data_dir=str(tmp_path))
    async with door(endpoints) as (service, (_, ingest)), ClientSession(ingest.url) as session:
        async with session.post("/v1/events", json=paid()) as answer:
            assert answer.status == 401
        headers = {"Authorization": f"Bearer {SHOP_TOKEN}"}
        async with session.post("/v1/events", json=paid(), headers=headers) as answer:
            assert answer.status == 202
        assert len(service.events) == 1
        assert len(service.listeners) == 1


async def test_places_of_the_configuration_are_those_of_the_door(tmp_path: Path) -> None:
    """`connections` reaches the connections."""
    endpoints = Endpoints(listen=HERE, places=Places(7, 3, ("10.0.0.0/8",)), data_dir=str(tmp_path))
    async with door(endpoints) as (_, (main,)):
        limits = main.connections.edge.limits
        assert (limits.connections_max, limits.connections_per_address) == (7, 3)
        assert [str(one) for one in limits.proxies] == ["10.0.0.0/8"]
