"""`doctor` names shops that were told to send and never did."""

from pathlib import Path

import pytest

from monitor.adapters.storage.sqlite import open_sqlite
from monitor.api.ingest import ACCEPTED
from monitor.app import Monitor
from monitor.config.load import load
from monitor.config.rules_file import load_shipped
from tests.schemes import SECRET, adapter, in_base64, mac, posted
from tests.unit.cli.test_doctor import RECEIVER, looked, private_data

WOO = RECEIVER + "sources: [{name: main, kind: woocommerce, secret_file: hook.secret}]\n"


def configured(folder: Path) -> None:
    """The secret of the webhook."""
    (folder / "hook.secret").write_text(SECRET, encoding="ascii")
    (folder / "hook.secret").chmod(0o600)


async def test_shop_that_never_called_is_a_finding_once_the_service_has_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before the first start it waits; afterwards the address or the secret is not entered."""
    configured(tmp_path)
    code, checks = looked(tmp_path, WOO, capsys)
    assert (code, checks["sources"]["state"]) == (0, "waiting")
    store = await open_sqlite(private_data(tmp_path))
    await store.close()
    code, checks = looked(tmp_path, WOO, capsys)
    assert (code, checks["sources"]["state"]) == (1, "finding")
    assert checks["sources"]["found"] == "main: no event of woocommerce came to /hooks/main yet"
    assert "hook_refused" in checks["sources"]["advice"]
    assert "http://127.0.0.1:8080/hooks/main" in checks["sources"]["advice"]
    assert SECRET not in str(checks)


def test_log_that_cannot_be_read_is_a_finding_and_an_empty_one_waits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With its path and the system's own words, and nothing of keys, which a log does not need."""
    text = RECEIVER + f"sources: [{{name: main, tail: {{file: {tmp_path}/shop.log}}}}]\n"
    code, checks = looked(tmp_path, text, capsys)
    assert (code, checks["sources"]["state"]) == (1, "finding")
    assert "shop.log cannot be read: No such file or directory" in checks["sources"]["found"]
    (tmp_path / "shop.log").touch()
    code, checks = looked(tmp_path, text, capsys)
    assert (code, checks["sources"]["state"]) == (0, "waiting")
    assert "key" not in checks["sources"]["advice"]


async def test_shop_that_called_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One order is enough, whenever it was."""
    configured(tmp_path)
    config = tmp_path / "monitor.yaml"
    config.write_text(WOO + "listen: 127.0.0.1:0\n", encoding="utf-8")
    loaded = load(config, data_dir=str(tmp_path / "data"))
    monitor = Monitor(loaded, load_shipped())
    await monitor.start()
    await monitor.wait_until_ready()
    body = b'{"id":7,"status":"pending","date_created_gmt":"2026-01-05T02:00:00"}'
    request = posted(
        body, X_WC_Webhook_Resource="order", X_WC_Webhook_Signature=in_base64(mac(body))
    )
    events = adapter("woocommerce", SECRET).read(request).events
    assert await monitor.ingest(events) == (ACCEPTED,)
    await monitor.stop()
    code, checks = looked(tmp_path, WOO, capsys)
    assert (code, checks["sources"]["state"]) == (0, "ok")
