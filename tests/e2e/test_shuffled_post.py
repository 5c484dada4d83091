"""Events posted in any order, doubled, in batches of any size, make the state of the file."""

import json
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from monitor.model.times import HOUR_MS, MINUTE_MS, SECOND_MS, format_rfc3339
from tests.e2e.posting import batches, post_all
from tests.e2e.real_files import ORDERS, PAYMENTS, run_example
from tests.e2e.serving import run, serve

START_MS = 1_736_128_800_000  # 2025-01-06T02:00:00Z
CONFIG = """promise: {{default: {promise}, by_sku: {{slow: 1h}}, by_speed: {{express: 30s}}}}
sources: [{{name: kiosk, created_means_paid: true, timezone: Asia/Shanghai}}]
channels: [{{name: A, kind: external}}, {{name: B, kind: external}}]
"""
# Looking at the shipped rules all through two years would take most of a minute.
ONE_RULE = "groups: [{name: g, interval: 1h, rules: [{alert: Many, expr: 'open_orders > 0'}]}]"
# Which facts an order has; each may still get lost, come late, or contradict another.
COURSES = (
    ("order.created", "order.paid", "delivery.attempted", "delivery.delivered"),
    ("order.created", "order.paid", "delivery.attempted", "delivery.failed", "order.failed"),
    ("order.paid", "delivery.delivered", "order.refunded"),
    ("order.created", "payment.callback", "delivery.attempted"),
    ("order.created", "order.cancelled"),
    ("order.paid", "order.refunded", "delivery.delivered", "delivery.delivered"),
    ("delivery.delivered", "order.paid"),
    ("order.paid", "order.accepted", "stock.reserved", "order.expired", "delivery.verified"),
)


def generated(seed: int, orders: int) -> list[bytes]:
    """Lines about orders of three sources over two hours."""
    chance = random.Random(seed)
    lines = [line for number in range(orders) for line in _order(number, chance)]
    heartbeats = [
        {"type": "source.heartbeat", "source": "web", "time": _time(START_MS + number * MINUTE_MS)}
        for number in range(48)
    ]
    return lines + [json.dumps(one).encode() for one in heartbeats]


def _order(number: int, chance: random.Random) -> Iterator[bytes]:
    at_ms = START_MS + chance.randrange(HOUR_MS)
    source = chance.choice(("web", "app", "kiosk"))
    for step, kind in enumerate(chance.choice(COURSES)):
        # Some facts of an order are told in the same millisecond, some lie minutes apart.
        at_ms += chance.choice((0, 1, SECOND_MS, 50 * SECOND_MS, 4 * MINUTE_MS, 10 * MINUTE_MS))
        if chance.random() < 0.05:
            continue
        event = {"type": kind, "order_id": f"G{number}", "source": source, "time": _time(at_ms)}
        if chance.random() < 0.9:
            event["id"] = f"{number}/{step}"
        yield json.dumps(event | _attributes(kind, chance)).encode()


def _attributes(kind: str, chance: random.Random) -> dict[str, Any]:
    some: dict[str, Any] = {
        "channel": chance.choice(("A", "B", "unknown")),
        "sku": chance.choice(("key", "slow")),
        "speed": chance.choice(("express", "normal")),
        "promise_s": chance.choice((45, 600)),
        "quantity": chance.randint(1, 3),
    }
    kept = {name: value for name, value in some.items() if chance.random() < 0.5}
    if kind == "payment.callback":
        kept |= {"meaning": chance.choice(("paid", "waiting", "expired")), "provider": "pay"}
    return kept


def _time(at_ms: int) -> str:
    return format_rfc3339(at_ms)


async def same_state(
    folder: Path, lines: list[bytes], promise: str, seed: int, *rules: str
) -> dict[str, Any]:
    """Replay the file, post it badly, compare; returns what the replay said.

    `rules` are arguments of the replay; no verdict hangs on rules.
    """
    (folder / "monitor.yaml").write_text(CONFIG.format(promise=promise), encoding="utf-8")
    (folder / "events.ndjson").write_bytes(b"\n".join(lines) + b"\n")
    done = run(folder, "replay", "events.ndjson", "--config", "monitor.yaml", *rules, "--json")
    assert done.returncode == 0, done.stderr
    replayed: dict[str, Any] = json.loads(done.stdout)
    parts = batches(lines, random.Random(seed), doubled_share=0.3)
    assert max(map(len, parts)) > 500
    assert min(map(len, parts)) < 5
    with serve(folder, "--config", "monitor.yaml") as served:
        said = await post_all(served.url, parts)
        status, body = served.get("/v1/state-hash")
        assert status == 200
        found = json.loads(body)
        assert served.stop() == 0
    posted = Counter(line for part in parts for line in part)
    # A heartbeat is never taken for a duplicate.
    beats = sum(count - 1 for line, count in posted.items() if b"heartbeat" in line)
    assert (said["accepted"], said["rejected"]) == (replayed["accepted"] + beats, 0)
    assert said["duplicates"] == posted.total() - said["accepted"]
    assert found["orders"] == replayed["orders"]
    assert found["judged_at"] == replayed["last_event_at"]
    assert found["state_hash"] == replayed["state_hash"]
    with serve(folder, "--config", "monitor.yaml") as served:
        again = json.loads(served.get("/v1/state-hash")[1])
    assert again["state_hash"] == replayed["state_hash"]
    return replayed


@pytest.mark.parametrize("seed", [1, 2])
async def test_generated_events_in_any_order_make_the_state_of_the_file(
    tmp_path: Path, seed: int
) -> None:
    """Also after a restart, and with contradictions, missing facts, missing ids and ties."""
    replayed = await same_state(tmp_path, generated(seed, 1_000), "3m", seed)
    assert replayed["orders"] > 990  # of some every single fact got lost
    seen = {name for name, count in replayed["verdicts"].items() if count}
    assert seen >= {"good", "late_delivered", "late_pending", "failed", "refunded", "cancelled"}


@pytest.mark.needs_shared_data
@pytest.mark.slow
async def test_real_orders_in_any_order_make_the_state_of_the_file(tmp_path: Path) -> None:
    """Every fourth of 8,135 orders of two years."""
    lines = run_example("olist.py", ORDERS, PAYMENTS)
    known = sorted({json.loads(line)["order_id"] for line in lines})
    chosen = {*known[::4]}
    lines = [line for line in lines if json.loads(line)["order_id"] in chosen]
    (tmp_path / "rules.yaml").write_text(ONE_RULE, encoding="utf-8")
    replayed = await same_state(tmp_path, lines, "30d", 3, "--rules", "rules.yaml")
    assert (len(known), replayed["orders"]) == (8_135, 2_034)


async def test_one_event_less_makes_another_state(tmp_path: Path) -> None:
    """The hash of the service sees a single fact."""
    lines = generated(4, 50)
    hashes = []
    for number, some in enumerate((lines, lines[1:])):
        folder = tmp_path / str(number)
        folder.mkdir()
        with serve(folder) as served:
            await post_all(served.url, [some])
            hashes.append(json.loads(served.get("/v1/state-hash")[1])["state_hash"])
    assert hashes[0] != hashes[1]
