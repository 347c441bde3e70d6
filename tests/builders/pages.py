"""A page as a browser would parse it: a tree of elements, to ask questions of."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Iterator

from ckpttool.findings.results import Report
from tests.builders import extras
from tests.builders.reports import rendered

extras.pages()

#: Elements without an end tag.
_VOID = {"meta", "link", "input", "br", "img", "hr"}


class Element:
    """An element: its attributes and children, in order; text is a child, too."""

    def __init__(self, tag: str, attributes: dict[str, str | None]) -> None:
        self.tag = tag
        self.attributes = attributes
        self.children: list[Element | str] = []

    def __iter__(self) -> Iterator[Element]:
        """This element, and all below it."""
        yield self
        for child in self.children:
            if isinstance(child, Element):
                yield from child

    def all(self, tag: str = "", **attributes: str) -> list[Element]:
        """The elements of a tag with these attributes; ``class_`` is one among several classes."""
        return [
            one
            for one in self
            if tag in ("", one.tag)
            and all(
                wanted in (one.attributes.get("class") or "").split()
                if name == "class_"
                else one.attributes.get(name.replace("_", "-")) == wanted
                for name, wanted in attributes.items()
            )
        ]

    def one(self, tag: str = "", **attributes: str) -> Element:
        (found,) = self.all(tag, **attributes)
        return found

    @property
    def text(self) -> str:
        """All text in it, white space joined."""
        parts = [child if isinstance(child, str) else child.text for child in self.children]
        return " ".join(" ".join(parts).split())


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Element("", {})
        self._open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), "an attribute twice"
        element = Element(tag, dict(attrs))
        self._open[-1].children.append(element)
        if tag not in _VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open[-1].children.append(Element(tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open[-1].tag == tag, f"</{tag}> ends <{self._open[-1].tag}>"
        self._open.pop()

    def handle_data(self, data: str) -> None:
        self._open[-1].children.append(data)

    def end(self) -> Element:
        self.close()
        assert self._open == [self.root], "an element is not ended"
        return self.root


def parsed(text: str) -> Element:
    """The tree of a page; an error where tags do not match."""
    parser = _Parser()
    parser.feed(text)
    return parser.end()


def page_of(report: Report) -> Element:
    """The page on a report."""
    return parsed(rendered(report, "html"))
