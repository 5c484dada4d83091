"""Webhooks of a running service: from the request to the order, over a restart and a new secret."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import ClientSession

from monitor.app import Monitor
from monitor.model.rules import RuleSet
from tests.schemes import in_base64, mac
from tests.unit.config.files import load_text, write_secret

OLD, NEW = "the-secret-of-last-year", "the-secret-of-this-year"
CARD = "CARD-9F2C-PLANTED"
ORDER = (
    b'{"id":963,"status":"processing","currency":"CNY","total":"19.90",'
    b'"date_created_gmt":"2026-01-05T02:00:00","date_paid_gmt":"2026-01-05T02:00:04",'
    b'"meta_data":[{"key":"license","value":"%s"}]}' % CARD.encode()
)


@asynccontextmanager
async def running(folder: Path, secrets: str = "old") -> AsyncIterator[Monitor]:
    """A service with one shop of WooCommerce; a reload reads `hook` again."""
    write_secret(folder / "old", OLD)
    write_secret(folder / "new", NEW)
    (folder / "hook").write_text(secrets, encoding="utf-8")

    def read() -> str:
        files = (folder / "hook").read_text(encoding="utf-8")
        return f"""
listen: 127.0.0.1:0
disk_reserve_mib: 0
data_dir: {folder}/data
sources: [{{name: main, kind: woocommerce, secret_file: [{files}]}}]
"""

    loaded = load_text(folder, read())
    monitor = Monitor(loaded, RuleSet(), reread=lambda: (load_text(folder, read()), RuleSet()))
    await monitor.start()
    try:
        await monitor.wait_until_ready()
        yield monitor
    finally:
        await monitor.stop()


async def send(monitor: Monitor, secret: str, body: bytes = ORDER) -> int:
    """Send an order as the shop signs it; the status of the answer."""
    headers = {
        "X-WC-Webhook-Resource": "order",
        "X-WC-Webhook-Signature": in_base64(mac(body, secret)),
    }
    async with (
        ClientSession() as session,
        session.post(f"{monitor.url}/hooks/main", data=body, headers=headers) as answer,
    ):
        return answer.status


async def test_order_of_a_webhook_is_there_once_over_a_restart(tmp_path: Path) -> None:
    """Sent again after the service came back it changes nothing; nothing of its keys is kept."""
    async with running(tmp_path) as monitor:
        assert await send(monitor, OLD) == 200
        facts = monitor.engine.shard.orders["963"].facts
        assert (facts.amount_minor, facts.source) == (1_990, "main")
    async with running(tmp_path) as monitor:
        assert await send(monitor, OLD) == 200
        order = monitor.engine.shard.orders["963"]
        assert [event.type for event in order.timeline] == ["order.created", "order.paid"]
    files = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert not any(CARD.encode() in content for content in files)


async def test_secret_is_rotated_without_a_restart(tmp_path: Path) -> None:
    """Old, both, new: no moment in which the shop is refused; then the old one is worth nothing."""
    async with running(tmp_path) as monitor:
        assert (await send(monitor, OLD), await send(monitor, NEW)) == (200, 401)
        (tmp_path / "hook").write_text("new, old", encoding="utf-8")
        changed, _ = await monitor.reload()
        assert "sources" in changed
        assert (await send(monitor, OLD), await send(monitor, NEW)) == (200, 200)
        (tmp_path / "hook").write_text("new", encoding="utf-8")
        await monitor.reload()
        assert (await send(monitor, OLD), await send(monitor, NEW)) == (401, 200)
