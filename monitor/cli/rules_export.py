"""Write rules for Prometheus: equivalent PromQL over the metrics of this monitor.

What Prometheus cannot answer becomes a comment in the file and a line on standard error; so does
what is only nearly the same. The result passes `promtool check rules`.

Examples:
  delivery-monitor rules export --prometheus
  delivery-monitor rules export --prometheus rules/ -o /etc/prometheus/delivery.yml
"""

from __future__ import annotations

import argparse
from pathlib import Path

import msgspec

from monitor.cli.output import say, say_json, warn
from monitor.config.prometheus_export import export
from monitor.config.rules_file import load_rules, load_shipped


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `rules export`."""
    parser.add_argument("rules", nargs="*", type=Path, metavar="P",
                        help="rule file or folder (default: the shipped rules)")  # fmt: skip
    parser.add_argument("--prometheus", action="store_true", required=True,
                        help="the format; there is one")  # fmt: skip
    parser.add_argument("-o", "--output", type=Path, metavar="F", help="file (default: stdout)")


def run(options: argparse.Namespace) -> int:
    """Write the file; what is missing from it is said and no error."""
    exported = export(load_rules(options.rules) if options.rules else load_shipped())
    if options.output is not None:
        options.output.write_text(exported.text, encoding="utf-8")
    if options.json:
        say_json({"rules": msgspec.to_builtins(exported.said), "text": exported.text})
        return 0
    for one in exported.said:
        for note in one.notes:
            warn(f"{one.alert}: {note}" if one.is_exported else f"{one.alert} left out: {note}")
    if options.output is None:
        say(exported.text.rstrip("\n"))
    return 0
