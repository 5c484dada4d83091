"""A supplier in YAML: templates, signatures, and what its answers prove."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from monitor.adapters.channels.http import HttpSupplier
from monitor.adapters.channels.manual import ManualChannel
from monitor.adapters.goods_file import GoodsFile
from monitor.adapters.http_client import HttpAnswer, HttpClient
from monitor.adapters.supplier_answer import read_answer
from monitor.adapters.supplier_sign import sign
from monitor.adapters.supplier_template import FilledRequest, fill
from monitor.adapters.vault import SealedVault
from monitor.model.endpoints import AnswerRule, ErrorRule, HttpChannel, HttpRequest, Signing
from monitor.model.errors import Permanent
from monitor.model.secret import Secret
from tests.contracts.test_channels import query, submit
from tests.loopback import DROP, Answer, Loopback, loopback

VALUES: dict[str, str | int | None] = {
    "attempt_ref": "att_1",
    "sku": "a/b c",
    "quantity": 2,
    "region": None,
}
SECRET = Secret("s3cret")
CHANNEL = HttpChannel(
    name="supplier",
    submit=HttpRequest("POST", "http://127.0.0.1:1/buy"),
    query=None,
    answers=(
        AnswerRule("delivered", {"data.state": ["done", "ok"], "http": 200}, goods="data.keys"),
        AnswerRule("accepted", {"data.state": "wait"}, supplier_ref="data.no"),
        AnswerRule("not_found", {"http": 404}),
        AnswerRule("rejected", {"ok": False}, code="error.code"),
    ),
    errors={"1001": ErrorRule("never", "order")},
)


def read(status: int, body: object) -> Any:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_answer(HttpAnswer(status, {}, raw), CHANNEL)


@pytest.mark.parametrize("sku", [".", ".."])
@pytest.mark.parametrize("url", ["http://x/a/{{ sku }}/buy", "http://x/a/{{ sku }}?q=1"])
def test_value_that_would_climb_the_path_is_refused(url: str, sku: str) -> None:
    """`/a/../buy` is `/buy` to every client: the request would ask for something else."""
    with pytest.raises(Permanent) as refusal:
        fill(HttpRequest("GET", url), {"sku": sku})
    assert refusal.value.code == "template_value"


def test_dots_inside_a_value_and_in_the_query_are_kept() -> None:
    """Only whole segments are folded."""
    template = HttpRequest("GET", "http://x/{{ sku }}/a.b?q={{ region }}")
    assert fill(template, {"sku": "..a", "region": ".."}).url == "http://x/..a/a.b?q=.."


def test_json_placeholder_keeps_its_type_and_text_around_it_makes_it_text() -> None:
    """`"{{ quantity }}"` is the number 2, `"n={{ quantity }}"` a text, an unknown value null."""
    template = HttpRequest(
        "POST",
        "http://x/{{ sku }}?r={{attempt_ref}}",
        headers={"X-Ref": "r-{{ attempt_ref }}"},
        json={"q": "{{ quantity }}", "t": ["n={{ quantity }}", True], "r": "{{ region }}"},
        form={"r": "{{ region }}"},
    )
    filled = fill(template, dict(VALUES))
    assert filled.json == {"q": 2, "t": ["n=2", True], "r": None}
    assert filled.url == "http://x/a%2Fb%20c?r=att_1"
    assert filled.headers == {"X-Ref": "r-att_1"}
    assert filled.form == {"r": ""}


def test_template_value_nobody_has_is_refused() -> None:
    """Nothing is sent with a hole in it."""
    with pytest.raises(Permanent):
        fill(HttpRequest("GET", "http://x/{{ amount_minor }}"), dict(VALUES))


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (200, {"data": {"state": "done", "keys": ["k"]}}, "delivered"),
        (200, {"data": {"state": "ok", "keys": "k"}}, "delivered"),
        (201, {"data": {"state": "ok", "keys": "k"}}, "unknown"),
        (200, {"data": {"state": "done", "keys": []}}, "unknown"),
        (200, {"data": {"state": "done", "keys": ["k", ""]}}, "unknown"),
        (200, {"data": {"state": "done"}}, "unknown"),
        (200, {"data": {"state": "wait"}}, "accepted"),
        (404, {"status": "anything"}, "unknown"),
        (200, {"ok": False, "error": {"code": 1001}}, "rejected"),
        (200, {"ok": False, "error": {"code": "1002"}}, "unknown"),
        (200, {"ok": False}, "unknown"),
        (200, {"ok": 0, "error": {"code": 1001}}, "unknown"),
        (500, {"ok": False, "error": {"code": 1001}}, "unknown"),
        (503, {"data": {"state": "done", "keys": ["k"]}}, "unknown"),
        (200, b"<html>", "unknown"),
        (200, b"[" * 100_000, "unknown"),
        (200, b"", "unknown"),
        (200, [], "unknown"),
    ],
)
def test_answer_means_what_the_table_says_and_else_unknown(
    status: int, body: object, outcome: str
) -> None:
    """First match wins; 5xx, unlisted codes, missing goods and nonsense are unknown."""
    assert read(status, body).outcome == outcome


def test_error_table_says_whom_to_blame_and_where_to_go() -> None:
    """A number in JSON matches its code in the table."""
    finding = read(200, {"ok": False, "error": {"code": 1001}})
    assert (finding.code, finding.error.retry, finding.error.blame) == ("1001", "never", "order")


def test_structured_units_stay_readable_and_findings_show_no_goods() -> None:
    """A card with number and pin is one unit; printing a finding shows a count."""
    finding = read(200, {"data": {"state": "ok", "keys": [{"pin": "1", "no": "K"}]}})
    assert finding.goods == ('{"no":"K","pin":"1"}',)
    assert "pin" not in repr(finding)


def request_with(**parts: Any) -> FilledRequest:
    base = FilledRequest("POST", "http://x/p", {}, None, None, 1_000)
    return msgspec.structs.replace(base, **parts)


def test_md5_signature_covers_json_form_or_query() -> None:
    """`a=1&b=2` + secret, in the place where the fields are."""
    expected = hashlib.md5(b"a=1&b=2s3cret").hexdigest()
    signing = Signing("md5_sorted", field="sig", secret=SECRET)
    _, _, body = sign(request_with(json={"b": 2, "a": 1}), signing, "m", 0)
    assert json.loads(body) == {"b": 2, "a": 1, "sig": expected}
    _, headers, body = sign(request_with(form={"b": "2", "a": "1"}), signing, "m", 0)
    assert body == f"b=2&a=1&sig={expected}".encode()
    assert headers == {"Content-Type": "application/x-www-form-urlencoded"}
    url, _, body = sign(request_with(url="http://x/p?b=2&a=1"), signing, "m", 0)
    assert (url, body) == (f"http://x/p?b=2&a=1&sig={expected}", b"")


def test_header_signatures_cover_the_body_that_is_sent() -> None:
    """HMAC in hex, bearer, a bare key under its own header, and Standard Webhooks."""
    request = request_with(json={"a": 1})
    _, headers, body = sign(request, Signing("hmac_sha256", "X-Sig", None, SECRET), "m", 0)
    assert headers["X-Sig"] == hmac.new(b"s3cret", body, "sha256").hexdigest()
    assert headers["Content-Type"] == "application/json"
    _, headers, _ = sign(request, Signing("bearer", secret=SECRET), "m", 0)
    assert headers["Authorization"] == "Bearer s3cret"
    _, headers, _ = sign(request, Signing("bearer", "X-Api-Key", secret=SECRET), "m", 0)
    assert headers["X-Api-Key"] == "s3cret"
    _, headers, _ = sign(request, Signing("standard_webhooks", secret=SECRET), "m", 5_000)
    assert (headers["webhook-id"], headers["webhook-timestamp"]) == ("m", "5")


@pytest.fixture
async def server() -> AsyncIterator[Loopback]:
    async with loopback() as running:
        yield running


@pytest.fixture
async def client(server: Loopback) -> AsyncIterator[HttpClient]:
    made = HttpClient(config_hosts=[server.place, "127.0.0.1:1"])
    yield made
    await made.close()


@pytest.fixture
async def vault(tmp_path: Path) -> AsyncIterator[SealedVault]:
    file = GoodsFile(tmp_path)
    yield SealedVault(file)
    await file.close()


async def test_connection_that_never_came_about_is_certainly_not_done(
    client: HttpClient, vault: SealedVault
) -> None:
    """Nobody listens: no byte left us, the next channel may be tried."""
    answer = await HttpSupplier(CHANNEL, client, vault).submit(submit(), 9)
    assert (answer.outcome, answer.code) == ("rejected", "not_sent")
    assert (answer.retry, answer.blame, answer.at_ms) == ("other", "channel", 9)


async def test_address_that_is_refused_is_our_own_mistake(vault: SealedVault) -> None:
    """The egress guard stops it before a byte leaves."""
    strict = HttpClient()
    answer = await HttpSupplier(CHANNEL, strict, vault).submit(submit(), 0)
    assert (answer.code, answer.blame, answer.detail) == ("not_sent", "us", "egress_refused")
    await strict.close()


@pytest.mark.parametrize("said", [DROP, Answer(status=502), Answer(body=b"{}")])
async def test_anything_unclear_after_the_first_byte_is_unknown_and_sent_once(
    client: HttpClient, vault: SealedVault, server: Loopback, said: Answer
) -> None:
    """A cut connection, a gateway's 502 and an empty object are all the same: ask."""
    server.script = [said]
    channel = msgspec.structs.replace(CHANNEL, submit=HttpRequest("POST", server.url("/buy")))
    answer = await HttpSupplier(channel, client, vault).submit(submit(), 0)
    assert (answer.outcome, answer.is_query) == ("unknown", False)
    assert len(server.seen) == 1


