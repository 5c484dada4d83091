"""The planted bugs: what each one breaks, where it is planted, and what kills it.

Each is one that a tired person could write, and each costs a shop money or sleep. `kinds` are the
faults that bring it to light, `words` a part of what the books then say, `seed` one that shows it.
"""

from __future__ import annotations

import msgspec

from monitor.sim.faults import (
    CHANNEL,
    CHAT,
    CRASH,
    FULL_DISK,
    NETWORK,
    PURCHASE,
    SHOP,
    SUPPLIER,
    USURPER,
)
from monitor.sim.trial import Plan
from tests.sim.planting import Change

LOOP = "monitor.runtime.loop:Loop"
WORKER = "monitor.runtime.outbox_worker:OutboxWorker"
LOOK = "monitor.runtime.found:look"
REBUILD = "monitor.runtime.recovery:rebuild"
ENGINE = "monitor.core.engine:Engine"
ENGINE_STATE = "monitor.core.engine_state:EngineState"
HTTP = "monitor.adapters.channels.http:HttpSupplier"
STATE = "monitor.adapters.storage.sqlite_state"
OUTBOX = "monitor.adapters.storage.sqlite_outbox"
PERFORMER = "monitor.adapters.performer:OutsidePerformer"


class Mutant(msgspec.Struct, frozen=True, kw_only=True):
    """One planted bug."""

    name: str
    changes: tuple[Change, ...]
    words: str
    kinds: tuple[str, ...] = (CRASH, NETWORK)
    seed: int = 1
    hours: float = 0.3
    rate: float = 3.0
    orders: float = 3.0

    def plan(self, seed: int) -> Plan:
        """The trial that is to kill it."""
        return Plan(
            seed=seed,
            hours=self.hours,
            kinds=self.kinds,
            faults_per_minute=self.rate,
            orders_per_minute=self.orders,
        )


def _mutant(name: str, where: str, old: str, new: str, words: str, **plan: object) -> Mutant:
    changes = (Change(where, old, new),)
    return Mutant(name=name, changes=changes, words=words, **plan)  # type: ignore[arg-type]  # checked by msgspec


OUTAGE = (CRASH, CHANNEL)  # orders get stuck, and the service dies while it rescues them
RESCUE = (CHANNEL, SUPPLIER)
DOUBT = (CHANNEL, PURCHASE)

