"""YAML that remembers where every value stands, so that a problem is `file:line:column`.

Differences from a plain YAML 1.1 load, all on purpose: `no`, `on`, `off`, `3:20` and `0755` stay
text, mapping keys are always text, a key given twice is an error instead of a silent overwrite,
merge keys and application tags are refused, and size, depth and alias expansion are bounded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import msgspec
import yaml

from monitor.model.errors import ConfigError, Problem

try:  # libyaml is ten to eighty times as fast; a PyYAML built without it reads the same
    from yaml import CSafeLoader as Base
except ImportError:
    from yaml import SafeLoader as Base  # type: ignore[assignment]  # the same methods

SIZE_MAX = 1_048_576  # characters in one file
DEPTH_MAX = 32
NODES_MAX = 12_000  # also after aliases are expanded, which is what stops an alias bomb
PROBLEMS_MAX = 500  # nobody reads more of one file
NAMES_MAX = 1_000  # anchors and aliases
DIRECTIVES_MAX = 50  # libyaml compares each with all before it

YamlPath = tuple[str | int, ...]

_STR = "tag:yaml.org,2002:str"
_NULL = "tag:yaml.org,2002:null"
_BOOL = "tag:yaml.org,2002:bool"
_INT = "tag:yaml.org,2002:int"
_FLOAT = "tag:yaml.org,2002:float"
_PLAIN = {
    _NULL: re.compile(r"^(?:~|null|Null|NULL|)$"),
    _BOOL: re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"),
    _INT: re.compile(r"^[-+]?(?:0|[1-9][0-9]{0,17})$"),
    _FLOAT: re.compile(
        r"^[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]{1,3})?$"
    ),
}


class Place(msgspec.Struct, frozen=True):
    """Where a value starts (1-based), and where its own text starts if that is on the same line."""

    line: int
    column: int
    text_column: int | None = None


class Positions(msgspec.Struct, frozen=True):
    """The places of all values and keys of one file, by path such as `("groups", 0, "name")`."""

    values: Mapping[YamlPath, Place]
    keys: Mapping[YamlPath, Place]

    def at(self, path: YamlPath) -> tuple[int, int]:
        """Line and column of the value; of the nearest enclosing one if there is none."""
        for length in range(len(path), -1, -1):
            if place := self.values.get(path[:length]):
                return place.line, place.column
        return 1, 1

    def key(self, path: YamlPath) -> tuple[int, int]:
        """Line and column of the key that leads to the value, else of the value."""
        place = self.keys.get(path)
        return (place.line, place.column) if place else self.at(path)

    def has(self, path: YamlPath) -> bool:
        """Whether a value stands at this very path."""
        return path in self.values

    def has_text(self, path: YamlPath) -> bool:
        """Whether the value is one-line text without escapes, so that inner columns are exact."""
        place = self.values.get(path)
        return place is not None and place.text_column is not None

    def inside(self, path: YamlPath, column: int) -> tuple[int, int]:
        """Line and column of the 1-based `column` within a text value.

        For text that is folded, escaped or spread over lines this is the start of the value.
        """
        place = self.values.get(path)
        if place is None or place.text_column is None:
            return self.at(path)
        return place.line, place.text_column + column - 1


def read_with_positions(path: Path) -> tuple[object, Positions]:
    """Load a YAML file. Raises: ConfigError when it cannot be read or is not acceptable YAML."""
    try:
        with path.open("rb") as file:
            raw = file.read(4 * SIZE_MAX + 1)  # a character of UTF-8 has at most four bytes
    except OSError as error:
        problem = Problem(str(path), 1, 1, f"cannot be read: {error.strerror}")
        raise ConfigError([problem]) from error
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        column = error.start - raw.rfind(b"\n", 0, error.start)
        problem = Problem(str(path), line, column, "is not UTF-8", "save the file as UTF-8")
        raise ConfigError([problem]) from error
    return load_with_positions(text, str(path))


def load_with_positions(text: str, path: str) -> tuple[object, Positions]:
    """Load one YAML document as dict, list, str, int, float, bool and None.

    Raises: ConfigError with every duplicate key and forbidden construct, or the syntax error.
    """
    if len(text) > SIZE_MAX:
        raise ConfigError([Problem(path, 1, 1, f"is longer than {SIZE_MAX} characters")])
    try:
        root = _compose(text)
    except yaml.MarkedYAMLError as error:
        raise ConfigError([_syntax_problem(error, text, path)]) from error
    except yaml.reader.ReaderError as error:
        raise ConfigError([_character_problem(error, text, path)]) from error
    except UnicodeEncodeError as error:
        raise ConfigError([Problem(path, 1, 1, "is not UTF-8", "save it as UTF-8")]) from error
    builder = _Builder(text, path)
    value = None if root is None else builder.build(root, ())
    if builder.problems:
        raise ConfigError(builder.problems)
    return value, Positions(values=builder.values, keys=builder.keys)


class _Loader(Base):
    """Composes nodes only; the values are built below, so no tag can construct anything."""

    yaml_implicit_resolvers = {}  # noqa: RUF012 - the library's own way to start a fresh table


for _tag, _pattern in _PLAIN.items():
    _Loader.add_implicit_resolver(_tag, _pattern, None)


def _compose(text: str) -> yaml.Node | None:
    """Compose what is known to be small: the library's composer has no limits of its own."""
    if text.count("%TAG") > DIRECTIVES_MAX:
        raise yaml.MarkedYAMLError(problem=f"more than {DIRECTIVES_MAX} directives")
    _measure(text)
    loader = _Loader(text)
    try:
        return loader.get_single_node()
    finally:
        loader.dispose()


