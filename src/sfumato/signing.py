"""Sign paintings with a certificate of the user's own (C2PA); nothing is sent anywhere, and no key is kept."""

import json
from collections.abc import Mapping
from importlib.metadata import version
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path

import numpy as np

from sfumato.errors import BackendMissingError, OutputError, SettingsError
from sfumato.io import Picture, encode_picture
from sfumato.recipe_embedding import COMPOSITE

MEDIA_TYPES: Mapping[str, str] = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "TIFF": "image/tiff",
    "AVIF": "image/avif",
    "HEIF": "image/heic",
}

_QUIET = {
    "builder": {"thumbnail": {"enabled": False}},
    "verify": {"verify_trust": False, "ocsp_fetch": False, "remote_manifest_fetch": False},
}
"""Settings of the library by which it asks no host; whether a certificate is trusted is for the readers to say."""


def sign(data: bytes, format: str, certificate: Path, key: Path) -> bytes:
    """Return the file with a manifest that says a network had a part in it, signed, without a time stamp.

    Args:
        data: a picture of this format.
        certificate: PEM, the certificate of the key first, then those up to the root.
        key: PEM, without a password.

    Raises:
        BackendMissingError: the library is not installed.
        SettingsError: a file cannot be read, or holds no key of a kind that can sign.
        OutputError: the certificate is none that C2PA takes, or not that of the key.
    """
    if find_spec("c2pa") is None:
        raise BackendMissingError("signing needs c2pa-python; try: pip install 'sfumato[c2pa]'")
    import c2pa

    chain, secret, algorithm = _read(certificate, "certificate"), *_private_key(key)
    signed = BytesIO()
    try:
        signer = c2pa.Signer.from_info(c2pa.C2paSignerInfo(algorithm, chain, secret, None))
        builder = c2pa.Builder(_manifest(), c2pa.Context.from_dict(_QUIET))
        builder.sign(signer, MEDIA_TYPES[format], BytesIO(data), signed)
    except c2pa.C2paError as error:
        reason = " ".join(str(error).split())
        raise OutputError(
            f"cannot sign with {certificate}: {reason}; check that it is for signing and of {key}"
        ) from error
    return signed.getvalue()


def check_signing(certificate: Path, key: Path) -> None:
    """Sign a picture of nothing, so that what is wrong is known before any work is spent.

    Raises:
        SfumatoError: as `sign`.
    """
    nothing = encode_picture(Picture(np.zeros((16, 16, 3), np.uint8)), format="PNG")
    sign(nothing, "PNG", certificate, key)


def _manifest() -> str:
    """Return what is claimed, C2PA 2.2 section 18.15: made by this program, in part by a trained network."""
    program = {"name": "sfumato", "version": version("sfumato")}
    action = {"action": "c2pa.created", "digitalSourceType": COMPOSITE, "softwareAgent": program}
    assertion = {"label": "c2pa.actions", "data": {"actions": [action]}}
    return json.dumps({"claim_generator_info": [program], "assertions": [assertion]})


def _private_key(path: Path) -> tuple[bytes, str]:
    """Return a key as PKCS #8, which is all that the library reads, and the name of its algorithm."""
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
        load_pem_private_key,
    )

    try:
        key = load_pem_private_key(_read(path, "key"), None)
    except (ValueError, TypeError) as error:
        raise SettingsError(f"{path} is no private key in PEM without a password; convert it") from error
    algorithm = _algorithm(key)
    if algorithm is None:
        raise SettingsError(f"{path} is a key of a kind that C2PA does not sign with; use one of P-256")
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), algorithm


def _algorithm(key: object) -> str | None:
    """Return how C2PA calls signatures by such a key, C2PA 2.2 section 13.2."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if isinstance(key, ec.EllipticCurvePrivateKey):
        return {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}.get(key.curve.name)
    if isinstance(key, rsa.RSAPrivateKey):
        return "ps256"
    return "ed25519" if isinstance(key, ed25519.Ed25519PrivateKey) else None


def _read(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise SettingsError(f"cannot read the {what} {path}: {reason}; name a PEM file") from error
