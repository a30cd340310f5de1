"""`python -m bench.perf.reference_randaugment PATH`: every operation against the reference's own code, where a user has it.

PATH is a checkout of big_vision, or its file autoaugment.py. The file is imported, and so it runs as any code of yours does.
It imports tensorflow_addons, which no longer installs: without it, its three functions are stood in for by TensorFlow's
ImageProjectiveTransform with the same matrices. Nothing else of the checkout is imported.

What old versions of TensorFlow let wrap around, newer ones may refuse; a refused case is counted and named, not compared. Later
versions of the file blend Contrast with the true mean, which is what ours does with `fixed`: the file's own is found out.
"""

from __future__ import annotations

import importlib.util
import sys
import types
from collections import Counter
from pathlib import Path
from typing import Any

import click
import jax
import jax.numpy as jnp
import numpy as np

from bench.augment import levels, ops, warp
from bench.augment.randaugment import CUTOUT, TRANSLATE
from bench.errors import UserError
from bench.perf.tensorflow_randaugment import tensorflow
from bench.train import gain

PLACES = ("big_vision/pp/archive/autoaugment.py", "big_vision/pp/autoaugment.py")
FILL = [ops.FILL] * 3
RESOLUTION = 224
MAGNITUDES = range(levels.LARGEST + 1)


def find(path: Path) -> Path:
    """Returns the reference's file.

    Args:
      path: a checkout of big_vision, or the file.

    Raises:
      UserError: it is not there.
    """
    for candidate in (path, *(path / place for place in PLACES)):
        if candidate.is_file():
            if candidate.suffix != ".py":
                raise UserError(f"{candidate} is no Python file: give a checkout of big_vision, or its autoaugment.py")
            return candidate
    if not path.exists():
        raise UserError(f"there is no {path}: give a checkout of github.com/google-research/big_vision, or its autoaugment.py")
    raise UserError(f"{path} has none of {', '.join(PLACES)}: give a checkout of big_vision, or its autoaugment.py")


def _stand_in(tf: Any) -> types.ModuleType:
    """Returns a module tensorflow_addons with the image functions rotate, translate and transform."""

    def transform(image: Any, matrix: Any) -> Any:
        moved = tf.raw_ops.ImageProjectiveTransformV3(
            images=image[None],
            transforms=tf.reshape(tf.convert_to_tensor(matrix, tf.float32), [1, 8]),
            output_shape=tf.shape(image)[:2],
            interpolation="NEAREST",
            fill_mode="CONSTANT",
            fill_value=0.0,
        )
        return moved[0]

    def translate(image: Any, shifts: Any) -> Any:
        across, down = (-tf.convert_to_tensor(shift, tf.float32) for shift in shifts)
        return transform(image, tf.stack([1.0, 0.0, across, 0.0, 1.0, down, 0.0, 0.0]))

    def rotate(image: Any, radians: Any) -> Any:
        angle = tf.reshape(tf.convert_to_tensor(radians, tf.float32), [1])
        cosine, sine = tf.cos(angle)[0], tf.sin(angle)[0]
        bottom, right = (tf.cast(tf.shape(image)[axis], tf.float32) - 1 for axis in range(2))
        x_offset = (right - (cosine * right - sine * bottom)) / 2.0
        y_offset = (bottom - (sine * right + cosine * bottom)) / 2.0
        return transform(image, tf.stack([cosine, -sine, x_offset, sine, cosine, y_offset, 0.0, 0.0]))

    module, image = types.ModuleType("tensorflow_addons"), types.ModuleType("tensorflow_addons.image")
    vars(image).update(rotate=rotate, translate=translate, transform=transform)
    vars(module)["image"] = image
    return module


