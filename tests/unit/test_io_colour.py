"""Colours by profile: what is read is compared with the matrix of the profile, worked out here."""

import struct
from io import BytesIO

import numpy as np
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sfumato.errors import InputError
from sfumato.io import Picture, encode_picture, read_picture
from sfumato.types import Image

Matrix = NDArray[np.float64]
Chromaticities = tuple[tuple[float, float], tuple[float, float], tuple[float, float]]

SRGB: Chromaticities = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
DISPLAY_P3: Chromaticities = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
ADOBE_RGB: Chromaticities = ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06))
D65 = np.array([0.3127 / 0.3290, 1.0, (1 - 0.3127 - 0.3290) / 0.3290])
D50 = np.array([0.9642, 1.0, 0.8249])
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
ADAPTATION = np.linalg.inv(BRADFORD) @ np.diag((BRADFORD @ D50) / (BRADFORD @ D65)) @ BRADFORD
SRGB_CURVE = struct.pack(
    ">4s4xHxx5i", b"para", 3, *(round(v * 65536) for v in (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045))
)


def gamma_curve(gamma: float) -> bytes:
    return struct.pack(">4s4xIH", b"curv", 1, round(gamma * 256))


def xyz_matrix(chromaticities: Chromaticities) -> Matrix:
    """Return the matrix from linear RGB to XYZ under D65."""
    primaries = np.array([(x / y, 1, (1 - x - y) / y) for x, y in chromaticities]).T
    return primaries * np.linalg.solve(primaries, D65)


def icc_profile(
    space: bytes, tags: dict[bytes, bytes], *, kind: bytes = b"mntr", pcs: bytes = b"XYZ "
) -> bytes:
    """Return an ICC profile of version 4.3 with these tags, ICC.1:2010 section 7."""
    place, table, body = 132 + 12 * len(tags), b"", b""
    for name, value in tags.items():
        table += struct.pack(">4sII", name, place + len(body), len(value))
        body += value + bytes(-len(value) % 4)
    first = struct.pack(">I4sI4s4s4s", place + len(body), b"test", 0x04300000, kind, space, pcs)
    header = first + struct.pack(">12x4s28x3i", b"acsp", 63190, 65536, 54061)
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def xyz_tag(xyz: Matrix) -> bytes:
    return struct.pack(">4s4x3i", b"XYZ ", *(round(float(v) * 65536) for v in xyz))


def text_tag(text: str) -> bytes:
    return struct.pack(">4s4xII2sxxII", b"mluc", 1, 12, b"en", 2 * len(text), 28) + text.encode("utf-16-be")


def rgb_profile(chromaticities: Chromaticities, curve: bytes, name: str = "test") -> bytes:
    columns = (ADAPTATION @ xyz_matrix(chromaticities)).T
    tags = {b"desc": text_tag(name), b"cprt": text_tag("none"), b"wtpt": xyz_tag(D50)}
    for letter, column in zip("rgb", columns, strict=True):
        tags[f"{letter}XYZ".encode()] = xyz_tag(column)
        tags[f"{letter}TRC".encode()] = curve
    return icc_profile(b"RGB ", tags)


def grey_profile(gamma: float) -> bytes:
    tags = {
        b"desc": text_tag("grey"),
        b"cprt": text_tag("none"),
        b"wtpt": xyz_tag(D50),
        b"kTRC": gamma_curve(gamma),
    }
    return icc_profile(b"GRAY", tags)