def _measure(text: str) -> None:
    """Go through the events, which takes no memory, until one is too many or too deep.

    Raises: MarkedYAMLError.
    """
    loader = _Loader(text)
    depth = nodes = names = documents = 0
    try:
        while documents < 2 and (event := loader.get_event()):
            match event:
                case yaml.DocumentStartEvent():
                    documents += 1  # of a second one the composer says what is wrong
                case yaml.CollectionEndEvent():
                    depth -= 1
                case yaml.CollectionStartEvent():
                    depth, nodes = depth + 1, nodes + 1
                case yaml.NodeEvent():
                    nodes += 1
            names += getattr(event, "anchor", None) is not None
            if names > NAMES_MAX:
                raise _limit(f"more than {NAMES_MAX} anchors and aliases", event)
            if depth > DEPTH_MAX:
                raise _limit(f"nested deeper than {DEPTH_MAX}", event)
            if nodes > NODES_MAX:
                raise _limit(f"more than {NODES_MAX} values", event)
    finally:
        loader.dispose()


def _limit(problem: str, event: yaml.Event) -> yaml.MarkedYAMLError:
    mark = event.start_mark
    return yaml.MarkedYAMLError(
        problem=problem,
        problem_mark=mark,  # type: ignore[arg-type]  # libyaml's has the same fields
    )


class _Builder:
    """Turns nodes into values and writes down places and problems on the way."""

    def __init__(self, text: str, path: str) -> None:
        self.values: dict[YamlPath, Place] = {}
        self.keys: dict[YamlPath, Place] = {}
        self.problems: list[Problem] = []
        self._text = text
        self._path = path
        self._left = NODES_MAX
        self._is_full = False

    def build(self, node: yaml.Node, at: YamlPath) -> object:
        self._left -= 1
        if self._is_full or len(self.problems) >= PROBLEMS_MAX:
            return None
        if self._left < 0 or len(at) >= DEPTH_MAX:
            if not self._is_full:
                self._report(node, f"is larger than {NODES_MAX} values or {DEPTH_MAX} levels")
            self._is_full = True
            return None
        self.values[at] = self._place(node)
        match node:
            case yaml.MappingNode():
                return self._mapping(node, at)
            case yaml.SequenceNode():
                if node.tag != "tag:yaml.org,2002:seq":
                    self._report(node, f"the tag {node.tag!r} is not supported")
                return [self.build(item, (*at, i)) for i, item in enumerate(node.value)]
            case _:
                return self._scalar(node)

    def _mapping(self, node: yaml.MappingNode, at: YamlPath) -> dict[str, object]:
        if node.tag != "tag:yaml.org,2002:map":
            self._report(node, f"the tag {node.tag!r} is not supported")
        built: dict[str, object] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._report(key_node, "a key must be plain text")
                continue
            key = str(key_node.value)
            if key in built:
                line = self.keys[*at, key].line
                self._report(key_node, f"'{key}' is given twice; the first is in line {line}")
                continue
            self.keys[*at, key] = self._place(key_node)
            built[key] = self.build(value_node, (*at, key))
        return built

    def _scalar(self, node: yaml.Node) -> object:
        text = str(node.value)
        match node.tag:
            case tag if tag == _STR:
                return text
            case tag if tag in _PLAIN and not _PLAIN[tag].match(text):
                self._report(node, f"{text!r} is not a {tag.rpartition(':')[2]}")
                return None
            case tag if tag == _NULL:
                return None
            case tag if tag == _BOOL:
                return text.lower() == "true"
            case tag if tag == _INT:
                return int(text)
            case tag if tag == _FLOAT:
                return float(text)
            case tag:
                self._report(node, f"the tag {tag!r} is not supported")
                return None

    def _place(self, node: yaml.Node) -> Place:
        line, column = node.start_mark.line + 1, node.start_mark.column + 1
        if not isinstance(node, yaml.ScalarNode) or node.start_mark.line != node.end_mark.line:
            return Place(line, column)
        raw = self._text[node.start_mark.index : node.end_mark.index]
        if raw == node.value:
            return Place(line, column, column)
        return Place(line, column, column + 1 if raw[1:-1] == node.value else None)

    def _report(self, node: yaml.Node, message: str) -> None:
        mark = node.start_mark
        self.problems.append(Problem(self._path, mark.line + 1, mark.column + 1, message))


def _syntax_problem(error: yaml.MarkedYAMLError, text: str, path: str) -> Problem:
    mark = error.problem_mark or error.context_mark
    place = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    lines = text.splitlines() or [""]
    if place[0] > len(lines):  # libyaml ends every text with a line break of its own
        place = len(lines), len(lines[-1]) + 1
    message = ": ".join(part for part in (error.context, error.problem) if part)
    is_tab = "'\\t'" in message
    return Problem(
        path,
        *place,
        f"is not valid YAML: {message}",
        "indent with spaces, not tabs" if is_tab else "",
    )


def _character_problem(error: yaml.reader.ReaderError, text: str, path: str) -> Problem:
    line = text.count("\n", 0, error.position) + 1
    column = error.position - text.rfind("\n", 0, error.position)
    return Problem(path, line, column, f"has a character YAML forbids (code {error.character})")
