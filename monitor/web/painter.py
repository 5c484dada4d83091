"""From words to HTML: Jinja2, imported and compiled when somebody looks for the first time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monitor.web.assets import Assets
from monitor.web.language import LANGUAGES, NAMES, Words
from monitor.web.now import Headline, Now

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).parent / "templates"


class Painter:
    """Renders the page and its live part."""

    def __init__(self, assets: Assets) -> None:
        self._assets = assets
        self._environment = _environment()

    def now(self, words: Words, now: Now) -> str:
        """The part of the page that changes."""
        return self._render("now.html", words, now=now)

    def starting(self, words: Words, headline: Headline, troubles: Sequence[str]) -> str:
        """The same part while there is no state to show."""
        return self._render("starting.html", words, headline=headline, troubles=troubles)

    def page(self, words: Words, title: str, body: str) -> str:
        """The whole page around its part that changes, which is HTML already."""
        from markupsafe import Markup  # noqa: PLC0415 - see the docstring of the module

        others = [(tag, NAMES[tag]) for tag in LANGUAGES]
        return self._render(
            "page.html", words, title=title, body=Markup(body), languages=others  # noqa: S704 - ours
        )  # fmt: skip

    def _render(self, name: str, words: Words, **values: Any) -> str:
        template = self._environment.get_template(name)
        return template.render(
            t=words, lang=words.language, urls=self._assets.urls,
            version=self._assets.version, **values,
        )  # fmt: skip


def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415 - memory

    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
