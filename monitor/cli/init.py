"""Ask a few questions and write monitor.yaml and its key files.

Enter takes the default. Keys and secrets are written to files of mode 0600 below keys/, never into
monitor.yaml. Nothing that exists is overwritten without --force; and with it a key that was made
for the shop earlier stays as it is, because the shop uses it.

Examples:
  delivery-monitor init
  delivery-monitor init --yes --out /etc/delivery-monitor
  delivery-monitor init --yes --set language=en --set webhook_url=http://127.0.0.1:9000/alerts
"""

from __future__ import annotations

import argparse
import base64
import getpass
import os
import sys
from pathlib import Path

from monitor.adapters.ids import RandomIds
from monitor.cli.output import say, say_json, warn
from monitor.config.init import QUESTIONS, KeyFile, Question, answer_problem, key_files
from monitor.config.init import render_config as render
from monitor.config.load import load
from monitor.model.errors import InputError
from monitor.model.spelling import did_you_mean

CONFIG_NAME = "monitor.yaml"
OWNER_ONLY = 0o600
OWNER_ONLY_FOLDER = 0o700
EVERYBODY_READS = 0o644
SECRET_BYTES = 32


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--out", type=Path, default=Path(), metavar="DIR",
                        help="folder to write to (default: this one)")  # fmt: skip
    parser.add_argument("--yes", action="store_true", help="ask nothing, take the defaults")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=ANSWER",
                        help="answer a question beforehand: "
                        + ", ".join(question.key for question in QUESTIONS))  # fmt: skip
    parser.add_argument("--force", action="store_true", help="overwrite what is there")


def run(options: argparse.Namespace) -> int:
    """Ask, write, validate, and say what comes next."""
    answers = _given(options.set)
    _refuse_overwriting(options, [CONFIG_NAME])
    if not options.yes:
        for question in QUESTIONS:
            if question.key not in answers:
                answers[question.key] = _ask(question, answers.get("language", "zh-CN"))
    text, files = render(answers), key_files(answers)
    _refuse_overwriting(options, [CONFIG_NAME, *(file.path for file in files)])
    written, kept = _write(options.out, text, files)
    config = options.out / CONFIG_NAME
    loaded = load(config, environ={})
    commands = _next_commands(config, options.out / files[0].path)
    is_silent = not loaded.settings.receivers
    if options.json:
        say_json({"config": str(config), "written": written, "kept": kept,
                  "has_receiver": not is_silent, "next": commands})  # fmt: skip
        return 0
    for name in written:
        say(f"wrote {name}")
    for name in kept:
        say(f"kept  {name} (the shop uses it)")
    if is_silent:
        warn("NO RECEIVER is configured: nobody would be told. Run init again with dingtalk_url or "
             "webhook_url, or see docs/configuration.md")  # fmt: skip
    say("next:")
    for command in commands:
        say(f"  {command}")
    return 0


def _given(pairs: list[str]) -> dict[str, str]:
    """Read `--set KEY=ANSWER`; an unknown key or a bad answer is an InputError."""
    known = [question.key for question in QUESTIONS]
    answers: dict[str, str] = {}
    for pair in pairs:
        key, separator, answer = pair.partition("=")
        if key not in known:
            hint = did_you_mean(key, known) or f"known are {', '.join(known)}"
            raise InputError(f"--set: there is no question {key!r}", hint=hint)
        if not separator:
            raise InputError(f"--set {key} has no answer", hint=f"write --set {key}=…")
        if problem := answer_problem(key, answer):
            raise InputError(f"--set {key}: {problem}")
        answers[key] = answer
    return answers


def _ask(question: Question, language: str) -> str:
    """Ask until the answer is good; questions go to stderr, so that stdout stays clean."""
    shown = f" [{question.default}]" if question.default else ""
    while True:
        prompt = f"{question.text(language)}{shown}: "
        if question.is_secret and sys.stdin.isatty():
            line = getpass.getpass(prompt, sys.stderr) + "\n"
        else:
            print(prompt, end="", file=sys.stderr, flush=True)
            line = _read_line()
        if not line:
            raise InputError(
                f"the input ended before the question {question.key!r} was answered",
                hint="use --yes to take the defaults, and --set KEY=ANSWER for the rest",
            )
        problem = answer_problem(question.key, line)
        if not problem:
            return line.strip() or question.default
        warn(problem)


def _read_line() -> str:
    try:
        return sys.stdin.readline()
    except UnicodeDecodeError as error:
        raise InputError("the answer is not UTF-8", hint="type it again") from error


def _refuse_overwriting(options: argparse.Namespace, names: list[str]) -> None:
    there = [str(options.out / name) for name in names if (options.out / name).exists()]
    if there and not options.force:
        raise InputError(
            f"{', '.join(there)} exists already",
            code="exists",
            hint="name another folder with --out, or overwrite with --force",
        )


def _write(folder: Path, text: str, files: tuple[KeyFile, ...]) -> tuple[list[str], list[str]]:
    """Write everything, the keys first; returns the names of what was written and kept."""
    folder.mkdir(parents=True, exist_ok=True)
    written: list[str] = []
    kept: list[str] = []
    for file in files:
        path = folder / file.path
        path.parent.mkdir(mode=OWNER_ONLY_FOLDER, exist_ok=True)
        if file.content is None and path.exists():
            path.chmod(OWNER_ONLY)
            kept.append(str(path))
            continue
        _replace(path, f"{_content(file)}\n", OWNER_ONLY)
        written.append(str(path))
    _replace(folder / CONFIG_NAME, text, EVERYBODY_READS)
    return [*written, str(folder / CONFIG_NAME)], kept


def _content(file: KeyFile) -> str:
    if file.content is not None:
        return file.content.reveal()
    ids = RandomIds()
    if file.kind == "api_key":
        return f"dm_{ids.new_token()}"
    assert file.kind == "webhook_secret", file.kind
    return f"whsec_{base64.b64encode(ids.new_bytes(SECRET_BYTES)).decode('ascii')}"


def _replace(path: Path, text: str, mode: int) -> None:
    """Write a file that appears whole, with its mode, or not at all."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _next_commands(config: Path, key: Path) -> list[str]:
    return [
        f"delivery-monitor check --config {config}",
        f"delivery-monitor doctor --config {config}",
        f"delivery-monitor serve --config {config}",
        f"delivery-monitor emit paid A1 --channel auto --key-file {key}",
    ]
