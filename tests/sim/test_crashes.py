"""The story with `kill -9` at random instants: nothing is delivered twice, nothing is lost.

The planted faults at the end show that the books would notice.
"""

from typing import Any

import msgspec
import pytest

from monitor.adapters.storage.memory import READY, MemoryStore
from monitor.model.effects import Claim, Effect, Submit
from monitor.model.errors import UnknownOutcome
from monitor.model.records import Answer, AttemptAnswered, ClaimAnswered
from monitor.ports import StoredSegment
from monitor.runtime.outbox_worker import OutboxWorker
from monitor.sim.goods import Goods
from monitor.sim.performer import Network, WorldPerformer
from monitor.sim.theatre import crash_instants
from monitor.sim.world import PRICE_MINOR, SKU, Shop
from tests.sim.books import played, script_of

PLAY_S = 28.0  # about when the last stuck order is rescued
HEALS_S = (None, 11.0, 14.0)


@pytest.mark.parametrize("seed", range(32))
def test_crashes_at_any_instant_lose_nothing_and_double_nothing(seed: int) -> None:
    """One to eight crashes in half a minute, some during a restart, some while a channel heals."""
    instants = crash_instants(seed, 0.0, PLAY_S, 1 + seed % 8)
    script = script_of(seed, crashes_s=instants, heals_at_s=HEALS_S[seed % 3])
    _, wrong = played(script)
    assert wrong == []


@pytest.mark.parametrize("seed", range(100, 106))
def test_crashes_after_a_snapshot_lose_nothing_and_double_nothing(seed: int) -> None:
    """The first minute ends in a snapshot; what follows, a second outage, comes from the log."""
    script = script_of(
        seed,
        seconds=80.0,
        heals_at_s=40.0,
        second_outage_s=(62.0, 76.0),
        crashes_s=crash_instants(seed, 61.0, 90.0, 1 + seed % 4),
    )
    _, wrong = played(script)
    assert wrong == []


def test_crash_loop_still_gets_there() -> None:
    """Forty crashes in a row, most before the service has settled what the last one left."""
    script = script_of(3, crashes_s=tuple(6.0 + 0.4 * number for number in range(40)))
    _, wrong = played(script)
    assert wrong == []


# --- planted faults ---------------------------------------------------------------------------------


class BuysAgain(WorldPerformer):
    """Sends a submit again when no answer came."""

    async def perform(self, effect: Effect) -> Answer:
        try:
            return await super().perform(effect)
        except UnknownOutcome:
            if not isinstance(effect, Submit):
                raise
            return await super().perform(effect)


class TakesSilenceForNo(WorldPerformer):
    """Reports a submit without an answer as refused."""

    async def perform(self, effect: Effect) -> Answer:
        try:
            return await super().perform(effect)
        except UnknownOutcome:
            if not isinstance(effect, Submit):
                raise
            return AttemptAnswered(
                effect.key, effect.takeover_id, effect.attempt_ref, "rejected", 0, code="timeout"
            )


class ClaimsNothing(WorldPerformer):
    """Grants itself every order without asking the shop."""

    async def perform(self, effect: Effect) -> Answer:
        if not isinstance(effect, Claim):
            return await super().perform(effect)
        return ClaimAnswered(
            effect.key, effect.takeover_id, "granted", 0, paid=True, sku=SKU,
            amount_minor=PRICE_MINOR,
        )  # fmt: skip


class TrustingShop(Shop):
    """Takes goods from anybody, also for orders it has delivered or never gave away."""

    def take_goods(self, request: dict[str, object], now_ms: int) -> tuple[int, dict[str, object]]:
        order = self.orders[str(request["order_id"])]
        goods = request["goods"]
        assert isinstance(goods, list)
        self._hand_out(order, tuple(goods), now_ms)
        return 200, {"status": "ok"}


class SameKeyForAll(Goods):
    """Forgets to take a unit out of the pool."""

    def reserve(self, attempt_ref: str) -> tuple[str, ...]:
        return self._held.setdefault(attempt_ref, (self._free[0],))


