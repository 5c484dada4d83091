"""Payment callbacks on their way through the relay, and what becomes of each.

request of a gateway ─► Arrival ─► stored ─► Receipt ─► the shop ─► ShopReply ─► the gateway
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from monitor.model.gateways import Callback, GatewayKeys
from monitor.model.shops import RawReply, RawRequest
from monitor.model.times import HOUR_MS

MARK = "X-Delivery-Monitor-Relay"  # our line in what the shop gets: which callback, which attempt


class Kind(StrEnum):
    """How much the relay owes for a callback."""

    DUTY = "duty"  # money moved: it must reach the shop, whatever the gateway does
    PASSING = "passing"  # waiting, expired: forwarded, never answered in the place of the shop
    PLAIN = "plain"  # nobody can say what it is, or its signature is wrong: passed as it is


class State(StrEnum):
    """Where a callback is; `monitor/core/relay/duty.py` has the moves."""

    WAITING = "waiting"  # for its turn; the gateway waits for the answer
    SENDING = "sending"  # one request of its order is at the shop
    OWED = "owed"  # the relay has said yes to the gateway and owes it to the shop
    ACCEPTED = "accepted"  # the shop said that it handled it
    PASSED = "passed"  # the gateway has the shop's answer, or none; nothing is owed
    UNDELIVERED = "undelivered"  # the deadline passed: a person has it


OPEN = (State.WAITING, State.SENDING, State.OWED)


class Verdict(StrEnum):
    """What one request to the shop came to."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNCLEAR = "unclear"
    DOWN = "down"  # no connection, no answer in time, or 502, 503, 504


class News(StrEnum):
    """What the monitor is told of a callback, each at most once."""

    TAKEN = "taken"  # the relay has taken over the duty
    OK = "ok"
    REJECTED = "rejected"
    PASSED = "passed"  # the gateway was not answered in the place of the shop
    NO_ORDER = "no_order"  # the shop says that it has no such order
    UNDELIVERED = "undelivered"  # a person must deliver it


class RelaySettings(msgspec.Struct, frozen=True):
    """One relay: callbacks of a gateway to a shop go to `forward`.

    `access` names the entry of `gateways` that it is, if any. `host` replaces the Host of the request. `patience_ms` None: what its kind of gateway is known
    to wait.
    """

    shop: str
    gateway: str
    kind: str
    forward: str
    host: str = ""
    patience_ms: int | None = None
    keys: GatewayKeys = GatewayKeys()
    access: str = ""

    @property
    def name(self) -> str:
        """How it is called."""
        return f"{self.shop}/{self.gateway}"


class RelayLimits(msgspec.Struct, frozen=True):
    """What bounds the relay; one shop is asked `parallel` times at once."""

    parallel: int = 8
    deadline_ms: int = 72 * HOUR_MS
    open_max: int = 50_000  # callbacks of one shop that are not done; more are passed as they are
    unchecked_max: int = 25_000  # with so many open no more unsigned ones are taken on


class Arrival(msgspec.Struct, frozen=True):
    """A callback as it came; `key` is (gateway, trade number, meaning), empty where nothing is owed.

    `body_digest` is of all that is sent on, so equal means equal bytes; `rest` is what the target
    has behind the address of the relay.
    """

    relay: str
    key: str
    kind: Kind
    callback: Callback
    request: RawRequest
    rest: str
    body_digest: str

    @property
    def order(self) -> str:
        """Whose requests go one after the other; empty for those that wait for nobody."""
        return "" if self.kind == Kind.PLAIN else self.callback.order_id


class ShopReply(msgspec.Struct, frozen=True):
    """A shop's answer as it came; headers keep order and case."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @classmethod
    def of(cls, reply: RawReply) -> ShopReply:
        """What we say in the gateway's words."""
        return cls(reply.status, (("Content-Type", reply.content_type),), reply.body)


class Receipt(msgspec.Struct, frozen=True):
    """What the store says of an arrival once it is durable.

    `row` is where it stands, `item` the first row of its key; `answer` is that of the shop if it
    accepted the key before.
    """

    row: int
    item: int
    is_new: bool
    answer: ShopReply | None = None
    is_conflict: bool = False


class StoredItem(msgspec.Struct, frozen=True):
    """A callback that was not done when the process ended; `rows` are its bodies, the oldest first."""

    item: int
    rows: tuple[int, ...]
    relay: str
    order: str
    kind: Kind
    received_ms: int
    attempts: int
    due_ms: int


class StoredRequest(msgspec.Struct, frozen=True):
    """What is sent to the shop."""

    request: RawRequest
    rest: str


class Closing(msgspec.Struct, frozen=True):
    """How a callback ended; `row` is the body that the shop answered to."""

    item: int
    row: int
    state: State
    at_ms: int
    answer: ShopReply | None = None


class Told(msgspec.Struct, frozen=True):
    """One piece of news that the monitor has not got yet."""

    news_id: int
    news: News
    relay: str
    callback: Callback
    at_ms: int
    received_ms: int


class RelayCounts(msgspec.Struct, frozen=True):
    """What is in the store, by what has become of it."""

    owed: int = 0
    undelivered: int = 0
    conflicts: int = 0
    oldest_ms: int | None = None
