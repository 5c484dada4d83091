"""`sources` of shops whose database is read: what they are taken for, and every mistake at its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitor.model.secret import Secret
from tests.unit.config.files import load_text, problems_of, write_secret

KINDS = "kind is one of "


def test_database_comes_with_its_password_prefix_and_zone(tmp_path: Path) -> None:
    """The zone is that of such shops, not of the file; read every 15 s, silent after five minutes."""
    write_secret(tmp_path / "pw", "s3cret")
    text = (
        "timezone: UTC\n"
        "sources: [{name: main, kind: acg-faka,"
        ' database: {url: "mysql://reader@127.0.0.1/shop", password_file: pw, prefix: ""}}]\n'
    )
    loaded = load_text(tmp_path, text)
    (source,) = loaded.endpoints.shop_sources
    assert source.database is not None
    assert (source.database.password, source.database.prefix) == (Secret("s3cret"), "")
    assert (source.timezone, source.poll_ms) == ("Asia/Shanghai", 15_000)
    assert loaded.settings.sources[0].heartbeat_ms == 300_000


def test_rare_looks_and_own_words_are_respected(tmp_path: Path) -> None:
    """A shop that is looked at every two minutes is silent after four looks; the file may say else."""
    database = 'database: {url: "mysql://reader@db/shop"}'
    text = (
        f"sources: [{{name: a, kind: dujiaoka, {database}, poll: 2m, timezone: UTC}},"
        f" {{name: b, kind: dujiaoka, {database}, heartbeat: 30s}}]\n"
    )
    loaded = load_text(tmp_path, text)
    assert [one.heartbeat_ms for one in loaded.settings.sources] == [480_000, 30_000]
    assert [one.timezone for one in loaded.endpoints.shop_sources] == ["UTC", "Asia/Shanghai"]


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("{name: a, kind: dujiaoka}",
         "1:11 sources[1] is a dujiaoka and names no database; name it as database.url, with database.password_file"),
        ('{name: a, kind: dujiaoka, database: {url: "mysql://u:pw4711@db/shop"}}',
         "1:53 sources[1].database.url has a password in it; write the password into a file and name it as database.password_file"),
        ('{name: a, kind: dujiaoka, database: {url: "mysql://db/shop"}}',
         "1:53 sources[1].database.url names no user; write mysql://user@host:3306/name, postgresql://user@host:5432/name or sqlite:///path/of/file.db"),
        ('{name: a, kind: dujiaoka, database: {url: "mysql://u@db/shop", prefix: "x_"}}',
         "1:82 sources[1].database.prefix: the tables of dujiaoka have none; leave it out"),
        ('{name: a, kind: acg-faka, database: {url: "mysql://u@db/shop", prefix: "a b"}}',
         "1:82 sources[1].database.prefix must be at most 32 letters, digits or '_'; write for example acg_"),
        ('{name: a, kind: acg-faka, poll: 10ms, database: {url: "mysql://u@db/shop"}}',
         "1:43 sources[1].poll is less than 1s; write 15s"),
    ],
)  # fmt: skip
def test_mistake_is_told_at_its_place(tmp_path: Path, entry: str, problem: str) -> None:
    """With what to write instead, and without a password."""
    assert problems_of(tmp_path, f"sources: [{entry}]\n") == [f"monitor.yaml:{problem}"]


@pytest.mark.parametrize("kind", ["events", "paddle"])
def test_database_of_a_shop_that_is_not_read_is_a_mistake(tmp_path: Path, kind: str) -> None:
    """It would never be asked."""
    write_secret(tmp_path / "k", "pdl_ntfset_0123456789")
    text = f"sources: [{{name: a, kind: {kind}, secret_file: k, database: {{url: 'mysql://u@d/s'}}}}]\n"
    (problem,) = problems_of(tmp_path, text)
    assert f"sources[1].database: no database of {kind} can be read; {KINDS}" in problem
