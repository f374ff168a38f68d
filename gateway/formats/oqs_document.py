"""
Read one eligibility request as a document: encoding, well-formedness, its items and their source.

The official interface specification is not public; this follows what independent clients write.
Items keep the exact source between their tags, because clients find their answer by it
(oqs-interface.md 1.6 and 5.14). A DTD is refused whole, so there is nothing to expand.
Sources: oqs-interface.md 1.5, 2.1, 5.14-5.16.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final
from xml.parsers import expat

from gateway.domain.errors import InvalidInput, TooMuch
from gateway.formats.text import Encoding, codec, encoding_named

REQUEST_BYTES_MAX: Final = 64 * 1024

HEADER_ITEMS: Final = (
    "QualificationConfirmationDate",
    "MedicalInstitutionCode",
    "ArbitraryFileIdentifier",
)
SEARCH_ITEMS: Final = (
    "InsurerNumber",
    "InsuredCardSymbol",
    "InsuredIdentificationNumber",
    "InsuredBranchNumber",
    "Birthdate",
    "LimitApplicationCertificateRelatedConsFlg",
    "ArbitraryIdentifier",
)

_HEADER: Final = ("XmlMsg", "MessageHeader")
_SEARCH: Final = ("XmlMsg", "MessageBody", "QualificationConfirmSearchInfo")
_GROUPS: Final = frozenset({_HEADER[:1], _HEADER, _SEARCH[:2], _SEARCH})
_ITEMS: Final = frozenset(
    {(*_HEADER, name) for name in HEADER_ITEMS} | {(*_SEARCH, name) for name in SEARCH_ITEMS}
)
_DEPTH_MAX: Final = 16

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_DECLARATION_BYTES_MAX: Final = 256
_DECLARATION: Final = re.compile(
    rb"""<\?xml\s+version\s*=\s*(["'])1\.[0-9]\1"""
    rb"""(?:\s+encoding\s*=\s*(["'])(?P<encoding>[A-Za-z][A-Za-z0-9._-]*)\2)?"""
    rb"""(?:\s+standalone\s*=\s*(["'])(?:yes|no)\4)?\s*\?>"""
)
_JAPANESE_FROM: Final = "\u2000"


@dataclass(frozen=True, slots=True)
class Source:
    """
    An item as it was written: `text` between its tags, entities untouched, and the same as bytes.

    The bytes matter because code page 932 has two spellings for some characters.
    """

    text: str
    raw: bytes


@dataclass(slots=True)
class Document:
    """
    The known items of one request, by element name, in the order they came.

    `values` are the items' texts, entities expanded; `sources` the same as written.
    """

    encoding: Encoding
    header_values: dict[str, str] = field(default_factory=dict)
    header_sources: dict[str, Source] = field(default_factory=dict)
    search_values: dict[str, str] = field(default_factory=dict)
    search_sources: dict[str, Source] = field(default_factory=dict)


def is_complete(data: bytes) -> bool:
    """
    Whether the bytes are a whole well-formed document, or one that more bytes cannot save.

    False while more bytes may follow: not well formed, or cut off in the middle of a character.
    True does not mean that the document is a good request. An encoding that is not accepted and
    a DTD settle the matter at once.
    """
    try:
        encoding, content = _undeclared(data)
        parser = _parser()
        parser.Parse(content.decode(codec(encoding)).encode(), True)
    except (UnicodeDecodeError, expat.ExpatError):
        return False
    except InvalidInput:
        return True
    return True


def read_document(data: bytes, bytes_max: int = REQUEST_BYTES_MAX) -> Document:
    """
    Read the items of a request, any order, pretty-printed or not; unknown elements are passed over.

    Raises:
        TooMuch: `MESSAGE_TOO_LARGE` over `bytes_max` bytes.
        InvalidInput: `ENCODING_WRONG` for another encoding than UTF-8 or Shift_JIS, or for bytes
            that are not in the declared one; `MESSAGE_MALFORMED` for anything else.
    """
    if len(data) > bytes_max:
        raise TooMuch("MESSAGE_TOO_LARGE", bytes_max=str(bytes_max))
    encoding, content = _undeclared(data)
    try:
        text = content.decode(codec(encoding))
    except UnicodeDecodeError:
        raise InvalidInput("ENCODING_WRONG") from None
    if encoding == "shift_jis" and _is_utf8_japanese(content):
        raise InvalidInput("ENCODING_WRONG")
    return _Reader(encoding, content, text).read()


def _refused(*_: object) -> None:
    raise InvalidInput("MESSAGE_MALFORMED")


def _parser() -> expat.XMLParserType:
    """Make a parser of UTF-8 that refuses a DTD and a declaration it should not see any more."""
    parser = expat.ParserCreate("UTF-8")
    parser.XmlDeclHandler = _refused
    parser.StartDoctypeDeclHandler = _refused
    return parser


def _undeclared(data: bytes) -> tuple[Encoding, bytes]:
    """Take the encoding from the declaration and drop it: expat knows no Shift_JIS (5.16)."""
    is_marked = data.startswith(_BYTE_ORDER_MARK)
    content = data.removeprefix(_BYTE_ORDER_MARK)
    if content.startswith((b"\xff\xfe", b"\xfe\xff", b"<\x00", b"\x00<")):
        raise InvalidInput("ENCODING_WRONG")
    found = _DECLARATION.match(content[:_DECLARATION_BYTES_MAX])
    if found is None:
        return "utf-8", content
    encoding = encoding_named((found["encoding"] or b"utf-8").decode("ascii"))
    if encoding is None or (is_marked and encoding != "utf-8"):
        raise InvalidInput("ENCODING_WRONG")
    return encoding, content[found.end() :]


def _is_utf8_japanese(content: bytes) -> bool:
    """
    Whether bytes declared as Shift_JIS are Japanese in UTF-8, which decodes to nonsense silently.

    Half-width kana in Shift_JIS can be valid UTF-8 too, but never for Japanese characters only.
    """
    if content.isascii():
        return False
    try:
        text = content.decode("utf-8")
        text.encode("cp932")
    except UnicodeError:
        return False
    return all(character.isascii() or character >= _JAPANESE_FROM for character in text)


class _Reader:
    """One pass of expat over a document, which is handed to it in UTF-8."""

    def __init__(self, encoding: Encoding, content: bytes, text: str) -> None:
        self._document = Document(encoding)
        self._content = content
        self._utf8 = text.encode()
        self._path: tuple[str, ...] = ()
        self._seen: set[tuple[str, ...]] = set()
        self._item_from: int | None = None
        self._is_item_begun = False
        self._values: list[str] = []
        parser = _parser()
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.CommentHandler = self._other
        parser.StartCdataSectionHandler = self._other
        parser.ProcessingInstructionHandler = self._other
        self._parser = parser

    def read(self) -> Document:
        try:
            self._parser.Parse(self._utf8, True)
        except expat.ExpatError:
            raise InvalidInput("MESSAGE_MALFORMED") from None
        if not self._seen >= _GROUPS:
            raise InvalidInput("MESSAGE_MALFORMED")
        return self._document

    def _start(self, name: str, _attributes: dict[str, str]) -> None:
        if self._path in _ITEMS or len(self._path) == _DEPTH_MAX:
            raise InvalidInput("MESSAGE_MALFORMED")
        self._path = (*self._path, name)
        if len(self._path) == 1 and self._path not in _GROUPS:
            raise InvalidInput("MESSAGE_MALFORMED")
        if self._path in _GROUPS or self._path in _ITEMS:
            if self._path in self._seen:
                raise InvalidInput("MESSAGE_MALFORMED", name)
            self._seen.add(self._path)
        self._item_from, self._values = None, []

    def _characters(self, text: str) -> None:
        if self._path in _ITEMS:
            self._other()
            self._values.append(text)

    def _other(self, *_: object) -> None:
        """Whatever follows a start tag tells where the tag ended."""
        if self._item_from is None:
            self._item_from = self._parser.CurrentByteIndex

    def _end(self, name: str) -> None:
        if self._path in _ITEMS:
            self._other()
            assert self._item_from is not None
            source = self._source(self._item_from, self._parser.CurrentByteIndex)
            value = "".join(self._values)
            document = self._document
            if self._path[:-1] == _HEADER:
                document.header_values[name], document.header_sources[name] = value, source
            else:
                document.search_values[name], document.search_sources[name] = value, source
        self._path = self._path[:-1]

    def _source(self, start: int, end: int) -> Source:
        """Cut an item out of the document; encoding again keeps every character's length."""
        text = self._utf8[start:end].decode()
        name = codec(self._document.encoding)
        raw_start = len(self._utf8[:start].decode().encode(name))
        return Source(text, self._content[raw_start : raw_start + len(text.encode(name))])
