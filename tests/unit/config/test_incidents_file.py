"""Labelled incidents: read in order of time, refused with a place when they make no sense."""

from pathlib import Path

import pytest

from monitor.config.incidents_file import load_incidents
from monitor.model.errors import ConfigError


def load(folder: Path, text: str) -> tuple[tuple[int, int, str | None], ...]:
    path = folder / "i.yaml"
    path.write_text(text, encoding="utf-8")
    return load_incidents(path)


def test_incidents_are_read_in_order_of_time(tmp_path: Path) -> None:
    """With and without a channel."""
    found = load(
        tmp_path,
        "incidents:\n"
        "  - {from: 2026-01-05T14:00:00+08:00, to: 2026-01-05T15:30:00+08:00, channel: auto}\n"
        "  - {from: 2026-01-05T02:00:00Z, to: 2026-01-05T02:00:01Z}\n",
    )
    assert found == (
        (1_767_578_400_000, 1_767_578_401_000, None),
        (1_767_592_800_000, 1_767_598_200_000, "auto"),
    )


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{from: 2026-01-05T14:00:00, to: 2026-01-05T15:30:00Z}", "2:12 incidents[1].from must"),
        ("{from: 2026-01-05T14:00:00Z, to: 2026-01-05T13:00:00Z}", "'to' lies before 'from'"),
        ("{form: 2026-01-05T14:00:00Z, to: 2026-01-05T15:00:00Z}", "did you mean 'from'"),
    ],
)
def test_what_makes_no_sense_is_refused_at_its_place(
    tmp_path: Path, line: str, problem: str
) -> None:
    """A label in the wrong zone would make every alert false."""
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, f"incidents:\n  - {line}\n")
    assert problem in str(caught.value)
