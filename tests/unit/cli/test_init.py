"""`init` writes files that work, keeps secrets in files of mode 0600, and overwrites nothing."""

import json
import stat
from pathlib import Path

import pytest

from monitor.cli.main import main
from monitor.config.init import QUESTIONS
from monitor.config.load import load
from tests.e2e.serving import run


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_yes_writes_a_configuration_that_loads(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The defaults watch only; the API key is random and readable by its owner alone."""
    out = tmp_path / "new" / "folder"
    assert main(["init", "--yes", "--out", str(out)]) == 0
    loaded = load(out / "monitor.yaml", environ={})
    assert loaded.settings.fallback.mode == "observe"
    key = out / "keys" / "main-shop.key"
    assert (mode(key), mode(key.parent)) == (0o600, 0o700)
    assert key.read_text(encoding="ascii").startswith("dm_")
    shown = capsys.readouterr()
    assert key.read_text(encoding="ascii").strip() not in shown.out + shown.err
    assert f"delivery-monitor serve --config {out / 'monitor.yaml'}" in shown.out
    assert "NO RECEIVER" in shown.err


def test_given_answers_arrive_and_secrets_stand_in_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--set` answers questions; a robot's URL holds a token and never stands in monitor.yaml."""
    url = "https://oapi.dingtalk.com/robot/send?access_token=t0ken"
    options = ["--set", f"dingtalk_url={url}", "--set", "dingtalk_secret=SEC1"]
    hook = ["--set", "webhook_url=http://127.0.0.1:9/x", "--set", "promise=5m", "--json"]
    assert main(["init", "--yes", "--out", str(tmp_path), *options, *hook]) == 0
    loaded = load(tmp_path / "monitor.yaml", environ={})
    assert loaded.settings.promise.default_ms == 300_000
    robot, webhook = loaded.endpoints.integrations
    assert robot.url.reveal() == url
    assert webhook.secret is not None
    assert webhook.secret.reveal().startswith("whsec_")
    assert "t0ken" not in (tmp_path / "monitor.yaml").read_text(encoding="utf-8")
    answer = json.loads(capsys.readouterr().out)
    assert answer["has_receiver"] is True
    assert sorted(answer["written"]) == sorted(
        str(path) for path in tmp_path.rglob("*") if path.is_file()
    )
    assert {mode(path) for path in (tmp_path / "keys").iterdir()} == {0o600}


def test_existing_file_is_kept_unless_forced_and_the_shop_keeps_its_key(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A second init changes nothing; with --force the settings change and the key stays."""
    out = ["--out", str(tmp_path)]
    assert main(["init", "--yes", *out]) == 0
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert main(["init", "--yes", "--set", "promise=9m", *out]) == 2
    assert "exists already" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in before} == before
    assert main(["init", "--yes", "--set", "promise=9m", "--force", *out]) == 0
    assert load(tmp_path / "monitor.yaml", environ={}).settings.promise.default_ms == 540_000
    key = tmp_path / "keys" / "main-shop.key"
    assert key.read_bytes() == before[key]
    (tmp_path / "monitor.yaml").unlink()
    assert main(["init", "--yes", *out]) == 2
    assert str(key) in capsys.readouterr().err


def test_questions_are_asked_again_until_the_answer_is_good(tmp_path: Path) -> None:
    """A wrong answer gets a word on why; Enter takes the default; stdout stays clean for JSON."""
    answers = ["en", "Mars", "UTC", *[""] * (len(QUESTIONS) - 2)]
    done = run(tmp_path, "init", "--json", given=("\n".join(answers) + "\n").encode())
    assert done.returncode == 0
    assert load(tmp_path / "monitor.yaml", environ={}).settings.timezone == "UTC"
    assert json.loads(done.stdout)["config"] == "monitor.yaml"
    assert "must be a time zone such as Asia/Shanghai or UTC" in done.stderr
    assert "Time zone of the shop" in done.stderr


@pytest.mark.parametrize("given", [b"", b"en\n", b"en\n\xff\xfe\n"])
def test_half_an_interview_writes_nothing(tmp_path: Path, given: bytes) -> None:
    """Input that ends early or cannot be read is one line after the questions, and no file."""
    done = run(tmp_path, "init", given=given)
    assert done.returncode == 2
    assert "error: the " in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        ("promis=3m", "error: --set: there is no question 'promis'; did you mean 'promise'?\n"),
        ("promise", "error: --set promise has no answer; write --set promise=…\n"),
        ("currency=yuan", "error: --set currency: must be a three-letter code"),
    ],
)
def test_bad_answer_beforehand_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], pair: str, message: str
) -> None:
    """A mistake in --set is one line, and nothing is written."""
    assert main(["init", "--yes", "--out", str(tmp_path), "--set", pair]) == 2
    assert capsys.readouterr().err.startswith(message)
    assert list(tmp_path.iterdir()) == []
