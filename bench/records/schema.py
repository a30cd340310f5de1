"""The columns of the table: the released `index.csv` schema first, then what the release never recorded.

One row is one transfer run with its upstream run beside it; an upstream run that was never transferred has one row whose
`adapt_*` columns are empty. Accuracies are fractions in [0, 1]. Source of the released columns: the index of
"How to train your ViT?" (21 columns, in its order).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Column:
    """A column of the table.

    Attributes:
      name: header.
      dtype: pandas dtype that the column has after reading; `string`, `float64`, `Int64` or `boolean`.
      meaning: one line for the documentation.
      released: whether the released index has it.
      volatile: whether two undisturbed runs of the same sweep may differ in it (times and costs, nothing else).
      unit: whether values must lie in [0, 1].
    """

    name: str
    dtype: str
    meaning: str
    released: bool = False
    volatile: bool = False
    unit: bool = False


COLUMNS: tuple[Column, ...] = (
    Column("name", "string", "model", released=True),
    Column("ds", "string", "upstream set, fraction and short budget included", released=True),
    Column("epochs", "float64", "upstream epochs", released=True),
    Column("lr", "float64", "upstream peak learning rate", released=True),
    Column("aug", "string", "augmentation level, released name", released=True),
    Column("wd", "float64", "weight decay, decoupled, multiplied by the learning rate", released=True),
    Column("do", "float64", "dropout rate", released=True),
    Column("sd", "float64", "stochastic depth rate of the last block", released=True),
    Column("best_val", "float64", "best upstream validation accuracy during training", released=True, unit=True),
    Column("final_val", "float64", "upstream validation accuracy at the end", released=True, unit=True),
    Column("final_test", "float64", "upstream test accuracy at the end", released=True, unit=True),
    Column("adapt_ds", "string", "downstream task", released=True),
    Column("adapt_lr", "float64", "downstream peak learning rate", released=True),
    Column("adapt_steps", "Int64", "downstream steps", released=True),
    Column("adapt_resolution", "Int64", "downstream resolution, pixels", released=True),
    Column("adapt_final_val", "float64", "downstream validation accuracy at the end", released=True, unit=True),
    Column("adapt_final_test", "float64", "downstream test accuracy at the end", released=True, unit=True),
    Column("params", "float64", "parameters at the downstream resolution", released=True),
    Column(
        "infer_samples_per_sec",
        "float64",
        "images per second in evaluation on the device of the run",
        released=True,
        volatile=True,
    ),
    Column("filename", "string", "name of the upstream run", released=True),
    Column("adapt_filename", "string", "name of the transfer run", released=True),
    Column("seed", "Int64", "upstream seed"),
    Column("status", "string", "upstream status: ok, diverged or pruned"),
    Column("digest", "string", "digest of the whole upstream config"),
    Column("n_train", "Int64", "upstream training examples"),
    Column("n_val", "Int64", "upstream validation examples"),
    Column("n_test", "Int64", "upstream test examples"),
    Column("data_fingerprint", "string", "hash of the upstream splits"),
    Column("code_version", "string", "version of this package that made the upstream run"),
    Column("device", "string", "kind of device of the upstream run"),
    Column("train_seconds", "float64", "upstream training time, compilation excluded", volatile=True),
    Column("adapt_final_val_v2", "float64", "ImageNetV2 accuracy, the validation score for imagenet2012", unit=True),
    Column("adapt_group", "string", "task group: natural, specialized or structured; own where the task is the user's"),
    Column("adapt_synthetic", "boolean", "whether the task's images are rendered"),
    Column("adapt_seed", "Int64", "downstream seed"),
    Column("adapt_status", "string", "downstream status: ok, diverged or pruned"),
    Column("adapt_digest", "string", "digest of the whole transfer config"),
    Column("adapt_n_val", "Int64", "downstream validation examples"),
    Column("adapt_n_test", "Int64", "downstream test examples"),
    Column("adapt_data_fingerprint", "string", "hash of the downstream splits"),
    Column("adapt_train_seconds", "float64", "downstream training time, compilation excluded", volatile=True),
    Column("adapt_fit", "string", "what the transfer learnt from: train, or tune where test was left for another run"),
    Column(
        "adapt_retrained", "string", "transfer with these settings that learnt from train and val, and has the test accuracy"
    ),
    Column("adapt_version", "Int64", "version of the task"),
    Column("adapt_train_flops", "float64", "floating-point operations of downstream training"),
)

BY_NAME: dict[str, Column] = {c.name: c for c in COLUMNS}
RELEASED: tuple[str, ...] = tuple(c.name for c in COLUMNS if c.released)
VOLATILE: tuple[str, ...] = tuple(c.name for c in COLUMNS if c.volatile)
STATUSES = ("ok", "diverged", "pruned")
