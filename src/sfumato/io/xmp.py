"""Read and set properties of XMP packets, which come from strangers' files; no entity is ever expanded.

A packet is not written anew: properties are cut out and put in by their place in it, and all other bytes stay.
"""

import re
from base64 import b64encode
from collections.abc import Collection, Mapping
from html import escape
from typing import NamedTuple
from xml.parsers.expat import ExpatError, ParserCreate

_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_ROOT, _NODE, _ABOUT = f"{_RDF} RDF", f"{_RDF} Description", f"{_RDF} about"

LARGEST = 4_000_000
"""Bytes from which on a packet is not looked into, as that would take seconds."""

_TAG = re.compile(rb"<(?:[^>\"']|\"[^\"]*\"|'[^']*')*>")
_ATTRIBUTE = re.compile(rb"\s+([^\s=]+)\s*=\s*(\"[^\"]*\"|'[^']*')")
_END = b"<?xpacket end="


class Property(NamedTuple):
    """The name of a property; the prefix is what it is written under."""

    namespace: str
    prefix: str
    name: str

    @property
    def key(self) -> str:
        """Return the name by which the parser calls it."""
        return f"{self.namespace} {self.name}"


OWN = "https://sfumato.invalid/ns/recipe/1.0/"
"""Our namespace; names in .invalid never lead to a host (RFC 6761), and this one need not."""

UNREADABLE = Property(OWN, "sfumato", "UnreadablePacket")
"""Holds, in base64, a packet that could not be read and was replaced."""


class _UnreadableError(Exception):
    """The packet is no XMP."""


def read_property(packet: bytes, wanted: Property) -> str | None:
    """Return the value of a simple property, or None where there is none or the packet is no XMP."""
    try:
        return _Scan(packet, {wanted.key}).values.get(wanted.key)
    except _UnreadableError:
        return None


def set_properties(packet: bytes | None, values: Mapping[Property, str | None]) -> bytes | None:
    """Return the packet with simple properties in place of those of the same names; all else stays as it is.

    What is no XMP, which no reader could use either, is kept as `UNREADABLE` in a new packet; one that is larger than
    `LARGEST` is returned as it is.

    Args:
        values: by property; None takes it out.
    """
    added = {wanted: value for wanted, value in values.items() if value is not None}
    if packet is None or len(packet) > LARGEST:
        return _fresh(added) if packet is None and added else packet
    try:
        scan = _Scan(packet, {wanted.key for wanted in values})
    except _UnreadableError:
        return _fresh({**added, UNREADABLE: b64encode(packet).decode()}) if added else packet
    if added:
        end = scan.end
        node = end.before + _described(added, scan.about) + end.after
        packet = packet[: end.start] + node + packet[end.stop :]
    for start, stop in sorted(scan.places, reverse=True):
        packet = packet[:start] + packet[stop:]
    return packet


def trim_padding(packet: bytes) -> bytes:
    """Return the packet without the blanks before its end, which leave room for editing in place."""
    at = packet.rfind(_END)
    return packet if at < 0 else packet[:at].rstrip(b" \t\r\n") + b"\n" + packet[at:]


def _fresh(values: Mapping[Property, str]) -> bytes:
    begin = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'.encode()
    head = f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{_RDF}">'.encode()
    return begin + head + _described(values, "") + b'</rdf:RDF></x:xmpmeta>\n<?xpacket end="w"?>'


def _described(values: Mapping[Property, str], about: str) -> bytes:
    """Return a node of RDF that declares every namespace itself, so that it may stand in any packet."""
    prefixes = {wanted.prefix: wanted.namespace for wanted in values}
    spaces = "".join(f' xmlns:{prefix}="{escape(space)}"' for prefix, space in prefixes.items())
    lines = "".join(
        f"<{wanted.prefix}:{wanted.name}>{escape(value, quote=False)}</{wanted.prefix}:{wanted.name}>"
        for wanted, value in values.items()
    )
    node = (
        f'<rdf:Description xmlns:rdf="{_RDF}" rdf:about="{escape(about)}"{spaces}>{lines}</rdf:Description>'
    )
    return node.encode()


class _End(NamedTuple):
    """Where more nodes may stand, and what must be written around them in place of these bytes."""

    start: int
    stop: int
    before: bytes = b""
    after: bytes = b""


