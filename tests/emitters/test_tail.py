"""The real service follows logs: an emitter's spool, JSON lines of a shop, lines of plain text."""

from __future__ import annotations

import json
from pathlib import Path

from tests.e2e.serving import serve
from tests.emitters.stage import CARD, Service, Shop, needs

CONFIG = r"""
sources:
  - {name: spooled, tail: {file: events.ndjson}}
  - name: lines
    timezone: Asia/Shanghai
    tail:
      file: shop.jsonl
      format: json
      map:
        type: {path: order.state, values: {paid: order.paid, sent: delivery.delivered}}
        order_id: order.sn
        time: at
        amount: order.price
  - name: text
    tail:
      file: shop.log
      format: regex
      pattern: '^\[(?P<time>[^\]]+)\] 订单 (?P<no>[^ ]+) (?P<what>[^ ]+)'
      map: {type: {path: what, values: {已支付: order.paid}}, order_id: no, time: time}
"""


def configured(folder: Path) -> Shop:
    """A shop that only writes its spool, in the folder of the service."""
    needs("python")
    (folder / "monitor.yaml").write_text(CONFIG, encoding="utf-8")
    for name in ("events.ndjson", "shop.jsonl", "shop.log"):
        (folder / name).touch()
    return Shop("python", folder, "")


def append(path: Path, *lines: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write("".join(f"{line}\n" for line in lines))


def until_read(service: Service, *orders: str) -> None:
    """Wait until the service knows the orders; it looks by itself."""
    while any(not service.facts(order) for order in orders):
        pass


def test_lines_are_read_as_they_come_and_once_after_a_kill(tmp_path: Path) -> None:
    """Neither a kill of the service nor a rotation while it is away loses or doubles a line."""
    shop = configured(tmp_path)
    with serve(tmp_path, "--config", "monitor.yaml") as served, shop.emitter() as emitter:
        service = Service(served, tmp_path)
        assert emitter.emit("A1", card=CARD) is True
        append(tmp_path / "shop.jsonl",
               json.dumps({"order": {"sn": 7, "state": "paid", "price": "9.90", "kami": CARD},
                           "at": "2026-01-05 10:00:00"}),
               json.dumps({"order": {"sn": 8, "state": "viewed"}}))  # fmt: skip
        append(tmp_path / "shop.log", "PHP Notice", "[2026-01-05T02:00:00Z] 订单 丙9 已支付 x")
        until_read(service, "A1", "7", "丙9")
        served.process.kill()
        served.process.wait()
        assert emitter.emit("A1", "delivery.delivered") is True
        shop.spool.rename(tmp_path / "events.ndjson.1")
        assert emitter.emit("A2") is True
    with serve(tmp_path, "--config", "monitor.yaml") as served:
        service = Service(served, tmp_path)
        append(tmp_path / "shop.log", "[2026-01-05T02:00:10Z] 订单 丙10 已支付 x")
        until_read(service, "A2", "丙10")
        expected = [["order.paid", "delivery.delivered"], ["order.paid"], ["order.paid"], []]
        assert service.kinds("A1", "A2", "7", "8") == expected
        (event,) = service.facts("7")
        assert (event["time"], event["source"]) == ("2026-01-05T02:00:00Z", "lines")
    data = b"".join(path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file())
    assert CARD.encode() not in data


def test_bad_line_is_told_with_its_number(tmp_path: Path) -> None:
    """In the notes of the service, where an owner looks first."""
    configured(tmp_path)
    append(tmp_path / "events.ndjson", '{"type":"order.paid","order_id":"A1"}', "", "no JSON")
    with serve(tmp_path, "--config", "monitor.yaml") as served:
        told = served.until("tail_line_unreadable")
        assert (told["source"], told["line"], told["code"]) == ("spooled", 3, "bad_json")
        _, body = served.get("/readyz?verbose")
        assert "1 lines of the log are no events, the last was line 3" in body


def test_log_that_is_not_there_is_told(tmp_path: Path) -> None:
    """And read from its beginning once it is."""
    shop = configured(tmp_path)
    shop.spool.unlink()
    with serve(tmp_path, "--config", "monitor.yaml") as served:
        assert served.until("source_unreadable")["source"] == "spooled"
        append(shop.spool, '{"type":"order.paid","order_id":"A1"}')
        until_read(Service(served, tmp_path), "A1")
