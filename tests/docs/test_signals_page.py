"""docs/signals.md explains every signal, its examples parse, and its pictures are what is drawn."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.pictures import FOLDER, PICTURES, draw
from monitor.core.rules.parse import parse
from monitor.model.rules import QUANTILES, SIGNALS
from tests.e2e.serving import ROOT

PAGE = (ROOT / "docs/signals.md").read_text(encoding="utf-8")
NUMBER = re.compile(r"-?\d+\.\d+")
QUICK = ("evidence", "silence", "waiting")
SLACK = 0.05


def sections(page: str) -> dict[str, str]:
    """Text under the heading of each signal, by its name."""
    found = {}
    for part in re.split(r"^#{2,3} ", page, flags=re.MULTILINE)[1:]:
        heading, _, body = part.partition("\n")
        for name in re.findall(r"`(\w+)`", heading):
            found[name] = body
    return found


def wanting(page: str) -> list[str]:
    """What the page fails to say."""
    told = sections(page)
    missing = [f"{name}: not explained" for name in SIGNALS if name not in told]
    missing += [f"{name}: no such signal" for name in told if name not in SIGNALS]
    for name, text in told.items():
        missing += [
            f"{name}: nothing said about {part}"
            for part in ("```text\n", "**Fires** ", "**Null** ", "**Rule** `")
            if part not in text
        ]
        rule = re.search(r"\*\*Rule\*\* `(.+?)`\.", text)
        if rule is None or not _speaks_of(rule[1], name):
            missing.append(f"{name}: its rule does not use it")
        else:
            parse(rule[1], ["delivery"])
    return missing


def _speaks_of(rule: str, name: str) -> bool:
    """Percentiles share one paragraph: one of them will do."""
    return any(one in rule for one in (QUANTILES if name in QUANTILES else (name,)))


def shapes(text: str) -> tuple[list[str], list[float]]:
    """A picture without its numbers, and the numbers."""
    return NUMBER.split(text), [float(one) for one in NUMBER.findall(text)]


def is_same_picture(one: str, other: str) -> bool:
    """Whether two pictures differ by no more than another processor's last digits."""
    (words, numbers), (others, measured) = shapes(one), shapes(other)
    return words == others and all(
        abs(a - b) <= SLACK for a, b in zip(numbers, measured, strict=True)
    )


def test_every_signal_is_explained_with_formula_gate_null_and_rule() -> None:
    """And no other; the rules are ones that the product reads."""
    assert wanting(PAGE) == []


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("### `paid_ratio`", "### `payed_ratio`", "paid_ratio: not explained"),
        ("```text\nfailed / judged", "failed / judged", "failed_ratio: n"),
        ("**Rule** `cusum_ratio > 1`", "**Rule** `speed_ratio > 1`", "cusum_ratio: its rule"),
        ("**Null** without sources. **Rule** `source_age", "**Rule** `source_age", "source_age: n"),
    ],
)
def test_planted_gap_is_found(old: str, new: str, found: str) -> None:
    """A signal without a paragraph, or a paragraph without a part, is reported."""
    assert old in PAGE
    assert any(found in one for one in wanting(PAGE.replace(old, new)))


def test_pictures_of_the_page_are_those_that_are_drawn() -> None:
    """Each is shown once, each file has its script, and none is large."""
    shown = re.findall(r"!\[[^\]]+\]\(pictures/(\w+)\.svg\)", PAGE)
    assert sorted(shown) == sorted(PICTURES)
    files = sorted(FOLDER.glob("*"))
    assert [file.stem for file in files] == sorted(PICTURES)
    assert all(file.stat().st_size < 64_000 for file in files)


@pytest.mark.parametrize("name", QUICK)
def test_picture_drawn_again_is_the_committed_one(tmp_path: Path, name: str) -> None:
    """What the product computes today is what the page shows."""
    draw(name, tmp_path / "again.svg")
    again = (tmp_path / "again.svg").read_text(encoding="utf-8")
    committed = (FOLDER / f"{name}.svg").read_text(encoding="utf-8")
    assert is_same_picture(again, committed)
    moved = NUMBER.sub(lambda found: f"{float(found[0]) + 1:.6f}", committed, count=40)
    assert not is_same_picture(again, moved)
