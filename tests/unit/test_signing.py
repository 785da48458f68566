"""Signatures by the official library, made offline with certificates of the test's own, and read by its own reader."""

import json
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sfumato import signing
from sfumato.errors import BackendMissingError, OutputError, SettingsError
from sfumato.io import Picture, encode_picture, read_picture
from sfumato.recipe_embedding import COMPOSITE, has_credentials
from sfumato.signing import MEDIA_TYPES, check_signing, sign

c2pa = pytest.importorskip("c2pa")

from cryptography import x509  # noqa: E402  # comes with c2pa-python
from cryptography.hazmat.primitives import hashes  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519  # noqa: E402
from cryptography.hazmat.primitives.serialization import (  # noqa: E402
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID  # noqa: E402

PAINTED = Picture(np.random.default_rng(0).integers(0, 256, (64, 80, 3), dtype=np.uint8))


@dataclass(frozen=True, slots=True)
class Identity:
    certificate: Path
    key: Path


def certificate(subject: str, key: Any, signer: Any, *, root: bool) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, subject)])
    issuer = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "root")])
    day = timedelta(days=1)
    usage = x509.KeyUsage(not root, False, False, False, False, root, root, False, False)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - day)
        .not_valid_after(datetime.now(UTC) + day)
        .add_extension(x509.BasicConstraints(ca=root, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
        .add_extension(usage, critical=True)
    )
    if not root:
        purposes = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
        builder = builder.add_extension(purposes, critical=False)
    return builder.sign(signer, hashes.SHA256()).public_bytes(Encoding.PEM)


def identity(folder: Path, key: Any, form: PrivateFormat = PrivateFormat.PKCS8) -> Identity:
    root = ec.generate_private_key(ec.SECP256R1())
    chain = certificate("leaf", key, root, root=False) + certificate("root", root, root, root=True)
    (folder / "chain.pem").write_bytes(chain)
    (folder / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, form, NoEncryption()))
    return Identity(folder / "chain.pem", folder / "key.pem")


@pytest.fixture
def mine(tmp_path: Path) -> Identity:
    return identity(tmp_path, ec.generate_private_key(ec.SECP256R1()))


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("it called out")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def read(data: bytes, format: str) -> tuple[str, Any]:
    """Return what the library's reader says of a file, and the manifest."""
    reader = c2pa.Reader(MEDIA_TYPES[format], BytesIO(data), context=c2pa.Context.from_dict(signing._QUIET))
    held = json.loads(reader.json())
    return reader.get_validation_state(), held["manifests"][held["active_manifest"]]


@pytest.mark.parametrize("format", sorted(MEDIA_TYPES))
def test_a_signed_picture_says_that_a_network_had_a_part_in_it(format: str, mine: Identity) -> None:
    plain = encode_picture(PAINTED, format=format)
    signed = sign(plain, format, mine.certificate, mine.key)
    state, manifest = read(signed, format)
    assert state == "Valid"
    assert manifest["claim_generator_info"][0]["name"] == "sfumato"
    (actions,) = [held["data"]["actions"] for held in manifest["assertions"] if "actions" in held["label"]]
    assert [(action["action"], action["digitalSourceType"]) for action in actions] == [
        ("c2pa.created", COMPOSITE)
    ]
    assert manifest["signature_info"]["alg"] == "Es256"
    assert has_credentials(signed)
    assert not has_credentials(plain)
    np.testing.assert_array_equal(read_picture(signed).image, read_picture(plain).image)


def test_what_is_changed_after_signing_is_seen(mine: Identity) -> None:
    signed = bytearray(sign(encode_picture(PAINTED, format="PNG"), "PNG", mine.certificate, mine.key))
    signed[-40] ^= 1
    assert read(bytes(signed), "PNG")[0] == "Invalid"


@pytest.mark.parametrize(
    ("make", "form"),
    [
        (lambda: ec.generate_private_key(ec.SECP384R1()), PrivateFormat.TraditionalOpenSSL),
        (lambda: rsa.generate_private_key(65537, 2048), PrivateFormat.PKCS8),
        (ed25519.Ed25519PrivateKey.generate, PrivateFormat.PKCS8),
    ],
)
def test_other_kinds_of_keys_sign_too(make: Callable[[], Any], form: PrivateFormat, tmp_path: Path) -> None:
    mine = identity(tmp_path, make(), form)
    signed = sign(encode_picture(PAINTED, format="PNG"), "PNG", mine.certificate, mine.key)
    assert read(signed, "PNG")[0] == "Valid"


def test_a_key_of_another_certificate_is_refused_before_any_work(mine: Identity, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = identity(tmp_path / "other", ec.generate_private_key(ec.SECP256R1()))
    check_signing(mine.certificate, mine.key)
    with pytest.raises(OutputError, match=r"cannot sign with .*chain\.pem: "):
        check_signing(mine.certificate, other.key)


def test_a_certificate_that_is_none_is_refused(mine: Identity, tmp_path: Path) -> None:
    (tmp_path / "chain.pem").write_text("none")
    with pytest.raises(OutputError, match="cannot sign with"):
        check_signing(mine.certificate, mine.key)
    with pytest.raises(SettingsError, match=r"cannot read the certificate .*: no such file"):
        check_signing(tmp_path / "gone.pem", mine.key)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (x25519.X25519PrivateKey.generate, "is a key of a kind that C2PA does not sign with"),
        (lambda: ec.generate_private_key(ec.SECP256K1()), "is a key of a kind that C2PA does not sign with"),
    ],
)
def test_a_key_that_cannot_sign_is_refused(mine: Identity, make: Callable[[], Any], says: str) -> None:
    mine.key.write_bytes(make().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(SettingsError, match=says):
        check_signing(mine.certificate, mine.key)


def test_a_key_with_a_password_or_none_at_all_is_refused(mine: Identity) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    for content in (locked, b"none"):
        mine.key.write_bytes(content)
        with pytest.raises(SettingsError, match="is no private key in PEM without a password"):
            check_signing(mine.certificate, mine.key)


def test_a_missing_library_is_named(mine: Identity, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signing, "find_spec", lambda _: None)
    with pytest.raises(BackendMissingError, match=r"pip install 'sfumato\[c2pa\]'"):
        check_signing(mine.certificate, mine.key)
