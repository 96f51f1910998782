"""Makes the models' own packages importable, as Triton's stub does."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.support.triton import triton_server as triton_server

sys.path.insert(0, str(Path(__file__).parents[2] / "triton_models" / "ct_tissue" / "1"))
