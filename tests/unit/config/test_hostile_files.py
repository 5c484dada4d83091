"""Whatever a file holds, loading ends in a configuration or in problems with places."""

from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor.config.load import load
from monitor.model.errors import ConfigError, Problem

EXAMPLE = Path(__file__).with_name("contract.yaml").read_text(encoding="utf-8")
ENVIRON = {"ROBOT": "t0ken", "EMPTY": "", "LONG": "9" * 400 + "d"}
QUICK = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=30),
    st.sampled_from(
        [
            "9" * 400 + "d",
            "${env:LONG}",
            "${env:EMPTY}",
            "${env:",
            "{{ sku",
            "http://[",
            "http://h:x",
            "../..",
            "America",
            "[::1",
            "\u2028",
            "http://h/{{}}",
            "0.0.0.0:0",
            "10.0.0.1/8",
            "\x00",
        ]
    ),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


def read(folder: Path, text: str | bytes) -> None:
    """Load the file; a ConfigError must name the file, a line and a column for every problem."""
    path = folder / "monitor.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    try:
        problems = load(path, environ=ENVIRON).warnings
    except ConfigError as error:
        problems = error.problems or (Problem("no problem is named", 0, 0, "\n"),)
    for problem in problems:
        assert problem.path == str(path)
        assert problem.line >= 1
        assert problem.column >= 1
        assert str(problem).isprintable()


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place of a document."""
    found = [at]
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, item in items:
        found += places(item, (*at, key))
    return found


DOCUMENT = yaml.safe_load(EXAMPLE)
PLACES = places(DOCUMENT)


def replaced(value: Any, at: tuple[Any, ...], new: Any) -> Any:
    """A copy of the document with another value at one place."""
    if not at:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[at[0]] = replaced(value[at[0]], at[1:], new)
    return copy


@QUICK
@given(st.binary(max_size=200))
def test_bytes_never_crash(tmp_path: Path, text: bytes) -> None:
    """Not even what is no text."""
    read(tmp_path, text)


@QUICK
@given(
    st.lists(
        st.tuples(st.integers(0, len(EXAMPLE)), st.integers(0, 8), st.text(max_size=4)),
        min_size=1,
        max_size=4,
    )
)
def test_edited_example_never_crashes(tmp_path: Path, edits: list[tuple[int, int, str]]) -> None:
    """Characters cut out of and put into the contract's example."""
    text = EXAMPLE
    for position, length, put in edits:
        text = text[:position] + put + text[position + length :]
    read(tmp_path, text)


@settings(QUICK, max_examples=400)
@given(st.sampled_from(PLACES), VALUES)
def test_example_with_a_strange_value_never_crashes(
    tmp_path: Path, at: tuple[Any, ...], new: Any
) -> None:
    """Any value at any place of the contract's example."""
    text = yaml.safe_dump(replaced(DOCUMENT, at, new), allow_unicode=True)
    read(tmp_path, text)


@QUICK
@given(st.sampled_from([at for at in PLACES if at]), st.text(min_size=1, max_size=12))
def test_example_with_a_strange_key_never_crashes(
    tmp_path: Path, at: tuple[Any, ...], key: str
) -> None:
    """An unknown key beside any known one."""
    parent: Any = DOCUMENT
    for part in at[:-1]:
        parent = parent[part]
    if isinstance(parent, dict):
        text = yaml.safe_dump(replaced(DOCUMENT, at[:-1], {**parent, key: 1}), allow_unicode=True)
        read(tmp_path, text)
