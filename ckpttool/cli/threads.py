"""Threads that this process has no use for."""

from __future__ import annotations

import os


def without_blas() -> None:
    """Have numpy start no threads for linear algebra; to be called before it is loaded.

    They wait by turning, and take the time of those that read and compare. A user's own setting
    stays.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
