"""`delivery-monitor keys`: shown once, kept as a hash, revoked for good."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from monitor.cli.main import main
from monitor.model.keys import token_sha256
from monitor.runtime.keys_file import read_keys


def asked(capsys: pytest.CaptureFixture[str], folder: Path, *words: str) -> tuple[int, Any]:
    """Exit code and JSON answer."""
    code = main(["keys", *words, "--data-dir", str(folder / "data"), "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_new_key_is_shown_once_and_nowhere_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """256 random bits behind `dm_`; the file has the hash and the last four characters."""
    code, made = asked(capsys, tmp_path, "new", "--name", "shop")
    assert code == 0
    assert re.fullmatch(r"dm_[A-Za-z0-9_-]{43}", made["key"])
    (kept,) = read_keys(tmp_path / "data")
    assert (kept.sha256, kept.last_four) == (token_sha256(made["key"]), made["key"][-4:])
    assert (kept.name, kept.scopes, kept.source) == ("shop", ("ingest",), None)
    for file in (tmp_path / "data").iterdir():
        assert made["key"] not in file.read_text(encoding="utf-8")
    assert made["key"] not in str(asked(capsys, tmp_path, "list"))


def test_key_alone_goes_to_standard_output(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """So that a script can catch it; the words about it go elsewhere."""
    assert main(["keys", "new", "--name", "shop", "--data-dir", str(tmp_path)]) == 0
    told = capsys.readouterr()
    assert told.out.startswith("dm_")
    assert told.out.count("\n") == 1
    assert "shown once" in told.err


def test_list_tells_everything_but_the_key(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Keys of the configuration stand beside the others, as such."""
    (tmp_path / "k").write_text("dm_0123456789abcdefghij", encoding="utf-8")
    config = tmp_path / "monitor.yaml"
    config.write_text("sources: [{name: main-shop, api_key_file: k}]\n", encoding="utf-8")
    options = ("--config", str(config))
    words = ("--scope", "read", "--scope", "operate", "--expires", "90d", *options)
    asked(capsys, tmp_path, "new", "--name", "grafana", *words)
    asked(capsys, tmp_path, "new", "--name", "shop", "--source", "main-shop", *options)
    _, listed = asked(capsys, tmp_path, "list", *options)
    configured, grafana, shop = listed["keys"]
    assert (configured["id"], configured["state"]) == ("sources/main-shop/1", "configured")
    assert (grafana["state"], grafana["scopes"]) == ("active", ["read", "operate"])
    assert grafana["expires_at"] > grafana["created_at"]
    assert (shop["source"], shop["last_used_at"]) == ("main-shop", None)


def test_revoked_key_stays_listed_and_cannot_be_revoked_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By its name or its id; the audit can still name it."""
    _, made = asked(capsys, tmp_path, "new", "--name", "shop")
    assert asked(capsys, tmp_path, "revoke", "shop")[1]["state"] == "revoked"
    _, listed = asked(capsys, tmp_path, "list")
    assert [one["state"] for one in listed["keys"]] == ["revoked"]
    code, error = asked(capsys, tmp_path, "revoke", made["id"])
    assert (code, error["error"]) == (1, "not_found")
    code, made = asked(capsys, tmp_path, "new", "--name", "shop")
    assert code == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("new",), "--name must be"),
        (("new", "--name", " "), "--name must be"),
        (("new", "--name", "x" * 65), "--name must be"),
        (("new", "--name", "taken"), "there is a key named 'taken'"),
        (("new", "--name", "a", "--expires", "0s"), "--expires must be"),
        (("new", "--name", "a", "--expires", "soon"), "--expires must be"),
        (("revoke",), "keys revoke needs an ID"),
    ],
)
def test_what_cannot_be_done_is_said_and_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], message: str
) -> None:
    """One line, exit code 2."""
    asked(capsys, tmp_path, "new", "--name", "taken")
    before = read_keys(tmp_path / "data")
    code, error = asked(capsys, tmp_path, *words)
    assert code == 2
    assert error["message"].startswith(message)
    assert read_keys(tmp_path / "data") == before


def test_source_that_is_not_configured_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A misspelt name would make a key that speaks for nobody."""
    config = tmp_path / "monitor.yaml"
    config.write_text("sources: [{name: main-shop}]\n", encoding="utf-8")
    words = ("new", "--name", "a", "--source", "main-shp", "--config", str(config))
    code, error = asked(capsys, tmp_path, *words)
    assert (code, error["hint"]) == (2, "did you mean 'main-shop'?")


def test_first_key_can_be_made_for_an_address_that_needs_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before it `check` refuses the address; with it the address is fine; revoked it is not."""
    config = tmp_path / "monitor.yaml"
    text = f"listen: 0.0.0.0:8080\ndata_dir: {tmp_path / 'data'}\n"
    config.write_text(text, encoding="utf-8")
    check = ["check", "--config", str(config)]
    assert main(check) == 2
    assert "keys new" in capsys.readouterr().err
    assert main(["keys", "new", "--name", "shop", "--config", str(config)]) == 0
    assert main(check) == 0
    assert main(["keys", "revoke", "shop", "--config", str(config)]) == 0
    assert main(check) == 2
