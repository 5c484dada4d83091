"""The state is a function of the log: refolding and snapshots lead to where the engine was."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.engine import Engine
from monitor.model.notes import Audited, MessageTaken
from monitor.model.playbooks import Playbooks
from monitor.model.records import record_decoder, record_encoder
from monitor.testing.scenario import Scenario
from tests.property.engine_world import RULES, SETTINGS, STEPS, play
from tests.unit.core.playbooks.house import CHECK, HUMAN, TELL

ROOT = Path(__file__).resolve().parent.parent.parent


PLAYING = msgspec.structs.replace(
    SETTINGS,
    playbooks=Playbooks(levels=(TELL, CHECK, HUMAN), vip_multiplier=0.5, batch_above=2),
    shop_takes=("notify", "compensate", "refund"),
)


def refolded(story: Scenario) -> Engine:
    engine = Engine(story.engine.settings, RULES)
    for segment in story.log:
        stored = [record_encoder.encode(record) for record in segment]
        read = [record_decoder.decode(record) for record in stored]
        engine.refold(*(one for one in read if not isinstance(one, (MessageTaken, Audited))))
    return engine


@settings(max_examples=30)
@given(STEPS)
def test_refolding_leads_to_the_same_state_where_playbooks_act(steps: list[Any]) -> None:
    """Levels, actions, budgets and batches are decisions like all others; so is the snapshot."""
    story = play(steps, Scenario(PLAYING, RULES))
    assert refolded(story).engine_hash() == story.engine.engine_hash()
    again = Engine(PLAYING, RULES)
    again.restore(story.engine.snapshot(), story.now_ms)
    assert again.engine_hash() == story.engine.engine_hash()
    assert again.response.next_ms() == story.engine.response.next_ms()


@settings(max_examples=60)
@given(STEPS)
def test_refolding_the_log_leads_to_the_same_state(steps: list[Any]) -> None:
    """Entries and decisions in log order, into a fresh engine: byte-identical snapshots."""
    story = play(steps)
    assert refolded(story).engine_hash() == story.engine.engine_hash()


@settings(max_examples=60)
@given(STEPS, STEPS)
def test_restored_engine_goes_on_like_the_one_that_never_stopped(
    before: list[Any], after: list[Any]
) -> None:
    """A snapshot in the middle of a story changes nothing of what is decided about orders later."""
    story = play(before)
    restored = Engine(SETTINGS, RULES)
    restored.restore(story.engine.snapshot(), story.now_ms)
    assert restored.engine_hash() == story.engine.engine_hash()
    assert restored.state_hash() == story.engine.state_hash()
    assert restored.shard.observe().key.tolist() == story.engine.shard.observe().key.tolist()
    assert (
        restored.shard.observe().is_held.tolist() == story.engine.shard.observe().is_held.tolist()
    )


@settings(max_examples=40)
@given(STEPS, st.integers(0, 24))
def test_snapshot_and_the_log_behind_it_lead_to_the_same_state(steps: list[Any], cut: int) -> None:
    """Any split of the story into a snapshot and a tail gives the whole."""
    head = play(steps[:cut])
    engine = Engine(SETTINGS, RULES)
    engine.restore(head.engine.snapshot(), head.now_ms)
    whole = play(steps)
    same = len(head.log) <= len(whole.log) and whole.log[: len(head.log)] == head.log
    assert same, "the head of a story does not depend on what comes later"
    for segment in whole.log[len(head.log) :]:
        engine.refold(*segment)
    assert engine.engine_hash() == whole.engine.engine_hash()


def test_result_is_the_same_under_any_hash_seed() -> None:
    """Nothing iterates over a set: the same story in two processes gives the same hashes."""
    program = (
        "import random\n"
        "from monitor.model.events import EventType, OrderEvent\n"
        "from tests.property.engine_world import START_MS, play\n"
        "dice = random.Random(7)\n"
        "kinds = [kind.value for kind in EventType][:13]\n"
        "def event(n):\n"
        "    return OrderEvent(dice.choice(kinds), f'o{dice.randint(0, 9)}', dice.choice(['beating',\n"
        "        'plain', 'x', 'y']), str(n), START_MS + dice.randint(0, 60) * 30_000, START_MS,\n"
        "        channel=dice.choice([None, 'auto', 'b', 'c']), sku=dice.choice([None, 's', 't']))\n"
        "steps = [(dice.randint(0, 90_000), [event(n * 9 + m) for m in range(3)], n)\n"
        "         for n in range(60)]\n"
        "story = play(steps)\n"
        "print(story.engine.state_hash(), story.engine.engine_hash(), len(story.commands))\n"
    )
    seen = []
    for seed in ("0", "1"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT, env=environment, capture_output=True, text=True, check=True, timeout=120,
        )  # fmt: skip
        seen.append(done.stdout)
    assert seen[0] == seen[1]
    assert int(seen[0].split()[-1]) > 50
