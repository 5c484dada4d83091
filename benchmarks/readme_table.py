"""Writes the figures of `benchmarks/results.json` where people read them.

    make bench                              measures and writes results.json
    python -m benchmarks.readme_table       writes the block between the markers of both READMEs,
                                            and all rows into docs/benchmarks.md

No figure of those pages is typed by hand; a test compares them with results.json.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.row import Row
from benchmarks.run import RESULTS, Machine, figure

ROOT = Path(__file__).resolve().parents[1]
READMES = {"en": ROOT / "README.md", "zh": ROOT / "README.zh-CN.md"}
FULL = ROOT / "docs" / "benchmarks.md"
BEGIN = "<!-- figures: written by benchmarks/readme_table.py -->"
END = "<!-- end of figures -->"


class Shown(msgspec.Struct, frozen=True):
    """A line of the READMEs: the worst of the rows of a group whose name fits."""

    group: str
    what: str
    english: str
    chinese: str


SHOWN = (
    Shown("detection", "total outage at 100 orders/min, p90", "total outage at 100 orders a minute, page, p90", "每分钟 100 单时全面停发，到告警（p90）"),
    Shown("detection", "total outage at 10 orders/min, p90", "the same at 10 orders a minute", "每分钟 10 单"),
    Shown("detection", "total outage at 1 order/min, p90", "the same at 1 order a minute", "每分钟 1 单"),
    Shown("detection", "outage at 100 orders a day with a canary a minute, p90", "100 orders a day with a canary order a minute", "每天 100 单，每分钟一张探测单"),
    Shown("detection", "30 % of orders stuck at 10/min, p90", "30 % of orders stuck at 10 a minute", "每分钟 10 单时三成订单卡住"),
    Shown("detection", "outages at 1/min in which a rule over delivered orders fires: mean > 3 min", "outages in which a mean over delivered orders fires", "停发时“已发货订单平均值”规则会响的比例"),
    Shown("detection", "false pages at 1 order/min", "false pages of a healthy shop at 1 order a minute", "每分钟 1 单的健康店铺误报"),
    Shown("detection", "false pages of 40 scopes together", "false pages of 40 channels together", "40 个渠道合计误报"),
    Shown("messages", 'false ">2 %" messages at * orders a day', "false “> 2 %” messages, 0.5 % truly late, worst volume", "真实延迟 0.5 % 时误发的“超过 2 %”消息（最差单量）"),
    Shown("messages", "firings of the mean rule, healthy shop at 1/min", "firings of the mean rule in 90 healthy days at 1 order a minute", "健康店铺（每分钟 1 单）90 天内平均值规则误响次数"),
    Shown("arrivals", "false alarms, *", "false alarms of missing orders, worst of 50 to 10,000 a day", "“订单变少”误报（每天 50 至 10,000 单，取最差）"),
    Shown("arrivals", "outage p90, 1000/day, as likely as an order", "orders stop at 1,000 a day, p90, when buyers come", "每天 1,000 单时订单中断，到发现（p90，有买家的时段）"),
    Shown("arrivals", "outage p90, 1000/day, at any minute", "the same at any minute, nights included", "同上，任意时刻，含夜间"),
    Shown("callbacks", "one provider's callbacks stop, p90 to its name", "one provider's callbacks stop at 10 a minute, p90", "每分钟 10 单时某支付渠道回调中断，到点名（p90）"),
    Shown("survival", "cohort on buckets, *: max |ΔS|", "Kaplan–Meier on buckets against lifelines, largest difference", "分桶 Kaplan–Meier 与 lifelines 的最大差"),
    Shown("histogram", "error of p*", "error of a percentile of the histogram, p50 to p99.9", "直方图百分位误差（p50 至 p99.9）"),
    Shown("rules", "1000 rules × 100 channels, healthy", "1,000 rules × 100 channels, one look", "1,000 条规则 × 100 个渠道评估一次"),
    Shown("rules", "instant: rows, learned charts, shipped rules, breaker", "all shipped rules over 200,000 orders, one look", "全部自带规则评估 20 万单一次"),
    Shown(
        "shards",
        "things that differ in any bit between * shards and one",
        "things that differ in any bit between 8 shards and one",
        "8 个分片与单片之间有差异的项",
    ),
    Shown("ingest", "single events, service against the empty handler, by CPU", "single events against an empty aiohttp handler, by CPU, everything durable", "单条事件入库（已落盘）与空 aiohttp 处理器之比（CPU）"),
    Shown("restart", "start to full state", "restart with a million events and 100,000 open orders", "一百万条事件、十万未完成订单后的重启"),
    Shown("takeovers", "deliveries a second, state machine and storage", "stuck orders delivered, every step durable", "代发卡住的订单，每一步都落盘"),
    Shown("batches", "takeover of all of them", "1,000 late orders taken over with one word", "一条命令代发 1,000 个迟到订单"),
    Shown("back-test", "a million events, shipped rules", "a month of a million events back-tested", "回测一个月、一百万条事件"),
)  # fmt: skip
"""What the READMEs show, in their order."""

INTRODUCTION = (
    "Every row that `make bench` measured, written by `python -m benchmarks.readme_table`. "
    "Statistical rows are seeded; times are those of this machine. What was asked and is not "
    "reached is marked; [0014](decisions/0014-missing-orders.md) says why some of it is beyond "
    "what the data can show."
)
HEADINGS = {"en": ("measured", "reached", "asked"), "zh": ("测量项", "实测", "目标")}
MISSED = {"en": "missed", "zh": "未达到"}
UNITS_ZH = {
    "s": "秒", "min": "分钟", "ms": "毫秒", "µs": "微秒", "per week": "次/周",
    "per 30 d": "次/30 天", "per 90 d": "次/90 天", "in 20 d": "次/20 天",
}  # fmt: skip


class Results(msgspec.Struct, frozen=True):
    """`results.json`."""

    machine: Machine
    rows: tuple[Row, ...]


class _Written(msgspec.Struct, frozen=True):
    machine: Machine
    rows: tuple[dict[str, Any], ...]


def read(path: Path) -> Results:
    """The figures of a run; JSON has no infinity, which is written as null."""
    written = msgspec.json.decode(path.read_bytes(), type=_Written)
    rows = [
        {**row, "value": math.inf if row["value"] is None else row["value"]} for row in written.rows
    ]
    return Results(written.machine, tuple(msgspec.convert(row, Row) for row in rows))


def block(results: Results, language: str) -> str:
    """The lines between the markers, in `en` or `zh`. Raises: LookupError for a row nobody measured."""
    if not results.rows:
        return {"en": "`make bench` writes them.", "zh": "运行 `make bench` 后写在这里。"}[language]
    lines = [_machine(results.machine, language), "", _cells(HEADINGS[language]), "|---|---|---|"]
    for shown in SHOWN:
        row = _worst(results.rows, shown)
        name = shown.english if language == "en" else shown.chinese
        mark = f" ({MISSED[language]})" if row.met is False else ""
        reached = _value(row.value, row.unit, language) + mark
        lines.append(_cells((name, reached, _target(row, language))))
    return "\n".join(lines)


def full_page(results: Results) -> str:
    """All rows, for docs/benchmarks.md."""
    lines = [
        "# Benchmarks",
        "",
        INTRODUCTION,
        "",
        _machine(results.machine, "en") if results.rows else block(results, "en"),
    ]
    for group in dict.fromkeys(row.group for row in results.rows):
        lines += [
            "",
            f"## {group}",
            "",
            _cells(("what", "reached", "asked", "note")),
            "|---" * 4 + "|",
        ]
        for row in results.rows:
            if row.group == group:
                mark = " (missed)" if row.met is False else ""
                reached = _value(row.value, row.unit, "en") + mark
                lines.append(_cells((row.what, reached, _target(row, "en"), row.note)))
    return "\n".join(lines) + "\n"


def with_block(page: str, content: str) -> str:
    """A page with other content between its markers. Raises: ValueError without them."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"a page needs the lines {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{content}\n\n{END}{after}"


def _worst(rows: Sequence[Row], shown: Shown) -> Row:
    fitting = [
        row for row in rows if row.group == shown.group and fnmatchcase(row.what, shown.what)
    ]
    if not fitting:
        raise LookupError(f"no row of {shown.group} is called {shown.what}")
    sign = -1.0 if fitting[0].better == "higher" else 1.0
    return max(fitting, key=lambda row: sign * row.value)


def _machine(machine: Machine, language: str) -> str:
    if language == "en":
        return (
            f"`make bench` on {machine.cpu}, {machine.cores} cores, Python {machine.python}, "
            f"{machine.at[:10]}:"
        )
    return (
        f"`make bench` 实测，{machine.cpu}，{machine.cores} 核，Python {machine.python}，"
        f"{machine.at[:10]}："
    )


def _target(row: Row, language: str) -> str:
    if row.target is None or row.better == "info":
        return ""
    sign = "≤" if row.better == "lower" else "≥"
    return f"{sign} {_value(row.target, row.unit, language)}"


def _value(value: float, unit: str, language: str) -> str:
    if unit == "share":
        return f"{100 * value:.3g} %"
    text = "∞" if math.isinf(value) else _short(value)
    unit = UNITS_ZH.get(unit, unit) if language == "zh" else unit
    return f"{text} {unit}".strip()


def _short(value: float) -> str:
    """Three digits that mean something, and no exponent where people compare."""
    if value == 0 or abs(value) >= 1_000:
        return figure(round(value))
    return figure(float(f"{value:.3g}"))


def _cells(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the pages; 1 if the run was a small one or does not hold a row that they show."""
    parser = argparse.ArgumentParser(description="Write the figures into READMEs and docs.")
    parser.add_argument("--results", type=Path, default=RESULTS)
    results = read(parser.parse_args(arguments).results)
    if results.rows and results.machine.scale != 1.0:
        print("error: these figures are of a small run; run make bench in full", file=sys.stderr)
        return 1
    try:
        blocks = {language: block(results, language) for language in READMES}
    except LookupError as error:
        print(f"error: {error}; run make bench in full", file=sys.stderr)
        return 1
    for language, path in READMES.items():
        page = path.read_text(encoding="utf-8")
        path.write_text(with_block(page, blocks[language]), encoding="utf-8")
    FULL.write_text(full_page(results), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
