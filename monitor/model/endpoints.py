"""Addresses and secrets of the outside, as adapters get them; the core never sees these.

`monitor/config` builds them from `monitor.yaml`. Names match what effects carry: a `Notify` for
integration `ops/dingtalk/1f2e3d4c` finds its endpoint under that name, whose last part is a hash
of the URL.
"""

from __future__ import annotations

from typing import Any

import msgspec

from monitor.model.gateways import GatewayKeys
from monitor.model.relay import RelaySettings
from monitor.model.secret import Secret
from monitor.model.tails import TailSource

REQUEST_MS_MAX = 60_000  # how long any request to the outside may take, from dialling to the answer


class Endpoint(msgspec.Struct, frozen=True):
    """A URL written in the configuration file, with its secret.

    `kind`: webhook, dingtalk. `options` are the integration's own fields (validated by its schema).
    """

    name: str
    kind: str
    url: Secret  # robot URLs carry their token
    secret: Secret | None = None
    options: dict[str, Any] = {}


class ShopEndpoints(msgspec.Struct, frozen=True):
    """The shop's side of a takeover (contract §5)."""

    claim_url: str
    deliver_url: str
    release_url: str | None = None
    secret: Secret | None = None
    notify_url: str | None = None
    compensate_url: str | None = None
    refund_url: str | None = None


class CanaryEndpoint(msgspec.Struct, frozen=True):
    """Where synthetic orders are placed, for which goods, and how often."""

    url: str
    sku: str
    every_ms: int
    secret: Secret | None = None


class AnswerRule(msgspec.Struct, frozen=True):
    """One row of an answer table: first row whose `when` matches wins.

    `when` maps a dotted path into the JSON answer (or `http`, the status) to a value or a list of
    accepted values; `"*"` accepts any text or number. `goods supplier_ref code cost` are paths.
    `split` lines: one text holds one unit per line. `not_goods`: texts that excuse instead of
    delivering. `cost_decimals`: the price is written with so many decimals of the major unit.
    """

    outcome: str  # delivered, accepted, ready, duplicate, not_found, rejected, refused
    when: dict[str, Any]
    goods: str | None = None
    supplier_ref: str | None = None
    code: str | None = None
    cost: str | None = None
    split: str = "none"
    not_goods: tuple[str, ...] = ()
    cost_decimals: int = 0


class HttpRequest(msgspec.Struct, frozen=True):
    """One request template of an `http` channel; strings may hold `{{ attempt_ref }}` and friends.

    `answers` are rows of its own; without any the channel's table serves.
    """

    method: str
    url: str
    headers: dict[str, str] = {}
    json: Any = None
    form: dict[str, str] | None = None
    timeout_ms: int = 10_000
    answers: tuple[AnswerRule, ...] = ()


class ErrorRule(msgspec.Struct, frozen=True):
    """What a supplier's error code means: retry same, other or never; blame channel, order or us."""

    retry: str = "other"
    blame: str = "channel"


class Signing(msgspec.Struct, frozen=True):
    """How requests are signed: none, bearer, md5_sorted, hmac_sha256, standard_webhooks.

    `account` is our name at the supplier. `md5_sorted` signs `prefix` + fields + `suffix`, each
    field written as `join` says (k=v, kv, v) with `separator` between; `hmac_sha256` signs `text`.
    """

    kind: str = "none"
    header: str | None = None
    field: str | None = None
    secret: Secret | None = None
    account: str | None = None
    account_header: str | None = None
    timestamp_header: str | None = None
    join: str = "k=v"
    separator: str = "&"
    prefix: str = ""
    suffix: str = "{{ secret }}"
    skip_empty: bool = True
    text: str = "{{ body }}"
    encoding: str = "hex"  # or base64


class Callback(msgspec.Struct, frozen=True):
    """What a supplier tells us by itself: how it proves who it is, and what its words mean.

    `ref` is the path of our `attempt_ref`. `reply` is what it wants to hear.
    """

    sign: Signing
    ref: str
    answers: tuple[AnswerRule, ...]
    reply: Any = None


class Probe(msgspec.Struct, frozen=True):
    """A request that buys nothing and shows whether the supplier works; `balance` is a path."""

    request: HttpRequest
    when: dict[str, Any]
    balance: str | None = None


class HttpChannel(msgspec.Struct, frozen=True):
    """A supplier API described in YAML (contract §5, `http` delivery channel).

    `collect` fetches the goods of an order that is `ready`. `skus` are the supplier's names of our
    goods; without any they have the same.
    """

    name: str
    submit: HttpRequest
    query: HttpRequest | None
    answers: tuple[AnswerRule, ...]
    errors: dict[str, ErrorRule] = {}
    sign: Signing = Signing()
    capability: str = "opaque"
    settle_ms: int = 600_000
    max_cost_minor: int | None = None
    collect: HttpRequest | None = None
    callback: Callback | None = None
    probe: Probe | None = None
    skus: dict[str, str | int] = {}
    quantity_max: int | None = None


class ShopRetry(msgspec.Struct, frozen=True):
    """Where the shop is asked to try its own delivery again; signed with the shop's secret."""

    name: str
    url: str
    secret: Secret | None = None


