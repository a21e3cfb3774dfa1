"""The error tree. Every error a user can cause is one of these, with a message of one line that says
what was expected, what came and what to do; the command line prints it and exits 1.

    EdgecnnError
    ├── DataError            a data set, folder, archive or label file cannot be used
    │   └── ImageError       one image cannot be decoded (skipped and counted in bulk work)
    ├── ModelError           a file is no model, or no single-image classifier
    │   └── UnsafeModelError a model file carries code or touches files
    ├── PreprocessError      a preprocessing SPEC is wrong, missing or cannot be found out
    ├── BundleError          labels or card inside a bundle are wrong
    ├── ConversionError      a conversion or quantization failed
    │   └── ParityError      the converted model computes something else
    ├── CameraError          an option or an output of the camera loop cannot be used
    │   └── SourceError      a camera, clip or stream cannot be opened, or was lost
    ├── ResultError          a results document (JSON) is wrong or newer than this release
    └── MissingExtraError    an optional dependency is not installed
"""


class EdgecnnError(Exception):
    """Base of all errors edgecnn raises on purpose."""


class DataError(EdgecnnError):
    """A data set, folder, archive or label file cannot be used."""


class ImageError(DataError):
    """One image cannot be decoded."""


class ModelError(EdgecnnError):
    """A file is no model, or not a classifier of single images."""


class UnsafeModelError(ModelError):
    """A model file carries code, or operations that touch files."""


class PreprocessError(EdgecnnError):
    """A preprocessing SPEC is wrong, missing, or cannot be found out."""


class BundleError(EdgecnnError):
    """The labels or the card of a bundle are wrong."""


class ConversionError(EdgecnnError):
    """A conversion or quantization failed."""


class ParityError(ConversionError):
    """The converted model computes something else than its source."""


class CameraError(EdgecnnError):
    """An option or an output of the camera loop cannot be used."""


class SourceError(CameraError):
    """A camera, clip or stream cannot be opened, or was lost."""


class ResultError(EdgecnnError):
    """A results document is wrong, or written by a newer release."""


class MissingExtraError(EdgecnnError):
    """An optional dependency is not installed; the message is the pip line that installs it."""

    def __init__(self, what: str, extra: str) -> None:
        line = f"pip install 'edgecnn[{extra}]'" if extra else "pip install edgecnn"
        super().__init__(f"{what} is not installed; type: {line}")
        self.extra = extra
