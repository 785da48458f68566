"""Recipes: what is written is read again, in every format; strangers' metadata survive, or do no harm."""

import json
import struct
import time
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from PIL import ExifTags, Image

from sfumato import backends_processor, recipe
from sfumato.backends_processor import processor_class
from sfumato.errors import InputError
from sfumato.io import Metadata, Picture, encode_picture, read_picture
from sfumato.io.formats import FORMATS
from sfumato.io.metadata import with_software
from sfumato.io.xmp import LARGEST, UNREADABLE, read_property, set_properties, trim_padding
from sfumato.recipe import (
    SCHEMA,
    Recipe,
    UsedFile,
    Writing,
    make_recipe,
    name_of,
    sidecar_bytes,
    used_file,
)
from sfumato.recipe_embedding import (
    COMPOSITE,
    JPEG_EXIF,
    JPEG_XMP,
    RECIPE,
    SOURCE_TYPE,
    embed_recipe,
    encode_painting,
    has_credentials,
    mark_painted,
    read_recipe,
)
from sfumato.recipe_parsing import parse_recipe
from sfumato.settings import Settings
from tests.simple import build

RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
DIGEST = "0123456789abcdef" * 4

digests = st.text("0123456789abcdef", min_size=64, max_size=64)
names = st.text(min_size=1, max_size=30).filter(
    lambda name: name_of(name) == name and "\0" not in name and name != ".."
)
used_files = st.builds(UsedFile, st.none() | names, digests, st.integers(0, 2**40))
parts = st.floats(0, 1, allow_nan=False)
choices = st.builds(
    Settings,
    style=st.sampled_from(["monet", "my brush.onnx", "ä\n<&>.jpg"]),
    strength=parts,
    preserve=st.sampled_from(["face", "eyes=1,skin=0.6"]),
    restore=parts,
    segmenter=st.sampled_from(["auto", "unet-efficientnet-b2,sam-vit-b"]),
    blend=st.sampled_from(["melt", "paste"]),
    paint=parts,
    feather=st.floats(0, 10),
    faces=st.sampled_from(["all", "1,3", "0.25:0.4"]),
    exact=st.booleans(),
)
writings = st.builds(
    Writing,
    st.sampled_from(sorted(FORMATS)),
    st.integers(1, 100),
    st.sampled_from(["keep", "strip"]),
    st.sampled_from(["none", "mark", "embed", "sidecar"]),
)
sizes = st.tuples(st.integers(1, 30_000), st.integers(1, 30_000))
recipes = st.builds(
    lambda made, side, parts: replace(made, side=side, parts=parts),
    st.builds(make_recipe, choices, st.dictionaries(names, digests, max_size=4), used_files, sizes, writings),
    st.none() | st.integers(16, 20_000),
    st.dictionaries(st.sampled_from(["mask", "touches", "palette"]), used_files),
)
texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=40)


def some_recipe(**writing: Any) -> Recipe:
    held = Writing(**{"format": "JPEG", **writing})
    return make_recipe(Settings(), {"monet-light": DIGEST}, UsedFile("a.jpg", DIGEST, 9), (64, 48), held)


def slope() -> Picture:
    y, x = np.mgrid[:48, :64]
    return Picture(np.stack((2 * x, 3 * y, x + y), axis=-1).astype(np.uint8))


def packet(more: str = "", attributes: str = "", about: str = "") -> bytes:
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description rdf:about="{about}" xmlns:dc="urn:dc" {attributes}>{more}</rdf:Description>'
        f"</rdf:RDF></x:xmpmeta>{' ' * 2000}<?xpacket end='w'?>"
    ).encode()


def properties(xmp: bytes) -> dict[str, str | None]:
    """Return the simple properties of a packet, as an independent parser reads them."""
    (rdf,) = ElementTree.fromstring(xmp).iter(f"{RDF}RDF")
    held: dict[str, str | None] = {}
    for node in rdf:
        held |= {name: value for name, value in node.attrib.items() if name != f"{RDF}about"}
        held |= {child.tag: child.text for child in node}
    return held


def escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;").replace("\u2028", "")


@given(recipes)
def test_json_gives_back_the_recipe(made: Recipe) -> None:
    assert parse_recipe(made.to_json(), "it") == made
    assert parse_recipe(sidecar_bytes(made), "it") == made
    assert made.to_json().isascii()


@given(recipes)
def test_xmp_gives_back_the_recipe(made: Recipe) -> None:
    made = replace(made, writing=replace(made.writing, recipe="embed"))
    assert read_recipe(embed_recipe(Metadata(), made), "it") == made


@given(texts, texts, st.sampled_from(["", "uuid:1"]))
def test_what_a_packet_says_survives(first: str, second: str, about: str) -> None:
    held = packet(f"<dc:title>{escaped(first)}</dc:title>", f'dc:rights="{escaped(second)}"', about)
    made = some_recipe()
    embedded = embed_recipe(Metadata(None, held), made).xmp
    assert embedded is not None
    added = {f"{{{name.namespace}}}{name.name}" for name in (RECIPE, SOURCE_TYPE)}
    found = properties(embedded)
    assert {name: found[name] for name in found if name not in added} == properties(held)
    assert embed_recipe(Metadata(None, embedded), made).xmp == embedded  # it is put in once
    (rdf,) = ElementTree.fromstring(embedded).iter(f"{RDF}RDF")
    assert {node.get(f"{RDF}about") for node in rdf} == {about}


@given(st.binary(max_size=200) | st.sampled_from([b"", b"<a/>", b"<a", packet()[:-2100], b"\xef\xbb\xbf"]))
def test_what_is_no_packet_is_kept_in_a_fresh_one(junk: bytes) -> None:
    embedded = embed_recipe(Metadata(None, junk), some_recipe()).xmp
    assert embedded is not None
    assert b64decode(read_property(embedded, UNREADABLE) or "") == junk
    assert read_property(embedded, SOURCE_TYPE) == COMPOSITE
    assert set_properties(junk, {RECIPE: None}) == junk


@given(st.binary(max_size=60), st.booleans())
def test_the_name_of_the_software_moves_no_value(value: bytes, large: bool) -> None:
    """A maker's note, whose offsets count from the start of the block, stays where it is."""
    order = ">" if large else "<"
    note = b"maker" + value
    head = (b"MM\0*" if large else b"II*\0") + struct.pack(order + "L", 8)
    entry = struct.pack(order + "HHLL", 0x927C, 7, len(note), 26)
    block = head + struct.pack(order + "H", 1) + entry + bytes(4) + note
    named = with_software(block, "sfumato 1")
    assert named[8 : len(block)] == block[8:]
    exif = Image.Exif()
    exif.load(named)
    assert dict(exif) == {0x927C: note, ExifTags.Base.Software: "sfumato 1"}
    assert with_software(named, "sfumato 1")[8 : len(block)] == block[8:]


@pytest.mark.parametrize("junk", [b"", b"junk", b"II*\0\x08\0\0\0\xff\xff", b"MM\0*\0\0\0\x02"])
def test_a_broken_block_is_left_alone(junk: bytes) -> None:
    assert with_software(junk, "sfumato 1") == junk


