"""One hash over many orders: what each is and how it is judged, in the order of their ids.

Orders of memory and of the store go through the same few lines, so that a running service, a
replay and a simulation can be compared.
"""

from __future__ import annotations

import hashlib

import msgspec

from monitor.core.orders.facts import Facts
from monitor.core.orders.lifecycle import verdict


class StateHasher:
    """Hashes facts and verdicts at one time; orders must come sorted by id."""

    def __init__(self, judged_ms: int) -> None:
        self.judged_ms = judged_ms
        self.orders = 0
        self._hasher = hashlib.blake2b(digest_size=16)
        self._previous = ""

    def add(self, order_id: str, facts: Facts) -> None:
        """Take in one order.

        Without the buyer's name: it depends on the installation, which a replay is not.
        """
        assert not self.orders or order_id > self._previous, "orders come sorted, each once"
        if facts.customer_hash is not None:
            facts = msgspec.structs.replace(facts, customer_hash=None)
        line = (order_id, facts, verdict(facts, self.judged_ms))
        self._hasher.update(msgspec.json.encode(line))
        self._previous = order_id
        self.orders += 1

    def hexdigest(self) -> str:
        """The hash of everything added so far, 32 hex digits."""
        return self._hasher.hexdigest()
