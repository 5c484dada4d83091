"""`doctor` looks into the databases of shops, and says what is wrong with each."""

from pathlib import Path

import pytest

from tests.databases import READER_PASSWORD, Servers
from tests.shops.stalls import BENCHES
from tests.unit.cli.test_doctor import RECEIVER, looked


def test_doctor_says_what_can_be_read_and_what_cannot(
    mariadb_server: Servers, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A good shop with its orders; then one whose table is gone; then one with a wrong password."""
    database = mariadb_server.database(BENCHES["dujiaoka"].script)
    secret = tmp_path / "pw"
    secret.write_text(READER_PASSWORD, encoding="ascii")
    secret.chmod(0o600)
    config = (
        f"{RECEIVER}sources: [{{name: main, kind: dujiaoka,"
        f' database: {{url: "{database.access.url}", password_file: pw}}}}]\n'
    )
    code, checks = looked(tmp_path, config, capsys)
    assert (code, checks["shops"]["state"]) == (0, "ok")
    assert "can be read; 0 orders; not known from there: callback" in checks["shops"]["found"]
    assert (checks["sources"]["state"], checks["sources"]["found"]) == (
        "waiting",
        "main: not read yet",
    )
    database.write("DROP TABLE pays")
    code, checks = looked(tmp_path, config, capsys)
    assert (code, checks["shops"]["state"]) == (1, "finding")
    assert checks["shops"]["found"].endswith("has no table pays")
    secret.write_text("wrong-4711", encoding="ascii")
    code, checks = looked(tmp_path, config, capsys)
    assert (code, checks["shops"]["state"]) == (1, "finding")
    assert "refuses the user reader" in checks["shops"]["found"]
    assert "4711" not in str(checks["shops"])
    database.shop.close()
