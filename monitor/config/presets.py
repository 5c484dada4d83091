"""Suppliers that are known already: `preset: dujiao-next` stands for all keys of that file.

A preset is a file of `monitor/adapters/channels/presets` with the keys of one `channels:` entry. The
entry of `monitor.yaml` is laid over it, mapping by mapping, so any key can be said otherwise. An
address that begins with `/` continues the entry's `base_url`. What a preset brought has no place in
the file, so problems of it are shown at the entry.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from monitor.config.report import Report
from monitor.config.yaml_lines import YamlPath, read_with_positions
from monitor.model.spelling import did_you_mean

FOLDER = Path(__file__).resolve().parents[1] / "adapters" / "channels" / "presets"
_NOWHERE = "https://supplier.invalid"  # one mistake is reported once
_REQUESTS = ("submit", "query", "collect", "probe")


def with_presets(document: object, report: Report) -> object:
    """Lay every channel over its preset; one that is unknown is reported."""
    if not isinstance(document, dict) or not isinstance(document.get("channels"), list):
        return document
    channels = [
        _expanded(channel, ("channels", index), report) if isinstance(channel, dict) else channel
        for index, channel in enumerate(document["channels"])
    ]
    return {**document, "channels": channels}


def preset_names() -> list[str]:
    """The presets this version brings."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def _expanded(channel: dict[str, Any], at: YamlPath, report: Report) -> dict[str, Any]:
    name = channel.get("preset")
    if name in preset_names():
        channel = _laid_over(_preset(str(name)), channel)
    elif name is not None:
        hint = did_you_mean(str(name), preset_names()) or f"known are {', '.join(preset_names())}"
        report.error((*at, "preset"), f"{report.name(at)}: there is no preset of that name", hint)
    base_url = channel.get("base_url")
    if base_url is None and any(_is_relative(channel.get(key)) for key in _REQUESTS):
        message = f"{report.name(at)} needs base_url"
        report.error(at, message, "the address of the supplier, such as https://shop.example")
        base_url = _NOWHERE
    return {
        key: _under(base_url, value) if key in _REQUESTS and _is_relative(value) else value
        for key, value in channel.items()
    }


@cache
def _preset(name: str) -> dict[str, Any]:
    read, _ = read_with_positions(FOLDER / f"{name}.yaml")
    assert isinstance(read, dict), "a preset is a mapping, a test reads them all"
    return {"kind": "http", **read}


def _laid_over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Both mappings in one; the upper one wins, in the place where the lower one has a key."""
    merged = dict(below)
    for key, value in above.items():
        old = below.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            merged[key] = _laid_over(old, value)
        else:
            merged[key] = value
    return merged


def _is_relative(request: object) -> bool:
    url = request.get("url") if isinstance(request, dict) else None
    return isinstance(url, str) and url.startswith("/")


def _under(base_url: object, request: dict[str, Any]) -> dict[str, Any]:
    """The request with its address continued from the base."""
    return {**request, "url": str(base_url).rstrip("/") + request["url"]}
