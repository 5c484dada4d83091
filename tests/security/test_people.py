"""Buyers: never stored as the shop names them, and gone from every file once they are erased."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

from monitor.adapters.ids import RandomIds
from monitor.adapters.pepper import ensure_pepper
from monitor.adapters.storage.rewrite import files_with
from tests.e2e.serving import Served, run, serve

PHONE, OTHER = "13800138000", "13900139000"
WORDS = ("lives-in-Harbin-4", "call-her-back-9", "11111111111111112222222222222222")


def post(served: Served, *events: dict[str, object]) -> None:
    body = json.dumps(list(events)).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(served.url + "/v1/events", data=body, headers=headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert json.load(answer)["rejected"] == []


def event(kind: str, order: str, number: int, **fields: object) -> dict[str, object]:
    return {"type": kind, "order_id": order, "id": f"{order}-{number}", **fields}


def order_of(phone: str, order: str, place: str, *, is_delivered: bool) -> list[dict[str, object]]:
    trace = f"00-{WORDS[2]}-3333333333333333-01"
    events = [
        event("order.paid", order, 1, customer_hash=phone, region=place, traceparent=trace),
        event("delivery.failed", order, 2, reason=WORDS[1], channel="auto"),
    ]
    return [*events, event("delivery.delivered", order, 3)] if is_delivered else events


def counters(served: Served) -> list[str]:
    return [
        line
        for line in served.get("/metrics")[1].splitlines()
        if line.startswith(("delivery_orders_total", "delivery_events_total"))
    ]


def test_buyer_is_in_no_file_after_erasure(tmp_path: Path) -> None:
    """Name, region, free text and trace of open and delivered orders are gone, over a restart too.

    The orders, their counts and another buyer stay, and all checks find the data sound.
    """
    data = tmp_path / "data"
    with serve(tmp_path) as served:
        post(served, *order_of(PHONE, "A1", WORDS[0], is_delivered=True))
        post(served, *order_of(PHONE, "A2", WORDS[0], is_delivered=False))
        post(served, event("order.paid", "B1", 1, customer_hash=OTHER))
        assert served.stop() == 0
    with serve(tmp_path) as served:  # now there is a snapshot, and a log behind it
        post(served, event("delivery.attempted", "A2", 4, customer_hash=PHONE, reason=WORDS[1]))
        before = counters(served)
        assert run(tmp_path, "erase", "A1").returncode != 0  # not while it runs
        served.process.kill()
        served.process.wait()
    pepper = ensure_pepper(data, RandomIds())
    name, other = pepper.name(PHONE).encode(), pepper.name(OTHER).encode()
    words = [word.encode() for word in WORDS]
    assert files_with(data, [PHONE.encode(), OTHER.encode()]) == []
    assert all(files_with(data, [word]) for word in (name, other, *words))

    erased = run(tmp_path, "erase", "--customer", PHONE, "--json")
    assert (erased.returncode, json.loads(erased.stdout)["orders"]) == (0, ["A1", "A2"])
    assert files_with(data, [name, *words]) == []
    assert files_with(data, [other]) != []

    checked = run(tmp_path, "fsck", "--json")
    assert checked.returncode == 0, checked.stdout
    with serve(tmp_path) as served:
        assert counters(served) == before
        assert json.loads(served.get("/v1/orders/A1")[1])["verdict"] == "good"
        assert json.loads(served.get("/v1/orders/A2")[1])["verdict"] == "undecided"
        token = (data / "admin.token").read_text().strip()
        request = urllib.request.Request(
            served.url + "/v1/audit", headers={"Authorization": f"Bearer {token}"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            (entry,) = json.load(answer)["entries"]
        assert (entry["action"], entry["after"]) == ("orders.erase", {"orders": ["A1", "A2"]})
        assert served.stop() == 0
    assert files_with(data, [name, *words]) == []


def test_erasure_of_nobody_ends_with_1(tmp_path: Path) -> None:
    """An order that is not stored is said, and no other is touched; naming nobody is bad input."""
    with serve(tmp_path) as served:
        post(served, event("order.paid", "B1", 1, customer_hash=OTHER))
        assert served.stop() == 0
    nobody = run(tmp_path, "erase", "C1")
    assert (nobody.returncode, nobody.stdout) == (1, "")
    assert "nothing is stored" in nobody.stderr
    assert run(tmp_path, "erase").returncode == 2


def test_copy_that_still_holds_the_buyer_is_named(tmp_path: Path) -> None:
    """An old copy beside the database is not ours to delete, but it is never passed over."""
    data = tmp_path / "data"
    with serve(tmp_path) as served:
        post(served, event("order.paid", "A1", 1, customer_hash=PHONE))
        assert served.stop() == 0
    (data / "monitor.db.v2").write_bytes((data / "monitor.db").read_bytes())
    erased = run(tmp_path, "erase", "--customer", PHONE, "--json")
    assert (erased.returncode, json.loads(erased.stdout)["left"]) == (1, ["monitor.db.v2"])