class RepeatsWhatWasUnderWay(OutboxWorker):
    """Performs submits again that were under way when the process died."""

    async def start(self) -> None:
        for row in await self._store.interrupted():
            self._enqueue(row)
        await super().start()


class Forgetful(MemoryStore):
    """A disk that loses something in a crash."""

    def clone_durable(self) -> MemoryStore:
        left = type(self)()
        left._durable = super().clone_durable()._durable
        left.forget()
        return left

    def forget(self) -> None:
        raise AssertionError("say what is lost")


class ForgetsOutbox(Forgetful):
    """Effects live in memory only."""

    def forget(self) -> None:
        self._durable.outbox.clear()


class ForgetsUnsent(Forgetful):
    """Effects are written down when they are sent, not when they are decided."""

    def forget(self) -> None:
        kept = {key: one for key, one in self._durable.outbox.items() if one.state != READY}
        self._durable.outbox = kept


class AnswersBeforeSync(Forgetful):
    """The newest group commit was acknowledged and never reached the disk."""

    def forget(self) -> None:
        newest = self._durable.log[-1] if self._durable.log else None
        if newest is not None and newest.segment.kind == "entries":
            self._durable.log = self._durable.log[:-1]


class ForgetsWhatWasSent(Forgetful):
    """The mark that a row is under way is not durable: after a crash it looks unsent."""

    def forget(self) -> None:
        self._durable.outbox = {
            key: msgspec.structs.replace(one, state=READY, wake_ms=one.row.due_ms)
            for key, one in self._durable.outbox.items()
        }


class DecidesAgain(Forgetful):
    """Recovery does not fold decisions: it leaves them to be made again."""

    def forget(self) -> None:
        """The disk has them; nobody reads them."""

    async def read(self, after: int, max_bytes: int = 8_000_000) -> list[StoredSegment]:
        found = await super().read(after, max_bytes)
        is_recovery = max_bytes == 8_000_000
        return [one for one in found if not is_recovery or one.segment.kind == "entries"]


BAD_NETWORK = Network(refused_share=0.6)  # a message is under way for seconds

FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"performer": BuysAgain}, "bought twice"),
    ({"performer": TakesSilenceForNo}, "bought and forgotten"),
    ({"performer": ClaimsNothing}, "orders lost"),
    ({"performer": ClaimsNothing, "shop": TrustingShop}, "delivered twice"),
    ({"shop": TrustingShop}, "delivered twice"),
    ({"goods": SameKeyForAll}, "delivered twice"),
    ({"worker": RepeatsWhatWasUnderWay}, "bought twice"),
    ({"store": ForgetsWhatWasSent}, "bought twice"),
    ({"store": ForgetsOutbox}, "orders lost"),
    ({"store": ForgetsOutbox, "network": BAD_NETWORK}, "alerts nobody heard of"),
    ({"store": ForgetsUnsent, "network": BAD_NETWORK}, "alerts nobody heard of"),
    ({"store": AnswersBeforeSync}, "acknowledged events lost"),
    ({"store": DecidesAgain}, "decided 2 times"),
]
SEEDS_MAX = 20


@pytest.mark.parametrize(
    ("fault", "words"),
    FAULTS,
    ids=[
        f"{'+'.join(getattr(one, '__name__', 'BadNetwork') for one in fault.values())}-{words}"
        for fault, words in FAULTS
    ],
)
def test_books_notice_a_planted_fault(fault: dict[str, Any], words: str) -> None:
    """Within a few seeds, in the very words that name the damage."""
    found: list[str] = []
    for seed in range(SEEDS_MAX):
        instants = crash_instants(seed, 8.0, 22.0, 4 + seed % 5)
        script = script_of(seed, crashes_s=instants, heals_at_s=HEALS_S[seed % 3], **fault)
        _, wrong = played(script)
        found += wrong
        if any(words in one for one in wrong):
            return
    pytest.fail(f"nobody noticed within {SEEDS_MAX} seeds; found only {sorted({*found})}")
