"""What the page may see of the service: no engine before its state is rebuilt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from monitor.core.engine import Engine

STARTING = "starting"  # what the trouble is while there is none


class Facts(Protocol):
    """What the service says of itself."""

    @property
    def facts(self) -> Mapping[str, str]:
        """Short facts by name; `trouble` if something is wrong."""
        ...


class Shown(Protocol):
    """The service, as the page needs it."""

    engine: Engine

    @property
    def is_ready(self) -> bool:
        """Whether the state is rebuilt."""
        ...

    def readiness(self) -> Facts:
        """Whether everything works, and the facts behind it."""
        ...

    def now_ms(self) -> int:
        """The clock's time."""
        ...


class ServicePage:
    """Keeps `web.page.PageSource` over a running service."""

    def __init__(self, service: Shown) -> None:
        self._service = service

    @property
    def engine(self) -> Engine | None:
        """The engine; None while its state is being rebuilt."""
        return self._service.engine if self._service.is_ready else None

    @property
    def language(self) -> str:
        """The configured language."""
        return self._service.engine.settings.language

    @property
    def timezone(self) -> str:
        """The shop's time zone."""
        return self._service.engine.settings.timezone

    def now_ms(self) -> int:
        """The clock's time."""
        return self._service.now_ms()

    def notes(self) -> list[str]:
        """What is wrong with the service itself."""
        trouble = self._service.readiness().facts.get("trouble")
        return [] if trouble in (None, STARTING) else [trouble]
