"""Validate configuration and rules; prints every problem as file:line:col.

Exit 0 when all is well, 2 with problems. Warnings, such as a token that is written in the file, do
not change the exit code; with --strict they are problems.

Examples:
  delivery-monitor check --config monitor.yaml
  delivery-monitor check --rules rules/
  delivery-monitor check --strict --config monitor.yaml
"""

from __future__ import annotations

import argparse
from pathlib import Path

import msgspec

from monitor.cli.output import line_of, say, say_json, warn
from monitor.config.check_files import check_all


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--config", type=Path, metavar="F", help="monitor.yaml")
    parser.add_argument("--rules", type=Path, action="append", metavar="P", default=[],
                        help="rule file or folder (default: the shipped rules)")  # fmt: skip
    parser.add_argument("--strict", action="store_true", help="warnings are problems")


def run(options: argparse.Namespace) -> int:
    """Print what is wrong; 0 or 2."""
    problems, warnings = check_all(options.config, options.rules)
    if options.strict:
        problems, warnings = [*problems, *warnings], []
    if options.json:
        say_json(
            {
                "ok": not problems,
                "problems": [msgspec.to_builtins(one) for one in problems],
                "warnings": [msgspec.to_builtins(one) for one in warnings],
            }
        )
    else:
        for one in problems:
            warn(line_of(one))
        for one in warnings:
            warn(f"warning: {line_of(one)}")
        if not problems:
            say("ok")
    return 2 if problems else 0
