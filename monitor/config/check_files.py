"""What `check` does: reads configuration and rule files as the service would, and lists problems."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from monitor.config.load import load
from monitor.config.rules_file import shipped_path
from monitor.config.rules_text import text_warnings
from monitor.model.errors import ConfigError, Problem


def check_all(
    config_path: Path | None,
    rules_paths: Sequence[Path],
    *,
    environ: Mapping[str, str] | None = None,
) -> tuple[list[Problem], list[Problem]]:
    """Return (problems, warnings) of all files; without `rules_paths` of the shipped rules.

    No problem means that `serve` with the same files starts. `environ` as in `load`.
    """
    problems: list[Problem] = []
    warnings: list[Problem] = []
    try:
        warnings += load(config_path, environ=environ).warnings
    except ConfigError as error:
        problems += error.problems
    try:
        warnings += text_warnings(rules_paths or [shipped_path()])
    except ConfigError as error:
        problems += error.problems
    return problems, warnings
