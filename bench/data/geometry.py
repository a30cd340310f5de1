"""How an image of any size becomes a square one: facts and checks, without any library that reads images."""

from __future__ import annotations

from dataclasses import dataclass

from bench.errors import UserError, choose_from

# What an Inception crop covers: big_vision's inception_crop(area_min=5, area_max=100), and of sample_distorted_bounding_box in
# TensorFlow the default aspect_ratio_range, width over height, which has 1.33 where papers write 4/3.
AREAS = (0.05, 1.0)
ASPECTS = (0.75, 1.33)
# Attempts to draw a crop that fits before the whole image is taken: TensorFlow's default max_attempts.
ATTEMPTS = 100

# "resize" serves both; it is VTAB's only one.
TRAINING = ("inception_crop", "small_random_crop")
EVALUATION = ("small_central_crop",)
KINDS = (*TRAINING, *EVALUATION, "resize")


@dataclass(frozen=True)
class Geometry:
    """What becomes of an image, encoded or decoded, until it is `uint8[resolution, resolution, 3]`.

    Attributes:
      kind: "inception_crop", a random part of the image, stretched to the square (training); "small_random_crop" (training) and
        "small_central_crop" (evaluation), a square out of the image whose shorter side was scaled to `small`; "resize", the
        whole image stretched to the square.
      resolution: side of the square in pixels.
      small: shorter side before the crop, in pixels; of the two kinds that have it in their names, 0 for the others.
      flip: mirror with probability one half, at the end.

    Raises:
      UserError: the kind is unknown, a size makes no sense, or an evaluation is to flip.
    """

    kind: str
    resolution: int
    small: int = 0
    flip: bool = False

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UserError(f"unknown image geometry {self.kind!r}: {choose_from(self.kind, KINDS)}")
        if self.resolution < 1:
            raise UserError(f"image geometry {self.kind!r}: resolution is {self.resolution}, but must be at least 1 pixel")
        if not self.scales and self.small:
            raise UserError(f"image geometry {self.kind!r} scales no shorter side: leave out small={self.small}")
        if self.scales and self.small < self.resolution:
            raise UserError(
                f"image geometry {self.kind!r}: no {self.resolution} px square fits into an image whose shorter side is "
                f"{self.small} px: make small at least {self.resolution}"
            )
        if self.flip and self.kind in EVALUATION:
            raise UserError(f"image geometry {self.kind!r} is for evaluation, which never flips: leave out flip")

    @property
    def scales(self) -> bool:
        """Whether the shorter side is scaled to `small`."""
        return self.kind.startswith("small_")

    @property
    def random(self) -> bool:
        """Whether the result depends on a seed."""
        return self.flip or self.kind in TRAINING

    def keeps(self, height: int, width: int) -> bool:
        """Returns whether the pixels of a decoded image of `height` x `width` come through as they are, but for a flip."""
        fits = height == width == self.resolution
        return fits and self.kind != "inception_crop" and self.small in (0, self.resolution)
