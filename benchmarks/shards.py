"""A shop over several shards, with one control over what they say together.

    order id ─► shard ─► rows, tallies ─┐
                                        ├─► merged ─► control: charts, rules, alerts, baselines
    sources and names are the shop's ───┘

One shard is the same with nothing to merge: only its names are put into the order of merged ones.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import msgspec
import numpy as np

from monitor.core.control import Control, View
from monitor.core.orders.names import NameBook
from monitor.core.orders.shard import Shard
from monitor.core.orders.tallies import Tallies
from monitor.core.side_signals import SourceView
from monitor.core.signals.heard import Heard
from monitor.core.signals.observation import Observation, merge
from monitor.model.events import EventType, OrderEvent
from monitor.model.ids import hash64
from monitor.model.records import AlertMoved, BaselineLearned, SourceMoved, SwitchDecided
from monitor.model.rules import RuleSet
from monitor.model.settings import Settings

Decided = AlertMoved | SwitchDecided | BaselineLearned

_encoder = msgspec.msgpack.Encoder()


class Sharded:
    """Some shards and a control; `decided` is everything the control ever decided."""

    def __init__(self, count: int, settings: Settings, rules: RuleSet) -> None:
        names = NameBook()
        self.shards = [Shard(settings, names) for _ in range(count)]
        for shard in self.shards[1:]:
            shard.sources = self.shards[0].sources
        self.control = Control(settings, rules)
        self.decided: list[Decided] = []
        self.rows: Observation = merge([shard.observe() for shard in self.shards])

    def take(self, events: Iterable[OrderEvent]) -> None:
        """Hand each event to the shard of its order."""
        for event in events:
            place = 0 if event.type == EventType.HEARTBEAT else hash64(event.order_id)
            mine = self.shards[place % len(self.shards)]
            mine.fold(event)
            mine.settle()  # names are given in the order of the events, whatever the shards
            for other in self.shards:
                if other is not mine:
                    other.release(event.source)
        self._changed = True

    def look(self, now_ms: int) -> None:
        """Judge what is due in every shard, then evaluate what control has due."""
        judged = self._judge(now_ms)
        if judged or self._changed:
            self.control.note_change(now_ms)
        self._changed = False
        if not self.control.is_due(now_ms):
            return
        for decision in self.control.evaluate(self.view(now_ms)):
            self.decided.append(decision)
            if isinstance(decision, BaselineLearned):
                for shard in self.shards:
                    shard.tallies.forget(self.control.baselines, now_ms)

    def view(self, now_ms: int) -> View:
        """All shards as one."""
        self.rows = merge([shard.observe() for shard in self.shards])
        return View(
            rows=self.rows,
            tallies=merged([shard.tallies for shard in self.shards]),
            sources=[
                SourceView(name, max(0, now_ms - source.last_ms), source.is_silent)
                for name, source in sorted(self.shards[0].sources.items())
                if source.last_ms
            ],
            p95_ms={},
            heard=self._heard(now_ms),
            now_ms=now_ms,
        )

    def digests(self) -> dict[str, str]:
        """A hash of each thing that must not depend on the number of shards, bit by bit."""
        latest = self.control.watch.latest
        findings = {
            name: (one.domain.by, one.domain.instances, one.findings.verdicts.tolist(),
                   [one.at(index) for index in range(len(one.domain))])
            for name, one in sorted(latest.items())
        }  # fmt: skip
        columns = {
            name: getattr(self.rows, name).tobytes()
            for name in self.rows.__struct_fields__
            if name != "names"
        }
        measured = self.control.measured()
        parts = {
            "rows": (self.rows.names, columns),
            "tallies": merged([shard.tallies for shard in self.shards]).snapshot(),
            "findings": findings,
            "charts": measured.charts,
            "arrivals": measured.arrivals,
            "callbacks": measured.callbacks,
            "control": self.control.snapshot(),
            "decisions": self.decided,
        }
        return {
            name: hashlib.blake2b(_encoder.encode(part), digest_size=16).hexdigest()
            for name, part in parts.items()
        }

    def _judge(self, now_ms: int) -> bool:
        is_changed = False
        for shard in self.shards:
            judgement = shard.judge(now_ms)
            is_changed |= not judgement.is_empty
            for decision in judgement.decisions:
                if isinstance(decision, SourceMoved):
                    for other in self.shards:
                        if other is not shard:
                            other.apply(decision)
            shard.drain_dirty()
        return is_changed

    def _heard(self, now_ms: int) -> Heard:
        """How far sources are believed, by their codes in the merged rows."""
        known: dict[str, tuple[int, ...]] = {}
        for shard in self.shards:
            heard = shard.heard(now_ms)
            values = zip(
                heard.believed_ms.tolist(), heard.quiet_ms.tolist(), heard.held_ms.tolist(),
                heard.speaks.tolist(), strict=True,
            )  # fmt: skip
            known.update(zip(shard.observe().names.source, values, strict=True))
        columns = np.array([known[name] for name in self.rows.names.source], np.int64)
        believed, quiet, held, speaks = columns.reshape(-1, 4).T
        return Heard(believed, quiet, held, speaks.astype(np.bool_))

    _changed = False


def merged(parts: Sequence[Tallies]) -> Tallies:
    """The tallies of many shards as one; theirs are left alone."""
    whole = Tallies()
    for part in parts:
        whole.merge(part)
    return whole


def differences(one: Sharded, many: Sharded) -> list[str]:
    """What is not the same, bit by bit."""
    first, second = one.digests(), many.digests()
    return [name for name in first if first[name] != second[name]]
