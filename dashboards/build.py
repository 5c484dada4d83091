"""Writes the Grafana dashboards of this folder: `python -m dashboards.build`.

The JSON files are generated and checked in; a test fails when they differ from what this script
makes. Built with the Grafana Foundation SDK for Grafana 11.6. Queries use only metrics of
`monitor/adapters/telemetry/catalogue.py`.
"""

from __future__ import annotations

from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from dashboards.now import now

FOLDER = Path(__file__).parent


def rendered() -> dict[str, str]:
    """File name → text of every dashboard."""
    encoder = JSONEncoder(sort_keys=True, indent=2)
    return {"now.json": encoder.encode(now()) + "\n"}


def main() -> None:
    """Write the files beside this script."""
    for name, text in rendered().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
        print(f"wrote {FOLDER / name}")


if __name__ == "__main__":
    main()
