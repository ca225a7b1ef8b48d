"""Documents: parameters and results as plain values."""

from __future__ import annotations

from typing import Any

# Parameters of a request, or a result, in the spelling and nesting of botocore's model.
Document = dict[str, Any]
