"""Writes the table of docs/connect.md: what is known of an order, by kind of shop.

python -m benchmarks.connect_table      in both languages; a test compares the pages with it
"""

from __future__ import annotations

from pathlib import Path

from monitor.adapters.shops.catalogue import shop_kinds
from monitor.model.shops import Precision, ShopKind
from monitor.model.times import format_duration

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGES = {"en": DOCS / "connect.md", "zh-CN": DOCS / "connect.zh-CN.md"}
BEGIN, END = "<!-- written by benchmarks/connect_table.py -->", "<!-- end of the table -->"
HEADS = {
    "en": ("kind", "its own time", "inferred", "missing", "we may be down"),
    "zh-CN": ("类型", "店铺自己的时间", "推断", "无法得知", "监控可停机"),
}
FOREVER = {"en": "for as long as you like", "zh-CN": "不限"}
NEVER = {"en": "not at all", "zh-CN": "不可停"}


def table(language: str) -> str:
    """The table as Markdown."""
    head = HEADS[language]
    rows = [head, ("---",) * len(head), *(_row(kind, language) for kind in shop_kinds())]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def with_table(page: str, language: str) -> str:
    """The page with the table as it is now."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table(language)}\n{END}{after}"


def _row(kind: ShopKind, language: str) -> tuple[str, ...]:
    def facts(*precisions: Precision) -> str:
        return " ".join(one.fact for one in kind.known if one.precision in precisions)

    if kind.patience_s is None:
        patience = FOREVER[language]
    else:
        patience = format_duration(kind.patience_s * 1_000) if kind.patience_s else NEVER[language]
    return (
        f"`{kind.kind}`",
        facts(Precision.EXACT, Precision.SECOND),
        facts(Precision.INFERRED),
        facts(Precision.MISSING),
        patience,
    )


def main() -> None:
    """Write both pages."""
    for language, page in PAGES.items():
        text = page.read_text(encoding="utf-8")
        page.write_text(with_table(text, language), encoding="utf-8")


if __name__ == "__main__":
    main()
