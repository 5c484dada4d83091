"""The plugins for acg-faka and WooCommerce in stand-ins of their hosts, end to end into the service."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from monitor.adapters.shops import acg_faka
from monitor.adapters.shops.facts import Facts, Naming
from monitor.model.endpoints import DatabaseAccess, ShopSource
from tests.e2e.serving import ROOT
from tests.emitters.stage import CARD, HERE, KEY, SECRET, Service, Shop, needs, service

EXAMPLES = ROOT / "examples" / "emitters"
APOLOGY = "很抱歉，有人在你付款之前抢走了商品，请联系客服。"
TRADE, PAY, CALLBACK_FAIL, BY_HAND = 0x17, 0x18, 0x3010, 0x2200


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One service for all of them."""
    needs("php")
    with service(tmp_path_factory.mktemp("service")) as one:
        yield one


def run(host: str, plugin: Path, said: dict[str, Any]) -> list[str]:
    """One request of the host; the lines that it answered with."""
    done = subprocess.run(
        ["php", HERE / "hosts" / host],
        input=json.dumps(said),
        env=os.environ | {"DM_PLUGIN": str(plugin)},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


def installed(folder: Path, *files: Path) -> Path:
    """The plugin as its owner copies it: with the emitter beside it."""
    plugin = folder / "plugin"
    plugin.mkdir(exist_ok=True)
    shutil.copy(EXAMPLES / "delivery_monitor.php", plugin)
    for file in files:
        shutil.copytree(file, plugin, dirs_exist_ok=True)
    return plugin


class AcgFaka:
    """A shop whose plugin signs what it sends."""

    def __init__(self, folder: Path, url: str) -> None:
        self.shop = Shop("php", folder / "spool", url)
        self.shop.folder.mkdir()
        self.plugin = installed(folder, EXAMPLES / "acg-faka" / "DeliveryMonitor")
        self.config = {"STATUS": "1", "url": url, "secret": SECRET, "spool": str(self.shop.spool)}

    def request(self, *hooks: Any, after: dict[str, Any], **more: Any) -> None:
        """A request in which the order becomes another."""
        said = {"config": self.config, "hooks": hooks, "before": [after | {"status": 0}],
                "after": [after], "cards": [], "is_committed": True}  # fmt: skip
        lines = run("acg_faka.php", self.plugin, said | more)
        assert lines == ["answered"]  # nothing was done before


def order(trade_no: str, **columns: Any) -> dict[str, Any]:
    """A row of `order`, with what Eloquent finds beside it."""
    return {
        "id": 9, "trade_no": trade_no, "amount": "9.90", "status": 1, "delivery_status": 1,
        "create_time": "2026-01-05 10:00:00", "pay_time": "2026-01-05 10:00:30", "secret": CARD,
        "commodity_id": 5, "card_num": 2, "pay": {"handle": "Epay"},
        "commodity": {"delivery_way": 0, "shared_id": None},
    } | columns  # fmt: skip


def paid(row: dict[str, Any]) -> list[Any]:
    """The hook of a payment: commodity, order, payment."""
    return [PAY, [row["commodity"], row, row["pay"]]]


def test_acg_faka_tells_what_was_committed(tmp_path: Path, real: Service) -> None:
    """Created, paid and delivered, at the shop's times; a second callback changes nothing."""
    shop = AcgFaka(tmp_path, real.url)
    new = order("acg-1", status=0, delivery_status=0, secret=None, pay_time=None)
    shop.request([TRADE, [new["commodity"], new, new["pay"]]], after=new)
    assert real.kinds("acg-1") == [["order.created"]]
    row = order("acg-1")
    for _ in range(2):
        shop.request(paid(row), after=row, cards=[{"order_id": 9}] * 2)
    found = real.facts("acg-1")
    assert [(one["type"], one["time"], one["source"]) for one in found] == [
        ("order.created", "2026-01-05T02:00:00Z", "signed"),
        ("order.paid", "2026-01-05T02:00:30Z", "signed"),
        ("delivery.delivered", "2026-01-05T02:00:30Z", "signed"),
    ]
    assert found[1]["id"] == "order.paid@1767578430000"  # that of the adapter for its database
    assert CARD.encode() not in shop.shop.written()


def test_acg_faka_rollback_is_not_told(tmp_path: Path, real: Service) -> None:
    """The hook runs within the transaction; what is taken back was never said."""
    shop = AcgFaka(tmp_path, real.url)
    row = order("acg-2")
    shop.request(paid(row), after=row, is_committed=False)
    assert real.kinds("acg-2") == [["order.created"]]


@pytest.mark.parametrize(("secret", "cards"), [(APOLOGY, 0), (CARD, 1)])
def test_acg_faka_apology_is_no_delivery(
    tmp_path: Path, real: Service, secret: str, cards: int
) -> None:
    """The shop says delivered; the buyer got an apology, or one card of two."""
    shop = AcgFaka(tmp_path, real.url)
    row = order(f"acg-3-{cards}", secret=secret)
    shop.request(paid(row), after=row, cards=[{"order_id": 9}] * cards)
    kinds = ["order.created", "order.paid", "delivery.failed"]
    assert real.kinds(row["trade_no"]) == [kinds]


@pytest.mark.parametrize("way", [0, 1])
@pytest.mark.parametrize("cards", [0, 1, 2])
@pytest.mark.parametrize("secret", [APOLOGY, CARD, f"{CARD}\n{CARD}-2", ""])
def test_acg_faka_and_its_database_say_the_same_of_a_row(
    tmp_path: Path, real: Service, secret: str, cards: int, way: int
) -> None:
    """By their ids they are one fact: two rules would make a failure and a delivery of one row."""
    number = f"acg-6-{len(secret)}-{cards}-{way}"
    row = order(number, secret=secret, commodity={"delivery_way": way, "shared_id": None})
    AcgFaka(tmp_path, real.url).request(paid(row), after=row, cards=[{"order_id": 9}] * cards)
    source = ShopSource("acg", "acg-faka", database=DatabaseAccess("sqlite:///none"))
    naming = Naming(lambda text: text, lambda text: str(len(text)))
    adapter = acg_faka.AcgFaka(
        source, Facts("acg", naming, timezone="Asia/Shanghai", currency="CNY")
    )
    flat = row | {"delivery_way": way, "shared_id": None, "cards": cards, "contact": None,
                  "handle": "Epay"}  # fmt: skip
    seen = adapter._read(flat, 1_767_700_000_000)
    told = {(one["type"], one["id"]) for one in real.facts(number)}
    assert told == {(event.type, event.event_id) for event in seen.events}


def test_acg_faka_manual_delivery_and_failed_callback(tmp_path: Path, real: Service) -> None:
    """By hand the time is that of the telling; a callback for no order is nothing."""
    shop = AcgFaka(tmp_path, real.url)
    by_hand = {"delivery_way": 1, "shared_id": None}
    row = order("acg-4", commodity=by_hand, delivery_status=0)
    refusals = [[CALLBACK_FAIL, ["Epay", "sign", no, {}]] for no in ("acg-4", "acg-none", None)]
    shop.request(*refusals, after=row)
    delivered = row | {"delivery_status": 1}
    shop.request([BY_HAND, [delivered, False]], after=delivered)
    assert real.kinds("acg-4", "acg-none") == [
        ["order.created", "order.paid", "payment.callback", "delivery.delivered"], [],
    ]  # fmt: skip


def test_acg_faka_plugin_that_is_off_is_silent(tmp_path: Path, real: Service) -> None:
    """As its owner switched it."""
    shop = AcgFaka(tmp_path, real.url)
    shop.config["STATUS"] = "0"
    row = order("acg-5")
    shop.request(paid(row), after=row)
    assert real.kinds("acg-5") == [[]]
    assert not shop.shop.spool.exists()


class WooCommerce:
    """A shop with a key."""

    def __init__(self, folder: Path, url: str) -> None:
        self.shop = Shop("php", folder / "spool", url)
        self.shop.folder.mkdir()
        self.plugin = installed(folder, EXAMPLES / "woocommerce")
        self.constants = {
            "DELIVERY_MONITOR_URL": url,
            "DELIVERY_MONITOR_KEY": KEY,
            "DELIVERY_MONITOR_SPOOL": str(self.shop.spool),
        }

    def request(self, *steps: Any, **more: Any) -> None:
        """A request; each step is an order as it is then, a hook, and its further arguments."""
        said = {"constants": self.constants, "steps": steps, "is_rolled_back": False,
                "is_drained": False}  # fmt: skip
        lines = run("wordpress.php", self.plugin, said | more)
        assert lines == ["answered", '["delivery_monitor_drain"]']


def woo(number: int, status: str, **columns: Any) -> dict[str, Any]:
    """An order of WooCommerce."""
    return {
        "id": number, "status": status, "currency": "JPY", "total": "990.00", "item_count": 2,
        "payment_method": "stripe", "date_created": "2026-01-05T10:00:00+08:00",
        "item": {"sku": "", "id": 12}, "billing_email": CARD,
    } | columns  # fmt: skip


PAID = {"date_paid": "2026-01-05T10:00:30+08:00"}
DONE = PAID | {"date_completed": "2026-01-05T10:00:40+08:00"}


def test_woocommerce_tells_each_fact_once(tmp_path: Path, real: Service) -> None:
    """However many hooks and requests speak of an order; ids are those of its webhooks."""
    shop = WooCommerce(tmp_path, real.url)
    shop.request([woo(71, "pending"), "woocommerce_new_order", []])
    shop.request(
        [woo(71, "processing", **PAID), "woocommerce_payment_complete", ["pi_1"]],
        [woo(71, "processing", **PAID), "woocommerce_order_status_changed", ["pending", "processing"]],
        [woo(71, "completed", **DONE), "woocommerce_order_status_changed", ["processing", "completed"]],
    )  # fmt: skip
    found = real.facts("71")
    assert [(one["type"], one["time"]) for one in found] == [
        ("order.created", "2026-01-05T02:00:00Z"),
        ("order.paid", "2026-01-05T02:00:30Z"),
        ("delivery.delivered", "2026-01-05T02:00:40Z"),
    ]
    assert found[1]["id"] == "order.paid@1767578430000"
    assert CARD.encode() not in shop.shop.written()


@pytest.mark.parametrize(
    ("number", "status", "dates", "kinds"),
    [
        (81, "cancelled", {}, ["order.created", "order.cancelled"]),
        (82, "refunded", DONE, ["order.created", "order.paid", "order.refunded"]),
        (83, "failed", {}, ["order.created"]),
        (84, "failed", PAID, ["order.created", "order.paid", "order.failed"]),
        (85, "on-hold", {}, ["order.created"]),
        (86, "checkout-draft", {}, []),
    ],
)
def test_woocommerce_status_means(
    tmp_path: Path, real: Service, number: int, status: str, dates: dict[str, str], kinds: list[str]
) -> None:
    """A failed payment is no failed order; a draft is nothing."""
    row = woo(number, status, date_modified="2026-01-05T10:09:00+08:00", **dates)
    WooCommerce(tmp_path, real.url).request(
        [row, "woocommerce_order_status_changed", ["x", status]]
    )
    assert real.kinds(str(number)) == [kinds]


def test_woocommerce_order_that_is_gone_is_not_told(tmp_path: Path, real: Service) -> None:
    """What was rolled back, or deleted, by the end of the request."""
    shop = WooCommerce(tmp_path, real.url)
    shop.request([woo(91, "pending"), "woocommerce_new_order", []], is_rolled_back=True)
    assert real.kinds("91") == [[]]
    assert not shop.shop.spool.exists()


def test_woocommerce_cron_sends_what_is_left(tmp_path: Path, real: Service) -> None:
    """A shop without visitors empties its spool all the same."""
    shop = WooCommerce(tmp_path, real.url)
    line = {"type": "order.paid", "order_id": "92", "id": "x"}
    shop.shop.spool.write_text(json.dumps(line) + "\n", encoding="utf-8")
    shop.plugin.joinpath("delivery_monitor.php").touch()
    said = {"constants": shop.constants, "steps": [], "is_rolled_back": False, "is_drained": True}
    run("wordpress.php", shop.plugin, said)
    assert real.kinds("92") == [["order.paid"]]
