"""A CSI camera of a Raspberry Pi, through picamera2, which comes with Raspberry Pi OS and not from PyPI."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from edgecnn.camera.frame import Picture
from edgecnn.errors import SourceError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SIZE = (1280, 720)
_SYSTEM_PACKAGES = "/usr/lib/python3/dist-packages"


class PiCamera:
    """The camera with this number.

    Raises:
        SourceError: picamera2 is missing, or there is no such camera.
    """

    live = True
    rate: float | None = None

    def __init__(self, number: int = 0, *, size: tuple[int, int] | None = None) -> None:
        self.skipped = 0
        camera_class = _picamera2()
        try:
            self._camera: Any = camera_class(number)
        except (RuntimeError, IndexError) as exc:
            raise SourceError(
                f"cannot open CSI camera {number}: {exc}; type: rpicam-hello --list-cameras, and check the ribbon cable"
            ) from exc
        # What libcamera calls RGB888 lies in memory as B, G, R.
        main = {"format": "RGB888", "size": size or _SIZE}
        try:
            self._camera.configure(self._camera.create_video_configuration(main=main, buffer_count=3))
            self._camera.start()
        except RuntimeError as exc:
            self._camera.close()
            raise SourceError(f"cannot start CSI camera {number}: {exc}") from exc

    def read(self, into: NDArray[np.uint8] | None) -> Picture | None:
        """See `Source.read`."""
        try:
            request = self._camera.capture_request()
        except (RuntimeError, TimeoutError) as exc:
            raise SourceError(f"the CSI camera gives no more pictures: {exc}") from exc
        try:
            pixels = request.make_array("main")
            age = _age_seconds(request.get_metadata())
        finally:
            request.release()
        return Picture(np.asarray(pixels[..., :3], np.uint8), time.monotonic() - age)

    def close(self) -> None:
        """See `Source.close`."""
        self._camera.stop()
        self._camera.close()


def _age_seconds(metadata: dict[str, Any]) -> float:
    """Seconds since the sensor began to read the picture out; its stamp counts nanoseconds since the board started."""
    stamp = metadata.get("SensorTimestamp")
    if stamp is None:
        return 0.0
    return max(0.0, (time.clock_gettime_ns(time.CLOCK_BOOTTIME) - int(stamp)) / 1e9)


def _picamera2() -> Any:
    """The class `Picamera2`; from a virtual environment the system's package is found as well.

    It is bound to the system's Python and libcamera, so it cannot be installed beside us.

    Raises:
        SourceError: it is missing, or does not fit this environment.
    """
    try:
        return _imported()
    except ImportError as exc:
        if exc.name != "picamera2" or _SYSTEM_PACKAGES in sys.path:
            raise _unusable(exc) from exc
    # Behind everything else, so that no package of the environment is replaced by the system's.
    sys.path.append(_SYSTEM_PACKAGES)
    try:
        return _imported()
    except ImportError as exc:
        sys.path.remove(_SYSTEM_PACKAGES)
        raise _unusable(exc) from exc
    except SourceError:
        sys.path.remove(_SYSTEM_PACKAGES)
        raise


def _imported() -> Any:
    try:
        from picamera2 import Picamera2
    except ValueError as exc:  # "numpy.dtype size changed": the system's simplejpeg was built for NumPy 1
        raise SourceError(
            f"picamera2 does not fit this environment's NumPy ({exc}); type: pip install --ignore-installed simplejpeg"
        ) from exc
    return Picamera2


def _unusable(exc: ImportError) -> SourceError:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return SourceError(
        f"picamera2 cannot be imported by this Python {version} ({exc}); type: sudo apt install python3-picamera2, and "
        "make the virtual environment with the system's Python: /usr/bin/python3 -m venv --system-site-packages .venv"
    )
