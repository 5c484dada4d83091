"""Tools around rule files: test, lint, learn limits, export; one module per verb.

Without P a verb takes the shipped rules.

Examples:
  delivery-monitor rules test
  delivery-monitor rules lint rules/ --config monitor.yaml
  delivery-monitor rules learn --events last-month.ndjson -o rules/learned.yaml
  delivery-monitor rules VERB --help
"""

from __future__ import annotations

import argparse
import importlib

from monitor.model.errors import InputError
from monitor.model.spelling import did_you_mean

# A new verb is one line here and a module `rules_<verb>.py` with `add_arguments` and `run`.
VERBS = {
    "test": "stories of orders go through the rules in virtual time",
    "backtest": "what rules would have done over recorded events, two versions side by side",
    "explain": "why a rule fires or does not, and why nobody was told",
    "lint": "rules that are correct and still will not do what was meant",
    "learn": "limits per channel and hour of the week, proposed from recorded events",
    "schema": "JSON Schema of rule files and rule tests, for editors",
    "export": "the same rules for Prometheus",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb; what follows it is read by the verb's own parser."""
    verbs = "\n".join(f"  {name:<10} {what}" for name, what in VERBS.items())
    parser.epilog = f"verbs:\n{verbs}"
    parser.add_argument("verb", metavar="VERB", help="what to do, see below")
    parser.add_argument(
        "rest", nargs=argparse.REMAINDER, metavar="…", default=[], help="see VERB --help"
    )
    parser.set_defaults(parser_type=type(parser))


def run(options: argparse.Namespace) -> int:
    """Run one verb; only its module is loaded."""
    verb: str = options.verb
    if verb not in VERBS:
        hint = did_you_mean(verb, VERBS) or f"known are {', '.join(VERBS)}"
        raise InputError(f"unknown verb 'rules {verb}'", code="usage", hint=hint)
    module = importlib.import_module(f"monitor.cli.rules_{verb}")
    parser: argparse.ArgumentParser = options.parser_type(
        prog=f"delivery-monitor rules {verb}",
        description=module.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    module.add_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print JSON, also for errors")
    try:
        chosen = parser.parse_args(options.rest)
    except SystemExit:  # --help was printed
        return 0
    chosen.json = chosen.json or options.json
    return int(module.run(chosen))
