"""A reload tells what changes at once and what waits for a restart."""

from pathlib import Path

import pytest

from monitor.config.load import Loaded
from monitor.config.reload import differences
from tests.unit.config.files import load_text, write_secret

BEFORE = """\
sources: [{name: a, api_key_file: k}]
webhooks: [{url: "http://h", secret_file: k}]
"""


@pytest.fixture
def before(tmp_path: Path) -> Loaded:
    """A configuration with a key file."""
    write_secret(tmp_path / "k")
    return load_text(tmp_path, BEFORE)


def test_same_file_differs_in_nothing(tmp_path: Path, before: Loaded) -> None:
    """Reading the same file again changes nothing."""
    assert differences(before, load_text(tmp_path, BEFORE)) == ([], [])


@pytest.mark.parametrize(
    ("line", "reloadable", "needs_restart"),
    [
        ("language: en", ["language"], []),
        ("timezone: UTC", ["timezone"], []),
        ("promise: {default: 4m}", ["promise"], []),
        ("tiers: {l2_after: 6m}", ["tiers"], []),
        ("channels: [{name: auto}]", ["channels"], []),
        ("fallback: {mode: advise}", ["fallback"], []),
        ("retention: {events: 7d}", ["retention"], []),
        ("public_url: http://m", ["public_url", "allowed_hosts"], []),
        ("allowed_hosts: [m]", ["allowed_hosts"], []),
        ("egress: {allow: [10.0.0.0/8]}", ["egress"], []),
        ("notify: {receivers: [{name: ops}], route: {receiver: ops}}", ["notify"], []),
        ("failover: {webhook: {url: 'http://h'}}", ["failover"], []),
        ("listen: 127.0.0.1:9", [], ["listen"]),
        ("listen_ingest: 127.0.0.1:9", [], ["listen_ingest"]),
        ("listen_metrics: 127.0.0.1:9", [], ["listen_metrics"]),
        ("connections: {max: 9}", [], ["connections"]),
        ("data_dir: /tmp/d", [], ["data_dir"]),
        ("currency: EUR", [], ["currency"]),
        ("telemetry: {otlp: {endpoint: 'http://h:80'}}", [], ["telemetry"]),
    ],
)
def test_changed_key_is_named_on_its_side(
    tmp_path: Path, before: Loaded, line: str, reloadable: list[str], needs_restart: list[str]
) -> None:
    """One changed key is one entry."""
    after = load_text(tmp_path, f"{BEFORE}{line}\n")
    assert differences(before, after) == (reloadable, needs_restart)


def test_rotated_secret_counts_as_a_change(tmp_path: Path, before: Loaded) -> None:
    """The file is the same, the key behind it is not."""
    write_secret(tmp_path / "k", "dm_another_key_of_the_shop")
    after = load_text(tmp_path, BEFORE)
    assert differences(before, after) == (["sources", "webhooks"], [])


def test_new_host_widens_egress(tmp_path: Path, before: Loaded) -> None:
    """A URL of another host also changes what may be reached."""
    after = load_text(tmp_path, BEFORE.replace("http://h", "http://other"))
    assert differences(before, after) == (["webhooks", "egress"], [])
