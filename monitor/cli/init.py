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
from pathlib import Path

from monitor.cli.asking import ask, given
from monitor.cli.key_files import write_all
from monitor.cli.output import say, say_json, warn
from monitor.config.init import QUESTIONS, Question, answer_problem, key_files
from monitor.config.init import render_config as render
from monitor.config.load import load
from monitor.model.errors import InputError

CONFIG_NAME = "monitor.yaml"


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
    answers = given(options.set, QUESTIONS, _problem)
    _refuse_overwriting(options, [CONFIG_NAME])
    if not options.yes:
        for question in QUESTIONS:
            if question.key not in answers:
                language = answers.get("language", "zh-CN")
                answers[question.key] = ask(question, language, _problem)
    text, files = render(answers), key_files(answers)
    _refuse_overwriting(options, [CONFIG_NAME, *(file.path for file in files)])
    config = options.out / CONFIG_NAME
    written, kept = write_all(config, text, files)
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


def _problem(question: Question, answer: str) -> str:
    return answer_problem(question.key, answer)


def _refuse_overwriting(options: argparse.Namespace, names: list[str]) -> None:
    there = [str(options.out / name) for name in names if (options.out / name).exists()]
    if there and not options.force:
        raise InputError(
            f"{', '.join(there)} exists already",
            code="exists",
            hint="name another folder with --out, or overwrite with --force",
        )


def _next_commands(config: Path, key: Path) -> list[str]:
    return [
        f"delivery-monitor check --config {config}",
        f"delivery-monitor doctor --config {config}",
        f"delivery-monitor serve --config {config}",
        f"delivery-monitor emit paid A1 --channel auto --key-file {key}",
    ]
