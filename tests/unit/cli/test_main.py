"""The frame of the command line: help, spelling, exit codes, and no traceback whatever happens."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from monitor import __version__
from monitor.cli.main import INTERRUPTED, VERBS, main
from tests.e2e.serving import ENVIRONMENT, ROOT, run


@pytest.mark.parametrize("arguments", [[], ["help"], ["--help"], ["-h"]])
def test_help_names_every_verb(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Help is one page with all verbs and examples."""
    assert main(arguments) == 0
    shown = capsys.readouterr().out
    assert [verb for verb in VERBS if f"\n  {verb} " not in shown] == []
    assert "delivery-monitor demo" in shown


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself_with_examples_and_takes_json(
    verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """`VERB --help` and `help VERB` are the same page, with an example to copy and --json."""
    assert main([verb, "--help"]) == 0
    shown = capsys.readouterr().out
    assert f"  delivery-monitor {verb}" in shown.partition("Examples:")[2]
    assert "--json" in shown
    assert main(["help", verb]) == 0
    assert capsys.readouterr().out == shown


def test_version_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """`--version` prints name and version."""
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"delivery-monitor {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["serv"], "error: unknown verb 'serv'; did you mean 'serve'?\n"),
        (["help", "ordr"], "error: unknown verb 'ordr'; did you mean 'order'?\n"),
        (
            ["check", "--bogus"],
            "error: unrecognized arguments: --bogus; see delivery-monitor check --help\n",
        ),
        (
            ["order"],
            "error: the following arguments are required: ID; see delivery-monitor order --help\n",
        ),
        (["emit", "pad", "A1"], "error: unknown event type 'pad'; did you mean 'paid'?\n"),
        (
            ["emit", "paid"],
            "error: order.paid needs an order id; delivery-monitor emit paid A1\n",
        ),
        (
            ["order", "A1", "--url", "http://[::1"],
            "error: 'http://[::1' is not an address; write http://127.0.0.1:8080\n",
        ),
        (
            ["order", "A1", "--url", "http://h:port"],
            "error: 'http://h:port' is not an address; write http://127.0.0.1:8080\n",
        ),
        (
            ["order", "A1", "--key", "a\nb"],
            "error: the key is not one line of ASCII text; check --key or --key-file\n",
        ),
    ],
)
def test_wrong_use_is_one_line_with_a_way_out(
    arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 2, nothing on standard output, one line that says what to do."""
    assert main(arguments) == 2
    assert capsys.readouterr() == ("", line)


def test_wrong_use_with_json_is_an_object(capsys: pytest.CaptureFixture[str]) -> None:
    """A program that asked for JSON gets its errors as JSON too."""
    assert main(["check", "--json", "--bogus"]) == 2
    shown = capsys.readouterr()
    assert shown.err == ""
    assert json.loads(shown.out) == {
        "error": "usage",
        "message": "unrecognized arguments: --bogus",
        "hint": "see delivery-monitor check --help",
    }


def test_key_file_of_every_bad_kind_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Missing, a folder, not text, empty: each says which file."""
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    for name in ("missing", ".", "binary", "empty"):
        path = tmp_path / name
        assert main(["order", "A1", "--key-file", str(path)]) == 2
        shown = capsys.readouterr().err
        assert shown.startswith(f"error: {path}")
        assert shown.count("\n") == 1


def test_silent_address_says_how_to_start_the_service(capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody listens on port 9 of this machine."""
    assert main(["orders", "--url", "http://127.0.0.1:9"]) == 1
    assert "start it with `delivery-monitor serve`" in capsys.readouterr().err


def test_listen_that_is_no_address_ends_with_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong option is named as one, without line and column."""
    assert main(["serve", "--listen", "here", "--data-dir", str(tmp_path)]) == 2
    assert capsys.readouterr().err == (
        "error: --listen: listen must be host:port such as 127.0.0.1:8080\n"
    )


@pytest.mark.parametrize("given", [["help"], ["order", "--json"]])
def test_reader_that_leaves_early_hears_no_complaint(given: list[str]) -> None:
    """`delivery-monitor help | head -0` is quiet, and reports the closed pipe like other tools.

    So is an error that was to be said as JSON.
    """
    read_end, write_end = os.pipe()
    os.close(read_end)
    with os.fdopen(write_end, "wb") as pipe:
        done = subprocess.run(
            [sys.executable, "-m", "monitor", *given],
            stdout=pipe,
            stderr=subprocess.PIPE,
            env=ENVIRONMENT,
            cwd=ROOT,
            check=False,
            timeout=30,
        )
    assert (done.returncode, done.stderr) == (141, b"")


def test_interrupt_ends_quietly() -> None:
    """Ctrl-C while a verb waits for input ends with 130 and no traceback."""
    with subprocess.Popen(
        [sys.executable, "-m", "monitor", "init", "--out", "never"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
        cwd=ROOT,
    ) as process:
        assert process.stderr is not None
        while not process.stderr.read(1).isspace():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, rest = process.communicate(timeout=30)
    assert process.returncode == INTERRUPTED
    assert b"Traceback" not in rest


def test_terminal_that_is_not_utf_8_shows_escapes() -> None:
    """Chinese text on a Latin-1 terminal is escaped instead of ending the program."""
    done = subprocess.run(
        [sys.executable, "-m", "monitor", "emit", "运维", "A1"],
        env=ENVIRONMENT | {"PYTHONIOENCODING": "latin-1:strict", "PYTHONUTF8": "0"},
        cwd=ROOT,
        capture_output=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 2
    assert done.stderr.startswith(rb"error: unknown event type '\u8fd0\u7ef4'; one of ")


def test_unexpected_error_is_one_line_and_asks_for_a_report() -> None:
    """Even a bug shows no traceback: here a program that breaks the frame on purpose."""
    script = (
        "import sys; sys.argv = ['delivery-monitor', 'help']\n"
        "from monitor.cli import main\n"
        "main.VERBS = None\n"
        "raise SystemExit(main.main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=ENVIRONMENT,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: AttributeError at main.py:")
    assert done.stderr.endswith("; this is a bug, please report it\n")
    assert done.stderr.count("\n") == 1


def test_check_does_not_load_the_service() -> None:
    """`check` starts fast because it never imports the web server, the database or numpy."""
    script = (
        "import sys\n"
        "from monitor.cli.main import main\n"
        "assert main(['check']) == 0\n"
        "print(sorted({'aiohttp', 'apsw', 'numpy', 'jinja2', 'opentelemetry'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=ENVIRONMENT,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.stdout == "ok\n[]\n", done.stderr


def test_check_names_every_problem_and_ends_with_2(tmp_path: Path) -> None:
    """Configuration and rules are both looked at, as text and as JSON."""
    (tmp_path / "monitor.yaml").write_text("promis: {}\n", encoding="utf-8")
    (tmp_path / "r.yaml").write_text("groups: 3\n", encoding="utf-8")
    command = ("check", "--config", "monitor.yaml", "--rules", "r.yaml")
    done = run(tmp_path, *command)
    assert (done.returncode, done.stdout) == (2, "")
    places = [line.split()[0] for line in done.stderr.splitlines()]
    assert places == ["monitor.yaml:1:1", "r.yaml:1:9"]
    as_json = json.loads(run(tmp_path, *command, "--json").stdout)
    assert as_json["ok"] is False
    assert [problem["path"] for problem in as_json["problems"]] == ["monitor.yaml", "r.yaml"]
