"""A search by Gaussian process, which needs PyTorch: nearer to the peak than chance, and the same again after crashes."""

import dataclasses

import pytest
from searching import NUMBERS, Folder, finish, values

pytest.importorskip("torch")
GP = dataclasses.replace(NUMBERS, sampler="gp", trials=16)


@pytest.mark.filterwarnings("ignore")  # PyTorch's and Optuna's own
def test_gp_finds_the_peak_and_goes_on_after_crashes_with_the_same_proposals(tmp_path):
    whole, broken = Folder(tmp_path / "whole", GP), Folder(tmp_path / "broken", GP)
    chance = Folder(tmp_path / "chance", dataclasses.replace(GP, sampler="random"))
    expected = finish(whole, whole.open())
    assert expected.best()[1] > finish(chance, chance.open()).best()[1]
    while (config := (proposals := broken.open()).next()) is not None:
        proposals.tell(broken.train(config))
    assert values(broken.open()) == values(expected)