async def test_refused_replay_stays_unknown(
    client: HttpClient, vault: SealedVault, server: Loopback
) -> None:
    """The balance check ran before the look-up of the first try: R1."""
    server.script = [Answer(body=b'{"ok":false,"error":{"code":1001}}')]
    channel = msgspec.structs.replace(
        CHANNEL, submit=HttpRequest("POST", server.url("/buy")), capability="idempotent"
    )
    answer = await HttpSupplier(channel, client, vault).query(query(), 0)
    assert (answer.outcome, answer.is_query, answer.code) == ("unknown", False, "1001")


async def test_channel_that_cannot_be_asked_is_not_sent_anything(
    client: HttpClient, vault: SealedVault, server: Loopback
) -> None:
    """Opaque and without query: a replay could be a second purchase."""
    channel = msgspec.structs.replace(CHANNEL, submit=HttpRequest("POST", server.url("/buy")))
    answer = await HttpSupplier(channel, client, vault).query(query(), 0)
    assert (answer.outcome, server.seen) == ("unknown", [])


async def test_goods_that_cannot_be_stored_were_not_obtained(
    client: HttpClient, vault: SealedVault, server: Loopback
) -> None:
    """Other goods for the same attempt: unknown, and the answer shows none of them."""
    server.script = [Answer(body=b'{"data":{"state":"ok","keys":["NEW-KEY"]}}')]
    channel = msgspec.structs.replace(CHANNEL, submit=HttpRequest("POST", server.url("/buy")))
    await vault.store("att_1", ["OLD-KEY"])
    answer = await HttpSupplier(channel, client, vault).submit(submit(), 0)
    assert (answer.outcome, answer.detail) == ("unknown", "vault: goods_differ")
    assert b"KEY" not in msgspec.json.encode(answer)


async def test_key_that_was_sold_before_is_bought_and_not_obtained(
    client: HttpClient, vault: SealedVault, server: Loopback
) -> None:
    """The purchase is certain, so nothing else may be bought; of the goods nothing is left."""
    server.script = [Answer(body=b'{"data":{"state":"ok","keys":["ONE-KEY"]}}')]
    channel = msgspec.structs.replace(CHANNEL, submit=HttpRequest("POST", server.url("/buy")))
    await vault.store("att_0", ["ONE-KEY"])
    answer = await HttpSupplier(channel, client, vault).submit(submit(), 0)
    assert (answer.outcome, answer.code) == ("delivered", "goods_sold_before")
    assert (answer.goods_count, answer.goods_digest) == (0, None)


async def test_person_queue_accepts_and_cannot_be_asked() -> None:
    """`manual` takes everything and knows nothing."""
    channel = ManualChannel()
    assert (await channel.submit(submit(), 0)).outcome == "accepted"
    assert (await channel.query(query(), 0)).outcome == "unknown"
