"""The source archive: what somebody who has only that needs to run, build and test the product."""

from pathlib import Path

import pytest
from hatchling.builders.sdist import SdistBuilder

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize(
    "path",
    [
        "monitor/app.py",
        "rules/default.yaml",
        "dashboards/now.json",
        "docs/operations.md",
        "examples/monitor.yaml",
        "docker/entrypoint.py",
        "docker-compose.yml",
        "Dockerfile",
        "Makefile",
        "requirements-dev.lock",
        ".ci/run",
        "tests/conftest.py",
        "tests/unit/config/contract.yaml",
    ],
)
def test_source_archive_holds_what_the_tests_and_the_image_need(path: str) -> None:
    """A test suite that is left out cannot be run by who packages the product."""
    archived = {one.distribution_path for one in SdistBuilder(str(ROOT)).recurse_included_files()}
    assert path in archived
