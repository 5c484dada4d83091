"""The whole service: signed messages over a restart, keys that change while it runs, the audit."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from monitor.adapters.signing import webhook_headers
from monitor.app import Monitor
from monitor.cli.main import main
from monitor.config.load import Loaded
from monitor.model.endpoints import SourceSecrets
from monitor.model.rules import RuleSet
from monitor.model.secret import Secret
from tests.unit.app_world import T0, StillClock, loaded, ready, running

SECRET = Secret("whsec_" + "a2V5" * 8)
BODY = json.dumps({"type": "order.paid", "order_id": "A1"}).encode()


def signing(data_dir: Path, *secrets: Secret) -> Loaded:
    """A configuration with one source that signs."""
    config = loaded(data_dir)
    sources = (SourceSecrets("main-shop", secrets or (SECRET,)),)
    endpoints = msgspec.structs.replace(config.endpoints, source_secrets=sources)
    return msgspec.structs.replace(config, endpoints=endpoints)


async def ask(
    monitor: Monitor,
    path: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> tuple[int, Any]:
    given = {"Content-Type": "application/json", **(headers or {})}
    method = "GET" if body is None else "POST"
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, monitor.url + path, data=body, headers=given) as answer,
    ):
        return answer.status, await answer.json()


def admin(monitor: Monitor) -> Mapping[str, str]:
    token = monitor.token_path.read_text(encoding="ascii").strip()
    return {"Authorization": f"Bearer {token}"}


async def audited(monitor: Monitor, count: int) -> list[dict[str, Any]]:
    """The audit once it has so many entries; they follow within a commit."""
    async with asyncio.timeout(10):
        while True:
            _, found = await ask(monitor, "/v1/audit", headers=admin(monitor))
            if len(found["entries"]) >= count:
                return list(found["entries"])
            await asyncio.sleep(0.05)


async def test_signed_message_is_taken_once_also_after_a_restart(tmp_path: Path) -> None:
    """It has no id and no time, so nothing but its signature could tell."""
    headers = webhook_headers(SECRET, "msg_1", T0, BODY)
    counts = []
    for _ in range(2):
        async with running(signing(tmp_path)) as monitor:
            await ready(monitor)
            for _ in range(2):
                status, answer = await ask(monitor, "/v1/events", BODY, headers)
                counts.append((status, answer["accepted"], answer["duplicates"]))
            assert (await ask(monitor, "/v1/events", BODY))[0] == 401
    assert counts == [(202, 1, 0), (202, 0, 1), (202, 0, 1), (202, 0, 1)]


async def test_secret_is_rotated_under_load_without_a_refusal(tmp_path: Path) -> None:
    """Both are in force while the shop changes over; then the old one is not."""
    old, new = SECRET, Secret("whsec_" + "bmV3" * 8)
    secrets: list[tuple[Secret, ...]] = [(old,)]
    statuses: list[int] = []

    def reread() -> tuple[Loaded, RuleSet]:
        return signing(tmp_path, *secrets[-1]), RuleSet()

    async def send(secret: Secret, number: int) -> int:
        body = json.dumps({"type": "order.paid", "order_id": f"R{number}"}).encode()
        headers = webhook_headers(secret, f"r{number}", T0, body)
        return (await ask(monitor, "/v1/events", body, headers))[0]

    async def shop() -> None:
        for number in range(120):
            statuses.append(await send(old if number < 60 else new, number))
            if number in (30, 90):
                secrets.append((new, old) if number == 30 else (new,))
                await monitor.reload()

    monitor = Monitor(*reread(), clock=StillClock(), reread=reread)
    await monitor.start()
    try:
        await ready(monitor)
        await shop()
        assert statuses == [202] * 120
        assert await send(old, 999) == 401
    finally:
        await monitor.stop()


async def test_key_works_as_soon_as_it_is_made_and_no_longer_once_it_is_revoked(
    tmp_path: Path,
) -> None:
    """Without a restart and without a signal; both are in the audit."""
    async with running(loaded(tmp_path)) as monitor:
        await ready(monitor)
        assert (await ask(monitor, "/v1/orders"))[0] == 200
        words = ["keys", "new", "--name", "reader", "--scope", "read", "--data-dir", str(tmp_path)]
        assert main(words) == 0
        await _until(monitor, 401)
        assert main(["keys", "revoke", "reader", "--data-dir", str(tmp_path)]) == 0
        entries = await audited(monitor, 2)
        assert [one["action"] for one in entries] == ["key.revoke", "key.new"]
        assert "(command line)" in entries[0]["actor"]
        assert (await ask(monitor, "/v1/orders"))[0] == 401


async def test_audit_survives_a_restart_and_grows_on(tmp_path: Path) -> None:
    """An entry is there as long as what it speaks of, and longer."""
    config = loaded(tmp_path)
    for number in (1, 2):
        async with running(config) as monitor:
            await ready(monitor)
            status, _ = await ask(monitor, "/-/reload", b"{}", admin(monitor))
            assert status == 200
            entries = await audited(monitor, number)
            assert [one["action"] for one in entries] == ["reload"] * number
            assert len({one["id"] for one in entries}) == number


async def test_reload_by_a_signal_is_in_the_audit(tmp_path: Path) -> None:
    """Nobody sent a request, so the actor is the signal."""
    async with running(loaded(tmp_path)) as monitor:
        await ready(monitor)
        await monitor.reload_by_signal()
        (entry,) = await audited(monitor, 1)
        assert (entry["actor"], entry["action"]) == ("signal", "reload")


async def _until(monitor: Monitor, status: int) -> None:
    async with asyncio.timeout(10):
        while (await ask(monitor, "/v1/orders"))[0] != status:
            await asyncio.sleep(0.05)
