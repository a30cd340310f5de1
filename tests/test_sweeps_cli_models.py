"""The commands about models: what they list, the layers of one, weights converted."""


def test_models_are_listed_with_figures(augreg):
    code, out, err = augreg("models", "--family", "hybrid")
    assert (code, err) == (0, "")
    rows = {line.split()[0]: line.split() for line in out.split("\n\n")[0].splitlines()}
    # 36,431,912 parameters: vision_transformer's models_test.py; three more of them for gradients and Adam (one in bfloat16).
    assert rows["R26+S/32"][1:8] == ["hybrid", "36,431,912", "3.46", "146", "MB", "510", "MB"]
    assert rows["R26+S/32"][8:] == ["How", "to", "train", "your", "ViT?,", "Table", "2"]
    assert set(rows) == {"model", "R-mu", "R+Ti/16", "R26+S/32", "R50+L/32"}
    assert "Modifiers of hybrid, as in R50+L/32:gap: gap, map, sincos, rep" in out


def test_a_models_layers_are_shown(augreg):
    code, out, err = augreg("models", "Ti/16:gap", "--resolution", "32", "--depth", "2")
    assert (code, err) == (0, "")
    assert out.startswith("Ti/16:gap (vit; ")
    rows = [line.rsplit(maxsplit=4) for line in out.split("\n\n")[1].splitlines()[1:]]
    # Four patches of 16 x 16 x 3, no class token; 12 blocks of 444,864, a final norm of 384, positions.
    assert rows[0] == ["embedding", "4", "x", "192", "147,648"]
    assert rows[1] == ["Transformer", "4", "x", "192", f"{12 * 444_864 + 384 + 4 * 192:,}"]
    assert rows[3] == ["  encoderblock_0", "4", "x", "192", "444,864"]
    assert out.splitlines()[-1].split() == ["head", "1000", "193,000"]
    assert len(rows) == 2 + 1 + 12 + 1 + 1


def test_weights_are_converted_there_and_back(augreg, tmp_path):
    import numpy as np

    from bench import models, weights

    trained = models.init(models.build("ViT-mu", 10), 0, 28)
    weights.save(tmp_path / "a.npz", trained)
    for source, target, layout in (("a.npz", "b.safetensors", "timm"), ("b.safetensors", "c.npz", "released")):
        code, out, err = augreg("convert", tmp_path / source, tmp_path / target, "--model", "ViT-mu", "--layout", layout)
        assert (code, out) == (0, "")
        assert err.startswith(f"{tmp_path / target}: ")
    with np.load(tmp_path / "a.npz") as before, np.load(tmp_path / "c.npz") as after:
        assert set(before) == set(after)
        for name in before:
            np.testing.assert_array_equal(before[name], after[name])
