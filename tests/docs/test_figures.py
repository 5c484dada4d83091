"""The figures in both READMEs and docs/benchmarks.md are those of `benchmarks/results.json`."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec
import pytest

from benchmarks import readme_table
from benchmarks.readme_table import BEGIN, END, READMES, SHOWN, Results, block, full_page
from benchmarks.row import Row
from benchmarks.run import RESULTS, Machine

MACHINE = Machine("CPU", 2, "Linux", "3.11.7", "2.0", 0.1, 0.2, "2026-01-05T00:00:00Z", 9.0, 1.0)


def invented() -> Results:
    """A run that has every row the READMEs show, two of the first kind that fits several."""
    rows = [Row(one.group, one.what.replace("*", "50"), 1.5, "s", 2.0, "lower") for one in SHOWN]
    several = next(one for one in SHOWN if "*" in one.what)
    rows.append(Row(several.group, several.what.replace("*", "60"), 2.5, "s", 2.0, "lower"))
    return Results(MACHINE, tuple(rows))


def test_there_is_something_to_show() -> None:
    """The committed file is that of a whole run: rows, and at full size."""
    results = readme_table.read(RESULTS)
    assert results.rows
    assert results.machine.scale == 1.0


@pytest.mark.parametrize("language", READMES)
def test_readme_shows_what_was_measured(language: str) -> None:
    """The block between the markers is the one the script writes."""
    page = READMES[language].read_text(encoding="utf-8")
    assert page == readme_table.with_block(page, block(readme_table.read(RESULTS), language))


def test_full_page_is_what_was_measured() -> None:
    """All rows, written by the same script."""
    assert readme_table.FULL.read_text(encoding="utf-8") == full_page(readme_table.read(RESULTS))


@pytest.mark.parametrize("language", READMES)
def test_worst_of_several_rows_is_shown_and_a_missed_target_is_said(language: str) -> None:
    """One line for each of `SHOWN`; the line that stands for two rows has the larger value."""
    text = block(invented(), language)
    lines = text.splitlines()[4:]
    assert len(lines) == len(SHOWN)
    missed = [line for line in lines if readme_table.MISSED[language] in line]
    assert len(missed) == 1
    assert "2.5" in missed[0]
    assert "CPU" in text.splitlines()[0]


def test_row_that_nobody_measured_is_an_error() -> None:
    """A renamed row must not vanish from the page in silence."""
    results = Results(MACHINE, invented().rows[1:])
    with pytest.raises(LookupError, match="no row of"):
        block(results, "en")


def test_figures_keep_three_digits_and_their_units() -> None:
    """Shares are per cents, infinity is said, Chinese has its own units."""
    rows = (
        Row("g", "a", 0.00833, "share", 0.05, "lower"),
        Row("g", "b", math.inf, "min", 60.0, "lower"),
        Row("g", "c", 2345.6, "per week"),
    )
    page = full_page(Results(MACHINE, rows))
    assert "| a | 0.833 % | ≤ 5 % |" in page
    assert "| b | ∞ min (missed) | ≤ 60 min |" in page
    assert "| c | 2,346 per week |  |" in page
    assert "## g" in page


def test_small_run_is_not_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Figures of a tenth of the size are nobody's business."""
    machine = msgspec.structs.replace(MACHINE, scale=0.1)
    rows = [msgspec.structs.asdict(row) for row in invented().rows]
    file = tmp_path / "results.json"
    file.write_bytes(msgspec.json.encode({"machine": machine, "rows": rows}))
    pages = [path.read_bytes() for path in READMES.values()]
    assert readme_table.main(["--results", str(file)]) == 1
    assert "small run" in capsys.readouterr().err
    assert [path.read_bytes() for path in READMES.values()] == pages


def test_page_without_markers_is_refused() -> None:
    """Nothing is written into a page that has no place for it."""
    with pytest.raises(ValueError, match="needs the lines"):
        readme_table.with_block("text", "figures")
    assert readme_table.with_block(f"a {BEGIN}old{END} b", "new") == f"a {BEGIN}\n\nnew\n\n{END} b"
