"""Strict numerics for every test: no silent dtype promotion, no silent broadcasting across ranks."""

import os
import sys
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("JAX_NUMPY_DTYPE_PROMOTION", "strict")
os.environ.setdefault("JAX_NUMPY_RANK_PROMOTION", "raise")
# The default, also where this package asks for another one: RandAugment is compared with it, and the first import of TensorFlow
# decides for a whole process.
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "1"
# Tests compile far more than they compute.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true")

sys.path.insert(0, str(Path(__file__).parent))  # for the helper module `tiny`
