"""The page over HTTP: complete HTML in both languages, nothing inline, nothing hostile inside."""

import re
import subprocess
import sys
from collections.abc import Callable

import pytest

from monitor.core.engine import Engine
from monitor.model.commands import Batch
from monitor.model.settings import Settings
from monitor.web.assets import FOLDER
from monitor.web.page import POLICY
from tests.unit.web.reading import Reading, forbidden
from tests.unit.web.story import (
    ARMED,
    NOON_MS,
    Shop,
    broken_shop,
    event,
    healthy_shop,
    looking_at,
    quiet_shop,
    rules,
)

HOSTILE = "</table><script>alert(1)</script>\"'&\u202e"
ENGINES: dict[str, Callable[[], Engine | None]] = {
    "empty": quiet_shop,
    "healthy": healthy_shop,
    "broken": broken_shop,
    "armed": lambda: broken_shop(settings=ARMED),
    "starting": lambda: None,
}


@pytest.mark.parametrize("language", ["en", "zh-CN"])
@pytest.mark.parametrize("name", ENGINES)
async def test_every_state_renders_in_every_language_without_anything_inline(
    name: str, language: str
) -> None:
    """Every template with every value there or missing; the policy forbids all inline code."""
    async with (
        looking_at(Shop(ENGINES[name]())) as session,
        session.get("/", params={"lang": language}) as answer,
    ):
        page = Reading(await answer.text())
        assert answer.status == (503 if name == "starting" else 200)
        assert answer.headers["Content-Security-Policy"] == POLICY
        assert answer.headers["Cache-Control"] == "no-store"
    assert forbidden(page) == []
    assert page.count("html", lang=language) == 1
    assert page.count("main") == page.count("h1") == page.count("header", **{"class": "top"}) == 1
    assert page.count("meta", **{"http-equiv": "refresh"}) == 1


def test_policy_is_the_strict_one() -> None:
    """Own scripts, own styles, own connections, no frames: literally."""
    assert POLICY == (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )


def test_inline_code_would_be_found() -> None:
    """The check of this file sees what it is there for."""
    html = (
        "<p onclick='x()' style='y'></p><script>z</script><style></style>"
        "<script src='https://cdn.example/x.js'></script>"
    )
    assert len(forbidden(Reading(html))) == 5


async def test_hostile_names_are_text_and_nothing_else() -> None:
    """Order id, sku, channel, source and a note full of markup add no tag to the page."""
    harmless, hostile = Engine(Settings(), rules()), Engine(Settings(), rules())
    for engine, name in ((harmless, "x"), (hostile, HOSTILE)):
        told = event("order.paid", name, NOON_MS, name, sku=name, source=name)
        engine.handle(Batch((told,)), NOON_MS)
    pages = []
    for engine, name in ((harmless, "x"), (hostile, HOSTILE)):
        async with (
            looking_at(Shop(engine, [name])) as session,
            session.get("/?lang=en") as answer,
        ):
            pages.append(Reading(await answer.text()))
    tags = [[tag for tag, _ in page.tags] for page in pages]
    assert tags[0] == tags[1]
    shown = HOSTILE.replace("\u202e", "\ufffd")
    assert pages[1].text.count(shown) >= 5  # order, sku, channel, source, note
    assert pages[1].count("a", href="/v1/orders/%3C%2Ftable%3E%3Cscript%3Ealert%281%29%3C%2Fscript"
                          "%3E%22%27%26%E2%80%AE") == 1  # fmt: skip


async def test_half_a_character_in_an_id_does_not_take_the_page_down() -> None:
    """A lone surrogate cannot be written as UTF-8."""
    engine = quiet_shop()
    engine.handle(Batch((event("order.paid", "A\ud800", NOON_MS),)), NOON_MS)
    async with looking_at(Shop(engine, ["\ud800"])) as session, session.get("/") as answer:
        assert answer.status == 200
        assert "A\ufffd" in await answer.text()


async def test_state_being_rebuilt_gives_a_friendly_page_that_comes_again() -> None:
    """503 with Retry-After, words for people, and the fragment that the script waits for."""
    shop = Shop(None)
    async with looking_at(shop) as session:
        async with session.get("/?lang=en") as answer:
            page = Reading(await answer.text())
            assert (answer.status, answer.headers["Retry-After"]) == (503, "2")
        assert "Starting: the state is being rebuilt" in page.text
        assert page.count("div", id="now") == 1
        shop.engine = healthy_shop()
        async with session.get("/fragments/now?lang=en") as answer:
            assert answer.status == 200
            assert "Buyers are getting their goods in time" in Reading(await answer.text()).text


async def test_chosen_language_is_remembered() -> None:
    """`?lang=` sets a cookie that beats the browser's language; nothing else sets one."""
    async with looking_at(Shop(quiet_shop())) as session:
        browser = {"Accept-Language": "zh-CN"}
        async with session.get("/", headers=browser) as answer:
            assert answer.cookies == {}
            assert '<html lang="zh-CN">' in await answer.text()
        async with session.get("/?lang=en") as answer:
            cookie = answer.headers["Set-Cookie"]
            assert "lang=en" in cookie
            assert "HttpOnly" in cookie
            assert "SameSite=Lax" in cookie
        async with session.get("/", headers={**browser, "Cookie": "lang=en"}) as answer:
            assert '<html lang="en">' in await answer.text()


async def test_static_files_are_kept_for_ever_under_the_hash_of_their_content() -> None:
    """Every file the page names is there, immutable, and no other name leads anywhere."""
    async with looking_at(Shop(quiet_shop())) as session:
        async with session.get("/") as answer:
            names = set(re.findall(r'"(/static/[^"]+)"', await answer.text()))
        assert len(names) == len(list(FOLDER.iterdir())) == 3
        for name in names:
            async with session.get(name) as answer:
                assert answer.status == 200
                assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
                assert answer.headers["X-Content-Type-Options"] == "nosniff"
        for name in ("page.js", "page.000000000000.js", "..%2fpage.py", "%00"):
            async with session.get(f"/static/{name}") as answer:
                assert answer.status == 404


async def test_many_readers_cost_one_painting() -> None:
    """Within half a second the same HTML serves everybody; then it is painted anew."""
    shop = Shop(healthy_shop())
    async with looking_at(shop) as session:

        async def now() -> str:
            async with session.get("/fragments/now?lang=en") as answer:
                return await answer.text()

        first = await now()
        shop.at_ms += 499
        assert await now() == first
        shop.at_ms += 1
        assert await now() != first
        shop.at_ms -= 3_600_000  # a clock set back must not freeze the page
        assert "11:00:00" in await now()


def test_script_is_small() -> None:
    """The page works without it, so it has no reason to grow."""
    assert (FOLDER / "page.js").stat().st_size < 3_000


def test_template_engine_is_imported_by_the_first_view_only() -> None:
    """An idle service has no reader and pays no memory for one."""
    code = "import sys, monitor.web.page; print('jinja2' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