MUTANTS = (
    # --- what was acknowledged is there ---------------------------------------------------------
    _mutant(
        "acknowledges before the log is synced", f"{LOOP}._turn",
        "        position = None\n",
        "        position = None\n"
        "        for one in requests:\n"
        "            one.answer.set_result(('accepted',) * len(one.entries))\n",
        "acknowledged events lost", kinds=(CRASH,), rate=2.0,
    ),
    _mutant(
        "acknowledges what the disk refused", f"{LOOP}._turn",
        "                refuse(requests, error)\n",
        "                for one in requests:\n"
        "                    one.answer.set_result(('accepted',) * len(one.entries))\n",
        "acknowledged events lost", kinds=(FULL_DISK,), rate=1.0,
    ),
    _mutant(
        "acknowledges and does not fold", f"{ENGINE}._fold",
        "                outcome = self.shard.fold(entry)\n",
        "                if entry.order_id.endswith('7'):\n"
        "                    return 'accepted'\n"
        "                outcome = self.shard.fold(entry)\n",
        "nobody knows that", kinds=(),
    ),
    _mutant(
        "forgets what was acknowledged and not decided about", REBUILD,
        "undecided.extend(piece.facts)", "pass",
        "the state is not that of the events in the log", kinds=(CRASH,), rate=2.0,
    ),
    _mutant(
        "starts behind the snapshot by one segment too many", LOOK,
        "    position, records = restart.snapshot_position, 0\n",
        "    position, records = restart.snapshot_position + 1, 0\n",
        "the state is not that of the events in the log",
    ),
    _mutant(
        "reads the log only up to the first segment that is too big", LOOK,
        "    while segments := await store.read(position):\n        for stored in segments:",
        "    if segments := await store.read(position, max_bytes=500):\n"
        "        for stored in segments:",
        "the state is not that of the events in the log",
    ),
    # --- what was decided is decided once -------------------------------------------------------
    _mutant(
        "decides again after a restart", REBUILD,
        "engine.refold(*piece.facts)",
        "getattr(piece.facts[0], 'decided_ms', 0) or engine.refold(*piece.facts)",
        "decided", kinds=OUTAGE,
    ),
    _mutant(
        "does not write decisions down", f"{LOOP}._collect",
        'segment_of("decisions", decisions) if decisions else None', "None",
        "orders lost", kinds=OUTAGE, hours=0.25,
    ),
    _mutant(
        "writes effects one commit later than their decision", f"{LOOP}._collect",
        "            outbox=effects,\n",
        "            outbox=(vars(self).pop('late', ()), vars(self).update(late=effects))[0],\n",
        "alerts nobody heard of", kinds=OUTAGE, seed=4,
    ),
    _mutant(
        "drops a commit that the disk refused", f"{LOOP}._commit",
        "            self._unsaved = chosen\n", "            self._unsaved = None\n",
        "the log does not say", kinds=(FULL_DISK, CHANNEL), rate=2.0,
    ),
    _mutant(
        "forgets the alerts in the snapshot", "monitor.core.control:Control.restore",
        "        self.watch.restore(snapshot.alerts)\n", "",
        "a restart would know something else", kinds=OUTAGE,
    ),
    _mutant(
        "forgets the route in the snapshot", "monitor.core.control:Control.restore",
        "        self.controller.route = snapshot.route\n", "",
        "epochs do not rise", kinds=OUTAGE, hours=1.0,
    ),
    _mutant(
        "forgets what was spent", f"{ENGINE_STATE}.restore",
        "        self.desk.restore(snapshot.spending, snapshot.paces)\n", "",
        "more cases in an hour", kinds=OUTAGE, seed=2,
    ),
    _mutant(
        "does not adopt the cases of the snapshot", f"{ENGINE_STATE}.hydrate",
        "        self._adopt_cases(orders)\n", "",
        "takeovers the engine forgot", kinds=OUTAGE, seed=2,
    ),
    # --- what was promised to the outside is done -----------------------------------------------
    _mutant(
        "gives up a message at the first failure", f"{WORKER}._failed",
        "            await self._postpone([row], due_ms)",
        "            await self._store.discard([row.key])",
        "alerts nobody heard of", kinds=(CHAT, CHANNEL),
    ),
    _mutant(
        "tells everything twice", f"{WORKER}._perform",
        "            answer = await self.performer.perform(effect)\n",
        "            await self.performer.perform(effect)\n"
        "            answer = await self.performer.perform(effect)\n",
        "alerts told again without a reason", kinds=(CHANNEL,),
    ),
    _mutant(
        "says that it told without telling", f"{PERFORMER}._call_webhook",
        "        await post_event(self._client, endpoint, effect, now_ms)\n", "",
        "alerts nobody heard of", kinds=(CHANNEL,),
    ),
    _mutant(
        "tells under a new name at every try", "monitor.adapters.signed_post:post_event",
        "key=event.key", "key=f'{event.key}:{now_ms}'",
        "under a name of their own", kinds=(CHANNEL,),
    ),
    _mutant(
        "never repeats a switch", "monitor.runtime.outbox_worker:_is_worth_repeating",
        "    return row.is_repeatable", "    return not isinstance(effect, SwitchChannel) and row.is_repeatable",
        "the shop obeys", kinds=(SHOP, CHANNEL, NETWORK), seed=4,
    ),
    _mutant(
        "takes any 200 for an applied switch", "monitor.adapters.failover_webhook:FailoverWebhook.switch",
        "        answer = await post_event(self._client, self._endpoint, effect, now_ms)\n",
        "        try:\n"
        "            answer = await post_event(self._client, self._endpoint, effect, now_ms)\n"
        "        except Transient:\n"
        "            return _answered(effect, 'applied', effect.epoch, now_ms)\n",
        "the shop obeys", kinds=(SHOP, CHANNEL, NETWORK), seed=4,
    ),
    _mutant(
        "switches under the epoch of the switch before",
        "monitor.core.failover.controller:Controller._decision",
        "max(epoch, self.route.shop_epoch) + 1", "max(epoch, self.route.shop_epoch, 1)",
        "epochs do not rise", kinds=(CHANNEL,), hours=1.0,
    ),
    # --- nobody gets two keys, nobody pays for two ------------------------------------------------
    _mutant(
        "buys again when no answer came", f"{HTTP}.submit",
        "            return msgspec.structs.replace(answer, detail=str(error))\n",
        "            http_answer = await self._send(self._channel.submit, values, now_ms)\n",
        "keys bought twice", kinds=DOUBT,
    ),
    _mutant(
        "takes silence for a no", f"{HTTP}.submit",
        "            return msgspec.structs.replace(answer, detail=str(error))\n",
        "            return msgspec.structs.replace(answer, outcome='rejected', code='timeout')\n",
        "and forgotten", kinds=DOUBT,
    ),
    _mutant(
        "asks under a new key at every try", f"{HTTP}._send",
        "translated(values, ",
        "translated(values | {'attempt_ref': f\"{values['attempt_ref']}-{now_ms}\"}, ",
        "and forgotten", kinds=DOUBT,
    ),
    _mutant(
        "repeats a purchase that was under way in a crash", f"{WORKER}.start",
        "                await self._report([failure(effect, error, self._clock.now_ms())])\n",
        "                self._enqueue(row)\n",
        "keys bought twice", kinds=OUTAGE, seed=2,
    ),
    _mutant(
        "takes a crash for a no", "monitor.runtime.outbox_worker:failure",
        'outcome="unknown"', 'outcome="rejected"',
        "and forgotten", kinds=OUTAGE, seed=2,
    ),
    _mutant(
        "does not mark what is under way", f"{OUTBOX}:claim",
        "[(SENT, session, now_ms + lease_ms, row.key) for row in rows]", "[]",
        "told again though it was known", kinds=OUTAGE, seed=2,
    ),
    _mutant(
        "every purchase is repeatable", "monitor.runtime.segments:outbox_row",
        "is_repeatable=REPEATS[type(effect)]", "is_repeatable=True",
        "keys bought twice", kinds=OUTAGE, seed=2,
    ),
    _mutant(
        "buys without asking the shop", f"{PERFORMER}._claim",
        "        return await self._the_shop().claim(effect, now_ms)\n",
        "        return ClaimAnswered(effect.key, effect.takeover_id, 'granted', now_ms,\n"
        "            paid=True, sku='game-key', amount_minor=1500)\n",
        "that the shop never granted", kinds=(CHANNEL,),
    ),
    _mutant(
        "throws away at the start what was to be repeated", f"{WORKER}.start",
        "            if not row.is_repeatable:\n",
        "            if row.is_repeatable:\n"
        "                await self._store.discard([row.key])\n"
        "            if not row.is_repeatable:\n",
        "alerts nobody heard of", kinds=OUTAGE,
    ),
    _mutant(
        "never closes an effect", f"{STATE}:commit",
        "    sqlite_outbox.delete(connection, checkpoint.done)\n", "",
        "told again", kinds=(CHANNEL,),
    ),
    _mutant(
        "waits for ever after a failure", f"{WORKER}._postpone",
        "self._store.retry(row.key, due_ms)", "self._store.retry(row.key, due_ms + 10**12)",
        "alerts nobody heard of", kinds=(CHAT, CHANNEL),
    ),
    _mutant(
        "restores no orders", "monitor.runtime.recovery:_restore",
        "        engine.hydrate(batch, now_ms)\n", "        batch.clear()\n",
        "the state is not that of the events in the log", kinds=(CRASH,),
    ),
    _mutant(
        "hands one unit of the pool to everybody", "monitor.adapters.channels.stock:_reserve",
        "    return len(goods), digest\n",
        "    connection.execute(\"UPDATE unit SET state = 'free', attempt_ref = NULL\")\n"
        "    connection.execute('DELETE FROM given')\n"
        "    return len(goods), digest\n",
        "delivered twice", kinds=RESCUE,
    ),
    _mutant(
        "reports goods before they are in the vault", "monitor.adapters.vault:store_goods",
        "    if known is None:\n", "    if known is None:\n        return digest\n",
        "not in the vault", kinds=(CHANNEL,),
    ),
    _mutant(
        "spends without a limit", "monitor.core.takeover.limits:may_open",
        "    if recent >= settings.fallback.max_per_hour:", "    if False:",
        "more cases in an hour than allowed", kinds=(CHANNEL,), hours=1.0, orders=4.0,
    ),
    # --- one owner, one count ---------------------------------------------------------------------
    Mutant(
        name="writes on without the lease",
        changes=(
            Change(f"{STATE}:commit", "    if epoch != lease.epoch:", "    if False:"),
            Change(f"{STATE}:renew", "    return ", "    return True or "),
        ),
        words="after another process had taken the lease",
        kinds=(USURPER,),
        rate=0.3,
    ),
    _mutant(
        "counts a repeated event twice", "monitor.core.orders.shard:Shard.fold",
        "        self.totals.count_event(source.name, event.type, outcome)\n",
        "        self.totals.count_event(source.name, event.type, 'accepted')\n",
        "and counted otherwise", kinds=(NETWORK,),
    ),
    _mutant(
        "keeps a repeated event twice", "monitor.core.orders.facts:insert",
        "                if not _is_before(event, known):\n                    return None\n"
        "                timeline = timeline[:index] + timeline[index + 1 :]\n",
        "",
        "and counted otherwise", kinds=(NETWORK,),
    ),
    _mutant(
        "does not notice that a promise broke while the buyer waits", "monitor.core.orders.order:checks",
        "order.breach_ms is None and age_ms > facts.promise_ms", "False",
        "was decided late", kinds=(CHANNEL,),
    ),
    _mutant(
        "judges five minutes late", "monitor.core.orders.shard:Shard.judge",
        "take_due(now_ms)", "take_due(now_ms - 300_000)",
        "decided late", kinds=(CHANNEL,),
    ),
)  # fmt: skip
