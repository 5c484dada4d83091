"""Where the command line finds the service when no option says it: the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping

DEFAULT_URL = "http://127.0.0.1:8080"


def default_url(environ: Mapping[str, str] | None = None) -> str:
    """Address of the service: `DELIVERY_MONITOR_URL`, else this machine."""
    return _environment(environ).get("DELIVERY_MONITOR_URL") or DEFAULT_URL


def default_key(environ: Mapping[str, str] | None = None) -> str | None:
    """API key or token in `DELIVERY_MONITOR_KEY`, if any."""
    return _environment(environ).get("DELIVERY_MONITOR_KEY") or None


def _environment(environ: Mapping[str, str] | None) -> Mapping[str, str]:
    return os.environ if environ is None else environ