class _Scan:
    """Find properties of a packet by their place in it.

    Attributes:
        values: of the properties that were found, by the parser's name.
        places: from which byte to which they stand; where a node holds nothing else, that of the node.
        about: what the nodes say they are about; XMP wants it to be the same in all.
        end: of the RDF.

    Raises:
        _UnreadableError: this is no XMP, or it declares a document type, without which there are no entities.
    """

    def __init__(self, packet: bytes, wanted: Collection[str]) -> None:
        self.values: dict[str, str] = {}
        self.places: list[tuple[int, int]] = []
        self.about = ""
        self._packet = packet
        self._wanted = wanted
        self._path: list[str] = []
        self._nodes = 0
        self._starts: list[int] = []
        self._text: list[str] | None = None
        self._within = 0
        self._only_wanted = True
        self._end: _End | None = None
        self._parser = ParserCreate("utf-8", " ")
        self._parser.StartDoctypeDeclHandler = _refuse
        self._parser.StartElementHandler = self._begin
        self._parser.EndElementHandler = self._finish
        self._parser.CharacterDataHandler = self._hear
        self._parse()

    @property
    def end(self) -> _End:
        assert self._end is not None, "a packet without RDF was accepted"
        return self._end

    def _parse(self) -> None:
        if len(self._packet) > LARGEST:
            raise _UnreadableError
        try:
            self._parser.Parse(self._packet.rstrip(b"\0"), True)
        except ExpatError as error:
            raise _UnreadableError from error
        if self._end is None:
            raise _UnreadableError

    def _begin(self, name: str, attributes: dict[str, str]) -> None:
        at = self._parser.CurrentByteIndex
        if name == _ROOT and len(self._path) < 2 and self._end is None:
            self._take_empty(at)
        elif name == _NODE and self._path[-1:] == [_ROOT]:
            self._open_node(at, attributes)
        elif self._path[-2:] == [_ROOT, _NODE]:
            self._starts.append(at)
            self._text = [] if name in self._wanted else None
            self._only_wanted &= name in self._wanted
        self._path.append(name)

    def _open_node(self, at: int, attributes: dict[str, str]) -> None:
        """Note what a node is about, and the properties that are written as its attributes."""
        self._nodes += 1
        self._starts.append(at)
        if self._nodes == 1:
            self.about = attributes.get(_ABOUT, "")
        self._within, self._only_wanted = len(self.places), not attributes.keys() - {*self._wanted, _ABOUT}
        for (key, value), place in zip(attributes.items(), _attributes_at(self._packet, at), strict=True):
            if key in self._wanted:
                self.values[key] = value
                self.places.append(place)

    def _take_empty(self, at: int) -> None:
        """Note where nodes may stand in an RDF that holds none, `<rdf:RDF/>`."""
        tag = _tag_at(self._packet, at)
        if tag.endswith(b"/>"):
            name = tag[1:-2].split()[0]
            stop = at + len(tag)
            self._end = _End(stop - 2, stop, b">", b"</" + name + b">")

    def _finish(self, name: str) -> None:
        self._path.pop()
        if self._path[-2:] == [_ROOT, _NODE]:
            start = self._starts.pop()
            if self._text is not None:
                self.values[name] = "".join(self._text)
                self.places.append((start, self._stop(start)))
            self._text = None
        elif name == _NODE and self._path[-1:] == [_ROOT]:
            start = self._starts.pop()
            if self._only_wanted and len(self.places) > self._within:
                self.places[self._within :] = [(start, self._stop(start))]
        elif name == _ROOT and len(self._path) < 2 and self._end is None:
            at = self._parser.CurrentByteIndex
            self._end = _End(at, at)

    def _stop(self, start: int) -> int:
        """Return where the element ends that begins at `start` and has just been finished."""
        tag = _tag_at(self._packet, start)
        if tag.endswith(b"/>"):
            return start + len(tag)
        return self._packet.index(b">", self._parser.CurrentByteIndex) + 1

    def _hear(self, text: str) -> None:
        if self._text is not None:
            self._text.append(text)


def _tag_at(packet: bytes, at: int) -> bytes:
    match = _TAG.match(packet, at)
    assert match is not None, "the parser saw a tag where there is none"
    return match[0]


def _attributes_at(packet: bytes, at: int) -> list[tuple[int, int]]:
    """Return where each attribute of a tag begins and ends, in the order of the tag; not those that name a space."""
    held = _ATTRIBUTE.finditer(_tag_at(packet, at))
    named = [match for match in held if match[1] != b"xmlns" and not match[1].startswith(b"xmlns:")]
    return [(at + match.start(), at + match.end()) for match in named]


def _refuse(*_: object) -> None:
    raise _UnreadableError
