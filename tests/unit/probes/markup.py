"""HTML that is well formed, or fails the test."""

from html.parser import HTMLParser


class Wellformed(HTMLParser):
    """Every element ends where it should."""

    VOID = ("meta", "br", "link")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def parsed(page: bytes) -> Wellformed:
    """The page, read."""
    parser = Wellformed()
    parser.feed(page.decode())
    assert parser.open == []
    return parser
