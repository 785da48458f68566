"""Know which licences of models the user has accepted; nothing is fetched here."""

from collections.abc import Iterable

from sfumato.errors import LicenceError
from sfumato.registry import ModelSpec
from sfumato.store_tables import LICENCES, change_table, read_table


def must_accept(spec: ModelSpec) -> bool:
    """Tell whether a model's licence forbids commercial use or is unclear, and the user has not accepted it yet."""
    if not spec.urls or spec.commercial_use == "yes":  # what is embedded or the user's own is not fetched
        return False
    return read_table(LICENCES).get(spec.name) != spec.weights_licence


def accept_licence(spec: ModelSpec) -> None:
    """Note that the user knows the licence of a model; another text must be accepted anew."""
    change_table(LICENCES, lambda accepted: {**accepted, spec.name: spec.weights_licence})


def check_licences(specs: Iterable[ModelSpec], *, accept: bool) -> None:
    """Make sure that the licences of these models are accepted; `accept` accepts them now.

    Raises:
        LicenceError: one is not.
    """
    open_ones = [spec for spec in specs if must_accept(spec)]
    if accept:
        for spec in open_ones:
            accept_licence(spec)
    elif open_ones:
        spec = open_ones[0]
        more = f" (and {len(open_ones) - 1} more)" if len(open_ones) > 1 else ""
        raise LicenceError(
            f"licence of {spec.name}{more}: {spec.weights_licence}; commercial use: {spec.commercial_use}. Read "
            f"sfumato models info {spec.name}, and add --accept-license if that suits you"
        )
