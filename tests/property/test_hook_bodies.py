"""Whatever a proven sender sends, an adapter says facts that can be kept, or one of its two errors."""

import copy
import json
import os
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.adapters.shops import PUSHES
from monitor.adapters.shops.push import Push
from monitor.core.engine import Engine
from monitor.model.commands import Batch
from monitor.model.errors import InputError
from monitor.model.events import LIFECYCLE_RANK, OrderEvent
from monitor.model.rules import RuleSet
from monitor.model.settings import Settings
from monitor.model.shops import RawRequest
from tests.planted import PLANTED, Sender, Sent
from tests.schemes import NOW_MS, adapter

CARD = "CARD-9F2C-PLANTED"
NOW_S = NOW_MS // 1_000
EXAMPLES = int(os.environ.get("DELIVERY_MONITOR_HOOK_EXAMPLES", "30"))
Path = tuple[str | int, ...]

WILD: tuple[Any, ...] = (
    None, True, -1, 0, 2**63, -(2**70), 1.5, 1e300, "", "9" * 400, "x" * 5_000, "\x00\u202e",
    "1e400", "-1", "2026-13-01T00:00:00", "9999-12-31T23:59:59Z", "1969-12-31T23:59:59Z",
    "0001-01-01T00:00:00+14:00", [], {}, [None], {"id": 1},
)  # fmt: skip
odd = st.one_of(st.sampled_from(WILD), st.integers(), st.floats(), st.text(max_size=20))


def believing(sender: Sender) -> Push:
    """The adapter of a kind, for which every request is proven."""
    kind = PUSHES[sender.kind]
    trusting = type(kind.__name__, (kind,), {"prove": lambda self, request: None})
    push = copy.copy(adapter(sender.kind, sender.secret))
    push.__class__ = trusting
    return push


def places(value: Any, path: Path = ()) -> Iterator[Path]:
    """Every place in a JSON value."""
    yield path
    inner = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, one in inner:
        yield from places(one, (*path, key))


def changed(value: Any, path: Path, new: Any) -> Any:
    """The value with another one at a place."""
    if not path:
        return new
    value = copy.copy(value)
    value[path[0]] = changed(value[path[0]], path[1:], new)
    return value


def request_of(sent: Sent, body: bytes) -> RawRequest:
    """A request with another body than was signed."""
    return RawRequest("POST", "/hooks/main", tuple(sent.headers.items()), body, NOW_MS)


def check(event: OrderEvent) -> None:
    """What every event in the log is."""
    assert event.type in LIFECYCLE_RANK
    assert event.event_id
    assert len(event.order_id) <= 128
    assert 0 <= event.time_ms <= NOW_MS + 300_000
    assert event.amount_minor is None or abs(event.amount_minor) < 2**63
    assert CARD not in repr(event)
    assert msgspec.json.decode(msgspec.json.encode(event), type=OrderEvent) == event


@pytest.mark.parametrize("sender", PLANTED, ids=lambda sender: sender.kind)
@settings(max_examples=EXAMPLES)
@given(data=st.data())
def test_any_value_at_any_place_is_survived(sender: Sender, data: st.DataObject) -> None:
    """One or two values of a real body are replaced by something odd."""
    sent = data.draw(st.sampled_from(sender.sent(CARD, NOW_S)))
    try:
        body = json.loads(sent.body)
    except ValueError:
        body = sent.body.decode()
    for _ in range(data.draw(st.integers(1, 2))):
        body = changed(body, data.draw(st.sampled_from(list(places(body)))), data.draw(odd))
    raw = body.encode() if isinstance(body, str) else json.dumps(body).encode("utf-8", "replace")
    try:
        pushed = believing(sender).read(request_of(sent, raw))
    except InputError:
        return
    assert pushed.reply.status == 200
    for event in pushed.events:
        check(event)
    Engine(Settings(), RuleSet()).handle(Batch(pushed.events), NOW_MS)


@pytest.mark.parametrize("sender", PLANTED, ids=lambda sender: sender.kind)
@settings(max_examples=EXAMPLES)
@given(raw=st.binary(max_size=200))
def test_any_bytes_are_survived(sender: Sender, raw: bytes) -> None:
    """No JSON at all, or JSON about nothing."""
    sent = sender.sent(CARD, NOW_S)[0]
    try:
        pushed = believing(sender).read(request_of(sent, raw))
    except InputError:
        return
    for event in pushed.events:
        check(event)


@pytest.mark.parametrize("sender", PLANTED, ids=lambda sender: sender.kind)
def test_every_wild_value_at_every_place_is_survived(sender: Sender) -> None:
    """Not by chance: each of them once, wherever a body has something."""
    push = believing(sender)
    for sent in sender.sent(CARD, NOW_S):
        try:
            body = json.loads(sent.body)
        except ValueError:
            continue  # a form has no places
        for path in places(body):
            for new in WILD:
                raw = json.dumps(changed(body, path, new)).encode()
                for event in push.read(request_of(sent, raw)).events:
                    check(event)
