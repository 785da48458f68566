"""Say what is missing where PyAV is not installed; everything that needs it is imported after this was asked."""

from importlib.util import find_spec

from sfumato.errors import BackendMissingError


def require_pyav() -> None:
    """Raise unless PyAV, which reads and writes videos, is installed.

    Raises:
        BackendMissingError: it is not.
    """
    if find_spec("av") is None:
        raise BackendMissingError("videos need PyAV; try: pip install 'sfumato[video]'")
