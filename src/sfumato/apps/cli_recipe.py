"""Say where recipes go and by whom results are signed, and refuse what cannot be before any work is spent."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from sfumato.apps.cli_inputs import LONGEST_NAME, STREAM, refuse_existing
from sfumato.errors import OutputError, SettingsError
from sfumato.settings import signing_files


class Signing(NamedTuple):
    """The files by which results are signed."""

    certificate: Path
    key: Path


def choose_signing(certificate: Path | None, key: Path | None) -> Signing | None:
    """Return by what results are signed: as given, else as the environment says; None where neither says anything.

    Raises:
        SettingsError: there is one of both files only, or one of them cannot be used.
        BackendMissingError: the library is not installed.
        OutputError: nothing can be signed by them.
    """
    held_certificate, held_key = signing_files()
    certificate = certificate or (Path(held_certificate) if held_certificate else None)
    key = key or (Path(held_key) if held_key else None)
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise SettingsError(
            "signing takes a certificate and its key; give --sign-cert and --sign-key, or set "
            "SFUMATO_SIGN_CERT and SFUMATO_SIGN_KEY"
        )
    from sfumato.signing import check_signing

    check_signing(certificate, key)
    return Signing(certificate, key)


def plan_sidecars(targets: Iterable[Path], *, overwrite: bool) -> None:
    """Refuse recipes beside pictures that cannot be written.

    Raises:
        SettingsError: a picture goes to standard output, which has no place beside it.
        OutputError: a name would be too long.
        OutputExistsError: one exists and `overwrite` is false.
    """
    from sfumato.recipe import sidecar_of

    targets = list(targets)
    if STREAM in targets:
        raise SettingsError("--recipe sidecar needs a file to lie beside; use -o FILE, or --recipe embed")
    sidecars = [sidecar_of(target) for target in targets]
    for sidecar in sidecars:
        if len(os.fsencode(sidecar.name)) > LONGEST_NAME:
            raise OutputError(f"the name of {sidecar} is too long; choose a shorter one with -o")
    if not overwrite:
        refuse_existing(sidecars)
