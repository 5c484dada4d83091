"""The promises of the product, the programme that shows each, and what it measured last.

    a programme of `make nightly`  ─► record()  ─► benchmarks/promises.json
    python -m benchmarks.promises  ─► docs/promises.md

No figure of that page is typed by hand: a test compares it with promises.json. Numbers P1 to P31
are kept although some are not promised yet, so that a number means the same for ever.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import msgspec

from benchmarks.promise_table import PROMISES, Promise
from benchmarks.run import figure

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "promises.json"
PAGE = ROOT / "docs" / "promises.md"

_HEAD = """# Promises

What the service promises, the programme that tries to break it, and what that programme measured
last. This page is written by `python -m benchmarks.promises` from `benchmarks/promises.json`, which
`make nightly` and `make sim` fill; every part of it runs in small in `make test`. A promise without
a figure has not been measured at full size and counts as unproven.

| | promise | shown by | full size | last measured |
|---|---|---|---|---|
"""


class Measured(msgspec.Struct, frozen=True):
    """What a programme measured of one promise; `violations` is what must be 0.

    `tried`: how many cases were tried, in the unit of the promise.
    """

    tried: float
    violations: int
    note: str
    at: str


def record(key: str, *, tried: float, violations: int, note: str = "") -> None:
    """Keep the figure of one promise; it replaces the one before.

    Raises: KeyError for a promise that is not in the table.
    """
    known = {promise.key for promise in PROMISES}
    if key not in known:
        raise KeyError(f"no promise {key}; there are {', '.join(sorted(known))}")
    at = time.strftime("%Y-%m-%d", time.gmtime())
    kept = {**measured(), key: Measured(tried, violations, note, at)}
    body = msgspec.json.encode(dict(sorted(kept.items(), key=lambda one: int(one[0][1:]))))
    RESULTS.write_bytes(msgspec.json.format(body, indent=2) + b"\n")


def measured() -> dict[str, Measured]:
    """What was measured last, by promise; empty before the first run."""
    if not RESULTS.exists():
        return {}
    return msgspec.json.decode(RESULTS.read_bytes(), type=dict[str, Measured])


def page() -> str:
    """The page as Markdown."""
    found = measured()
    return _HEAD + "".join(_line(promise, found.get(promise.key)) for promise in PROMISES)


def _line(promise: Promise, last: Measured | None) -> str:
    shown = f"[`{promise.shown_by}`](../{promise.shown_by})"
    return (
        f"| {promise.key} | {promise.text} | {shown} | {figure(promise.full)} {promise.unit} |"
        f" {outcome(promise, last)} |\n"
    )


def outcome(promise: Promise, last: Measured | None) -> str:
    """What was measured last, in words."""
    if last is None:
        return "unproven"
    verdict = f"**{last.violations} violations**" if last.violations else "0 violations"
    size = f"{figure(last.tried)} of {figure(promise.full)} {promise.unit}"
    reached = f"{figure(last.tried)} {promise.unit}" if last.tried >= promise.full else size
    note = f"; {last.note}" if last.note else ""
    return f"{verdict} in {reached}{note} ({last.at})"


def main() -> int:
    """Write the page; 1 when a promise is broken."""
    PAGE.write_text(page(), encoding="utf-8")
    broken = [key for key, last in measured().items() if last.violations]
    if broken:
        print(f"broken: {', '.join(broken)}", file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
