"""An entry is added to a list of the file; what people wrote there stays byte for byte."""

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from monitor.config.add_entry import with_entry
from monitor.model.errors import InputError

ENTRY = {"name": "shop-2", "kind": "dujiaoka", "database": {"url": "mysql://r@127.0.0.1/d"}}
FILES = (
    "",
    "# only a comment\n",
    "language: en\n",
    "language: en",
    "sources:\n",
    "sources: []\nlanguage: en\n",
    "sources: [{name: a}]\n",
    "sources: [\n  {name: a},\n]\nlanguage: en\n",
    "sources:\n  - name: a\n    api_key_file: keys/a.key   # the first\n\n# channels\nchannels: []\n",
    "sources:\n- {name: a}\n- name: b\n  secret_file: [x,\n    y]\n# end\n",
    "sources:\n  # why\n  - name: a\n    heartbeat: 5m\n",
    "sources:\n  - name: 中文\n    api_key_file: |-\n      keys/a.key\nlanguage: en\n",
)


@pytest.mark.parametrize("text", FILES)
def test_entry_comes_last_and_everything_else_stays(text: str) -> None:
    """Read back, the file is what it was and the entry; every line that was there is there."""
    before: dict[str, Any] = yaml.safe_load(text) or {}
    after = yaml.safe_load(with_entry(text, "sources", ENTRY))
    assert after == {**before, "sources": [*(before.get("sources") or []), ENTRY]}
    kept = with_entry(text, "sources", ENTRY)
    comments = [line.strip() for line in text.splitlines() if "#" in line]
    assert all(comment in kept for comment in comments)


PRINTABLE = st.text(st.characters(exclude_categories=["C", "Z"], include_characters=" "))


def test_lines_end_as_they_did() -> None:
    """A file that was written on Windows stays one."""
    text = "language: en\r\nsources:\r\n  - name: a\r\n"
    added = with_entry(text, "sources", ENTRY)
    assert added.startswith(text)
    assert added.count("\n") == added.count("\r\n") == 6


@given(st.dictionaries(st.sampled_from(["name", "kind", "poll"]), PRINTABLE, min_size=1))
def test_any_value_is_read_back_as_it_was(entry: dict[str, str]) -> None:
    """Words that mean something else in YAML (`no`, `3:20`, `null`, `1e3`) stay words."""
    text = with_entry("sources:\n  - name: a\n", "sources", entry)
    assert yaml.safe_load(text)["sources"][1] == entry


@pytest.mark.parametrize("text", ["- a\n", "sources: 3\n", "a: [\n"])
def test_file_of_another_shape_is_refused(text: str) -> None:
    """Nothing is guessed about a file that is no configuration."""
    with pytest.raises(InputError):
        with_entry(text, "sources", ENTRY)
