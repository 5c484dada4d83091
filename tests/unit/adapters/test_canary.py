"""Synthetic orders are asked for at a real loopback shop."""

import msgspec
import pytest

from monitor.adapters.canary import CanaryShop
from monitor.adapters.http_client import HttpClient
from monitor.model.endpoints import CanaryEndpoint
from monitor.model.errors import EffectError
from monitor.model.secret import Secret
from monitor.model.webhooks import Verdict
from tests.loopback import Answer, loopback
from tests.webhooks import verify_webhook

NOW_MS = 1_700_000_000_000
SECRET = Secret("canary-secret")


async def test_order_is_asked_for_under_our_id_and_signed() -> None:
    """The shop gets id and goods, and can tell us from anybody else."""
    async with loopback() as server:
        client = HttpClient(config_hosts=[server.place])
        shop = CanaryShop(client, CanaryEndpoint(server.url("/canary"), "test-key", 60_000, SECRET))
        await shop.buy("canary-1", NOW_MS)
        await client.close()
    (seen,) = server.seen
    assert (seen.method, seen.path) == ("POST", "/canary")
    assert msgspec.json.decode(seen.body) == {"order_id": "canary-1", "sku": "test-key"}
    assert verify_webhook([SECRET], seen.headers, seen.body, NOW_MS) == Verdict.VALID


@pytest.mark.parametrize("status", [302, 404, 429, 500])
async def test_anything_but_2xx_means_not_placed(status: int) -> None:
    """A shop that does not say yes has no such order, as far as we know."""
    async with loopback() as server:
        server.script = [Answer(status=status)]
        client = HttpClient(config_hosts=[server.place])
        shop = CanaryShop(client, CanaryEndpoint(server.url("/canary"), "test-key", 60_000))
        with pytest.raises(EffectError):
            await shop.buy("canary-1", NOW_MS)
        await client.close()