@pytest.mark.parametrize("format", sorted(FORMATS))
@pytest.mark.parametrize("held", [None, packet("<dc:title>a</dc:title>")])
def test_every_format_carries_the_recipe_and_the_mark(format: str, held: bytes | None) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Software] = "a camera"
    exif[ExifTags.Base.Copyright] = "someone"
    block = exif.tobytes().removeprefix(b"Exif\0\0")
    picture = replace(slope(), metadata=Metadata(block, held))
    made = some_recipe(format=format)
    data = encode_painting(picture, made)
    assert data == encode_painting(picture, made)
    back = read_picture(data)
    assert read_recipe(back.metadata, "it") == made
    assert read_property(back.metadata.xmp or b"", SOURCE_TYPE) == COMPOSITE
    tags = Image.Exif()
    tags.load(back.metadata.exif or b"")
    assert tags[ExifTags.Base.Software] == f"sfumato {made.version}"
    assert tags[ExifTags.Base.Copyright] == "someone"
    if held is not None:
        assert properties(back.metadata.xmp or b"")["{urn:dc}title"] == "a"


@pytest.mark.parametrize(
    ("place", "marked", "embedded"),
    [("none", False, False), ("mark", True, False), ("sidecar", True, False), ("embed", True, True)],
)
@pytest.mark.parametrize("kept", ["keep", "strip"])
def test_the_place_says_what_a_picture_carries(place: str, marked: bool, embedded: bool, kept: str) -> None:
    picture = replace(slope(), metadata=Metadata(None, packet("<dc:title>private</dc:title>")))
    data = encode_painting(picture, some_recipe(recipe=place, metadata=kept))
    held = read_picture(data).metadata
    assert (read_property(held.xmp or b"", SOURCE_TYPE) == COMPOSITE) is marked
    assert (read_recipe(held, "it") is not None) is embedded
    assert (b"private" in data) is (kept == "keep")


@pytest.mark.parametrize("place", ["none", "mark", "sidecar", "embed"])
def test_the_recipe_of_a_source_is_not_taken_for_that_of_the_painting(place: str) -> None:
    once = embed_recipe(Metadata(None, packet()), some_recipe())
    twice = embed_recipe(once, some_recipe(recipe=place, quality=50))
    found = read_recipe(twice, "it")
    assert found == (some_recipe(quality=50) if place == "embed" else None)
    assert (twice.xmp or b"").count(b"<sfumato:Recipe>") == (place == "embed")


@pytest.mark.parametrize(
    "said",
    [
        "<i:DigitalSourceType>digitalCapture</i:DigitalSourceType>",
        "<i:DigitalSourceType><!-- > -->digital<![CDATA[Capture]]></i:DigitalSourceType>",
        '<i:DigitalSourceType rdf:resource="a>b"/>',
        "<i:DigitalSourceType  />",
    ],
)
def test_the_source_type_of_a_photo_gives_way_to_ours(said: str) -> None:
    space = f'xmlns:i="{SOURCE_TYPE.namespace}"'
    element = packet(f"<dc:a>{said}</dc:a>{said}<dc:b/>", space)  # one of a part of the picture stays
    attribute = packet(
        "", f"{space} dc:DigitalSourceType='stays' i:DigitalSourceType = 'goes>' dc:x=' i:y=\"1\"'"
    )
    marked = b""
    for held in (element, attribute):
        marked = mark_painted(Metadata(None, held), "PNG").xmp or b""
        assert properties(marked)[f"{{{SOURCE_TYPE.namespace}}}DigitalSourceType"] == COMPOSITE
        assert read_property(marked, SOURCE_TYPE) == COMPOSITE
        assert b"goes" not in marked
        assert marked.count(said.encode()) == (held is element)
    assert properties(marked)["{urn:dc}DigitalSourceType"] == "stays"
    assert properties(marked)["{urn:dc}x"] == ' i:y="1"'


@pytest.mark.parametrize(
    "form",
    [
        b'<r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#"/>',
        b'<r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#"></r:RDF>',
        packet() + b"\0\0\0",
        b'<?xml version="1.0" encoding="latin-1"?>'
        + b'<r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#"/>',
        b'<r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><r:RDF/></r:RDF>',
    ],
)
def test_odd_packets_that_are_xmp_are_added_to(form: bytes) -> None:
    added = set_properties(form, {RECIPE: "a < b & c > d"})
    assert added is not None
    assert read_property(added, RECIPE) == "a < b & c > d"
    assert read_property(added, UNREADABLE) is None
    assert set_properties(set_properties(added, {RECIPE: None}), {RECIPE: "a < b & c > d"}) == added
    assert read_property(set_properties(added, {RECIPE: None}) or b"", RECIPE) is None


