"""The port through which models are run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Tensors = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class OutputSpec:
    """What an output tensor must look like.

    Attributes:
        shape: Its exact shape.
        dtype: Its exact type.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def size_bytes(self) -> int:
        """Bytes of the tensor."""
        return math.prod(self.shape) * self.dtype.itemsize


class Inference(Protocol):
    """Runs models."""

    async def infer(
        self, model: str, inputs: Tensors, outputs: Mapping[str, OutputSpec], *, timeout_s: float
    ) -> dict[str, NDArray[Any]]:
        """Run a model once.

        Args:
            model: Name of the model.
            inputs: Input tensors by name.
            outputs: What each output tensor must be.
            timeout_s: Time for loading, waiting in line and running.

        Raises:
            ModelUnavailableError: The model server or the model's process is down, or time is up.
            ModelRefusedError: The model calls the input invalid.
            ModelOutputInvalidError: An output is absent, has another shape or type, or is not
                finite.
        """
        ...
