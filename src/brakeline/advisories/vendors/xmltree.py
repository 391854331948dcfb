"""XML of vendors -> elements, one wanted part after another, bounded; pure.

Read by expat as it comes, so that only the part that is open is in memory. Invariants: a document type is refused, and
with it every entity that could unfold or lead anywhere; depth, elements, their attributes, texts and single tags are
bounded; it is UTF-8, or UTF-16 with its mark, whatever it claims. Whatever is wrong is a `ValueError`, and no other
error comes out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final
from xml.parsers import expat

DEPTH_MAX: Final = 64
ELEMENTS_MAX: Final = 20_000_000  # of a whole file; Red Hat's largest has about 3 million
PART_ELEMENTS_MAX: Final = 1_000_000  # of one part: a month of Microsoft names 3,000 products
PART_CHARS_MAX: Final = 32 * 1024 * 1024
ATTRIBUTES_MAX: Final = 64
TOKEN_BYTES_MAX: Final = 4 * 1024 * 1024  # of one tag or comment; the text between tags comes in pieces
CHUNK: Final = 1 << 16
BOM: Final = b"\xef\xbb\xbf"


class Element:
    """One element with what is in it. `name` without its namespace; `text`: its own, without that of its children."""

    __slots__ = ("attributes", "children", "name", "text")

    def __init__(self, name: str, attributes: dict[str, str]) -> None:
        self.name, self.attributes = name, attributes
        self.text = ""
        self.children: list[Element] = []

    def all(self, name: str) -> list[Element]:
        """Its children of this name."""
        return [child for child in self.children if child.name == name]

    def first(self, name: str) -> Element | None:
        """The first child of this name."""
        return next((child for child in self.children if child.name == name), None)

    def said(self, *path: str) -> str:
        """The text at the end of a path of first children; "" where there is none."""
        here: Element | None = self
        for name in path:
            here = here.first(name) if here is not None else None
        return here.text.strip() if here is not None else ""

    def walk(self) -> Iterator[Element]:
        """Itself and everything below, in the order of the document."""
        left = [self]
        while left:
            here = left.pop()
            yield here
            left += reversed(here.children)


class _Reader:
    def __init__(self, root: str, wanted: Callable[[str], bool]) -> None:
        self._root, self._wanted = root, wanted
        self._depth = self._count = self._part = self._chars = 0
        self._open: list[Element] = []
        self._texts: list[list[str]] = []
        self.done: list[Element] = []
        self.heard = False  # whether anything came out of the last piece

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self.heard = True
        self._depth, self._count = self._depth + 1, self._count + 1
        if self._depth > DEPTH_MAX or self._count > ELEMENTS_MAX or len(attributes) > ATTRIBUTES_MAX:
            raise ValueError(f"nested deeper than {DEPTH_MAX}, or too many elements or attributes")
        if self._depth == 1 and name != self._root:
            raise ValueError(f"its root is {name[:80]!r}, not {self._root!r}")
        local = name.rpartition(" ")[2]
        if not self._open and (self._depth == 1 or not self._wanted(local)):
            return
        self._part = self._part + 1 if self._open else 1
        self._count_chars(sum(map(len, attributes.values())), anew=not self._open)
        element = Element(local, {key.rpartition(" ")[2]: value for key, value in attributes.items()})
        if self._open:
            self._open[-1].children.append(element)
        self._open.append(element)
        self._texts.append([])
        if self._part > PART_ELEMENTS_MAX:
            raise ValueError(f"one part has more than {PART_ELEMENTS_MAX} elements")

    def end(self, _: str) -> None:
        self.heard = True
        self._depth -= 1
        if self._open:
            element = self._open.pop()
            element.text = "".join(self._texts.pop())
            if not self._open:
                self.done.append(element)

    def text(self, said: str) -> None:
        self.heard = True
        if self._open:
            self._count_chars(len(said))
            self._texts[-1].append(said)

    def other(self, *_: object) -> None:
        self.heard = True

    def doctype(self, *_: object) -> None:
        raise ValueError("it declares a document type: entities are not read")

    def _count_chars(self, more: int, *, anew: bool = False) -> None:
        self._chars = more if anew else self._chars + more
        if self._chars > PART_CHARS_MAX:
            raise ValueError(f"one part has more than {PART_CHARS_MAX} characters")


def is_xml(data: bytes) -> bool:
    """Whether these bytes begin as XML does."""
    return data[:64].removeprefix(BOM).lstrip().startswith(b"<")


def parts(data: bytes, root: str, wanted: Callable[[str], bool]) -> Iterator[Element]:
    """Each outermost element whose name is wanted, in the order of the document. `root`: "NAMESPACE name" of the whole.

    Raises `ValueError`.
    """
    reader = _Reader(root, wanted)
    parser = expat.ParserCreate("UTF-8", " ")
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = reader.start, reader.end
    parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = reader.text, reader.doctype
    parser.CommentHandler = parser.ProcessingInstructionHandler = reader.other
    quiet = 0
    try:
        for begun in range(0, max(len(data), 1), CHUNK):
            reader.heard = False
            parser.Parse(data[begun : begun + CHUNK], begun + CHUNK >= len(data))
            quiet = 0 if reader.heard else quiet + CHUNK
            if quiet > TOKEN_BYTES_MAX:
                raise ValueError(f"one tag has more than {TOKEN_BYTES_MAX} bytes")
            yield from reader.done
            reader.done.clear()
    except expat.ExpatError as e:
        raise ValueError(f"no XML: {str(e)[:80]}") from None
