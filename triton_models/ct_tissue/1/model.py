"""Triton Python model `ct_tissue`: Hounsfield volume in, label map out."""

from __future__ import annotations

import json
from typing import Any, Final

import numpy as np
import triton_python_backend_utils as pb_utils
from ct_tissue.segmentation import segment

SPACING_RANGE_MM: Final = (0.1, 20.0)


class TritonPythonModel:
    """Segments one volume a request."""

    def initialize(self, args: dict[str, str]) -> None:
        """Check the environment and read the model's bound.

        Raises:
            TritonModelException: NumPy is 2 or later, which hands Triton's stub empty tensors.
        """
        if int(np.__version__.split(".")[0]) >= 2:
            raise pb_utils.TritonModelException("ct_tissue needs numpy < 2")
        parameters = json.loads(args["model_config"])["parameters"]
        self._max_voxels = int(parameters["MAX_VOXELS"]["string_value"])

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answer each request with a label map or an error that carries a code."""
        return [self._answer(request) for request in requests]

    def _answer(self, request: Any) -> Any:
        try:
            hu = pb_utils.get_input_tensor_by_name(request, "VOLUME_HU").as_numpy()
            spacing = pb_utils.get_input_tensor_by_name(request, "SPACING_MM").as_numpy()
            fault = _fault(hu, spacing, self._max_voxels)
            if fault:
                return _error(fault, pb_utils.TritonError.INVALID_ARG)
            z_mm, y_mm, x_mm = (float(value) for value in spacing)
            labelmap = segment(hu, (z_mm, y_mm, x_mm))
        except MemoryError:
            return _error("out of memory", pb_utils.TritonError.UNAVAILABLE)
        # The trap is deliberate: an exception would send its traceback to the caller.
        except Exception as error:
            return _error(
                f"segmentation failed: {type(error).__name__}", pb_utils.TritonError.INTERNAL
            )
        return pb_utils.InferenceResponse(output_tensors=[pb_utils.Tensor("LABELMAP", labelmap)])


def _fault(hu: Any, spacing: Any, max_voxels: int) -> str | None:
    low, high = SPACING_RANGE_MM
    if hu.ndim != 3 or min(hu.shape) < 1:
        return "VOLUME_HU: needs three axes (z, y, x) of at least one voxel"
    if hu.size > max_voxels:
        return "VOLUME_HU: more voxels than MAX_VOXELS"
    if not np.isfinite(spacing).all() or (spacing < low).any() or (spacing > high).any():
        return f"SPACING_MM: each must be {low} to {high}"
    return None


def _error(text: str, code: int) -> Any:
    return pb_utils.InferenceResponse(output_tensors=[], error=pb_utils.TritonError(text, code))