BOMB = (
    '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "ha">'
    + "".join(f'<!ENTITY a{k} "{f"&a{k - 1};" * 20 if k else "&a;" * 20}">' for k in range(9))
    + "]>"
).encode()
HOSTILE: Mapping[str, bytes] = {
    "entities": BOMB + packet("<dc:a>&a8;</dc:a>"),
    "a file": b'<!DOCTYPE a [<!ENTITY a SYSTEM "file:///etc/passwd">]>' + packet("<dc:a>&a;</dc:a>"),
    "unknown entity": packet("<dc:a>&b;</dc:a>"),
    "depth": b"<a>" * 350_000,
    "attributes": b"<a " + b" ".join(b'a%d="1"' % k for k in range(80_000)) + b"/>",
    "broken": packet()[:-1000] + b"<" * 1_000_000,
    "quotes": b"<a b='" + b'"' * 1_000_000,
    "thumbnails": b"<xmp:Thumbnails>" * 65_000,
    "orientations": b"tiff:Orientation" * 65_000,
    "blanks": b"tiff:Orientation" + b" " * 1_000_000,
    "elements": packet("<dc:a/>" * 140_000),
    "descriptions": packet(f"</rdf:Description><rdf:Description xmlns:i='{SOURCE_TYPE.namespace}'>" * 8_000),
    "too large": packet(" " * LARGEST),
}


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_hostile_xmp_does_no_harm(name: str) -> None:
    start = time.process_time()
    data = encode_picture(replace(slope(), metadata=Metadata(None, HOSTILE[name])), format="WEBP")
    picture = read_picture(data)
    back = read_picture(encode_painting(picture, some_recipe(format="WEBP"))).metadata
    assert (read_recipe(back, "it") == some_recipe(format="WEBP")) is (name != "too large")
    assert (
        time.process_time() - start < 10
    )  # seconds, where patterns that go back and forth took a quarter of an hour
    assert b"root:" not in (back.xmp or b"")


def test_a_jpeg_without_room_drops_padding_then_the_recipe_then_the_mark(
    caplog: pytest.LogCaptureFixture,
) -> None:
    made = some_recipe()

    def embedded(length: int) -> bytes:
        held = packet(f"<dc:a>{'x' * length}</dc:a>")
        picture = replace(slope(), metadata=Metadata(None, held))
        xmp = read_picture(encode_painting(picture, made)).metadata.xmp
        assert xmp is not None
        assert b"x" * length in xmp
        return xmp

    base = len(packet())
    assert read_recipe(Metadata(None, embedded(JPEG_XMP - base - 500)), "it") == made
    assert not caplog.messages
    marked = embedded(JPEG_XMP - base + 1500)
    assert read_property(marked, RECIPE) is None
    assert read_property(marked, SOURCE_TYPE) == COMPOSITE
    assert caplog.messages == [
        "the picture's own metadata leave no room for the recipe; use --recipe sidecar"
    ]
    assert read_property(embedded(JPEG_XMP - base), SOURCE_TYPE) == COMPOSITE
    full = packet("<dc:a/>").replace(b" " * 2000, b"")
    full = full.replace(b"<dc:a/>", b"<dc:a>" + b"x" * (JPEG_XMP - len(full) - 6) + b"</dc:a>")
    assert mark_painted(Metadata(None, full), "JPEG").xmp == full
    assert caplog.messages[-1] == "the picture's own metadata leave no room to say that it was painted"


