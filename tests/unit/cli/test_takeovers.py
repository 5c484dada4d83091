"""`takeovers`: the queue of people on the command line, against a running service."""

import asyncio

import pytest

from monitor.cli.main import main
from tests.unit.api.serving import ADMIN_TOKEN, Server, serving
from tests.unit.api.test_takeovers import case_of, escalated


async def said(
    server: Server, capsys: pytest.CaptureFixture[str], *words: str, code: int = 0
) -> str:
    """Run the verb in a thread beside the server; what it printed."""
    command = ["takeovers", *words, "--url", server.url, "--key", ADMIN_TOKEN]
    assert await asyncio.to_thread(main, command) == code
    shown = capsys.readouterr()
    return shown.out + shown.err


async def test_queue_is_listed_claimed_and_resolved(capsys: pytest.CaptureFixture[str]) -> None:
    """The list says who has what; a resolved case is gone from it."""
    service = escalated()
    takeover_id = case_of(service, "o1")
    async with serving(service=service) as server:
        listed = await said(server, capsys)
        assert all(order in listed for order in ("o1", "o2", "o3"))
        claimed = await said(server, capsys, "claim", takeover_id, "--minutes", "20")
        assert "admin has it until" in claimed
        shown = await said(server, capsys, "show", takeover_id)
        assert "order o1  escalated" in shown
        resolved = await said(server, capsys, "resolve", takeover_id, "--as", "refunded")
        assert "voided" in resolved
        assert "o1" not in await said(server, capsys)
        assert "o1" in await said(server, capsys, "--state", "all")


async def test_mistakes_are_said_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """No id, no resolution, a case that does not exist."""
    service = escalated()
    async with serving(service=service) as server:
        assert "needs an ID" in await said(server, capsys, "claim", code=2)
        assert "needs --as" in await said(server, capsys, "resolve", "tko_1", code=2)
        assert "no such takeover" in await said(server, capsys, "show", "tko_1", code=1)
        refused = await said(
            server, capsys, "claim", case_of(service, "o1"), "--minutes", "0", code=1
        )
        assert refused.count("/minutes") == 1