def load(path: Path) -> Any:
    """Returns the reference's module, imported from a file.

    Raises:
      UserError: TensorFlow is not installed, or the file is not the reference's.
    """
    tf = tensorflow()
    if importlib.util.find_spec("tensorflow_addons") is None:
        module = _stand_in(tf)
        sys.modules["tensorflow_addons"], sys.modules["tensorflow_addons.image"] = module, module.image
    spec = importlib.util.spec_from_file_location("reference_autoaugment", path)
    if spec is None or spec.loader is None:
        raise UserError(f"{path} cannot be imported: give big_vision's autoaugment.py")
    found = importlib.util.module_from_spec(spec)
    # dataclasses look their module up.
    sys.modules[spec.name] = found
    try:
        spec.loader.exec_module(found)
    except Exception as error:
        raise UserError(f"{path} cannot be imported: {type(error).__name__}: {error}") from error
    if missing := [name for name in ("NAME_TO_FUNC", "level_to_arg", "HParams") if not hasattr(found, name)]:
        raise UserError(f"{path} has no {', '.join(missing)}: give big_vision's autoaugment.py")
    if lacking := [name for name in ops.NAMES if name not in found.NAME_TO_FUNC]:
        raise UserError(f"{path} has no operation {', '.join(lacking)}: give big_vision's autoaugment.py")
    return found


class _Centred:
    """TensorFlow whose `random_uniform`, which only Cutout is left to call, gives row and column of a centre in turn."""

    def __init__(self, tf: Any, centre: tuple[int, int]) -> None:
        self._tf, self._left = tf, list(centre)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tf, name)

    def random_uniform(self, **_: Any) -> Any:
        return self._tf.constant(self._left.pop(0))


def theirs(reference: Any, image: Any, name: str, magnitude: int, negate: bool, centre: tuple[int, int]) -> Any:
    """Returns `image` u8[H, W, 3] after the reference's operation, with a sign and a centre of our choice."""
    tf, constants = tensorflow(), reference.HParams(cutout_const=CUTOUT, translate_const=TRANSLATE)
    reference._randomly_negate_tensor = lambda value: -value if negate else value
    reference.tf = _Centred(tf.compat.v1, centre)
    arguments = reference.level_to_arg(constants)[name](float(magnitude))
    if name in warp.NAMES:
        # The tensors that negating at random makes of them.
        arguments = (tf.constant(arguments[0], tf.float32), FILL)
    if name == "Cutout":
        arguments = (*arguments, FILL)
    return reference.NAME_TO_FUNC[name](tf.constant(image), *arguments).numpy()


def compare(reference: Any, resolution: int = RESOLUTION, magnitudes: Any = MAGNITUDES) -> Counter[tuple[str, str]]:
    """Counts (operation, outcome): "equal", "equal to fixed", "different" or "refused", over magnitudes and signs."""
    image = gain.images(1, resolution)[0] ^ np.random.default_rng(0).integers(0, 64, (resolution, resolution, 3), np.uint8)

    centre = (resolution // 3, resolution // 4)

    def one(op: jax.Array, magnitude: jax.Array, negate: jax.Array, fixed: bool) -> jax.Array:
        strengths = levels.levels(magnitude, TRANSLATE, CUTOUT)
        return ops.apply(jnp.asarray(image), op, strengths, negate, jnp.array(centre, jnp.int32), fixed)

    compiled, found = jax.jit(one, static_argnums=3), Counter[tuple[str, str]]()
    for name in ops.NAMES:
        for magnitude in magnitudes:
            for negate in (False, True) if name in warp.NAMES else (False,):
                case = np.int32(ops.INDEX[name]), np.float32(magnitude), np.bool_(negate)
                try:
                    expected = theirs(reference, image, name, magnitude, negate, centre)
                except (ValueError, TypeError, OverflowError):
                    found[name, "refused"] += 1
                    continue
                same = np.array_equal(compiled(*case, False), expected)
                fixed = not same and np.array_equal(compiled(*case, True), expected)
                found[name, "equal" if same else "equal to fixed" if fixed else "different"] += 1
    return found


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.argument("path", type=click.Path(path_type=Path))
def main(path: Path) -> None:
    """Compare RandAugment with the reference's code in PATH, a checkout of big_vision or its autoaugment.py."""
    try:
        found = compare(load(find(path)))
    except UserError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(2)
    for (name, outcome), count in sorted(found.items()):
        click.echo(f"{name:13} {outcome:15} {count}")
    if any(outcome == "different" for _, outcome in found):
        sys.exit(1)


if __name__ == "__main__":
    main()
