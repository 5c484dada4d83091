"""docs/relay.md says what the product makes of callbacks: its table is that of the code."""

from __future__ import annotations

from pathlib import Path

from monitor.adapters.gateways import GATEWAYS
from monitor.model.gateways import Gateway, GatewayKeys

PAGE = Path(__file__).resolve().parents[2] / "docs" / "relay.md"


def rows() -> list[str]:
    """The table as the code has it; printed by a failing test, to be pasted."""
    found = ["| gateway | what its callback says | meaning |", "|---|---|---|"]
    for kind in sorted(GATEWAYS):
        gateway = GATEWAYS[kind](GatewayKeys())
        found += [f"| {kind} | {when} | {meaning} |" for when, meaning in _says(gateway)]
    return found


def _says(gateway: Gateway) -> list[tuple[str, str]]:
    return [
        (
            ", ".join(
                f"`{name}` present" if value == "*" else f"`{name}={value}`"
                for name, value in said.when
            ),
            said.meaning.value,
        )
        for said in gateway.says
    ]


def test_table_of_meanings_is_that_of_the_code() -> None:
    """Every row of every gateway stands there, in the order in which it is tried."""
    page = PAGE.read_text(encoding="utf-8")
    section = page.split("## What gateways say", 1)[1].split("\n## ", 1)[0]
    written = [line for line in section.splitlines() if line.startswith("|")]
    assert written[: len(rows())] == rows(), "\n".join(rows())


def test_answers_that_gateways_want_are_told() -> None:
    """The acknowledgement and the patience of each gateway stand on the page."""
    page = PAGE.read_text(encoding="utf-8")
    for kind in sorted(GATEWAYS):
        gateway = GATEWAYS[kind](GatewayKeys())
        answer = gateway.acknowledgement.body.decode()
        assert f"| {kind} | `{answer}` | {gateway.patience_ms // 1000} s |" in page
