"""Replaces `${env:NAME}` in the text of the file, and refuses secrets written there in plain."""

from __future__ import annotations

import re
from collections.abc import Mapping

from monitor.config.report import Report, dotted
from monitor.config.yaml_lines import YamlPath

_REFERENCE = re.compile(r"\$\{env:(?P<name>[A-Za-z_][A-Za-z0-9_]*)\}")
_LOOKALIKE = re.compile(r"\$\{(?:env:[^}]*\}?|[A-Za-z_][A-Za-z0-9_]*\})")
_SECRET_KEYS = ("secret", "api_key", "key", "password", "token")
_BODIES = ("json", "form", "headers")
_TOKEN_KEYS = (*_SECRET_KEYS, "access_token", "authorization", "cookie", "x-api-key")
_TOKEN_IN_URL = re.compile(r"^https?://.*[?&](?:access_token|token|secret|api_key|key)=[^&$\{]")
# Below these keys names are the shop's or the supplier's, not ours.
_FOREIGN = ("json", "form", "headers", "answer", "errors", "promise", "skus", "reply", "key_policy")


def replace_references(
    document: object, environ: Mapping[str, str], report: Report
) -> tuple[object, list[YamlPath]]:
    """Copy the document with every `${env:NAME}` replaced.

    What cannot be replaced is reported; its places are returned too.
    """
    failed: list[YamlPath] = []

    def copy(value: object, at: YamlPath) -> object:
        if isinstance(value, dict):
            return {key: copy(item, (*at, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [copy(item, (*at, index)) for index, item in enumerate(value)]
        if isinstance(value, str) and "${" in value:
            count = len(report.errors)
            value = _replaced(value, at, environ, report)
            failed.extend([at] if len(report.errors) > count else [])
        return value

    return copy(document, ()), failed


def refuse_plain_secrets(document: object, report: Report) -> list[YamlPath]:
    """Report every secret written in the file itself; returns their places."""
    found: list[YamlPath] = []

    def walk(value: object, at: YamlPath) -> None:
        if isinstance(value, list):
            for index, item in enumerate(value):
                walk(item, (*at, index))
        elif isinstance(value, dict):
            for key, item in value.items():
                if key in _SECRET_KEYS and item is not None and not _is_reference(item):
                    found.append((*at, key))
                elif key not in _FOREIGN:
                    walk(item, (*at, key))

    walk(document, ())
    for at in found:
        report.error(
            at,
            f"{dotted(at)} must not be written in this file",
            f"put it in a file and name it with {at[-1]}_file, or write ${{env:NAME}}",
        )
    return found


def warn_plain_tokens(document: object, report: Report) -> None:
    """Warn about tokens written out in URLs, headers and bodies, where no key of ours names them."""

    def walk(value: object, at: YamlPath) -> None:
        if isinstance(value, list):
            for index, item in enumerate(value):
                walk(item, (*at, index))
        elif isinstance(value, dict):
            for key, item in value.items():
                walk(item, (*at, key))
        elif isinstance(value, str) and _shows_token(value, at):
            message = f"{dotted(at)} carries a secret that can be read in this file"
            report.warn(at, message, "write ${env:NAME} in its place")

    walk(document, ())


def _shows_token(value: str, at: YamlPath) -> bool:
    if _TOKEN_IN_URL.search(value):
        return True
    is_named = any(part in _BODIES for part in at[:-1]) and str(at[-1]).lower() in _TOKEN_KEYS
    return is_named and "${" not in value and "{{" not in value


def _is_reference(value: object) -> bool:
    return isinstance(value, str) and _LOOKALIKE.search(value) is not None


def _replaced(value: str, at: YamlPath, environ: Mapping[str, str], report: Report) -> str:
    for match in _LOOKALIKE.finditer(value):
        column = match.start() + 1
        reference = _REFERENCE.fullmatch(match[0])
        if reference is None:
            name = match[0].strip("${}").removeprefix("env:")
            hint = f"write ${{env:{name}}}" if name.isidentifier() else "write ${env:NAME}"
            report.error_inside(at, column, f"{dotted(at)} has a reference without meaning", hint)
        elif not environ.get(reference["name"]):
            state = "empty" if reference["name"] in environ else "not set"
            report.error_inside(
                at, column, f"the environment variable {reference['name']} is {state}"
            )
    return _REFERENCE.sub(lambda match: environ.get(match["name"]) or match[0], value)
