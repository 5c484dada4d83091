"""DingTalk's own rules: what the message looks like, error codes, size and speed."""

import base64
import hashlib
import hmac
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path

import msgspec
import pytest

from monitor.adapters.clock import SystemClock
from monitor.adapters.goods_file import GoodsFile
from monitor.adapters.http_client import HttpClient
from monitor.adapters.notifiers.dingtalk import DingTalkNotifier
from monitor.adapters.performer import OutsidePerformer
from monitor.adapters.vault import SealedVault
from monitor.model.effects import Notify
from monitor.model.endpoints import Endpoint, Endpoints
from monitor.model.errors import EffectError, Permanent, Transient, UnknownOutcome
from monitor.model.secret import Secret
from tests.loopback import Answer, Loopback, loopback

NOW_MS = 1_700_000_000_000
OK = Answer(body=b'{"errcode":0,"errmsg":"ok"}')


@pytest.fixture
async def server() -> AsyncIterator[Loopback]:
    async with loopback() as running:
        running.script = [OK]
        yield running


@pytest.fixture
async def robot(server: Loopback) -> AsyncIterator[DingTalkNotifier]:
    client = HttpClient(config_hosts=[server.place])
    yield DingTalkNotifier(client)
    await client.close()


def endpoint(server: Loopback, path: str = "/send?access_token=a", **options: object) -> Endpoint:
    return Endpoint(
        name="ops/dingtalk/0", kind="dingtalk", url=Secret(server.url(path)), options=options
    )


def notify(text: str = "hello") -> Notify:
    return Notify(
        key="n1",
        receiver="ops",
        integration="dingtalk/0",
        event_type="alert.firing",
        status="firing",
        severity="critical",
        title="t" * 500,
        text=text,
        payload=msgspec.Raw(b"{}"),
        at_ms=NOW_MS,
    )


async def test_message_is_markdown_with_mentions(robot: DingTalkNotifier, server: Loopback) -> None:
    """DingTalk rings only for people named both in `at` and in the text."""
    await robot.send(notify("**x**"), endpoint(server, at_mobiles=["139"]), NOW_MS)
    assert msgspec.json.decode(server.seen[0].body) == {
        "msgtype": "markdown",
        "markdown": {"title": "t" * 100, "text": "**x** @139"},
        "at": {"atMobiles": ["139"], "atUserIds": [], "isAtAll": False},
    }


async def test_signature_with_plus_and_slash_arrives_unchanged(
    robot: DingTalkNotifier, server: Loopback
) -> None:
    """Encoded exactly once: a bare `+` would arrive as a space, a doubly encoded one as `%2B`."""

    def by_hand(at_ms: int) -> str:
        mac = hmac.new(b"SECtest", f"{at_ms}\nSECtest".encode(), hashlib.sha256)
        return base64.b64encode(mac.digest()).decode()

    at_ms = next(at for at in count(NOW_MS) if "+" in by_hand(at) and "/" in by_hand(at))
    signed = msgspec.structs.replace(endpoint(server), secret=Secret("SECtest"))
    await robot.send(notify(), signed, at_ms)
    assert server.seen[0].query["sign"] == by_hand(at_ms)


async def test_keyword_of_the_robot_is_in_every_message(
    robot: DingTalkNotifier, server: Loopback
) -> None:
    """A robot secured by keyword refuses messages without it; one that has it stays as it is."""
    for text in ("slow", "shop: slow"):
        await robot.send(notify(text), endpoint(server, keyword="shop"), NOW_MS)
    texts = [msgspec.json.decode(seen.body)["markdown"]["text"] for seen in server.seen]
    assert texts == ["slow shop", "shop: slow"]


async def test_robot_without_secret_is_not_signed(
    robot: DingTalkNotifier, server: Loopback
) -> None:
    """Robots secured by keyword or IP list take the URL as it is."""
    await robot.send(notify(), endpoint(server), NOW_MS)
    assert server.seen[0].raw_query == "access_token=a"


@pytest.mark.parametrize(
    ("body", "error", "code"),
    [
        (b'{"errcode":130101,"errmsg":"send too fast"}', Transient, "wait 60000"),
        (b'{"errcode":-1,"errmsg":"busy"}', Transient, "wait 5000"),
        (b'{"errcode":310000,"errmsg":"sign not match"}', Permanent, "errcode_310000"),
        (b'{"errcode":300001,"errmsg":"token"}', Permanent, "errcode_300001"),
        (b"<html>login to the hotel network</html>", UnknownOutcome, "unknown_outcome"),
        (b'{"errmsg":"ok"}', UnknownOutcome, "unknown_outcome"),
        (b'{"errcode":"0"}', UnknownOutcome, "unknown_outcome"),
        (b'{"errcode":' * 3_000, UnknownOutcome, "unknown_outcome"),
        (b'{"a":' + b"[" * 16_000, UnknownOutcome, "unknown_outcome"),
        (b"\xff\xfe", UnknownOutcome, "unknown_outcome"),
        (b"", UnknownOutcome, "unknown_outcome"),
    ],
)
async def test_body_of_a_200_decides(
    robot: DingTalkNotifier,
    server: Loopback,
    body: bytes,
    error: type[EffectError],
    code: str,
) -> None:
    """HTTP 200 alone never means sent."""
    server.script = [Answer(body=body)]
    with pytest.raises(error) as caught:
        await robot.send(notify(), endpoint(server), NOW_MS)
    if isinstance(caught.value, Transient):
        assert code == f"wait {caught.value.retry_after_ms}"
    else:
        assert caught.value.code == code


@pytest.mark.parametrize("text", ["订" * 20_000, "\n" * 30_000, '"' * 19_000 + "单", "x" * 19_990])
async def test_long_message_is_cut_to_the_limit(
    robot: DingTalkNotifier, server: Loopback, text: str
) -> None:
    """At most 20,000 bytes on the wire, nearly all of them used, and no half characters."""
    await robot.send(notify(text), endpoint(server), NOW_MS)
    body = server.seen[0].body
    assert 19_990 < len(body) <= 20_000
    shown = msgspec.json.decode(body)["markdown"]["text"]
    assert shown.endswith("…")
    assert text.startswith(shown[:-1])


async def test_twenty_first_message_of_a_minute_waits(
    robot: DingTalkNotifier, server: Loopback
) -> None:
    """The robot would be blocked for ten minutes; other robots are not held up."""
    for number in range(20):
        await robot.send(notify(), endpoint(server), NOW_MS + number)
    with pytest.raises(Transient) as caught:
        await robot.send(notify(), endpoint(server), NOW_MS + 1_000)
    assert caught.value.retry_after_ms == 61_000
    assert len(server.seen) == 20
    await robot.send(notify(), endpoint(server, "/send?access_token=b"), NOW_MS + 1_000)
    await robot.send(notify(), endpoint(server), NOW_MS + 62_000)
    assert len(server.seen) == 22


async def test_robot_counts_on_when_the_configuration_is_read_again(server: Loopback) -> None:
    """A reload brings a new performer with a new client, and the robot's limit stays the same."""
    clients = [HttpClient(config_hosts=[server.place]) for _ in range(2)]
    endpoints = Endpoints(integrations=(endpoint(server),))
    vault = SealedVault(GoodsFile(Path("never-opened")))
    clock = SystemClock()
    first = OutsidePerformer(clients[0], endpoints, {}, vault, clock)
    for _ in range(20):
        await first.perform(notify())
    second = OutsidePerformer(clients[1], endpoints, {}, vault, clock, previous=first)
    with pytest.raises(Transient, match="20 messages a minute"):
        await second.perform(notify())
    for client in clients:
        await client.close()
