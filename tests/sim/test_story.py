"""The demo's story in virtual time, with the whole service: nobody sleeps, nothing differs."""

from monitor.model.records import AlertMoved, CaseMoved, Record, SwitchDecided, record_decoder
from monitor.sim.theatre import Ending, played


def test_every_step_of_the_story_happens() -> None:
    """Outage, alert, switch, takeover, recovery; nothing lost, nothing twice."""
    ending = played(seed=7, seconds=20.0)
    assert ending.outcome.missing() == []
    first_words = list(dict.fromkeys(line.split()[0] for line in ending.lines))
    assert first_words[0] == "OUTAGE"
    assert {"ALERT", "SWITCH", "APPLIED", "TAKEOVER", "RESCUED", "RECOVERED"} <= {*first_words}


def test_story_is_long_enough_to_mean_something() -> None:
    """Orders, takeovers on every channel, lost answers, and every kind of decision in the log."""
    ending = played(seed=7, seconds=60.0)
    kinds = {type(one) for one in _records(ending)}
    assert {AlertMoved, SwitchDecided, CaseMoved} <= kinds
    assert ending.outcome.orders > 400
    assert ending.supplier.lost_answers
    channels = {
        case.case.attempts[-1].channel
        for case in _records(ending)
        if isinstance(case, CaseMoved) and case.case.attempts
    }
    assert channels == {"supplier", "pool", "staff"}


def test_same_seed_gives_the_same_log() -> None:
    """Byte for byte, and the same state; another seed gives another."""
    first, again, other = (played(seed, seconds=20.0) for seed in (7, 7, 8))
    assert again.log == first.log
    assert again.engine.engine_hash() == first.engine.engine_hash()
    assert other.log != first.log
    assert other.engine.engine_hash() != first.engine.engine_hash()


def _records(ending: Ending) -> list[Record]:
    return [
        record_decoder.decode(line)
        for stored in ending.log
        for line in stored.segment.body.splitlines()
    ]
