"""`notify test` sends through the real path and says for each integration what came back."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from monitor.cli.main import main
from tests.loopback import Answer, Loopback, loopback
from tests.security.connections import connections

CONFIG = """
language: en
notify:
  route: {{receiver: ops}}
  receivers:
    - name: ops
      dingtalk: [{{url: "{url}robot?access_token=t0ken"}}]
      webhook: [{{url: "{url}hook", secret_file: hook.secret}}]
"""


@contextmanager
def server() -> Iterator[Loopback]:
    """A scripted server on a thread of its own, because a verb runs its own event loop."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    context = loopback()
    try:
        yield asyncio.run_coroutine_threadsafe(context.__aenter__(), loop).result(10)
        asyncio.run_coroutine_threadsafe(context.__aexit__(None, None, None), loop).result(10)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def config_for(folder: Path, url: str) -> list[str]:
    secret = folder / "hook.secret"
    secret.write_text("whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=", encoding="ascii")
    secret.chmod(0o600)
    (folder / "monitor.yaml").write_text(CONFIG.format(url=url), encoding="utf-8")
    return ["--config", str(folder / "monitor.yaml")]


def test_message_reaches_every_integration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The robot gets text that says test; the webhook a signed event of the usual form."""
    with server() as target:
        target.script = [Answer(body=b'{"errcode":0}'), Answer(status=204)]
        assert main(["notify", "test", "ops", *config_for(tmp_path, target.url())]) == 0
        robot, hook = target.seen
    assert "Test message" in json.loads(robot.body)["markdown"]["text"]
    event = json.loads(hook.body)
    assert (event["type"], event["data"]["labels"]) == ("alert.firing", {"test": "true"})
    assert event["data"]["severity"] == "info"
    assert hook.headers["webhook-signature"].startswith("v1,")
    shown = capsys.readouterr().out
    assert "dingtalk/" in shown
    assert "webhook/" in shown
    assert "t0ken" not in shown


def test_one_failure_ends_with_1_and_names_the_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A robot answers 200 and refuses in its body: that is a failure, and the others still go."""
    with server() as target:
        refusal = b'{"errcode":310000,"errmsg":"sign not match"}'
        target.script = [Answer(body=refusal), Answer(status=200)]
        options = config_for(tmp_path, target.url())
        assert main(["notify", "test", "ops", *options, "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert (answer["receiver"], answer["ok"]) == ("ops", False)
    robot, hook = answer["results"]
    assert (robot["integration"].split("/")[0], robot["is_ok"]) == ("dingtalk", False)
    assert "check the robot's secret" in robot["detail"]
    assert hook["integration"].startswith("webhook/")
    assert (hook["is_ok"], hook["detail"]) == (True, "")


def test_unreachable_receiver_is_a_failure_without_its_token(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody listens on port 9: both fail, and the token of the URL is not shown."""
    options = config_for(tmp_path, "http://127.0.0.1:9/")
    assert main(["notify", "test", "ops", *options]) == 1
    shown = capsys.readouterr()
    assert shown.out.count("FAILED") == 2
    assert "t0ken" not in shown.out + shown.err


def test_redirect_is_a_failure_and_not_followed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The test button goes the way of an alert: what it may not reach, this may not either."""
    with server() as inside, server() as target, connections() as dialled:
        target.script = [Answer(status=307, headers={"Location": inside.url("inside")})]
        options = config_for(tmp_path, target.url())
        assert main(["notify", "test", "ops", *options, "--json"]) == 1
    assert [one["is_ok"] for one in json.loads(capsys.readouterr().out)["results"]] == [False] * 2
    assert dialled == [("127.0.0.1", target.port)] * 2
    assert inside.seen == []


def test_unknown_receiver_and_none_at_all_end_with_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong name gets the right one; no receiver at all is said loudly."""
    options = config_for(tmp_path, "http://127.0.0.1:9/")
    assert main(["notify", "test", "opz", *options]) == 2
    assert "there is no receiver 'opz'; did you mean 'ops'?" in capsys.readouterr().err
    assert main(["notify", "test", "ops"]) == 2
    assert "no receiver is configured: nobody would be told" in capsys.readouterr().err
