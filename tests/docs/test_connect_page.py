"""docs/connect.md takes an owner from nothing to the first verdict: each of its commands is run.

Against real databases with the shops' tables and real, signed webhooks; a command is the page's own
but for the place of the database and the secret.
"""

import re
import shlex
import time
import urllib.error
from collections.abc import Iterator
from contextlib import ExitStack, chdir
from pathlib import Path

import msgspec
import pytest

from benchmarks.connect_table import PAGES, with_table
from monitor.adapters.shops import PULLS, PUSHES, kinds
from monitor.cli.main import main
from tests.databases import Servers
from tests.e2e.serving import Served, run, serve
from tests.planted import PLANTED, Sender
from tests.shops.bench import ShopBench
from tests.shops.card_shops import KamiFakaBench, ZfakaBench
from tests.shops.dujiao_next import KEYS, DujiaoNextBench
from tests.shops.sqlite import sqlite_database
from tests.shops.stalls import AcgFakaBench, DujiaokaBench

PAGE = PAGES["en"].read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CARD_SHOPS = (DujiaokaBench, AcgFakaBench, ZfakaBench, KamiFakaBench)
SQLITE = "/var/lib/dujiao-next/dujiao.db"
SENDERS = {sender.kind: sender for sender in PLANTED}
BOUGHT_S = 100  # ago
WITHIN_S = 60.0


def blocks(page: str, language: str) -> list[str]:
    """Commands of a page in their order."""
    return [text for kind, text in BLOCK.findall(page) if kind == language]


def connects() -> dict[str, list[str]]:
    """The words of each `connect` of the page, by kind."""
    lines = [line for text in blocks(PAGE, "sh") for line in text.splitlines()]
    commands = [shlex.split(line) for line in lines if line.startswith("delivery-monitor connect")]
    return {words[2]: words[1:] for words in commands}


class Town(msgspec.Struct):
    """A machine with every shop of the page, and the service that was connected to them."""

    folder: Path
    served: Served
    shops: dict[str, tuple[ShopBench, str]]  # with the order that was bought


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory, mariadb_server: Servers) -> Iterator[Town]:
    """Shops with an order each; then all that the page says, in its order."""
    folder = tmp_path_factory.mktemp("owner")
    with ExitStack() as stack:
        shops = _open_shops(folder, mariadb_server, stack)
        place = mariadb_server.place
        for kind, words in connects().items():
            typed = [_here(word, kind, folder, place["port"]) for word in words]
            with chdir(folder):
                assert main(typed) == 0, typed
        served = stack.enter_context(serve(folder, "--config", "monitor.yaml"))
        yield Town(folder, served, shops)


def _here(word: str, kind: str, folder: Path, port: int) -> str:
    """A word of a command with the places and secrets of this machine."""
    if kind in SENDERS and word.startswith("secret="):
        return f"secret={SENDERS[kind].secret}"
    return word.replace("127.0.0.1:3306", f"127.0.0.1:{port}").replace(
        SQLITE, f"{folder}/dujiao.db"
    )


def _open_shops(
    folder: Path, servers: Servers, stack: ExitStack
) -> dict[str, tuple[ShopBench, str]]:
    """The card shops, each with an order that was bought and delivered."""
    made: list[ShopBench] = []
    for bench in CARD_SHOPS:
        database = servers.database(bench.script, bench.name.replace("-", "_"))
        stack.callback(database.shop.close)
        made.append(bench(database))
    for text in blocks(PAGE, "sql"):
        made[0].database.make(text)
    file = folder / "dujiao.db"
    key, at = KEYS["sqlite"]
    script = DujiaoNextBench.script.replace("{key}", key).replace("{time}", at)
    made.append(DujiaoNextBench(stack.enter_context(sqlite_database(file, script))))
    now_ms = int(time.time()) * 1_000
    return {one.name: (one, _buy(one, now_ms - BOUGHT_S * 1_000)) for one in made}


def _buy(bench: ShopBench, made_ms: int) -> str:
    """The first story of a bench is of an order that was bought and delivered."""
    for after_s, word in bench.stories[0].steps:
        if word == "create":
            bench.create(1, made_ms)
        else:
            bench.step(word, 1, made_ms, made_ms + after_s * 1_000)
    return bench.order_id(1, made_ms)


def verdict(served: Served, order: str) -> str:
    """What the service says of an order, as soon as it knows its payment and its end."""
    until_s = time.monotonic() + WITHIN_S
    while time.monotonic() < until_s:
        try:
            said = msgspec.json.decode(served.get(f"/v1/orders/{order}")[1])
        except urllib.error.HTTPError:  # not heard of yet
            continue
        if said["verdict"] not in ("unpaid", "undecided"):
            return str(said["verdict"])
    return "none"


def test_every_kind_stands_on_the_page() -> None:
    """A shop that has an adapter has its command."""
    assert sorted(connects()) == sorted(kinds())
    assert {one.name for one in (*CARD_SHOPS, DujiaoNextBench)} == set(PULLS)


def test_both_languages_have_the_same_commands() -> None:
    """But for the language that is chosen."""
    chinese = PAGES["zh-CN"].read_text(encoding="utf-8").replace("language=zh-CN", "language=en")
    assert BLOCK.findall(chinese) == BLOCK.findall(PAGE)


@pytest.mark.parametrize("language", sorted(PAGES))
def test_table_is_what_the_adapters_say(language: str) -> None:
    """Run `python -m benchmarks.connect_table` after a change."""
    page = PAGES[language].read_text(encoding="utf-8")
    assert with_table(page, language) == page


@pytest.mark.parametrize("kind", sorted(PULLS))
def test_bought_order_of_a_card_shop_gets_its_verdict(town: Town, kind: str) -> None:
    """Read in the database by a user that may only read."""
    _, order = town.shops[kind]
    assert verdict(town.served, order) == "good"


@pytest.mark.parametrize("kind", sorted(PUSHES.keys() & SENDERS.keys()))
def test_webhook_of_a_connected_shop_is_taken(town: Town, kind: str) -> None:
    """At the address that `connect` printed, signed with the secret that it was told."""
    sender: Sender = SENDERS[kind]
    for body, headers, query in sender.sent("CARD-1", int(time.time())):
        path = f"/hooks/{kind}?{query}" if query else f"/hooks/{kind}"
        assert town.served.post(path, body, headers) == 200
    assert has_events_of(town.served, kind)


def has_events_of(served: Served, source: str) -> bool:
    """Whether events of a source were accepted; the exposition is a second old at most."""
    until_s = time.monotonic() + WITHIN_S
    found = re.compile(rf'^delivery_events_total{{.*source="{source}".*}} [1-9]', re.MULTILINE)
    while time.monotonic() < until_s:
        if found.search(served.get("/metrics")[1]):
            return True
    return False


def test_other_commands_work(town: Town) -> None:
    """`orders`, `doctor`, `emit` and the address that is an event."""
    for line in (line for text in blocks(PAGE, "sh") for line in text.splitlines()):
        words = shlex.split(line.replace("http://127.0.0.1:8080", town.served.url))
        if words[0] == "curl":
            assert town.served.post(words[-1].removeprefix(town.served.url), b"", {}) == 202
        elif words[1] not in ("connect", "serve"):
            done = run(town.folder, *words[1:], "--url", town.served.url)
            assert done.returncode == 0, done.stderr
    done = run(town.folder, "doctor", "--config", "monitor.yaml", "--json")
    assert "Traceback" not in done.stderr
    assert verdict(town.served, "A1") == "good"
