"""The emitters of examples/emitters against the real service, and against peers that fail them."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.emitters.stage import (
    CARD,
    COMMANDS,
    FILES,
    SECRET,
    Service,
    Shop,
    needs,
    peer,
    refused,
    saying,
    service,
    silent,
)

LINES_MAX = 150
ODD_ORDERS = ("订单-7 甲/乙", 'a"b\\c', "ÄÖ😀", "a b&c=d%2F")
FOREIGN = "HTTP/1.1 {}\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n<h1>hello</h1>"


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One service for all of them."""
    with service(tmp_path_factory.mktemp("service")) as one:
        yield one


@pytest.fixture(params=COMMANDS)
def shop(request: pytest.FixtureRequest, tmp_path: Path, real: Service) -> Shop:
    """A shop of one language that sends to the real service."""
    needs(request.param)
    return Shop(request.param, tmp_path, real.url)


def named(shop: Shop, *orders: str) -> list[str]:
    """Orders of this shop alone: all shops have one service."""
    return [f"{shop.folder.name} {order}" for order in orders]


@pytest.mark.parametrize("language", COMMANDS)
def test_emitter_is_one_short_file(language: str) -> None:
    """Whoever puts it into a shop can read it first."""
    assert len(FILES[language].read_text(encoding="utf-8").splitlines()) <= LINES_MAX


def test_events_reach_the_service_once(shop: Shop, real: Service) -> None:
    """With the ids, times and fields that the shop gave, whatever its order ids are written in."""
    orders = named(shop, *ODD_ORDERS)
    with shop.emitter() as emitter:
        for order in orders:
            assert emitter.emit(order, channel="auto", amount_minor=990, card=CARD) is True
            assert emitter.emit(order, "delivery.delivered", secret=CARD) is True
        assert emitter.emptied()
    assert real.kinds(*orders) == [["order.paid", "delivery.delivered"]] * len(orders)
    assert shop.kept() == shop.rejected() == []
    event = real.facts(orders[0])[0]
    assert (event["source"], event["channel"]) == ("keyed", "auto")
    assert "inferred" not in event  # the shop's own time


def test_card_text_never_reaches_a_file_or_the_net(shop: Shop) -> None:
    """Only fields that are known leave the shop; the rest is not even spooled."""
    with peer(silent) as other, shop.emitter(url=other.url) as emitter:
        emitter.emit("A1", sku="s", card=CARD, order_info=[CARD], secret={"kami": CARD})
        other.until(lambda: len(other.bodies) == 1)
    assert b'"sku"' in shop.written()
    assert CARD.encode() not in shop.written() + other.bodies[0]


def test_refused_connection_costs_nothing_but_the_spool(shop: Shop, real: Service) -> None:
    """While nobody listens events wait; once somebody does they are there once and in order."""
    orders = named(shop, "R1", "R2", "R3")
    with shop.emitter(url=refused()) as emitter:
        assert [emitter.emit(order) for order in orders] == [True] * 3
        assert emitter.do("flush") is False
        assert len(shop.kept()) == 3
    until_due(shop)
    with shop.emitter() as emitter:
        assert emitter.emit(orders[0], "delivery.delivered") is True
        assert emitter.emptied()
    assert real.kinds(*orders) == [
        ["order.paid", "delivery.delivered"],
        ["order.paid"],
        ["order.paid"],
    ]
    assert shop.kept() == []


def until_due(shop: Shop) -> None:
    """Let the time until the next try be over; a file that a process left counts as old."""
    place = shop.folder / "events.ndjson.at"
    if place.exists():
        sent = (place.read_text(encoding="ascii").split() or ["0"])[0]
        place.write_text(f"{sent} 0", encoding="ascii")
    for left in shop.folder.glob("*.sending"):
        subprocess.run(["touch", "-d", "1 hour ago", left], check=True)


