"""A page as a reader takes it in: its text, its tags and what a browser would refuse to run."""

from html.parser import HTMLParser

VOID = ("meta", "link", "img", "br", "use", "path", "rect", "circle")


class Reading(HTMLParser):
    """Text by section, tags with attributes, and whether every tag is closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.inside: list[str] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()
        assert self.inside == [], f"never closed: {self.inside}"

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def count(self, tag: str, **attributes: str) -> int:
        return sum(name == tag and attributes.items() <= found.items() for name, found in self.tags)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.inside.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        assert self.inside, f"</{tag}> closes nothing"
        assert self.inside.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def forbidden(reading: Reading) -> list[str]:
    """What the page's policy would block: inline script and style, handlers, foreign addresses."""
    found = []
    for tag, attributes in reading.tags:
        if tag == "style" or (tag == "script" and "src" not in attributes):
            found.append(f"<{tag}>")
        for name, value in attributes.items():
            if name.startswith("on") or name == "style":
                found.append(f"<{tag} {name}>")
            if name in ("href", "src", "action") and not value.startswith(("/", "#")):
                found.append(f"<{tag} {name}={value}>")
    return found
