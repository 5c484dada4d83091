"""The promise of every notifier, kept against real loopback servers.

A new notifier joins by one entry in `CASES`: how its receiver says yes, and what it signs.
"""

from __future__ import annotations

import traceback
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import msgspec
import pytest

from monitor.adapters.http_client import HttpClient
from monitor.adapters.notifiers import NOTIFIERS
from monitor.adapters.notifiers.base import Notifier
from monitor.model.effects import Notify
from monitor.model.endpoints import Endpoint
from monitor.model.errors import EffectError, Permanent, Transient, UnknownOutcome
from monitor.model.secret import Secret
from monitor.model.webhooks import Verdict
from tests.loopback import DROP, HANG, Answer, Loopback, Seen, loopback
from tests.webhooks import verify_webhook

NOW_MS = 1_700_000_000_000
TOKEN = "tok3n-in-the-url"
SIGN_SECRET = "SECtest"
NOTIFY = Notify(
    key="notify:alert1:firing:1",
    receiver="ops",
    integration="dingtalk/0",
    event_type="alert.firing",
    status="firing",
    severity="critical",
    title="延迟 3% > 2%",
    text="### 延迟\n- channel **auto**",
    payload=msgspec.Raw(b'{"alertname":"Delayed"}'),
    at_ms=NOW_MS - 5_000,
)


@dataclass
class Case:
    """How one kind of receiver behaves."""

    kind: str
    accepted: Answer
    refused_in_body: Answer | None
    is_signed: Callable[[Seen], bool]


def _webhook_is_signed(seen: Seen) -> bool:
    verdict = verify_webhook([Secret(SIGN_SECRET)], seen.headers, seen.body, NOW_MS)
    return verdict is Verdict.VALID


def _dingtalk_is_signed(seen: Seen) -> bool:
    """The known answer of the reference, decoded once by the server and encoded once on the wire."""
    return (
        seen.query["sign"] == "aZLLrriXgn05YbwaGR7knYsLeJADjr9NwLaNNKpxh4g="
        and seen.query["timestamp"] == "1700000000000"
        and "%25" not in seen.raw_query
    )


CASES = [
    Case("webhook", Answer(204), None, _webhook_is_signed),
    Case(
        "dingtalk",
        Answer(200, b'{"errcode":0,"errmsg":"ok"}'),
        Answer(200, b'{"errcode":310000,"errmsg":"sign not match"}'),
        _dingtalk_is_signed,
    ),
]


@pytest.fixture(params=CASES, ids=[case.kind for case in CASES])
def case(request: pytest.FixtureRequest) -> Case:
    assert isinstance(request.param, Case)
    return request.param


@pytest.fixture
async def server() -> AsyncIterator[Loopback]:
    async with loopback() as running:
        yield running


@pytest.fixture
async def client(server: Loopback) -> AsyncIterator[HttpClient]:
    made = HttpClient(config_hosts=[server.place])
    yield made
    await made.close()


@pytest.fixture
def notifier(case: Case, client: HttpClient) -> Notifier:
    return NOTIFIERS[case.kind](client)


def endpoint(case: Case, server: Loopback) -> Endpoint:
    return Endpoint(
        name=f"ops/{case.kind}/0",
        kind=case.kind,
        url=Secret(server.url(f"/robot/send?access_token={TOKEN}")),
        secret=Secret(SIGN_SECRET),
    )


def test_every_notifier_has_a_case() -> None:
    """Nobody joins the table without keeping the promise."""
    assert sorted(NOTIFIERS) == sorted(case.kind for case in CASES)


async def test_accepted_message_is_sent_once_and_signed(
    case: Case, notifier: Notifier, server: Loopback
) -> None:
    """One POST of JSON with a signature the receiver can check, the URL's own query kept."""
    server.script = [case.accepted]
    await notifier.send(NOTIFY, endpoint(case, server), NOW_MS)
    (seen,) = server.seen
    assert (seen.method, seen.headers["content-type"]) == ("POST", "application/json")
    assert seen.query["access_token"] == TOKEN
    assert case.is_signed(seen)
    msgspec.json.decode(seen.body)


