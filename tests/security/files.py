"""YAML that is meant to hurt: bombs, cycles, depth, size, and words that other readers turn round."""

from __future__ import annotations

LAUGHS = "\n".join(
    ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
)
MERGES = "\n".join(
    ["m0: &m0 {k: v}"]
    + [f"m{n}: &m{n} {{<<: [{', '.join([f'*m{n - 1}'] * 9)}], k{n}: v}}" for n in range(1, 10)]
)

HURTING = {
    "billion laughs": LAUGHS,
    "laughs of mappings": "\n".join(
        ["a0: &a0 {x: y}"]
        + [f"a{n}: &a{n} {{p: *a{n - 1}, q: *a{n - 1}, r: *a{n - 1}}}" for n in range(1, 30)]
    ),
    "merge bomb": MERGES,
    "a cycle": "a: &a [*a]",
    "a cycle of mappings": "a: &a {b: *a}",
    "a cycle over two": "a: &a [&b [*a, *b]]",
    "a key that is itself": "? &a [*a]\n: x",
    "deep lists": "[" * 20_000,
    "deep lists that end": "[" * 5_000 + "]" * 5_000,
    "deep mappings": "{a: " * 5_000,
    "deep blocks": "\n".join(" " * n + "a:" for n in range(1_000)),
    "deep sequences": "- " * 5_000,
    "deep complex keys": "? " * 2_000,
    "many anchors": "\n".join(f"a{n}: &x{n} 1" for n in range(7_000)),
    "many aliases": "a: &a 1\nb: [" + "*a, " * 14_000 + "]",
    "many values": "a: [" + "1," * 400_000 + "]",
    "many lines": "a:\n" + "- 1\n" * 200_000,
    "many keys": "\n".join(f"key{n}: 1" for n in range(60_000)),
    "as many keys as there may be": "\n".join(f"key{n}: 1" for n in range(5_999)),
    "one key again and again": "a: 1\n" * 5_999,
    "many documents": "---\n" * 50_000,
    "a long text": "a: " + "x" * 900_000,
    "a long quoted text": 'a: "' + "\\u0041" * 150_000 + '"',
    "a long folded text": "a: >\n" + "  x\n" * 200_000,
    "a long comment": "# " + "x" * 1_000_000,
    "many comments": "#\n" * 400_000,
    "too long a file": "a: " + "x" * 5_000_000,
    "a long number": "a: " + "9" * 100_000,
    "a long float": "a: 1e" + "9" * 100_000,
    "a number in sixty": "a: " + "1:" * 50_000 + "1",
    "a long key": "x" * 100_000 + ": 1",
    "an object of the language": "a: !!python/object/apply:os.system ['true']",
    "a tag of our own": "a: !secret x",
    "tag directives": "%TAG ! tag:yaml.org,2002:python/object/apply:\n---\na: !os.system [true]",
    "many tag directives": "".join(f"%TAG !a{n}! tag:x,2000:\n" for n in range(5_000))
    + "---\na: 1",
    "binary": "a: !!binary " + "QUFB" * 50_000,
    "a set": "a: !!set {x, y}",
    "an ordered map": "a: !!omap [x: 1]",
    "control characters": "a: \x00\x01",
    "half a pair": "a: \ud800",
    "a byte order mark inside": "a: \ufeffb",
    "next line characters": "a: b\x85c: d\u2028e: f",
    "tabs": "a:\n\t- b",
    "no end": "a: 'x",
    "unknown alias": "a: *nobody",
    "an anchor again": "a: &a 1\nb: &a 2\nc: *a",
    "only punctuation": "?:-,[]{}#&*!|>'\"%@`" * 5_000,
}

# What stands there, and what it must be here: the first column is what YAML 1.1 makes of it.
WORDS: tuple[tuple[str, str, object], ...] = (
    ("False", "no", "no"),
    ("True", "yes", "yes"),
    ("True", "on", "on"),
    ("False", "off", "off"),
    ("False", "No", "No"),
    ("True", "y", "y"),
    ("10", "012", "012"),
    ("90", "1:30", "1:30"),
    ("685230", "190:20:30", "190:20:30"),
    ("31", "0x1F", "0x1F"),
    ("5", "0b101", "0b101"),
    ("1000", "1_000", "1_000"),
    ("a date", "2026-01-05", "2026-01-05"),
    ("inf", ".inf", ".inf"),
    ("nan", ".nan", ".nan"),
    ("None", "~", None),
    ("None", "null", None),
    ("True", "true", True),
    ("12", "12", 12),
    ("1.5", "1.5", 1.5),
    ("the same", "3m", "3m"),
    ("the same", "2%", "2%"),
)
