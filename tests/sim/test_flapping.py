"""Flapping channels switch within bounds and for a reason: `benchmarks/flapping.py` in small (P26)."""

from collections.abc import Callable

import msgspec
import pytest

from benchmarks.flapping import SETTINGS, Shop, wrongs
from monitor.model.records import SwitchDecided
from tests.sim.planting import Change, planted

CONTROLLER = "monitor.core.failover.controller:Controller"


@pytest.fixture(scope="module")
def traded() -> Shop:
    """A shop after its three hours."""
    shop = Shop(1)
    shop.trade()
    return shop


def switches_of(shop: Shop) -> list[SwitchDecided]:
    return [one for one in shop.story.decisions() if isinstance(one, SwitchDecided)]


def test_flapping_channels_switch_no_more_than_allowed(traded: Shop) -> None:
    """The cap is reached, and kept; each switch has a cause, evidence, and a way back."""
    switches = switches_of(traded)
    assert list(wrongs(switches, traded.story)) == []
    assert sum(one.mode == "enforce" for one in switches) > SETTINGS.failover.max_per_hour
    assert any(one.mode == "manual" for one in switches)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (Change(f"{CONTROLLER}._is_allowed_now", "len(recent) <", "1 <"), "more than 4 switches"),
        (Change(f"{CONTROLLER}._is_allowed_now", "failover.min_dwell_ms", "60_000"), "too soon"),
        (Change(f"{CONTROLLER}._decision", "previous=previous", "previous=weights"), "before"),
    ],
)
def test_bug_in_the_controller_is_noticed(change: Change, words: str) -> None:
    """A cap or a dwell that is not kept, a decision that forgets where it came from."""
    with planted(change):
        shop = Shop(1)
        switches = shop.trade()
        assert any(words in one for one in wrongs(switches, shop.story))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda one: msgspec.structs.replace(one, reason=""), "no cause"),
        (
            lambda one: msgspec.structs.replace(
                one, evidence=msgspec.Raw(bytes(one.evidence).replace(b"true", b"false"))
            ),
            "without evidence",
        ),
        (lambda one: msgspec.structs.replace(one, epoch=one.epoch + 90), "was not sent"),
    ],
)
def test_switch_without_cause_evidence_or_command_is_noticed(
    traded: Shop, spoil: Callable[[SwitchDecided], SwitchDecided], words: str
) -> None:
    """Each is looked at by itself."""
    switches = switches_of(traded)
    assert any(words in one for one in wrongs([spoil(switches[0]), *switches[1:]], traded.story))
