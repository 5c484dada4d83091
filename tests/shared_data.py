"""Where real data for tests may lie: beside the checkout, never inside it (no licence is stated).

The product's tests must pass without it, so a test that needs it is marked `needs_shared_data`: it
is skipped when the data is absent, in CI too. That is the only skip that CI forgives.
"""

import os
from pathlib import Path

MARKER = "needs_shared_data"
_GIVEN = os.environ.get("DELIVERY_MONITOR_SHARED")
SHARED = Path(_GIVEN) if _GIVEN else Path(__file__).resolve().parents[2] / "shared"


def missing(root: Path = SHARED) -> str | None:
    """Why tests on real data cannot run; None if they can."""
    folder = root / "data"
    if folder.is_dir():
        return None
    return f"no real data in {folder}; DELIVERY_MONITOR_SHARED names another place"
