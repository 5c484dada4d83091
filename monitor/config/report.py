"""Collects every problem of one configuration file, each at its place in the file."""

from __future__ import annotations

from monitor.config.prune import Origins
from monitor.config.yaml_lines import Positions, YamlPath
from monitor.model.errors import Problem


class Report:
    """Errors and warnings of one file, in the order they were found."""

    def __init__(self, path: str, positions: Positions) -> None:
        self.path = path
        self.errors: list[Problem] = []
        self.warnings: list[Problem] = []
        self.origins = Origins()
        self.left_out: set[YamlPath] = set()  # places of the file that are broken
        self._positions = positions

    def error(self, at: YamlPath, message: str, hint: str = "") -> None:
        """Note what makes the file unusable; `at` is a path of the validated document."""
        self.errors.append(self._problem(self._positions.at(self.origins.of(at)), message, hint))

    def error_missing(self, at: YamlPath, key: str, message: str, hint: str = "") -> None:
        """Note that a mapping lacks a key, unless the file has it but it is broken."""
        if not self.lacks(at, key):
            self.error(at, message, hint)

    def lacks(self, at: YamlPath, key: str) -> bool:
        """Whether the key of a mapping, or something below it, was left out as broken."""
        place = (*self.origins.of(at), key)
        return any(broken[: len(place)] == place for broken in self.left_out)

    def name(self, at: YamlPath) -> str:
        """Name a place of the validated document the way the file counts."""
        return dotted(self.origins.of(at))

    def warn(self, at: YamlPath, message: str, hint: str = "") -> None:
        """Note what the reader should know although the file can be used."""
        self.warnings.append(self._problem(self._positions.at(self.origins.of(at)), message, hint))

    def error_inside(self, at: YamlPath, column: int, message: str, hint: str = "") -> None:
        """Note an error at a 1-based column of a text value of the file as written."""
        self.errors.append(self._problem(self._positions.inside(at, column), message, hint))

    def warn_key(self, at: YamlPath, message: str, hint: str = "") -> None:
        """Note a warning at a key of the file as written."""
        self.warnings.append(self._problem(self._positions.key(at), message, hint))

    def _problem(self, place: tuple[int, int], message: str, hint: str) -> Problem:
        line, column = place
        return Problem(self.path, line, column, message, hint)


def printable(text: str) -> str:
    """Escape what a key of the file could do to a terminal: line breaks, control sequences."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii")
        for letter in text
    )


def dotted(at: YamlPath) -> str:
    """Name a place the way people do: `channels[2].submit.url`, counted from 1."""
    text = ""
    for part in at:
        text += f"[{part + 1}]" if isinstance(part, int) else f".{part}" if text else part
    return text