def test_peer_that_never_answers_is_left_and_not_asked_again(shop: Shop, real: Service) -> None:
    """The emitter ends the connection itself, after one request; the next one waits for retry_ms."""
    orders = named(shop, "H1", "H2", "H3")
    with peer(silent) as hung:
        with shop.emitter(url=hung.url) as emitter:
            emitter.emit(orders[0])
            hung.until(lambda: hung.left == 1)
            emitter.emit(orders[1])
            emitter.emit(orders[2])
            assert emitter.do("flush") is False
        assert len(hung.bodies) == 1
        assert orders[0] in json.loads(hung.bodies[0])["order_id"]
    assert len(shop.kept()) == 3
    until_due(shop)
    with shop.emitter() as emitter:
        assert emitter.emptied()
    assert real.kinds(*orders) == [["order.paid"]] * 3


def test_peer_is_asked_again_when_it_is_time(shop: Shop) -> None:
    """Without a pause every flush is an attempt."""
    with peer(silent) as hung, shop.emitter(url=hung.url, retry_ms=0, timeout_ms=50) as emitter:
        emitter.emit("A1")
        hung.until(lambda: hung.left == 1)
        emitter.do("flush")
        hung.until(lambda: hung.left >= 2)
    assert len({*hung.bodies}) == 1


def test_emitter_killed_before_it_hears_the_answer_sends_again(shop: Shop, real: Service) -> None:
    """What the service has taken already is a duplicate, by its id."""
    orders = named(shop, "K1", "K2")
    with peer(silent) as between, shop.emitter(url=between.url, timeout_ms=60_000) as emitter:
        emitter.say("emit", "order.paid", orders[0], {})
        between.until(lambda: len(between.bodies) == 1)
        emitter.kill()
    assert real.post(between.bodies[0]) == 202  # it had arrived
    assert real.kinds(orders[0]) == [["order.paid"]]
    until_due(shop)
    with shop.emitter() as emitter:
        emitter.emit(orders[1])
        assert emitter.emptied()
    assert real.kinds(*orders) == [["order.paid"]] * 2
    assert shop.kept() == shop.rejected() == []


def test_line_cut_by_a_kill_spoils_no_other(shop: Shop, real: Service) -> None:
    """The next line begins anew; what is left of the torn one is put aside."""
    orders = named(shop, "T1", "T2")
    line = json.dumps({"type": "order.paid", "order_id": orders[0], "id": "t1"})
    torn = '{"type":"order.paid","order_'
    shop.spool.write_text(f"{line}\n\n{torn}", encoding="utf-8")
    with shop.emitter() as emitter:
        assert emitter.emit(orders[1]) is True
        assert emitter.emptied()
    assert real.kinds(*orders) == [["order.paid"]] * 2
    assert shop.rejected() == [torn]


def test_refused_event_is_put_aside_and_stops_no_other(shop: Shop, real: Service) -> None:
    """Alone or among good ones; a person can read it later."""
    orders = named(shop, "B1", "B2")
    with shop.emitter() as emitter:
        assert emitter.emit(orders[0], amount_minor="much") is True
        assert emitter.emptied()
        assert emitter.emit(orders[0], "order.payed") is True
        assert emitter.emit(orders[1]) is True
        assert emitter.emptied()
    assert real.kinds(*orders) == [[], ["order.paid"]]
    put_aside = [json.loads(line) for line in shop.rejected()]
    assert [one.get("amount_minor", one["type"]) for one in put_aside] == ["much", "order.payed"]


@pytest.mark.parametrize(
    "status", ["200 OK", "400 Bad Request", "404 Not Found", "502 Bad Gateway"]
)
def test_answer_of_somebody_else_takes_no_events(shop: Shop, status: str) -> None:
    """A proxy's page is no receipt, whatever its status."""
    with peer(saying(FOREIGN.format(status))) as other, shop.emitter(url=other.url) as emitter:
        emitter.emit("A1")
        other.until(lambda: len(other.bodies) == 1)
        assert emitter.do("flush") is False
    assert len(shop.kept()) == 1
    assert shop.rejected() == []


