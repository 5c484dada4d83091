"""Writes configuration files for tests and reads back what is said about them."""

from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

from monitor.config.load import Loaded, load
from monitor.model.errors import ConfigError

API_KEY = "dm_0123456789abcdefghij"


def write_secret(path: Path, text: str = API_KEY) -> Path:
    """Write a file only its owner can read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    return path


def load_text(folder: Path, text: str, environ: Mapping[str, str] | None = None) -> Loaded:
    """Load a configuration given as text."""
    path = folder / "monitor.yaml"
    path.write_text(dedent(text), encoding="utf-8")
    return load(path, environ=environ or {})


def problems_of(folder: Path, text: str, environ: Mapping[str, str] | None = None) -> list[str]:
    """The problems of a configuration, without its folder; empty when it loads."""
    try:
        load_text(folder, text, environ)
    except ConfigError as error:
        return [str(problem).replace(f"{folder}/", "") for problem in error.problems]
    return []


def warnings_of(folder: Path, text: str, environ: Mapping[str, str] | None = None) -> list[str]:
    """The warnings of a configuration that loads, without its folder."""
    loaded = load_text(folder, text, environ)
    return [str(warning).replace(f"{folder}/", "") for warning in loaded.warnings]
