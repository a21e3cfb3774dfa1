"""Affine quantization of tensors: real = scale * (integer - zero_point), one scale a tensor.

Source: the TensorFlow Lite 8-bit quantization specification.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class TensorType(NamedTuple):
    """Element type of a model's input or output tensor.

    Attributes:
        dtype: "float32", "int8", "uint8" or "int16".
        scale: real step of one integer; 0.0 for float tensors.
        zero_point: the integer that stands for real 0.
    """

    dtype: str = "float32"
    scale: float = 0.0
    zero_point: int = 0

    @property
    def is_quantized(self) -> bool:
        """Whether values are integers that need `scale` and `zero_point`."""
        return self.dtype != "float32"

    @property
    def real_range(self) -> tuple[float, float]:
        """Smallest and largest real value the type can hold."""
        if not self.is_quantized:
            return -float("inf"), float("inf")
        info = np.iinfo(self.dtype)
        return self.scale * (info.min - self.zero_point), self.scale * (info.max - self.zero_point)

    def quantize(self, real: NDArray[Any]) -> NDArray[Any]:
        """Real values to this type; rounds half away from zero as TFLite does, saturates at the ends."""
        if not self.is_quantized:
            return np.asarray(real, np.float32)
        info = np.iinfo(self.dtype)
        steps = np.asarray(real, np.float64) / self.scale
        rounded = np.trunc(steps + np.copysign(0.5, steps)) + self.zero_point
        return np.asarray(np.clip(rounded, info.min, info.max), self.dtype)

    def dequantize(self, stored: NDArray[Any]) -> NDArray[np.float32]:
        """Values of this type to real float32."""
        if not self.is_quantized:
            return np.asarray(stored, np.float32)
        return (np.asarray(stored, np.float32) - np.float32(self.zero_point)) * np.float32(self.scale)
