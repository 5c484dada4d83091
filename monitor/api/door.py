"""The door of one service: its sockets, the gate in it, and the keys that open the gate."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections.abc import Callable, Iterable
from pathlib import Path

from monitor.api.auth import Gate, ensure_admin_token, gate_of
from monitor.api.edge import Edge, Limits
from monitor.api.fast import FastListener
from monitor.api.listener import Listener, url_of
from monitor.api.overload import TRACES_FILL, Flow
from monitor.api.roles import of_ingest, of_listen, of_metrics
from monitor.api.routes import ROUTES, Route
from monitor.api.service import Service
from monitor.api.shed import TRACES
from monitor.model.endpoints import Endpoints, Listen
from monitor.ports import Clock, OrderRow, TraceSink
from monitor.runtime.keyring import Keyring

log = logging.getLogger("monitor.door")


class Door:
    """Opens once; a reload renews the gate. `keyring.run` wants to be a task of the supervisor."""

    def __init__(
        self,
        service: Service,
        clock: Clock,
        endpoints: Endpoints,
        *,
        new_token: Callable[[], str],
        session: str,
        name_customer: Callable[[str], str],
        name_goods: Callable[[str], str],
    ) -> None:
        data_dir = Path(endpoints.data_dir)
        self._endpoints = endpoints
        self.token_path = ensure_admin_token(data_dir, new_token)
        self.keyring = Keyring(data_dir, clock, self._renew_gate, service.note)
        limits = limits_of(endpoints)
        self.edge = Edge(service, clock, self._gate(), limits, session, name_customer, name_goods)
        self.edge.quotas.per_s = endpoints.quotas
        self._listeners: list[Listener] = []
        self._fast = FastListener(self.edge)

    async def open(self, pages: Iterable[Route]) -> str:
        """Listen, and return the main address.

        Raises: OSError where an address is taken.
        """
        endpoints = self._endpoints
        routes = (*ROUTES, *pages)
        ingest, metrics = endpoints.listen_ingest, endpoints.listen_metrics
        has_ingest, has_metrics = ingest is not None, metrics is not None
        main = of_listen(routes, has_ingest=has_ingest, has_metrics=has_metrics)
        url = await self._listen(endpoints.listen, main)
        if ingest is not None:
            _tell("listening_ingest", await self._listen(ingest, of_ingest(routes)))
        if metrics is not None:
            _tell("listening_metrics", await self._listen(metrics, of_metrics(routes)))
        if endpoints.listen_fast is not None:
            fast = endpoints.listen_fast
            _tell("listening_fast", url_of(fast.host, await self._fast.start(fast)))
        return url

    async def close(self) -> None:
        """Answer what is under way, take nothing new, and write down when keys were used."""
        closing = (self._fast.stop(), *(listener.close() for listener in self._listeners))
        await asyncio.gather(*closing)
        self.keyring.save()

    def lag_s(self) -> float:
        """The longest the event loop was busy of late, in seconds."""
        return max((listener.connections.lag_s for listener in self._listeners), default=0.0)

    def renew(self, endpoints: Endpoints) -> None:
        """Take over other keys, secrets and names; the address stays.

        Raises: ConfigError for unusable keys, OSError, AuthError for an unusable token.
        """
        self._endpoints = endpoints
        self.edge.quotas.per_s = endpoints.quotas
        self.keyring.reread()

    async def _listen(self, listen: Listen, routes: Iterable[Route]) -> str:
        listener = Listener(self.edge, routes)
        await listener.open(listen)
        self._listeners.append(listener)
        return listener.url

    def _gate(self) -> Gate:
        keyring = self.keyring
        return gate_of(self._endpoints, self.token_path, keyring.keys, keyring.used)

    def _renew_gate(self) -> None:
        self.edge.gate = self._gate()
        self.edge.streams.let_go()  # a key that was revoked would go on reading


def limits_of(endpoints: Endpoints) -> Limits:
    """The limits of connections as configured; the others are the same for everybody."""
    places = endpoints.places
    return Limits(
        connections_max=places.total,
        connections_per_address=places.per_address,
        proxies=tuple(ipaddress.ip_network(network) for network in places.proxies),
    )


class Sparing:
    """Traces that are given up while the way of events is filling up."""

    def __init__(self, traces: TraceSink, flow: Flow) -> None:
        self._traces, self._flow = traces, flow

    def offer(self, order_row: OrderRow) -> None:
        """See TraceSink."""
        if self._flow.fill >= TRACES_FILL:
            self._flow.give_up(TRACES)
        else:
            self._traces.offer(order_row)


def sparing(traces: TraceSink | None, door: Door | None) -> TraceSink | None:
    """Take traces, where there is somebody to export them, only while there is room for events."""
    return Sparing(traces, door.edge.flow) if traces is not None and door is not None else None


def _tell(event: str, url: str) -> None:
    log.info(event, extra={"fields": {"url": url}})
