"""What is installed is what was locked (P29); known holes and the SBOM are `make audit`."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCKS = sorted(path.name for path in ROOT.glob("requirements*.lock"))
ADDRESS = re.compile(r"https?://|--(?:extra-)?index-url|--find-links|--trusted-host")


def packages(text: str) -> dict[str, list[str]]:
    """Packages of a lock file with their hashes."""
    found: dict[str, list[str]] = {}
    for entry in re.split(r"\n(?=\w)", text.replace("\\\n", " ")):
        if entry and not entry.startswith("#"):
            found[entry.split()[0]] = re.findall(r"--hash=sha256:([0-9a-f]{64})\b", entry)
    return found


def unsafe(text: str) -> list[str]:
    """Packages without an exact version and a hash, and addresses of an index."""
    return [
        *(name for name, hashes in packages(text).items() if "==" not in name or not hashes),
        *ADDRESS.findall(text),
    ]


@pytest.mark.parametrize("name", LOCKS)
def test_every_package_is_pinned_by_hash(name: str) -> None:
    """Versions and SHA-256, and no word about where packages come from."""
    text = (ROOT / name).read_text(encoding="utf-8")
    assert len(packages(text)) >= 8
    assert unsafe(text) == []


def test_loose_package_would_be_found() -> None:
    """Without version, without hash, from elsewhere."""
    digest = "0" * 64
    assert unsafe(f"a==1 \\\n    --hash=sha256:{digest}\nb==2\nc>=3 --hash=sha256:{digest}\n") == [
        "b==2",
        "c>=3",
    ]
    assert unsafe("--index-url https://x\n") != []


def test_make_installs_only_with_hashes() -> None:
    """No `pip install` of the Makefile and the image takes what is not in a lock file."""
    for name in ("Makefile", "Dockerfile"):
        text = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", " ")
        for line in text.splitlines():
            if re.search(r"\binstall --(?!quiet --yes)", line) and "pip" in line.lower():
                assert "--require-hashes" in line or "--no-deps" in line, line


def test_server_library_is_newer_than_its_known_holes() -> None:
    """Versions of aiohttp before 3.14.1 can be made to use memory without end."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert any(one.startswith("aiohttp>=3.14.1") for one in project["project"]["dependencies"])
