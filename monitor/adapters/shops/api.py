"""Asks a shop's API for a page, and says what an answer that is none means."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import TypeVar
from urllib.parse import urlencode

import msgspec

from monitor.adapters.http_client import HttpAnswer, HttpClient
from monitor.adapters.signed_post import retry_after_ms
from monitor.model.errors import UNREADABLE, EffectError, InputError, SourceError
from monitor.model.events import OrderEvent
from monitor.model.times import MINUTE_MS

PAGE_BYTES_MAX = 4 * 1024 * 1024
TIMEOUT_MS = 30_000
BUSY_MS = MINUTE_MS  # a shop that asks for patience without saying how long

log = logging.getLogger("monitor.shops")
Page = TypeVar("Page")
# Told after each look: the source, and its webhooks that the shop switched off, as `topic: status`.
WebhookState = Callable[[str, tuple[str, ...]], None]
ReadItem = tuple[tuple[OrderEvent, ...], int]  # its events, and when it changed


class ShopApi:
    """Asks one API; whatever is not an answer is a SourceError that names the source and the status.

    While the API wants to be left alone (429, 503 with `Retry-After`) it is not asked.
    """

    def __init__(self, client: HttpClient, source: str, base: str, headers: dict[str, str]) -> None:
        self._client = client
        self._source = source
        self._base = base.rstrip("/")
        self._headers = {"Accept": "application/json", **headers}
        self._free_ms = 0

    async def get(self, path: str, query: Iterable[tuple[str, str]], now_ms: int) -> HttpAnswer:
        """Ask for one page; 400 and 404 return, because only the caller knows what they are about.

        Raises: SourceError.
        """
        if now_ms < self._free_ms:
            wait_s = -(-(self._free_ms - now_ms) // 1_000)
            raise SourceError(f"{self._source}: the API wants to be left alone for {wait_s} s")
        url = f"{self._base}{path}?{urlencode(list(query))}"
        try:
            answer = await self._client.request(
                "GET", url,
                headers=self._headers, timeout_ms=TIMEOUT_MS, answer_bytes_max=PAGE_BYTES_MAX,
            )  # fmt: skip
        except EffectError as error:
            raise SourceError(f"{self._source}: {error}", hint=error.hint) from None
        self._check(answer, now_ms)
        return answer

    def _check(self, answer: HttpAnswer, now_ms: int) -> None:
        status = answer.status
        if status in (200, 400, 404):
            return
        hint = ""
        if status in (429, 503):
            wished_ms = retry_after_ms(answer.headers.get("retry-after"), now_ms)
            self._free_ms = now_ms + (BUSY_MS if wished_ms is None else wished_ms)
        elif status in (401, 403):
            hint = (
                "check `api.key` and `api.secret` of the source; they need the right to read orders"
            )
        raise SourceError(f"{self._source}: the API answers HTTP {status}", hint=hint)


def decode_page(body: bytes | msgspec.Raw, kind: type[Page], source: str) -> Page:
    """Read an answer. Raises: SourceError; of the body only its place of error is told."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        hint = "the address may be that of a page for people, or of another system"
        raise SourceError(
            f"{source}: the API's answer cannot be read: {_said(error)}", hint=hint
        ) from None


def read_items(
    items: Iterable[msgspec.Raw], read: Callable[[msgspec.Raw], ReadItem], source: str
) -> tuple[tuple[OrderEvent, ...], int]:
    """Read entries one by one; returns their events and the newest change.

    An entry that is not what it should be must not hide the others: it is left out and logged.
    """
    events: list[OrderEvent] = []
    newest_ms, unread, count = 0, "", 0
    for item in items:
        try:
            told, changed_ms = read(item)
        except (msgspec.MsgspecError, InputError, *UNREADABLE) as error:
            unread, count = _said(error), count + 1
            continue
        events += told
        newest_ms = max(newest_ms, changed_ms)
    if unread:
        fields = {"source": source, "error": unread, "entries": count}
        log.warning("entry_unreadable", extra={"fields": fields})
    return tuple(events), newest_ms


def _said(error: Exception) -> str:
    """What may be told: msgspec names types and places, InputError is ours; neither quotes a value."""
    if isinstance(error, UnicodeDecodeError):
        return "not UTF-8"
    is_ours = isinstance(error, (msgspec.MsgspecError, InputError))
    return str(error) if is_ours else type(error).__name__
