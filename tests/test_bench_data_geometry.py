import pytest

from bench.data.geometry import AREAS, ASPECTS, ATTEMPTS, EVALUATION, KINDS, TRAINING, Geometry
from bench.errors import UserError


def test_inception_crops_are_the_references():
    # big_vision's inception_crop: area_min 5, area_max 100; TensorFlow's sample_distorted_bounding_box: the rest.
    assert (AREAS, ASPECTS, ATTEMPTS) == ((0.05, 1.0), (0.75, 1.33), 100)


def test_kinds():
    assert set(KINDS) == {"inception_crop", "small_random_crop", "small_central_crop", "resize"}
    assert not set(TRAINING) & set(EVALUATION)
    assert [Geometry("inception_crop", 224).random, Geometry("small_random_crop", 224, 256).random] == [True, True]
    assert [Geometry("small_central_crop", 224, 256).random, Geometry("resize", 224).random] == [False, False]
    assert Geometry("resize", 224, flip=True).random


def test_equal_geometries_are_one_key():
    assert len({Geometry("resize", 32), Geometry("resize", 32), Geometry("resize", 32, flip=True)}) == 2


@pytest.mark.parametrize(
    ("geometry", "size", "kept"),
    [
        (Geometry("resize", 32), (32, 32), True),
        (Geometry("resize", 32), (32, 31), False),
        (Geometry("resize", 32), (64, 64), False),
        (Geometry("small_central_crop", 32, 32), (32, 32), True),
        (Geometry("small_random_crop", 32, 32), (32, 32), True),
        (Geometry("small_central_crop", 32, 40), (32, 32), False),
        (Geometry("small_random_crop", 32, 40), (40, 40), False),
        (Geometry("inception_crop", 32), (32, 32), False),
    ],
)
def test_what_leaves_pixels_alone(geometry, size, kept):
    assert geometry.keeps(*size) is kept


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("inception_krop", 224),
            "unknown image geometry 'inception_krop': did you mean 'inception_crop'? "
            "valid: inception_crop, small_random_crop, small_central_crop, resize",
        ),
        (("resize", 0), "image geometry 'resize': resolution is 0, but must be at least 1 pixel"),
        (("resize", 224, 256), "image geometry 'resize' scales no shorter side: leave out small=256"),
        (
            ("small_central_crop", 224, 223),
            "image geometry 'small_central_crop': no 224 px square fits into an image whose shorter side is 223 px: "
            "make small at least 224",
        ),
        (
            ("small_random_crop", 224),
            "image geometry 'small_random_crop': no 224 px square fits into an image whose shorter side is 0 px: "
            "make small at least 224",
        ),
        (
            ("small_central_crop", 224, 256, True),
            "image geometry 'small_central_crop' is for evaluation, which never flips: leave out flip",
        ),
    ],
)
def test_senseless_geometries_are_refused(arguments, said):
    with pytest.raises(UserError) as caught:
        Geometry(*arguments)
    assert str(caught.value) == said
