"""Strict numerics for every test: no silent dtype promotion, no silent broadcasting across ranks."""

import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("JAX_NUMPY_DTYPE_PROMOTION", "strict")
os.environ.setdefault("JAX_NUMPY_RANK_PROMOTION", "raise")

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # for the helper module `tiny`
