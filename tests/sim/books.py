"""What must be true at the end of every play, however often the service crashed.

The books are not the monitor's: what the shop handed out, what the supplier sold, what the chat
heard, and the journal of acknowledged events. Each check returns what is wrong with it.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

from monitor.adapters.storage.memory import MemoryStore
from monitor.config.load import load
from monitor.config.rules_file import load_rules
from monitor.core.announce import announce_alert, outdated_keys
from monitor.core.engine import Engine
from monitor.model.alerts import AlertState
from monitor.model.commands import Batch
from monitor.model.events import OrderEvent
from monitor.model.records import (
    AlertMoved,
    Breached,
    CaseMoved,
    Record,
    TierReached,
    record_decoder,
)
from monitor.model.rules import RuleSet
from monitor.model.settings import Settings
from monitor.model.takeovers import CaseState
from monitor.runtime.recovery import KnownOrders, recover
from monitor.sim.service import order_event
from monitor.sim.stage import RULES, configuration, shrunk
from monitor.sim.theatre import Ending, Script, Theatre
from monitor.sim.virtual_loop import START_MS, run_virtual

FINAL = (CaseState.DELIVERED, CaseState.ESCALATED, CaseState.VOIDED)


@cache
def stage_settings() -> tuple[Settings, RuleSet]:
    """Settings and rules of the demo, read by the real configuration reader."""
    with tempfile.TemporaryDirectory() as name:
        config, rules = Path(name) / "monitor.yaml", Path(name) / "rules.yaml"
        config.write_text(configuration("http://127.0.0.1:9", name))
        rules.write_text(RULES)
        return shrunk(load(config, environ={}).settings), load_rules([rules])


def script_of(seed: int, **changes: Any) -> Script:
    """The demo with this seed and whatever else is wanted."""
    settings, rules = stage_settings()
    return Script(seed=seed, settings=settings, rules=rules, **changes)


def played(script: Script) -> tuple[Ending, list[str]]:
    """Play in virtual time; the ending and everything that is wrong with it."""

    async def play_and_check() -> tuple[Ending, list[str]]:
        ending = await Theatre(script).run()
        return ending, await wrongs(ending, script)

    return run_virtual(play_and_check())


def fingerprint(ending: Ending) -> tuple[str, str]:
    """Hash of every byte of the log, and of everything the engine knows."""
    log = hashlib.sha256(b"\n--\n".join(ending.log)).hexdigest()
    return log, ending.engine.engine_hash()


def records(ending: Ending) -> list[Record]:
    """The whole log, record by record."""
    return [record_decoder.decode(line) for body in ending.log for line in body.splitlines()]


async def wrongs(ending: Ending, script: Script) -> list[str]:
    """Everything that is wrong; empty when nothing is."""
    log = records(ending)
    outcome = ending.outcome
    found = [
        f"{outcome.double_deliveries} orders delivered twice" if outcome.double_deliveries else "",
        f"{outcome.lost_orders} orders lost" if outcome.lost_orders else "",
        f"{outcome.bought_twice} keys bought twice" if outcome.bought_twice else "",
        *_events(ending, log, script),
        *_alerts(ending, log, script),
        *_decisions(log),
        *_takeovers(ending, log),
        *await _recovery(ending, script),
    ]
    return [one for one in found if one]


def _events(ending: Ending, log: list[Record], script: Script) -> list[str]:
    """Every acknowledged event is in the log, and the state is that of the acknowledged events."""
    logged = {(one.source, one.event_id) for one in log if isinstance(one, OrderEvent)}
    lost = [one for one in ending.acknowledged if (one["source"], one["id"]) not in logged]
    fresh = Engine(script.settings, RuleSet())
    fresh.handle(Batch(tuple(order_event(one, START_MS) for one in ending.acknowledged)), START_MS)
    is_equal = fresh.state_hash() == ending.engine.state_hash(fresh.latest_ms)
    return [
        f"{len(lost)} acknowledged events lost" if lost else "",
        "" if is_equal else "the state is not that of the acknowledged events",
    ]


def _alerts(ending: Ending, log: list[Record], script: Script) -> list[str]:
    """Every alert of the log was heard by the chat.

    The end of an alert withdraws its unsent messages, so the end may be all that was heard.
    """
    rules = {rule.alert: rule for rule in script.rules.rules}
    moves = [one for one in log if isinstance(one, AlertMoved)]
    expected = [
        effect.key
        for moved in moves
        for effect in announce_alert(script.settings, rules[moved.alert.rule], moved)
    ]
    ended = {
        key
        for moved in moves
        if moved.alert.state != AlertState.FIRING
        for key in outdated_keys(script.settings, moved)
    }
    heard = ending.performer.heard
    unheard = [key for key in expected if key not in heard and key not in ended]
    latest = {moved.alert.key: moved.alert.state for moved in moves}
    now = {alert.key: alert.state for alert in ending.engine.control.alerts.values()}
    return [
        "" if expected else "no alert fired at all",
        f"alerts nobody heard of: {unheard}" if unheard else "",
        "" if latest.items() <= now.items() else "an alert is not in the state of the log",
    ]


def _decisions(log: list[Record]) -> list[str]:
    """A breach is decided once per order, a tier once per order and tier."""
    keys = Counter(
        (type(one).__name__, one.order_id, getattr(one, "tier", 0))
        for one in log
        if isinstance(one, (Breached, TierReached))
    )
    return [f"decided {count} times: {key}" for key, count in keys.items() if count > 1]


def _takeovers(ending: Ending, log: list[Record]) -> list[str]:
    """Every case came to an end, the shop obeys the newest epoch, no key paid for is forgotten."""
    cases = {one.case.takeover_id: one.case for one in log if isinstance(one, CaseMoved)}
    open_cases = [case.order_id for case in cases.values() if case.state not in FINAL]
    unknown = [id_ for id_ in cases if id_ not in ending.engine.desk.cases]
    shop = ending.performer.shop
    handed = {key for order in shop.orders.values() for key in order.goods}
    forgotten = [
        ref
        for ref, keys in ending.supplier.sold.items()
        if not handed.intersection(keys) and not ending.performer.goods.is_locked(ref)
    ]
    return [
        f"takeovers that never ended: {open_cases}" if open_cases else "",
        f"takeovers the engine forgot: {unknown}" if unknown else "",
        "" if shop.epoch == ending.engine.route.epoch else "the shop obeys another epoch",
        f"keys bought and forgotten: {forgotten}" if forgotten else "",
    ]


async def _recovery(ending: Ending, script: Script) -> list[str]:
    """A service started on what was left knows exactly what the stopped one knew."""
    store: MemoryStore = ending.store.clone_durable()
    engine = Engine(script.settings, script.rules)
    await recover(store, engine, KnownOrders(), START_MS)
    is_equal = engine.engine_hash() == ending.engine.engine_hash()
    return ["" if is_equal else "a restart would know something else"]
