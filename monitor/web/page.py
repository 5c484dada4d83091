"""The one page: `GET /`, its part that changes at `/fragments/now`, and its static files.

Everything is rendered here; the script only puts newer HTML into place, so the page is complete
without it. The page never changes anything, so it needs no token against forged requests.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec
from aiohttp import web

from monitor.core.engine import Engine
from monitor.web.assets import Assets
from monitor.web.language import COOKIE, Words, choose_language
from monitor.web.now import now_page, starting
from monitor.web.painter import Painter
from monitor.web.phrases import Phrases, visible

HOLD_MS = 500  # a painted part serves all readers of its language for so long
HOLD_MAX_MS = 10_000
HOLD_PER_COST = 20  # painting may take one part in so many of the loop's time
COOKIE_AGE_S = 365 * 86_400

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_FRESH = {"Cache-Control": "no-store", "Vary": "Accept-Language, Cookie"}
_FOREVER = {"Cache-Control": "public, max-age=31536000, immutable"}


class PageSource(Protocol):
    """What the page shows; the composition root offers it."""

    @property
    def engine(self) -> Engine | None:
        """The engine; None while its state is being rebuilt."""
        ...

    @property
    def language(self) -> str:
        """The configured language, for readers who ask for none that we have."""
        ...

    @property
    def timezone(self) -> str:
        """The shop's time zone, an IANA name."""
        ...

    def now_ms(self) -> int:
        """UTC milliseconds."""
        ...

    def notes(self) -> Sequence[str]:
        """Warnings to show loudly, beyond those that the page finds itself."""
        ...


class Painted(msgspec.Struct, frozen=True):
    """The part that changes, as HTML, and until when it serves."""

    body: str
    title: str
    is_ready: bool
    at_ms: int
    until_ms: int


class Page:
    """The handlers; paints at most twice a second per language, whatever the number of readers."""

    def __init__(self, source: PageSource) -> None:
        self._source = source
        self._assets = Assets()
        self._painter: Painter | None = None
        self._painted: dict[str, Painted] = {}

    async def get_page(self, request: web.Request) -> web.StreamResponse:
        """Answer with the whole page; 503 while the state is being rebuilt."""
        words = Words(self._language(request))
        painted = self._paint(words)
        text = self._brush().page(words, painted.title, painted.body)
        response = _html(text, is_ready=painted.is_ready)
        if "lang" in request.query:
            response.set_cookie(
                COOKIE, words.language, max_age=COOKIE_AGE_S, httponly=True, samesite="Lax"
            )
        return response

    async def get_now(self, request: web.Request) -> web.StreamResponse:
        """Answer with the part that changes."""
        painted = self._paint(Words(self._language(request)))
        return _html(painted.body, is_ready=painted.is_ready)

    async def get_static(self, request: web.Request) -> web.StreamResponse:
        """Answer with a static file, to be kept for ever."""
        asset = self._assets.get(request.match_info["name"])
        if asset is None:
            raise web.HTTPNotFound(headers=_HEADERS)
        return web.Response(
            body=asset.body,
            content_type=asset.content_type,
            charset="utf-8",
            headers=_HEADERS | _FOREVER,
        )

    def _language(self, request: web.Request) -> str:
        return choose_language(
            request.query.get("lang"),
            request.cookies.get(COOKIE),
            request.headers.get("Accept-Language"),
            self._source.language,
        )

    def _brush(self) -> Painter:
        if self._painter is None:
            self._painter = Painter(self._assets)
        return self._painter

    def _paint(self, words: Words) -> Painted:
        now_ms = self._source.now_ms()
        known = self._painted.get(words.language)
        if known is None or not known.at_ms <= now_ms < known.until_ms:
            known = self._painted[words.language] = self._paint_now(words, now_ms)
        return known

    def _paint_now(self, words: Words, now_ms: int) -> Painted:
        engine, brush = self._source.engine, self._brush()
        phrases = Phrases(words, self._source.timezone, now_ms)
        if engine is None:
            troubles = [visible(note) for note in self._source.notes()]
            headline = starting(phrases, troubles)
            body = brush.starting(words, headline, troubles)
            return Painted(body, headline.title, is_ready=False, at_ms=now_ms, until_ms=now_ms)
        now = now_page(engine, phrases, self._source.notes())
        body = brush.now(words, now)
        cost_ms = max(0, self._source.now_ms() - now_ms)
        hold_ms = min(max(HOLD_MS, HOLD_PER_COST * cost_ms), HOLD_MAX_MS)
        return Painted(
            body, now.headline.title, is_ready=True, at_ms=now_ms, until_ms=now_ms + hold_ms
        )


def page_routes(source: PageSource) -> list[web.RouteDef]:
    """The routes of the page; all but the static files show what needs the scope `read`."""
    page = Page(source)
    return [
        web.get("/", page.get_page),
        web.get("/fragments/now", page.get_now),
        web.get("/static/{name}", page.get_static),
    ]


def _html(text: str, *, is_ready: bool) -> web.Response:
    return web.Response(
        status=200 if is_ready else 503,
        # An id may hold half a character; it must not take the page down.
        body=text.encode("utf-8", "replace"),
        content_type="text/html",
        charset="utf-8",
        headers=_HEADERS | _FRESH | ({} if is_ready else {"Retry-After": "2"}),
    )
