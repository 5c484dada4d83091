"""Every link from one page of the documentation to another leads to a file and a heading."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.e2e.serving import ROOT

LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
DECISION_LINES_MAX = 40
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
DECISIONS = sorted((ROOT / "docs/decisions").glob("[0-9]*.md"))


def anchors(page: Path) -> set[str]:
    """What headings of a page can be linked by."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", one.lower()).strip().replace(" ", "-") for one in headings}


def dead_links(page: Path, text: str) -> list[str]:
    """Links of a page that lead nowhere."""
    dead = []
    for path, anchor in LINK.findall(FENCE.sub("", text)):
        target = page.parent / path if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            dead.append(f"{page.relative_to(ROOT)}: {path}#{anchor}")
    return dead


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Files and headings."""
    assert dead_links(page, page.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("link", ["gone.md", "rules.md#gone", "pictures/gone.svg"])
def test_dead_link_is_found(link: str) -> None:
    """A planted one, to a file, a heading and a picture."""
    assert dead_links(ROOT / "docs/signals.md", f"see [this]({link})")


def test_every_decision_is_short_and_in_the_list() -> None:
    """Forty lines at most, numbered without a gap, each in the table."""
    table = (ROOT / "docs/decisions/README.md").read_text(encoding="utf-8")
    assert [int(page.name[:4]) for page in DECISIONS] == list(range(1, len(DECISIONS) + 1))
    assert [page.name for page in DECISIONS if f"]({page.name})" not in table] == []
    for page in DECISIONS:
        assert len(page.read_text(encoding="utf-8").splitlines()) <= DECISION_LINES_MAX, page.name
