"""`batch`: many late orders on the command line, against a running service."""

import asyncio

import msgspec
import pytest

from monitor.cli.main import main
from tests.unit.api.serving import ADMIN_TOKEN, Server, serving
from tests.unit.api.test_batches import late
from tests.unit.api.test_takeovers import escalated


async def said(
    server: Server, capsys: pytest.CaptureFixture[str], *words: str, code: int = 0
) -> str:
    """Run the verb in a thread beside the server; what it printed."""
    command = ["batch", "--state", "late", *words, "--url", server.url, "--key", ADMIN_TOKEN]
    assert await asyncio.to_thread(main, command) == code
    shown = capsys.readouterr()
    return shown.out + shown.err


async def test_preview_is_a_dry_run(capsys: pytest.CaptureFixture[str]) -> None:
    """Whom, how much, and how to go on."""
    async with serving(service=late()) as server:
        shown = await said(server, capsys, "--action", "notify")
        assert "would notify 3 orders worth 3.00 CNY; --apply does it" in shown
        none = await said(server, capsys, "--action", "notify", "--sku", "unknown")
        assert none.splitlines()[-1] == "there are no such orders"


async def test_orders_that_are_all_left_out_are_not_said_to_be_missing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """They are late, but people have them: nobody is told to look for other orders."""
    service = escalated()
    settings = service.engine.settings
    fallback = msgspec.structs.replace(settings.fallback, order=("staff",))
    service.engine.settings = msgspec.structs.replace(settings, fallback=fallback)
    async with serving(service=service) as server:
        shown = await said(server, capsys, "--action", "takeover")
        left_out = "all 3 orders are left out (takeover_escalated)"
        assert shown.splitlines()[-1] == left_out
        refused = await said(server, capsys, "--action", "takeover", "--apply", code=2)
        assert refused.startswith(f"error: {left_out}; see")