async def test_repeat_sends_the_same_body(case: Case, notifier: Notifier, server: Loopback) -> None:
    """A repeat is recognisable: only the time of the attempt differs."""
    server.script = [case.accepted]
    await notifier.send(NOTIFY, endpoint(case, server), NOW_MS)
    await notifier.send(NOTIFY, endpoint(case, server), NOW_MS + 60_000)
    first, second = server.seen
    assert first.body == second.body
    assert first.headers.get("webhook-id") == second.headers.get("webhook-id")


async def test_refusal_in_the_body_is_permanent(
    case: Case, notifier: Notifier, server: Loopback
) -> None:
    """HTTP 200 with an error inside is no success; a plain webhook says it by 400."""
    server.script = [case.refused_in_body or Answer(400)]
    with pytest.raises(Permanent) as caught:
        await notifier.send(NOTIFY, endpoint(case, server), NOW_MS)
    assert caught.value.hint


@pytest.mark.parametrize("status", [429, 503])
async def test_busy_receiver_is_transient_with_its_own_wish(
    case: Case, notifier: Notifier, server: Loopback, status: int
) -> None:
    """Retry-After is passed on."""
    server.script = [Answer(status, headers={"Retry-After": "17"})]
    with pytest.raises(Transient) as caught:
        await notifier.send(NOTIFY, endpoint(case, server), NOW_MS)
    assert caught.value.retry_after_ms == 17_000


async def test_server_error_is_worth_a_repeat(
    case: Case, notifier: Notifier, server: Loopback
) -> None:
    """A 500 is never final: an alert is worth more than a duplicate."""
    server.script = [Answer(500)]
    with pytest.raises((Transient, UnknownOutcome)):
        await notifier.send(NOTIFY, endpoint(case, server), NOW_MS)


@pytest.mark.parametrize("status", [400, 401, 404, 410])
async def test_client_error_is_permanent(
    case: Case, notifier: Notifier, server: Loopback, status: int
) -> None:
    """Sending the same again would be refused again."""
    server.script = [Answer(status)]
    with pytest.raises(Permanent):
        await notifier.send(NOTIFY, endpoint(case, server), NOW_MS)


async def test_redirect_is_not_followed(case: Case, notifier: Notifier, server: Loopback) -> None:
    """A redirect would carry message and token elsewhere."""
    server.script = [Answer(307, headers={"Location": server.url("/other")}), case.accepted]
    with pytest.raises(Permanent):
        await notifier.send(NOTIFY, endpoint(case, server), NOW_MS)
    assert len(server.seen) == 1


async def test_dropped_connection_is_unknown(
    case: Case, notifier: Notifier, server: Loopback
) -> None:
    """The bytes had left: perhaps it was shown."""
    server.script = [DROP]
    with pytest.raises(UnknownOutcome):
        await notifier.send(NOTIFY, endpoint(case, server), NOW_MS)


async def test_hanging_receiver_is_unknown(case: Case, server: Loopback) -> None:
    """No answer within the client's limit: perhaps it was shown."""
    server.script = [HANG]
    hasty = HttpClient(config_hosts=[server.place], timeout_ms_max=300)
    with pytest.raises(UnknownOutcome):
        await NOTIFIERS[case.kind](hasty).send(NOTIFY, endpoint(case, server), NOW_MS)
    await hasty.close()


@pytest.mark.parametrize(
    "answer", [Answer(400), Answer(500), Answer(302), DROP, Answer(200, b'{"errcode":310000}')]
)
async def test_secret_and_token_are_in_no_error(
    case: Case, notifier: Notifier, server: Loopback, answer: Answer
) -> None:
    """Neither text nor traceback nor hint shows URL token, secret or signature."""
    server.script = [answer]
    try:
        await notifier.send(NOTIFY, endpoint(case, server), NOW_MS)
    except EffectError as error:
        shown = "".join(traceback.format_exception(error)) + error.hint + error.code
        for hidden in (TOKEN, SIGN_SECRET, "aZLLrr"):
            assert hidden not in shown
