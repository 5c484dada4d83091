"""The door of one service: its socket, the gate in it, and the keys that open the gate."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from pathlib import Path

from monitor.api.auth import Gate, ensure_admin_token, gate_of
from monitor.api.edge import Edge
from monitor.api.fast import FastListener
from monitor.api.listener import Listener, url_of
from monitor.api.routes import ROUTES, Route
from monitor.api.service import Service
from monitor.model.endpoints import Endpoints
from monitor.ports import Clock
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
    ) -> None:
        data_dir = Path(endpoints.data_dir)
        self._endpoints = endpoints
        self.token_path = ensure_admin_token(data_dir, new_token)
        self.keyring = Keyring(data_dir, clock, self._renew_gate, service.note)
        self.edge = Edge(service, clock, self._gate(), session=session)
        self._main: Listener | None = None
        self._fast = FastListener(self.edge)

    async def open(self, pages: Iterable[Route]) -> str:
        """Listen, and return the address.

        Raises: OSError where the address is taken.
        """
        listen = self._endpoints.listen
        self._main = Listener(self.edge, (*ROUTES, *pages))
        await self._main.open(listen)
        if self._endpoints.listen_fast is not None:
            fast = self._endpoints.listen_fast
            url = url_of(fast.host, await self._fast.start(fast))
            log.info("listening_fast", extra={"fields": {"url": url}})
        return self._main.url

    async def close(self) -> None:
        """Answer what is under way, take nothing new, and write down when keys were used."""
        await self._fast.stop()
        if self._main is not None:
            await self._main.close()
        self.keyring.save()

    def renew(self, endpoints: Endpoints) -> None:
        """Take over other keys, secrets and names; the address stays.

        Raises: ConfigError for unusable keys, OSError, AuthError for an unusable token.
        """
        self._endpoints = endpoints
        self.keyring.reread()

    def _gate(self) -> Gate:
        keyring = self.keyring
        return gate_of(self._endpoints, self.token_path, keyring.keys, keyring.used)

    def _renew_gate(self) -> None:
        self.edge.gate = self._gate()
