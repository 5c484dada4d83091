"""What every handler needs, in one place: the service, the clock, the gate, the limits."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

import msgspec
from aiohttp import web

from monitor.api.auth import Caller, Gate
from monitor.api.decisions import Decisions
from monitor.api.decode_types import unkeyed_digest
from monitor.api.fast_answer import Accepted
from monitor.api.idempotency import Answers
from monitor.api.overload import PAGES_FILL, Flow
from monitor.api.quota import Quotas
from monitor.api.refusals import Refusals
from monitor.api.service import Service, StreamEvent
from monitor.api.shed import QUOTA, SIGNALS
from monitor.api.stream import StreamHub
from monitor.model.errors import QuotaError
from monitor.ports import Clock

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Limits(msgspec.Struct, frozen=True):
    """How much and how long one connection may ask for, and how many there may be.

    `idle_s`: between two requests. `connections_per_address` does not count for this machine and
    for `proxies`, behind which are many clients.
    """

    body_bytes_max: int = 1024 * 1024
    header_deadline_s: float = 5.0
    body_deadline_s: float = 10.0
    answer_deadline_s: float = 10.0  # without a byte of it being read
    idle_s: float = 30.0
    grace_s: float = 0.5  # of newcomers, whose bytes may be here already, unread
    connections_max: int = 1_000  # of one listener
    connections_per_address: int = 64
    proxies: tuple[Network, ...] = ()
    headers_max: int = 64
    line_bytes_max: int = 8_190
    lingering_s: float = 2.0  # reading on after a refusal, so that the client gets to see it
    shutdown_s: float = 5.0  # for requests under way; event streams end at once


class Change(msgspec.Struct, frozen=True):
    """What a request is about that changes something; `name` is unlike that of any other request."""

    action: str
    scope: str
    request_id: str
    name: str


class Edge:
    """The one mutable thing of the HTTP edge: a reload of the keys replaces `gate`.

    `session` is a name of this process that no other has.
    """

    def __init__(
        self,
        service: Service,
        clock: Clock,
        gate: Gate,
        limits: Limits | None = None,
        session: str = "",
        name_customer: Callable[[str], str] = str,
        name_goods: Callable[[str], str] = unkeyed_digest,
    ) -> None:
        self.service = service
        self.clock = clock
        self.gate = gate
        self.limits = limits or Limits()
        self.name_customer = name_customer
        self.name_goods = name_goods
        self.flow = Flow(service.left_out)
        self.quotas = Quotas({})
        self.refusals = Refusals()
        self.streams = StreamHub()
        self.decisions = Decisions()
        self.answers = Answers()
        self.accepted = Accepted()
        self.event_answers = Answers()  # apart: a busy shop must not push out those of operators
        self._session = session
        self._requests = 0

    def check_quota(self, caller: Caller) -> None:
        """Refuse a source that has sent too much. Raises: QuotaError."""
        try:
            self.quotas.check(caller.source, self.clock.now_ms())
        except QuotaError:
            self.flow.give_up(QUOTA)
            raise

    def next_name(self) -> str:
        """Name a request: no two have the same name, in this process or another."""
        self._requests += 1
        return f"{self._session}/{self._requests}"

    def wants_signals(self) -> bool:
        """Whether readers of a stream are to hear that numbers moved."""
        if not self.streams.readers:
            return False
        if self.flow.fill < PAGES_FILL:
            return True
        self.flow.give_up(SIGNALS)
        return False

    def publish(self, event: StreamEvent) -> None:
        """Take a stream event of the service: for open streams and the list of decisions."""
        self.decisions.take(event)
        self.streams.publish(event)


EDGE = web.AppKey("edge", Edge)
CALLER = web.RequestKey("caller", Caller)
CHANGE = web.RequestKey("change", Change)  # only where the route changes something
