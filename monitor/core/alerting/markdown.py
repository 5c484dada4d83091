"""Text from outside inside a Markdown message: shown as it is, never read as markup.

Order ids, channels, labels and reasons come from shops and suppliers. As markup an id could hide
its underscores or show a link to somewhere else under an innocent name. Backslashes are what chat
robots that read Markdown understand.
"""

from __future__ import annotations

_ESCAPES = str.maketrans({sign: f"\\{sign}" for sign in "\\`*_[]<~"} | {"\n": " ", "\r": " "})


def escaped(text: str) -> str:
    """Write a text so that Markdown shows exactly its characters, on one line."""
    return text.translate(_ESCAPES)
