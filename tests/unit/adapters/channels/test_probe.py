"""A probe asks and buys nothing: does the supplier work, and what is left there?"""

from __future__ import annotations

from pathlib import Path

import pytest

from monitor.adapters.channels.probe import Probed, ask_wallet, probe
from monitor.adapters.http_client import HttpClient
from tests.contracts.test_presets import described
from tests.loopback import DROP, Answer, loopback

NOW_MS = 1_772_323_200_000


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (Answer(body=b'{"ok":true,"balance":"12.50"}'), Probed(True, "12.50")),
        (Answer(body=b'{"ok":true}'), Probed(True)),
        (Answer(401, b'{"ok":false}'), Probed(False, "", "http 401, not as a working one answers")),
        (Answer(body=b"<html>"), Probed(False, "", "http 200, not as a working one answers")),
    ],
)
async def test_probe_says_whether_it_works_and_what_is_left(
    tmp_path: Path, said: Answer, found: Probed
) -> None:
    """The request is signed like all others and leads nowhere else."""
    async with loopback() as server:
        server.script = [said]
        client = HttpClient(config_hosts=[server.place])
        channel = described("dujiao-next", server.place, tmp_path)
        assert await probe(channel, client, NOW_MS) == found
        (seen,) = server.seen
        assert (seen.method, seen.path, seen.body) == ("POST", "/api/v1/upstream/ping", b"")
        assert seen.headers["dujiao-next-api-key"] == "dj_key"
        await client.close()


async def test_supplier_that_is_not_there_does_not_work(tmp_path: Path) -> None:
    """A cut connection is a finding, no error."""
    async with loopback() as server:
        server.script = [DROP]
        client = HttpClient(config_hosts=[server.place])
        channel = described("kinguin", server.place, tmp_path)
        assert not (await probe(channel, client, NOW_MS)).is_working
        await client.close()


@pytest.mark.parametrize(
    ("body", "left"),
    [(b'{"ok":true,"balance":"12.50"}', 1_250), (b'{"ok":true}', None), (b"<html>", None)],
)
async def test_wallet_is_what_the_probe_finds_in_minor_units(
    tmp_path: Path, body: bytes, left: int | None
) -> None:
    """Nothing is known of a supplier that does not say it, or does not answer as usual."""
    async with loopback() as server:
        server.script = [Answer(body=body)]
        client = HttpClient(config_hosts=[server.place])
        channel = described("dujiao-next", server.place, tmp_path)
        assert await ask_wallet(channel, client, NOW_MS, "CNY") == left
        await client.close()
