"""Reads the certificate's page as a reader's tools do: its words, its tables, and all that it refers to."""

from html.parser import HTMLParser

VOID = {"meta", "img", "br", "link", "hr"}


class Page(HTMLParser):
    """``words`` without tags and style, ``rows`` of every table, ``tags`` with their attributes, unclosed tags."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.open: list[str] = []
        self.pieces: list[str] = []
        self.style = ""
        self.rows: list[list[str]] = []
        self.feed(text)
        self.close()
        self.words = " ".join(" ".join(self.pieces).split())

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("th", "td"):
            self.rows[-1].append("")

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        if tag in ("th", "td"):
            self.rows[-1][-1] = " ".join(self.rows[-1][-1].split())

    def handle_data(self, data):
        if "style" in self.open:
            self.style += data
            return
        self.pieces.append(data)
        if {"th", "td"} & set(self.open):
            self.rows[-1][-1] += data

    def of(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]

    def references(self):
        """Every value that could name something outside of the page."""
        names = {"src", "href", "xlink:href", "srcset", "data", "action", "poster", "background", "cite"}
        return [value for _, attributes in self.tags for name, value in attributes.items() if name in names]
