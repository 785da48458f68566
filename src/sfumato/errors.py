"""List every way in which sfumato refuses, each with its exit code and HTTP status; nothing is raised here."""

from typing import ClassVar


class SfumatoError(Exception):
    """Refuse with one line that names the thing, the fact and the remedy."""

    exit_code: ClassVar[int] = 1
    http_status: ClassVar[int] = 500


class InputError(SfumatoError):
    """The picture or array cannot be used: missing, empty, broken, too small, too large or of a wrong kind."""

    exit_code = 3
    http_status = 422


class MissingInputError(InputError):
    """There is no such file, or no picture in the folder."""

    http_status = 404


class UnsupportedFormatError(InputError):
    """The content is not a format of the allow-list, whatever its name says."""

    http_status = 415


class PictureTooLargeError(InputError):
    """The picture exceeds the limit of pixels or bytes."""

    http_status = 413


UNREADABLE = "file that cannot be read"
"""Kind of a `DatasetError`: missing, truncated, encrypted or no picture."""


class DatasetError(InputError):
    """A file of a data set cannot be used.

    Attributes:
        kind: in which way, the same words for every such file, so that a report can count them.
    """

    def __init__(self, kind: str, why: str) -> None:
        super().__init__(why)
        self.kind = kind


class SettingsError(SfumatoError):
    """A setting has no such value: unknown style, class, range or combination."""

    exit_code = 2
    http_status = 422


class OutputError(SfumatoError):
    """The result cannot be written: it exists, or there is no permission, space or encoder."""

    exit_code = 4
    http_status = 507


class OutputExistsError(OutputError):
    """The target exists and overwriting was not asked for."""

    http_status = 409


class ModelError(SfumatoError):
    """A model file is missing, damaged or of another kind than expected."""

    exit_code = 5
    http_status = 503


class BackendMissingError(SfumatoError):
    """The device or its runtime is not available."""

    exit_code = 6
    http_status = 503


class LicenceError(SfumatoError):
    """A model's licence forbids something or is unclear, and nobody has said yet that this is known."""

    exit_code = 8
    http_status = 403


class DownloadError(SfumatoError):
    """A file cannot be fetched: offline, refused, unreachable, broken off or another file than the true one."""

    exit_code = 7
    http_status = 502


class StoppedError(SfumatoError):
    """Long work was ended by Ctrl-C; what is finished is kept, and it can go on."""

    exit_code = 130
    http_status = 503


class ServerError(SfumatoError):
    """A server does not take or finish a piece of work, whatever the picture."""

    http_status = 503


class BusyError(ServerError):
    """The server has as much work as it takes, or is asked too often.

    Attributes:
        retry_after: seconds after which it is worth asking again.
    """

    http_status = 429

    def __init__(self, why: str, retry_after: float) -> None:
        super().__init__(why)
        self.retry_after = retry_after


class StoppingError(BusyError):
    """The server is about to stop; what it has accepted is still done."""

    http_status = 503


class TimeLimitError(ServerError):
    """The work took longer than the server allows."""

    http_status = 504


class SlowUploadError(ServerError):
    """The upload took longer than the server allows."""

    http_status = 408


class CancelledJobError(ServerError):
    """The job was cancelled before it was done."""

    http_status = 409


class UnknownJobError(ServerError):
    """There is no such job, or its time is over."""

    http_status = 404


class TokenError(ServerError):
    """The token is missing or wrong."""

    http_status = 401


class ForeignRequestError(ServerError):
    """The request comes from a page of another site, or by a name that is not the server's."""

    http_status = 403


class MalformedRequestError(ServerError):
    """The request is none that can be understood."""

    http_status = 400
