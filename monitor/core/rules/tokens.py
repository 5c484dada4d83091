"""Cut the text of a rule into tokens; everything that cannot be cut is a ParseError."""

from __future__ import annotations

import re

import msgspec

TEXT_MAX = 2_000
KEYWORDS = ("and", "or", "not", "by", "last")

_TOKEN = re.compile(
    r"""
    (?P<space>[ \t\r\n]+)
  | (?P<duration>(?:[0-9]{1,12}(?:\.[0-9]{1,6})?(?:ms|[smhdw]))+(?![A-Za-z0-9_.]))
  | (?P<percent>[0-9]{1,12}(?:\.[0-9]{1,12})?%)
  | (?P<number>(?:[0-9]{1,12}(?:\.[0-9]{1,12})?|\.[0-9]{1,12})(?![A-Za-z0-9_.]))
  | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
  | (?P<string>"(?:[^"\\\n]|\\["\\])*"|'(?:[^'\\\n]|\\['\\])*')
  | (?P<op>>=|<=|==|!=|=~|!~|[-+*/<>=(){}\[\],:])
    """,
    re.VERBOSE,
)
_ADVICE = {
    "&": "write 'and'",
    "|": "write 'or'",
    "!": "write 'not'",
    "≥": "write '>='",
    "%": "write 2% without space",
}
_QUOTES = "'\""


class ParseError(ValueError):
    """The text is not a rule; `column` is 1-based within it."""

    def __init__(self, message: str, column: int) -> None:
        super().__init__(message)
        self.column = column


class Token(msgspec.Struct, frozen=True):
    """`kind`: duration, percent, number, word, keyword, string, op or end."""

    kind: str
    text: str
    column: int


def tokenize(text: str) -> list[Token]:
    """Cut the text; the last token is `end`. Raises: ParseError."""
    if len(text) > TEXT_MAX:
        raise ParseError(f"the expression is longer than {TEXT_MAX} characters", TEXT_MAX + 1)
    tokens: list[Token] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise _unexpected(text, at)
        kind, word = match.lastgroup, match.group()
        assert kind is not None
        if kind == "word" and word in KEYWORDS:
            kind = "keyword"
        if kind != "space":
            tokens.append(Token(kind, word, at + 1))
        at = match.end()
    tokens.append(Token("end", "", len(text) + 1))
    return tokens


def unquote(token: Token) -> str:
    """Give the text of a string token without quotes and escapes."""
    return re.sub(r"\\(.)", r"\1", token.text[1:-1])


def _unexpected(text: str, at: int) -> ParseError:
    character = text[at]
    if character in _QUOTES:
        return ParseError("a quoted text must end on the same line with the same quote", at + 1)
    if character == "." and at and (text[at - 1].isalnum() or text[at - 1] == "_"):
        return ParseError("put a name with dots in quotes", at + 1)
    if character.isdigit() or character == ".":
        word = re.match(r"[\w.]+", text[at:])
        shown = word.group()[:40] if word else character
        return ParseError(f"{shown!r} is not a number or duration such as 2%, 3m, 1.5", at + 1)
    advice = _ADVICE.get(character)
    return ParseError(f"unexpected {character!r}" + (f"; {advice}" if advice else ""), at + 1)