def test_wrong_key_loses_nothing(shop: Shop, real: Service) -> None:
    """The events wait until somebody has corrected it."""
    (order,) = named(shop, "W1")
    with shop.emitter(key="dm_nobody") as emitter:
        assert emitter.emit(order) is True
        assert emitter.do("flush") is False
    assert len(shop.kept()) == 1
    until_due(shop)
    with shop.emitter() as emitter:
        assert emitter.emptied()
    assert real.kinds(order) == [["order.paid"]]


def test_signed_request_is_that_of_its_source(shop: Shop, real: Service) -> None:
    """A secret stands for the key, as Standard Webhooks ask for."""
    (order,) = named(shop, "签 S1")
    with shop.emitter(key="", secret=SECRET) as emitter:
        emitter.emit(order, source="/shops/二")
        assert emitter.emptied()
    assert [one["source"] for one in real.facts(order)] == ["/shops/二"]


def test_processes_that_share_a_spool_lose_and_double_nothing(shop: Shop, real: Service) -> None:
    """Four of them append and send at the same time."""
    orders = named(shop, *(f"P{number}" for number in range(80)))
    with ExitStack() as stack:
        emitters = [stack.enter_context(shop.emitter(retry_ms=0)) for _ in range(4)]
        for number, order in enumerate(orders):
            emitters[number % 4].say("emit", "order.paid", order, {})
        for number in range(len(orders)):
            assert emitters[number % 4].heard() is True
        for emitter in emitters:
            emitter.do("flush")
    until_due(shop)
    with shop.emitter() as emitter:
        assert emitter.emptied()
    assert real.kinds(*orders) == [["order.paid"]] * len(orders)
    assert shop.kept() == shop.rejected() == []


def test_full_spool_takes_no_more(shop: Shop) -> None:
    """A monitor that is away for weeks must not fill the shop's disk."""
    with shop.emitter(url="", spool_max=300) as emitter:
        kept = [emitter.emit(f"F{number}") for number in range(6)]
    assert kept == sorted(kept, reverse=True)
    assert True in kept
    assert kept[-1] is False
    assert len(shop.kept()) == kept.count(True)


def test_what_cannot_be_spooled_is_said_and_nothing_is_thrown(shop: Shop) -> None:
    """No folder, an event of a megabyte: the shop goes on."""
    with shop.emitter(spool=str(shop.folder / "nowhere" / "x.ndjson")) as emitter:
        assert emitter.emit("A1") is False
        assert emitter.do("flush") is False
    with shop.emitter(url="") as emitter:
        assert emitter.emit("A1", reason="x" * 1_000_000) is False
        assert emitter.emit("A2") is True
        assert emitter.do("flush") is False
    assert json.loads(shop.kept()[-1])["order_id"] == "A2"


@pytest.mark.parametrize("order", [None, "", " "])
def test_event_without_an_order_is_not_kept(shop: Shop, order: str | None) -> None:
    """An order that nobody named must not become one that is called None or null."""
    with shop.emitter(url="") as emitter:
        assert emitter.do("emit", "order.paid", order, {}) is False
        assert not shop.spool.exists()
        assert emitter.emit("A1") is True
    assert [json.loads(line)["order_id"] for line in shop.kept()] == ["A1"]


def test_files_with_events_are_readable_by_the_shop_alone(shop: Shop, real: Service) -> None:
    """Whatever the umask: what waits, what is being sent, and what was refused."""
    before = os.umask(0o022)
    try:
        with peer(silent) as hung, shop.emitter(url=hung.url) as emitter:
            emitter.emit("A1", "order.payed")
            hung.until(lambda: len(hung.bodies) == 1)
            emitter.emit("A2", "order.payed")
        modes = {path.name: path.stat().st_mode & 0o777 for path in event_files(shop)}
        assert set(modes.values()) == {0o600}, modes
        until_due(shop)
        with shop.emitter() as emitter:
            assert emitter.emptied()
    finally:
        os.umask(before)
    assert len(shop.rejected()) == 2
    assert {path.stat().st_mode & 0o777 for path in event_files(shop)} == {0o600}


def event_files(shop: Shop) -> list[Path]:
    """Files of this shop that hold events; the place in the spool is two numbers."""
    return [path for path in shop.folder.iterdir() if path.suffix != ".at"]
