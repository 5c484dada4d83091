"""The page about takeovers shows the machine as it is, and tells what to do in every escalation."""

import re
from pathlib import Path

import pytest

from benchmarks.takeover_diagram import PAGE, drawn, moves, page_with
from monitor.core.takeover import machine
from monitor.model.takeovers import CaseState

ROOT = Path(__file__).resolve().parents[2]


def test_picture_is_that_of_the_machine() -> None:
    """`python -m benchmarks.takeover_diagram` writes it anew."""
    assert PAGE.read_text(encoding="utf-8") == page_with(drawn())


def test_every_state_is_reached_and_final_ones_are_left_by_nothing() -> None:
    """A state that nothing leads to would be a mistake of the exploration or of the machine."""
    found = moves()
    reached = {after for _, after in found} | {"claiming", "advised"}
    assert reached == {state.value for state in CaseState}
    for state in ("delivered", "voided"):
        assert {after for before, after in found if before == state} <= {state}


def test_move_that_is_taken_away_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oracle is the machine: without its handler for time an arrow is gone."""
    row = machine.TABLE[CaseState.CLAIMING]
    monkeypatch.setitem(machine.TABLE, CaseState.CLAIMING, row._replace(wake=None))
    assert ("claiming", "escalated") in moves()
    assert "time" not in moves()["claiming", "escalated"]


def test_every_reason_of_an_escalation_is_on_the_page() -> None:
    """As the code names them; a person who gets a case finds what to do."""
    source = "".join(
        path.read_text(encoding="utf-8") for path in (ROOT / "monitor/core/takeover").glob("*.py")
    )
    reasons = set(re.findall(r'escalated\(\s*\w+(?:\.\w+)*,\s*"([a-z_]+)"', source))
    page = PAGE.read_text(encoding="utf-8")
    assert len(reasons) > 8
    assert [reason for reason in sorted(reasons) if f"`{reason}`" not in page] == []