def lab_of(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return CIELAB of linear sRGB, relative to D50."""
    xyz = rgb @ (ADAPTATION @ xyz_matrix(SRGB)).T / D50
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], -1)


def ink_corners() -> NDArray[np.float64]:
    """Return linear sRGB of all 16 mixtures of full and no ink, in the order of a colour table."""
    inks = np.array([[int(bit) for bit in f"{number:04b}"] for number in range(16)], dtype=float)
    return (1 - 0.85 * inks[:, :3]) * (1 - 0.9 * inks[:, 3:])


def cmyk_profile() -> bytes:
    """Return a printer profile whose table of 2x2x2x2 colours is `ink_corners`, ICC.1:2010 section 10.9."""
    table = lab_of(ink_corners()) * np.array([2.55, 1, 1]) + np.array([0, 128, 128])
    ramp = bytes(range(256))
    identity = struct.pack(">9i", *(65536 if i % 4 == 0 else 0 for i in range(9)))
    lut = struct.pack(">4s4x4B", b"mft1", 4, 3, 2, 0) + identity + ramp * 4
    lut += table.round().astype(np.uint8).tobytes() + ramp * 3
    tags = {b"desc": text_tag("ink"), b"cprt": text_tag("none"), b"wtpt": xyz_tag(D50), b"A2B0": lut}
    return icc_profile(b"CMYK", tags, kind=b"prtr", pcs=b"Lab ")


def srgb_decoded(levels: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)


def srgb_encoded(linear: NDArray[np.float64]) -> NDArray[np.float64]:
    clipped = linear.clip(0, 1)
    return np.where(clipped <= 0.0031308, clipped * 12.92, 1.055 * clipped ** (1 / 2.4) - 0.055)


def colours(seed: int) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (24, 32, 3), dtype=np.uint8)


def saved(image: Image, format: str, profile: bytes, mode: str | None = None) -> bytes:
    buffer = BytesIO()
    picture = PIL.Image.fromarray(image)
    (picture.convert(mode) if mode else picture).save(buffer, format, icc_profile=profile)
    return buffer.getvalue()


@given(st.integers(0, 2**31), st.sampled_from(("PNG", "TIFF")))
def test_display_p3_reads_as_the_same_colours_in_srgb(seed: int, format: str) -> None:
    image = colours(seed)
    linear = srgb_decoded(image / 255) @ (np.linalg.inv(xyz_matrix(SRGB)) @ xyz_matrix(DISPLAY_P3)).T
    back = read_picture(saved(image, format, rgb_profile(DISPLAY_P3, SRGB_CURVE))).image
    # Little CMS works with 15 bits here; near black a level of sRGB is finer than that.
    np.testing.assert_allclose(back, 255 * srgb_encoded(linear), atol=2)


@given(st.integers(0, 2**31))
def test_adobe_rgb_reads_as_the_same_colours_in_srgb(seed: int) -> None:
    image = colours(seed)
    gamma = round(2.19921875 * 256) / 256
    linear = (image / 255) ** gamma @ (np.linalg.inv(xyz_matrix(SRGB)) @ xyz_matrix(ADOBE_RGB)).T
    back = read_picture(saved(image, "PNG", rgb_profile(ADOBE_RGB, gamma_curve(2.19921875)))).image
    dark = 255 * srgb_encoded(linear) < 16
    np.testing.assert_allclose(np.where(dark, 0, back), np.where(dark, 0, 255 * srgb_encoded(linear)), atol=2)


def test_a_grey_profile_bends_the_greys() -> None:
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None], 16, axis=0)
    back = read_picture(saved(ramp, "PNG", grey_profile(1.0))).image
    np.testing.assert_array_equal(back[..., 0], back[..., 2])
    np.testing.assert_allclose(back[..., 1], 255 * srgb_encoded(ramp / 255), atol=2)


def test_a_grey_picture_with_an_rgb_profile_is_converted_too() -> None:
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None], 16, axis=0)
    back = read_picture(saved(ramp, "PNG", rgb_profile(SRGB, gamma_curve(1.0)))).image
    np.testing.assert_allclose(back[..., 1], 255 * srgb_encoded(ramp / 255), atol=2)


@pytest.mark.parametrize("number", range(16))
def test_inks_read_as_the_colours_that_their_profile_names(number: int) -> None:
    inks = tuple(255 * int(bit) for bit in f"{number:04b}")
    buffer = BytesIO()
    PIL.Image.new("CMYK", (32, 32), inks).save(buffer, "TIFF", icc_profile=cmyk_profile())
    back = read_picture(buffer.getvalue()).image
    # The table holds CIELAB in steps of 1/2.55 and 1; black point compensation lifts the darkest ink to 0.
    expected = 255 * srgb_encoded(ink_corners()[number])
    assert (back == back[0, 0]).all()
    np.testing.assert_allclose(back[0, 0], expected, atol=24 if inks[3] else 8)


def test_inks_without_a_usable_profile_are_refused() -> None:
    for profile in (b"", b"rubbish", rgb_profile(SRGB, SRGB_CURVE)):
        buffer = BytesIO()
        PIL.Image.new("CMYK", (32, 32), (0, 90, 90, 0)).save(buffer, "JPEG", icc_profile=profile)
        with pytest.raises(InputError, match="holds CMYK colours without an ICC profile; save it as RGB"):
            read_picture(buffer.getvalue())


@given(st.integers(0, 2**31))
def test_a_profile_that_is_srgb_under_another_name_changes_nothing(seed: int) -> None:
    image = colours(seed)
    profile = rgb_profile(SRGB, SRGB_CURVE, "c2")
    np.testing.assert_array_equal(read_picture(saved(image, "PNG", profile)).image, image)


@pytest.mark.parametrize(
    "profile",
    [
        b"rubbish",
        rgb_profile(DISPLAY_P3, SRGB_CURVE)[:200],
        icc_profile(b"RGB ", {b"desc": text_tag("no colours")}),
        icc_profile(b"Lab ", {b"desc": text_tag("lab")}, kind=b"abst", pcs=b"Lab "),
        grey_profile(1.0),
    ],
    ids=["rubbish", "cut", "without colours", "of no device", "of greys"],
)
def test_a_profile_that_cannot_be_used_is_ignored(profile: bytes) -> None:
    image = colours(3)
    np.testing.assert_array_equal(read_picture(saved(image, "PNG", profile)).image, image)


def test_what_was_converted_is_not_converted_again() -> None:
    once = read_picture(saved(colours(4), "PNG", rgb_profile(DISPLAY_P3, SRGB_CURVE)))
    twice = read_picture(encode_picture(Picture(once.image), format="TIFF"))
    np.testing.assert_array_equal(twice.image, once.image)


def test_the_alpha_of_a_picture_with_a_profile_stays() -> None:
    image, alpha = colours(5), colours(6)[..., 0]
    buffer = BytesIO()
    PIL.Image.fromarray(np.dstack([image, alpha])).save(
        buffer, "PNG", icc_profile=rgb_profile(DISPLAY_P3, SRGB_CURVE)
    )
    back = read_picture(buffer.getvalue())
    np.testing.assert_array_equal(back.alpha, alpha)
    opaque = read_picture(saved(image, "PNG", rgb_profile(DISPLAY_P3, SRGB_CURVE)))
    np.testing.assert_array_equal(back.image, opaque.image)
