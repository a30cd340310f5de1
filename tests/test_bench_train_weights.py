"""Final weights on disk: exact, portable, never a pickle."""

import numpy as np
import pytest

from bench.errors import UserError
from bench.train import weights

PARAMS = {"a": {"kernel": np.arange(6, dtype=np.float32).reshape(2, 3) / 7}, "b": {"c": {"bias": np.float32(1 / 3).reshape(1)}}}


def test_weights_read_back_bit_for_bit_under_slash_joined_names(tmp_path):
    weights.save(tmp_path / "w.npz", PARAMS)
    with np.load(tmp_path / "w.npz", allow_pickle=False) as file:
        assert sorted(file.files) == ["a/kernel", "b/c/bias"]
    found = weights.load(tmp_path / "w.npz")
    np.testing.assert_array_equal(found["a"]["kernel"], PARAMS["a"]["kernel"])
    np.testing.assert_array_equal(found["b"]["c"]["bias"], PARAMS["b"]["c"]["bias"])


def test_a_pickled_file_is_refused_and_never_executed(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "executed"), "w"))

    np.savez(tmp_path / "w.npz", a=np.array([Bomb()], dtype=object))
    with pytest.raises(UserError, match="not a readable"):
        weights.load(tmp_path / "w.npz")
    assert not (tmp_path / "executed").exists()


def test_missing_and_truncated_files_are_one_clear_error_each(tmp_path):
    with pytest.raises(UserError, match="no such checkpoint"):
        weights.load(tmp_path / "w.npz")
    weights.save(tmp_path / "w.npz", PARAMS)
    data = (tmp_path / "w.npz").read_bytes()
    (tmp_path / "w.npz").write_bytes(data[: len(data) // 2])
    with pytest.raises(UserError, match=r"w\.npz: not a readable"):
        weights.load(tmp_path / "w.npz")