class Drill(msgspec.Struct, frozen=True):
    """The script of a `sim` channel, and how long it takes to answer."""

    name: str
    script: tuple[str, ...] = ("delivered",)
    delay_ms: int = 0


class Listen(msgspec.Struct, frozen=True):
    """Where the service listens."""

    host: str = "127.0.0.1"
    port: int = 8080


class Places(msgspec.Struct, frozen=True):
    """How many connections each address of the service takes, and how many of them from one client.

    `proxies` are networks behind which are many clients.
    """

    total: int = 1_000
    per_address: int = 64
    proxies: tuple[str, ...] = ()


class IngestKey(msgspec.Struct, frozen=True):
    """An API key of one source, named in the configuration; only its SHA-256 is kept.

    `key_id` is where it is written, such as `sources/main-shop/1`.
    """

    source: str
    sha256: str
    scopes: tuple[str, ...] = ("ingest",)
    key_id: str = ""


class SourceSecrets(msgspec.Struct, frozen=True):
    """The secrets with which one source may sign its requests; several while they are rotated."""

    source: str
    secrets: tuple[Secret, ...]


class DatabaseAccess(msgspec.Struct, frozen=True):
    """A shop's database: `mysql://user@host:port/name`, `postgresql://…` or `sqlite:///path`.

    `prefix` of its tables; None: the usual one of the kind of shop.
    """

    url: str
    password: Secret | None = None
    prefix: str | None = None


class ApiAccess(msgspec.Struct, frozen=True):
    """A shop's API; `url` None where the kind of shop has one address for everybody."""

    url: str | None = None
    key: Secret | None = None
    secret: Secret | None = None


class ShopSource(msgspec.Struct, frozen=True):
    """A source that is read by an adapter of its kind; `secrets` are in force beside each other."""

    name: str
    kind: str
    secrets: tuple[Secret, ...] = ()
    database: DatabaseAccess | None = None
    api: ApiAccess | None = None
    poll_ms: int = 15_000
    timezone: str | None = None
    currency: str | None = None


class GatewayAccess(msgspec.Struct, frozen=True):
    """A payment gateway: what its callbacks are checked with, and how it is asked about orders.

    `providers`: the names by which orders say that they are paid through it. `is_asked`: about
    orders that were not paid yet, for `ask_for_ms`. `is_watched`: its listener is expected to live.
    """

    name: str
    kind: str
    keys: GatewayKeys = GatewayKeys()
    url: str | None = None
    merchant: str = ""
    user: str = ""
    password: Secret | None = None
    database: DatabaseAccess | None = None
    providers: tuple[str, ...] = ()
    is_asked: bool = False
    ask_for_ms: int = 1_800_000
    is_watched: bool = False


class Telemetry(msgspec.Struct, frozen=True):
    """OTLP export; nothing is imported while `endpoint` is None."""

    endpoint: str | None = None
    traces: bool = False
    metrics: bool = False


class Endpoints(msgspec.Struct, frozen=True):
    """Everything adapters need that the core must not know."""

    listen: Listen = Listen()
    listen_fast: Listen | None = None  # events only, on a parser without a framework
    listen_ingest: Listen | None = None  # what shops send and ask; then no events on `listen`
    listen_metrics: Listen | None = None  # then no metrics on `listen`
    places: Places = Places()
    data_dir: str = "./data"
    disk_reserve_mib: int = 32  # held back, to be given up when the disk is full; 0: nothing
    integrations: tuple[Endpoint, ...] = ()  # named `<receiver>/<kind>/<index>`
    webhooks: tuple[Endpoint, ...] = ()  # named `webhooks/<hash of the URL>`
    failover: Endpoint | None = None  # named `failover`
    shop: ShopEndpoints | None = None
    canary: CanaryEndpoint | None = None
    http_channels: tuple[HttpChannel, ...] = ()
    own_channels: tuple[ShopRetry | Drill, ...] = ()
    keys: tuple[IngestKey, ...] = ()
    source_secrets: tuple[SourceSecrets, ...] = ()
    shop_sources: tuple[ShopSource, ...] = ()  # of `sources`, those with a kind of their own
    gateways: tuple[GatewayAccess, ...] = ()
    relays: tuple[RelaySettings, ...] = ()
    tails: tuple[TailSource, ...] = ()  # logs that are followed
    get_sources: tuple[str, ...] = ()  # their events may come by GET
    quotas: dict[str, int] = {}  # events a second, by source; without one as many as there are
    replay_window_ms: int = 300_000  # how far a signature's time may be from ours
    egress_allow: tuple[str, ...] = ()  # networks, e.g. 10.0.0.0/8
    config_hosts: tuple[str, ...] = ()  # host:port of every URL in the configuration file
    allowed_hosts: tuple[str, ...] = ()  # extra names accepted in the Host header
    telemetry: Telemetry = Telemetry()

    def descriptors_max(self) -> int:
        """Files and sockets that may be open at once: connections of all addresses, and our own."""
        return (1 + len(self.more_addresses())) * max(self.places.total, 1_024) + 256

    def more_addresses(self) -> dict[str, Listen]:
        """The addresses beside `listen`, by their key in the configuration."""
        known = {
            "listen_fast": self.listen_fast,
            "listen_ingest": self.listen_ingest,
            "listen_metrics": self.listen_metrics,
        }
        return {key: listen for key, listen in known.items() if listen is not None}