def test_a_jpeg_without_room_for_more_exif_keeps_what_it_has() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.ImageDescription] = "x" * (JPEG_EXIF - 40)
    block = exif.tobytes().removeprefix(b"Exif\0\0")
    assert mark_painted(Metadata(block, None), "JPEG").exif == block
    assert mark_painted(Metadata(block, None), "PNG").exif != block


def test_only_the_padding_before_the_end_is_dropped() -> None:
    assert trim_padding(b"a  b  \n <?xpacket end='w'?> ") == b"a  b\n<?xpacket end='w'?> "
    assert trim_padding(b"a  ") == b"a  "


def test_no_folder_and_nothing_of_the_user_is_noted(tmp_path: Path) -> None:
    chosen = Settings(
        style=str(tmp_path / "brush.onnx"), segmenter=f"{tmp_path}/a.onnx,light", restorer=r"C:\me\r.pth"
    )
    source = used_file(b"data", tmp_path / "a.jpg")
    text = make_recipe(
        chosen, {str(tmp_path / "brush.onnx"): DIGEST}, source, (1, 1), Writing("PNG")
    ).to_json()
    assert tmp_path.name not in text
    held = parse_recipe(text, "it")
    assert held.settings["style"] == "brush.onnx"
    assert held.settings["segmenter"] == "a.onnx,light"
    assert held.settings["restorer"] == "r.pth"
    assert set(held.models) == {"brush.onnx"}
    assert held.source == UsedFile("a.jpg", held.source.sha256, 4)
    assert used_file(b"").name is None


Change = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda held: held.pop("schema"), "it has no schema"),
        (
            lambda held: held.update(schema=SCHEMA + 1),
            "its schema is 2, this version reads 1; use another sfumato",
        ),
        (lambda held: held.update(schema=True), "it has no schema"),
        (lambda held: held.update(more=1), "its recipe lacks 'more' or should not have it"),
        (lambda held: held.pop("side"), "its recipe lacks 'side' or should not have it"),
        (lambda held: held.update(side=4), "its side is no number that it could be"),
        (lambda held: held.update(version=1), "its version is no text"),
        (lambda held: held.update(version="x" * 1001), "its version is no text"),
        (lambda held: held.update(models=[]), "its models is no table"),
        (lambda held: held.update(models={"a": "b"}), "its sha256 of a is no sha256"),
        (lambda held: held.update(models={"\x1b[2J": "b"}), r"its sha256 of \x1b[2J is no sha256"),
        (lambda held: held.update(libraries=1), "its libraries is no table"),
        (lambda held: held.update(size=[1]), "its size is no width and height"),
        (lambda held: held.update(size=[0, 1]), "its size is no number that it could be"),
        (lambda held: held.update(parts=[]), "its parts is no table"),
        (lambda held: held.update(parts={"x": {}}), "its parts is none of mask, palette, touches"),
        (lambda held: held.update(source=None), "its source is no table"),
        (lambda held: held["source"].update(name="../a.jpg"), "its name is not the name of a file alone"),
        (lambda held: held["source"].update(name=".."), "its name is not the name of a file alone"),
        (lambda held: held["source"].update(name=""), "its name is not the name of a file alone"),
        (lambda held: held["source"].update(name="a\\b"), "its name is not the name of a file alone"),
        (lambda held: held["source"].update(sha256="x"), "its sha256 is no sha256"),
        (lambda held: held["source"].update(bytes=-1), "its bytes is no number that it could be"),
        (lambda held: held["writing"].update(format="GIF"), "its format is none of AVIF, HEIF, JPEG"),
        (lambda held: held["writing"].update(quality=0), "its quality is no number that it could be"),
        (lambda held: held["writing"].update(metadata=[]), "its metadata is none of keep, strip"),
        (lambda held: held["writing"].update(recipe="x"), "its recipe is none of embed, mark, none, sidecar"),
        (lambda held: held["settings"].update(style="/etc/passwd"), "its settings lead to a folder"),
        (lambda held: held["settings"].update(paint="1"), "its paint is not of type float"),
        (lambda held: held["settings"].update(exact=1), "its exact is not of type bool"),
        (lambda held: held["settings"].update(paint=2), "paint is 2.0; use 0 to 1"),
        (lambda held: held["settings"].update(faces="0"), "faces are counted from 1"),
        (lambda held: held["settings"].update(paint=float("nan")), "NaN is no number of a recipe"),
        (lambda held: held["settings"].pop("paint"), "its settings lacks 'paint' or should not have it"),
    ],
)
def test_a_recipe_that_means_nothing_is_refused_in_one_line(change: Change, says: str) -> None:
    held = json.loads(some_recipe().to_json())
    change(held)
    with pytest.raises(InputError) as refused:
        parse_recipe(json.dumps(held), "a.jpg")
    assert str(refused.value).startswith("a.jpg holds no recipe that can be followed: ")
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "text", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"schema": ' + b"9" * 5000 + b"}"]
)
def test_what_is_no_json_is_refused(text: bytes) -> None:
    with pytest.raises(InputError, match="it holds no recipe, as it is no JSON"):
        parse_recipe(text, "it")


