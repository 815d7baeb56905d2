"""The tree of errors.

    BgcamError                  exit code 70   anything below
    ├── UsageError                     64      an option or an argument makes no sense
    ├── SettingsError                  78      the configuration file or an option of the daemon is wrong
    ├── InputError                     66      a picture, clip or other input can't be read
    ├── OutputError                    73      a file can't be written
    ├── SourceError                    69      a camera is missing, busy or lost (temporary: the daemon tries again)
    ├── SinkError                      69      the virtual camera is missing or held (temporary, likewise)
    ├── ModelError                     66      a model is unknown, not fetched, or damaged
    ├── EngineError                    70      the network could not be loaded or run
    │   └── DeviceError                        the GPU failed, or there is none
    └── ControlError                   69      the daemon does not answer, or answers what the client does not know

``message`` says what failed and where, ``hint`` what to do about it. Only the composition root, the
command line's edge and the control server catch ``BgcamError``; an unknown exception keeps its traceback.
The codes are those of BSD's sysexits.h.
"""


class BgcamError(Exception):
    """Something the user should read: one line of what failed, one of what to do.

    Parameters
    ----------
    message: what failed and where, one line, no full stop needed.
    hint: what to do about it, or "".
    """

    exit_code = 70

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class UsageError(BgcamError):
    """An option or an argument makes no sense."""

    exit_code = 64


class SettingsError(BgcamError):
    """The configuration file, or an option of the daemon, is wrong."""

    exit_code = 78


class InputError(BgcamError):
    """A picture, a clip or another input can't be read."""

    exit_code = 66


class OutputError(BgcamError):
    """A file can't be written."""

    exit_code = 73


class SourceError(BgcamError):
    """A camera is missing, busy or lost; the live daemon tries again."""

    exit_code = 69


class SinkError(BgcamError):
    """The virtual camera or another live output is missing or held; the live daemon tries again."""

    exit_code = 69


class ModelError(BgcamError):
    """A model is unknown, not fetched, or damaged."""

    exit_code = 66


class EngineError(BgcamError):
    """The network could not be loaded or run."""


class DeviceError(EngineError):
    """The GPU, its driver or its memory failed, or there is none."""


class ControlError(BgcamError):
    """The daemon does not answer, or answers what the client does not know."""

    exit_code = 69
