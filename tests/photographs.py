"""Small sets of encoded images, made or real, and data sets that TFDS prepares from them."""

import io
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from real_data import real_data

from bench.data.sources.arrays import read_npz

FORMATS = ("tfrecord", "array_record")
# Examples of each set: 40 train and 20 validation, in three files each.
N, TRAIN = 60, 40


class Photos(NamedTuple):
    """Encoded images and their labels; `pixels` where the originals are arrays."""

    images: list
    labels: list
    pixels: np.ndarray | None = None


def made_photos():
    """Returns small JPEG files of smooth noise."""
    rng, images = np.random.default_rng(0), []
    for _ in range(N):
        coarse = Image.fromarray(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8))
        file = io.BytesIO()
        coarse.resize((int(rng.integers(20, 60)), int(rng.integers(20, 60)))).save(file, "JPEG", quality=90)
        images.append(file.getvalue())
    return Photos(images, rng.integers(0, 10, N).tolist())


def real_photos(name):
    images, numbers = read_npz(real_data(name), "train").read(np.arange(N))
    if not isinstance(images, np.ndarray):
        return Photos(list(images), numbers.tolist())
    files = [io.BytesIO() for _ in images]
    for file, image in zip(files, images, strict=True):
        Image.fromarray(image).save(file, "PNG")
    return Photos([file.getvalue() for file in files], numbers.tolist(), images)


def features_of(number):
    """Returns the features for labels of the example of a number: a few objects, and from none to three right labels."""
    objects = [
        {"type": (number + k) % 8, "location": np.array([k, -1, 7 * number - 80 * k], np.float32)} for k in range(number % 4)
    ]
    return {
        "number": number,
        "name": f"{number}.jpg",
        "objects": objects,
        "real_label": list(range(number % 4)),
        "weight": number / 8,
    }


def prepare(folder, photos, kind):
    """Prepares a data set as its user does, and returns the folder of its version."""
    import tensorflow_datasets

    core, f = tensorflow_datasets.core, tensorflow_datasets.features

    class Photographs(core.GeneratorBasedBuilder, skip_registration=True):
        VERSION = core.Version("1.0.0")

        def _info(self):
            types = ["Car", "Van", "Truck", "Pedestrian", "Person_sitting", "Cyclist", "Tram", "Misc"]
            features = {
                "image": f.Image(shape=(None, None, 3), encoding_format="png" if photos.pixels is not None else "jpeg"),
                "label": f.ClassLabel(num_classes=43),
                "number": np.int64,
                "weight": np.float32,
                "name": f.Text(),
                "objects": f.Sequence({"type": f.ClassLabel(names=types), "location": f.Tensor(shape=(3,), dtype=np.float32)}),
                "real_label": f.Sequence(f.ClassLabel(num_classes=43)),
            }
            return core.DatasetInfo(builder=self, features=f.FeaturesDict(features))

        def _split_generators(self, _):
            return {"train": self._generate_examples(0, TRAIN), "validation": self._generate_examples(TRAIN, N)}

        def _generate_examples(self, start, stop):
            for i in range(start, stop):
                yield i, {"image": io.BytesIO(photos.images[i]), "label": photos.labels[i], **features_of(i)}

    config = tensorflow_datasets.download.DownloadConfig(num_shards=3)
    builder = Photographs(data_dir=folder, file_format=kind)
    builder.download_and_prepare(download_config=config)
    return Path(builder.data_dir)
