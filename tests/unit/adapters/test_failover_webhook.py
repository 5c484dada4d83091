"""`channel.switch` is repeated until the receiver names our epoch."""

from collections.abc import AsyncIterator

import msgspec
import pytest

from monitor.adapters.failover_webhook import FailoverWebhook
from monitor.adapters.http_client import HttpClient
from monitor.model.effects import SwitchChannel
from monitor.model.endpoints import Endpoint
from monitor.model.errors import EffectError, Permanent, Transient, UnknownOutcome
from monitor.model.secret import Secret
from monitor.model.webhooks import Verdict
from tests.loopback import DROP, Answer, Loopback, loopback
from tests.webhooks import verify_webhook

NOW_MS = 1_700_000_000_000
SECRET = Secret("s3cret")
SWITCH = SwitchChannel(
    key="switch_42",
    epoch=42,
    payload=msgspec.Raw(b'{"epoch":42,"weights":{"B":100}}'),
    at_ms=NOW_MS - 3_000,
    valid_until_ms=NOW_MS + 600_000,
)


@pytest.fixture
async def server() -> AsyncIterator[Loopback]:
    async with loopback() as running:
        yield running


@pytest.fixture
async def failover(server: Loopback) -> AsyncIterator[FailoverWebhook]:
    client = HttpClient(config_hosts=[server.place])
    endpoint = Endpoint("failover", "webhook", Secret(server.url("/switch")), SECRET)
    yield FailoverWebhook(client, endpoint)
    await client.close()


@pytest.mark.parametrize(
    ("body", "status", "applied"),
    [
        (b'{"status":"applied","applied_epoch":42}', "applied", 42),
        (b'{"status":"stale","applied_epoch":43}', "stale", 43),
        # What a receiver says to a repeat when its first answer got lost.
        (b'{"status":"stale","applied_epoch":42}', "applied", 42),
        (b'{"status":"applied","applied_epoch":43}', "stale", 43),
        (b'{"status":"refused","applied_epoch":41}', "refused", 41),
        (b'{"status":"refused"}', "refused", None),
    ],
)
async def test_receiver_that_names_its_epoch_has_answered(
    failover: FailoverWebhook, server: Loopback, body: bytes, status: str, applied: int | None
) -> None:
    """Applied only with our epoch; a newer one means ours is stale."""
    server.script = [Answer(body=body)]
    answer = await failover.switch(SWITCH, NOW_MS)
    assert (answer.status, answer.applied_epoch, answer.epoch) == (status, applied, 42)
    assert answer.effect_key == "switch_42"


async def test_switch_is_sent_as_a_signed_event(
    failover: FailoverWebhook, server: Loopback
) -> None:
    """Type, time of the decision, and the full desired state, under the id of the epoch."""
    server.script = [Answer(body=b'{"status":"applied","applied_epoch":42}')]
    await failover.switch(SWITCH, NOW_MS)
    (seen,) = server.seen
    assert msgspec.json.decode(seen.body) == {
        "type": "channel.switch",
        "timestamp": "2023-11-14T22:13:17Z",
        "data": {"epoch": 42, "weights": {"B": 100}},
    }
    assert seen.headers["webhook-id"] == "switch_42"
    assert verify_webhook([SECRET], seen.headers, seen.body, NOW_MS) is Verdict.VALID


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer(200, b"ok"), Transient),
        (Answer(204), Transient),
        (Answer(200, b'{"status":' + b"[" * 16_000), Transient),
        (Answer(200, b'{"status":"done","applied_epoch":42}'), Transient),
        (Answer(200, b'{"status":"applied"}'), Transient),
        (Answer(200, b'{"status":"applied","applied_epoch":41}'), Transient),
        (Answer(200, b'{"status":"applied","applied_epoch":"42"}'), Transient),
        (Answer(500), Transient),
        (Answer(429), Transient),
        (DROP, UnknownOutcome),
        (Answer(403), Permanent),
        (Answer(410), Permanent),
    ],
)
async def test_anything_else_is_no_acknowledgement(
    failover: FailoverWebhook, server: Loopback, answer: Answer, error: type[EffectError]
) -> None:
    """A bare 2xx is what any web server says: it is sent again."""
    server.script = [answer]
    with pytest.raises(error):
        await failover.switch(SWITCH, NOW_MS)


async def test_expired_switch_is_not_sent(failover: FailoverWebhook, server: Loopback) -> None:
    """At the end of its validity the command is void, and nobody is asked."""
    answer = await failover.switch(SWITCH, SWITCH.valid_until_ms)
    assert (answer.status, answer.applied_epoch) == ("expired", None)
    assert server.seen == []
