"""Print the JSON Schema (draft 2020-12) of rule files, or of rule tests, for editors.

Editors with a YAML language server use it when the first line of a file is
`# yaml-language-server: $schema=schema.json`.

Examples:
  delivery-monitor rules schema > rules/schema.json
  delivery-monitor rules schema tests -o rules/tests/schema.json
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from monitor.cli.output import say
from monitor.config.json_schema import schema_of_rules, schema_of_tests

KINDS = {"rules": schema_of_rules, "tests": schema_of_tests}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `rules schema`."""
    parser.add_argument("kind", nargs="?", choices=tuple(KINDS), default="rules",
                        help="files of rules (default) or of rule tests")  # fmt: skip
    parser.add_argument("-o", "--output", type=Path, metavar="F", help="file (default: stdout)")


def run(options: argparse.Namespace) -> int:
    """Print the schema; with --json on one line."""
    schema = KINDS[options.kind]()
    text = json.dumps(schema, ensure_ascii=False, indent=None if options.json else 2)
    if options.output is None:
        say(text)
    else:
        options.output.write_text(text + "\n", encoding="utf-8")
    return 0
