"""Sets of a few random images with the features of TFDS's own builders, prepared on disk as TFDS prepares them."""

import contextlib
import io


def builder(folder):
    """Returns TFDS's builder of a set, such as "sun397/tfds:4", at the version that it resolves to now; reads nothing."""
    import tensorflow_datasets as tfds

    name, _, major = folder.partition(":")
    return tfds.builder(f"{name}:{major}.*.*", data_dir="/nowhere")


def examples(made, count, **changes):
    """Returns random examples of a builder's features; `changes` are functions of an example's number, by feature."""
    from tensorflow_datasets.testing.mocking import RandomFakeGenerator

    found = list(RandomFakeGenerator(made.info.features, count, constant_dynamic_shape=True))
    return [{**example, **{name: make(i) for name, make in changes.items()}} for i, example in enumerate(found)]


def prepare(root, made, splits):
    """Writes examples, by split, in their order, under the name, configuration and version of a builder."""
    import tensorflow_datasets as tfds

    class Made(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        VERSION = made.version
        BUILDER_CONFIGS = [tfds.core.BuilderConfig(name=made.builder_config.name)] if made.builder_config else []

        def _info(self):
            return tfds.core.DatasetInfo(builder=self, features=made.info.features, disable_shuffling=True)

        def _split_generators(self, dl_manager):  # noqa: ARG002 - TFDS's signature
            return {split: self._generate_examples(each) for split, each in splits.items()}

        def _generate_examples(self, given):
            yield from enumerate(given)

    Made.name = made.name
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        Made(data_dir=str(root), file_format="array_record").download_and_prepare()
