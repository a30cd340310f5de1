"""Strict numerics for every test: no silent dtype promotion, no silent broadcasting across ranks."""

import os
import sys
from pathlib import Path

import pytest

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("JAX_NUMPY_DTYPE_PROMOTION", "strict")
os.environ.setdefault("JAX_NUMPY_RANK_PROMOTION", "raise")
# The default, also where this package asks for another one: RandAugment is compared with it, and the first import of TensorFlow
# decides for a whole process.
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "1"
# Tests compile far more than they compute.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true")

sys.path.insert(0, str(Path(__file__).parent))  # for the helper module `tiny`


@pytest.fixture
def augreg(capsys):
    """Returns a function that runs the command line in this process: exit code, standard output, standard error."""

    from sweeps import cli

    def call(*arguments):
        with pytest.raises(SystemExit) as left:
            cli.main([str(a) for a in arguments])
        captured = capsys.readouterr()
        return left.value.code, captured.out, captured.err

    return call
