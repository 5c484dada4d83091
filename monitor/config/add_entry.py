"""Adds an entry to a list of `monitor.yaml` and leaves every other byte, with its comments, as it is."""

from __future__ import annotations

import json
from collections.abc import Mapping

import yaml

from monitor.model.errors import InputError

Entry = Mapping[str, object]


def with_entry(text: str, key: str, entry: Entry) -> str:
    """Return the text with an entry at the end of the top-level list `key`; the list may be missing.

    Values of an entry are texts, numbers, lists of texts and mappings of them.
    Raises: InputError if the file is no mapping, or `key` in it no list.
    """
    if "\r\n" in text:  # the lines that are added end as the others do
        return with_entry(text.replace("\r\n", "\n"), key, entry).replace("\n", "\r\n")
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise InputError(
            "the file is not YAML", hint="run `delivery-monitor check`; it names the line"
        ) from error
    if root is None:
        return _appended(text, key, entry)
    if not isinstance(root, yaml.MappingNode):
        raise InputError("the file is no mapping", hint="every line at its left edge is `key: …`")
    found = next((value for name, value in root.value if name.value == key), None)
    if found is None:
        return _appended(text, key, entry)
    if isinstance(found, yaml.SequenceNode):
        return _in_flow(text, found, entry) if found.flow_style else _in_block(text, found, entry)
    if isinstance(found, yaml.ScalarNode) and not found.value:
        lines = text.splitlines(keepends=True)
        return _after(lines, found.end_mark.line, _block(entry, 2))
    raise InputError(f"{key} is no list", hint=f"write it as `{key}:` and lines with `- `")


def _appended(text: str, key: str, entry: Entry) -> str:
    gap = "\n" if text.strip() else ""
    return f"{text.rstrip()}\n{gap}{key}:\n{_block(entry, 2)}".lstrip("\n")


def _in_flow(text: str, found: yaml.SequenceNode, entry: Entry) -> str:
    """JSON is YAML: `[a]` becomes `[a, {…}]`."""
    end = found.end_mark.index - 1  # of the closing bracket
    comma = ", " if found.value and not text[:end].rstrip().endswith(",") else ""
    return f"{text[:end].rstrip()}{comma}{json.dumps(entry, ensure_ascii=False)}{text[end:]}"


def _in_block(text: str, found: yaml.SequenceNode, entry: Entry) -> str:
    lines = text.splitlines(keepends=True)
    return _after(lines, _last_line(found), _block(entry, found.start_mark.column))


def _last_line(node: yaml.Node) -> int:
    """The line where the words of a node end; comments and blank lines after it are not its own."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _last_line(last[1] if isinstance(last, tuple) else last)
    mark = node.end_mark
    # The end of a folded or literal text is the start of the line after it.
    return mark.line - 1 if mark.column == 0 and mark.line > node.start_mark.line else mark.line


def _after(lines: list[str], line: int, added: str) -> str:
    if line < len(lines) and not lines[line].endswith("\n"):
        lines[line] += "\n"
    return "".join((*lines[: line + 1], added, *lines[line + 1 :]))


def _block(entry: Entry, indent: int) -> str:
    """One list entry as lines; JSON's way of writing a value is always right in YAML."""
    margin = " " * indent
    first, *rest = (f"{key}: {_written(value)}\n" for key, value in entry.items())
    return f"{margin}- {first}" + "".join(f"{margin}  {line}" for line in rest)


def _written(value: object) -> str:
    is_plain = isinstance(value, str) and value.replace("-", "").replace("_", "").isalnum()
    is_word = is_plain and isinstance(yaml.safe_load(str(value)), str)
    if is_word:
        return str(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_written(inner)}" for key, inner in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False)