def test_a_whole_number_stands_for_itself() -> None:
    held = json.loads(some_recipe().to_json())
    held["settings"]["paint"] = 1
    assert parse_recipe(json.dumps(held), "it").settings["paint"] == 1.0


def test_the_schema_counts_the_options() -> None:
    """An option that is added makes another schema: a recipe without it would be refused, or mean something else."""
    known = (
        "style strength preserve restorer restore segmenter detector recogniser blend paint feather faces "
    )
    known += "device exact"
    assert [option.name for option in fields(Settings)] == known.split()
    assert SCHEMA == 1


def test_the_processor_is_named_by_what_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    assert processor_class("auto") == processor_class("cpu")
    assert len(processor_class("cpu").split()) >= 1
    monkeypatch.setattr(backends_processor, "check_device", lambda device: device)
    monkeypatch.setattr(backends_processor, "openvino_abilities", lambda: {"FP32", "BF16"})
    monkeypatch.setattr("platform.machine", lambda: "AMD64")
    monkeypatch.setattr("cv2.getCPUFeaturesLine", lambda: "SSE *AVX2 *AVX512-SKX")
    assert processor_class.__wrapped__("cpu") == "x86_64 avx512 bf16"
    assert processor_class.__wrapped__("mps") == "mps"
    monkeypatch.setattr("torch.cuda.get_device_name", lambda: "H200")
    assert processor_class.__wrapped__("cuda") == "cuda H200"


def test_a_library_under_another_name_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipe, "LIBRARIES", ("numpy", "no-such-package"))
    recipe._library_versions.cache_clear()
    try:
        assert set(some_recipe().libraries) == {"numpy"}
    finally:
        recipe._library_versions.cache_clear()


def test_content_credentials_are_seen() -> None:
    assert has_credentials(b"..jumdc2pa\x00\x11\x00\x10\x80\x00\x00\xaa\x00\x38\x9b\x71\x03c2pa\0")
    assert not has_credentials(encode_painting(slope(), some_recipe()))


@pytest.mark.parametrize("metadata", ["keep", "strip"])
@pytest.mark.parametrize("mark", [True, False])
def test_the_library_marks_what_it_saves(tmp_path: Path, metadata: Any, mark: bool) -> None:
    build(Settings()).stylize(slope()).save(tmp_path / "a.jpg", metadata=metadata, mark=mark)
    held = read_picture(tmp_path / "a.jpg").metadata.xmp
    assert (held is not None and read_property(held, SOURCE_TYPE) == COMPOSITE) is mark


@given(st.binary(max_size=2000))
@examples(max_examples=200)
def test_no_bytes_break_the_reader(junk: bytes) -> None:
    assert read_property(junk, RECIPE) is None
    with pytest.raises(InputError):
        parse_recipe(junk, "it")
