"""Take a buyer out of everything that is stored: log, orders, snapshot, waiting traces.

What leads to a person goes (the buyer's name, region, free text, trace); the order stays as nobody's,
so counts and curves remain true. The service must be stopped for the moment; what it sends to
others, and backups made before, are not reached. --customer takes what the shop sends as
customer_hash. Exit 0 when nothing is left, 1 when nothing was found or something is left.

Examples:
  delivery-monitor erase A1 A2 --config monitor.yaml
  delivery-monitor erase --customer 5f4dcc3b5aa765d6 --data-dir ./data --json
"""

from __future__ import annotations

import argparse
from pathlib import Path

import msgspec

from monitor.adapters.clock import SystemClock
from monitor.adapters.ids import RandomIds
from monitor.adapters.pepper import PREFIX, ensure_pepper
from monitor.adapters.relay_schema import DATABASE_NAME as RELAY_NAME
from monitor.adapters.relay_schema import erase_callbacks
from monitor.adapters.storage.directory import DATABASE_NAME
from monitor.adapters.storage.rewrite import Rewrite, Rewritten, files_with, stopped_store
from monitor.cli.output import say, say_json, warn
from monitor.config.load import load
from monitor.model.errors import InputError
from monitor.model.notes import Audited
from monitor.ports import AuditRow
from monitor.runtime.erasure import Erasure


class Erased(msgspec.Struct, frozen=True):
    """What was done; `left` names what still holds the person."""

    orders: list[str]
    rewritten: Rewritten
    left: list[str]
    callbacks: int = 0  # of payments, in `relay.db`


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("orders", nargs="*", metavar="ORDER", help="ids of orders")
    parser.add_argument("--customer", action="append", default=[], metavar="HASH",
                        help="all orders of a buyer, as the shop names them")  # fmt: skip
    parser.add_argument("--config", type=Path, metavar="F", help="monitor.yaml")
    parser.add_argument("--data-dir", metavar="D", help="where the state is kept")


def run(options: argparse.Namespace) -> int:
    """Erase and report."""
    if not (options.orders or options.customer):
        raise InputError("nobody is named", hint="name orders, or a buyer with --customer")
    loaded = load(options.config, data_dir=options.data_dir)
    data_dir = Path(loaded.endpoints.data_dir)
    if not (data_dir / DATABASE_NAME).exists():
        raise InputError(f"{data_dir} holds no database", hint="name the service's data_dir")
    erased = _erase(data_dir, options.orders, options.customer)
    if options.json:
        say_json(erased)
    elif not (erased.orders or erased.callbacks or erased.left):
        warn("nothing is stored of them")
    else:
        counts = erased.rewritten
        say(f"{len(erased.orders)} orders are nobody's now: {counts.segments} segments of the log, "
            f"{counts.orders} stored orders and {counts.snapshots} snapshots were rewritten, "
            f"{erased.callbacks} callbacks deleted")  # fmt: skip
        for name in erased.left:
            is_owed = name == RELAY_NAME
            what = (
                "erase again when the shop has taken it"
                if is_owed
                else "delete it if you need it no more"
            )
            warn(f"{name} in {data_dir} still holds the buyer; {what}")
        say("backups made before still hold them: ship a new base, then delete the old ones")
    return 1 if erased.left or not (erased.orders or erased.callbacks) else 0


def _erase(data_dir: Path, orders: list[str], customers: list[str]) -> Erased:
    names = [_name(data_dir, customer) for customer in customers]
    erasure = Erasure(orders, names)
    with stopped_store(data_dir) as store:
        erasure.look(store)
        # First: what the shop has still to get is a reason to come back, and nothing is done yet.
        callbacks, owed = erase_callbacks(data_dir, [*orders, *erasure.found])
        left = [RELAY_NAME] if owed else []
        if not erasure.found:
            return Erased([], Rewritten(0, 0, 0), left, callbacks)
        counts = store.rewrite(
            Rewrite(
                segment=erasure.segment,
                order=erasure.order,
                snapshot=erasure.snapshot,
                audit=_entry(list(erasure.found)),
                order_ids=tuple(erasure.found),
            )
        )
        left += [DATABASE_NAME] if erasure.is_left(store) else []
    # Copies of older releases and of damaged files lie beside the database.
    left += files_with(data_dir, [name.encode() for name in names])
    return Erased(list(erasure.found), counts, list(dict.fromkeys(left)), callbacks)


def _name(data_dir: Path, customer: str) -> str:
    return customer if customer.startswith(PREFIX) else ensure_pepper(data_dir, RandomIds()).name(customer)  # fmt: skip


def _entry(orders: list[str]) -> AuditRow:
    """What the audit keeps of it: which orders, and nothing of the person."""
    now_ms, audit_id = SystemClock().now_ms(), RandomIds().new_id("audit")
    after = msgspec.Raw(msgspec.json.encode({"orders": orders}))
    entry = Audited(
        audit_id, now_ms, actor="cli", scope="admin", action="orders.erase", after=after
    )
    return AuditRow(audit_id, now_ms, msgspec.json.encode(entry))
