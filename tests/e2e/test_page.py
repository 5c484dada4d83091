"""The page in a real browser: it shows the truth, follows it live, and runs nothing inline."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from playwright.async_api import Browser, Page, async_playwright, expect

from monitor.web.page import page_routes
from tests.unit.web.story import NOON_MS, Shop, broken_shop, event, feed, healthy_shop, quiet_shop

CHROMIUM = Path("/usr/bin/chromium")
pytestmark = pytest.mark.skipif(
    not CHROMIUM.exists(), reason="needs Chromium: apt-get install chromium fonts-noto-cjk"
)


class Site:
    """The routes of the page and a stream of events, on a loopback port that can go away."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.port = 0
        self._queues: list[asyncio.Queue[bytes | None]] = []
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application()
        app.add_routes(page_routes(self.shop))
        app.router.add_get("/v1/stream", self._stream)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        for queue in self._queues:
            queue.put_nowait(None)
        assert self._runner is not None
        await self._runner.cleanup()

    def say(self, kind: str) -> None:
        """Send a server-sent event to everybody who looks."""
        for queue in self._queues:
            queue.put_nowait(b"event: %s\ndata: {}\n\n" % kind.encode())

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._queues.append(queue)
        await response.write(b":\n\n")
        while (frame := await queue.get()) is not None:
            await response.write(frame)
        return response


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """Debian's Chromium without a window."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=str(CHROMIUM))
        yield browser
        await browser.close()


@asynccontextmanager
async def opened(
    browser: Browser, shop: Shop, query: str = "", **context: object
) -> AsyncIterator[tuple[Site, Page]]:
    """The page, open; at the end nothing may stand in the console and no script have failed."""
    site = Site(shop)
    await site.start()
    page = await browser.new_page(**context)  # type: ignore[arg-type]  # passed on as they are
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    try:
        await page.goto(f"http://127.0.0.1:{site.port}/{query}")
        yield site, page
    finally:
        await page.close()
        await site.stop()
    assert [text for text in complaints if "Failed to load resource" not in text] == []


async def test_new_order_appears_by_itself(browser: Browser) -> None:
    """An event reaches the open page through the stream, and the reader's place on it stays."""
    shop = Shop(healthy_shop())
    async with opened(browser, shop, "?lang=en") as (site, page):
        await expect(page.get_by_role("heading", level=1)).to_have_text(
            "Buyers are getting their goods in time"
        )
        await expect(page.get_by_role("status")).to_have_text("Live")
        link = page.get_by_role("link", name="A20")
        await link.focus()
        shop.at_ms += 1_000  # the page asks once when its stream opens, and then every 5 s
        await expect(page.locator(".updated time")).to_have_text("12:00:01")
        shop.at_ms += 3_000
        assert shop.engine is not None
        feed(shop.engine, event("order.paid", "A21", shop.at_ms, "supplier"))
        site.say("signal")
        row = page.get_by_role("row").filter(has_text="A21")
        await expect(row).to_contain_text("3m left", timeout=3_000)
        await expect(row).to_contain_text("supplier")
        await expect(link).to_be_focused()
        await expect(page.locator(".updated time")).to_have_text("12:00:04")


async def test_page_says_when_the_service_is_gone_and_recovers(browser: Browser) -> None:
    """Old numbers are never shown as live ones."""
    shop = Shop(broken_shop())
    async with opened(browser, shop, "?lang=en") as (site, page):
        await expect(page).to_have_title("(5 late) Delivery Monitor")
        status = page.get_by_role("status")
        await expect(status).to_have_text("Live")
        await site.stop()
        await expect(status).to_have_text("No answer: these numbers are old", timeout=15_000)
        await site.start()
        await expect(status).to_have_text("Live", timeout=15_000)


async def test_starting_page_fills_itself(browser: Browser) -> None:
    """Whoever opens the page too early need not reload it."""
    shop = Shop(None)
    async with opened(browser, shop, "?lang=en") as (site, page):
        heading = page.get_by_role("heading", level=1)
        await expect(heading).to_have_text("Starting: the state is being rebuilt")
        shop.engine = healthy_shop()
        site.say("signal")
        await expect(heading).to_have_text("Buyers are getting their goods in time", timeout=8_000)


async def test_browser_in_chinese_gets_chinese_and_can_choose_english(browser: Browser) -> None:
    """Accept-Language first; the choice stays after a reload."""
    shop = Shop(broken_shop())
    async with opened(browser, shop, locale="zh-CN") as (_, page):
        await expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
        await expect(page.get_by_role("heading", name="渠道", exact=True)).to_be_visible()
        await page.get_by_role("link", name="English").click()
        await expect(page.get_by_role("heading", name="Channels")).to_be_visible()
        await page.goto(page.url.partition("?")[0])
        await expect(page.get_by_role("heading", name="Channels")).to_be_visible()


async def test_page_is_complete_without_script(browser: Browser) -> None:
    """Server-rendered: all sections are there, and it says how it keeps up to date."""
    shop = Shop(quiet_shop())
    async with opened(browser, shop, "?lang=en", java_script_enabled=False) as (_, page):
        await expect(page.get_by_role("status")).to_have_text("Reloads every 10 s")
        for name in ("Delivery health", "Key numbers", "Alerts", "Channels", "Takeovers"):
            await expect(page.get_by_role("heading", name=name)).to_be_visible()


@pytest.mark.parametrize("language", ["en", "zh-CN"])
async def test_narrow_screen_shows_everything_without_scrolling_sideways(
    browser: Browser, language: str
) -> None:
    """A phone 360 pixels wide, in both languages, with a hostile order id."""
    shop = Shop(broken_shop())
    assert shop.engine is not None
    feed(shop.engine, event("order.paid", "W" * 128, NOON_MS, "c" * 128))
    size = {"width": 360, "height": 740}
    async with opened(browser, shop, f"?lang={language}", viewport=size) as (_, page):
        await expect(page.get_by_role("cell").first).to_be_visible()
        assert await page.evaluate("document.documentElement.scrollWidth") <= 360
