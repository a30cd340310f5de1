"""The table: one view of all records, in the released schema; read, written and checked here."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd

from bench.errors import UserError
from bench.points import KINDS, Checkpoint, Transfer, Upstream
from bench.records.atomic import export
from bench.records.check import check
from bench.records.record import Record
from bench.records.schema import COLUMNS


def typed(frame: pd.DataFrame) -> pd.DataFrame:
    """Returns the frame with every column of the schema, in its order and dtype; missing extra columns are empty.

    Raises:
      UserError: a released column is missing, a column is unknown, or a value has the wrong type (with its row number).
    """
    return check(frame)


def from_records(records: Iterable[Record]) -> pd.DataFrame:
    """Returns the table of the given records: one row a transfer, one row an upstream run that has no transfer.

    A transfer that was tuned and the one that was then trained again with its settings are one row, under the former's name;
    probes are not in it (`bench.records.scores`). Rows are sorted by `filename`, then `adapt_filename`, so equal records give
    an equal table whatever order they finished in.

    Raises:
      UserError: a transfer record without its upstream record, one that was trained again without having been tuned, or two
        records of one name.
    """
    records = list(records)
    by_kind: dict[str, dict[str, Record]] = {kind: {} for kind in KINDS}
    for record in records:
        kind = by_kind[record.config.kind]
        if record.config.name in kind:
            raise UserError(f"two records of {record.config.name}")
        kind[record.config.name] = record
    upstream, transfers = by_kind["upstream"], by_kind["transfer"]
    retrained = _retrained(transfers)
    rows: list[dict[str, Any]] = []
    adapted = set()
    for name in sorted(transfers.keys() - {again.config.name for again in retrained.values()}):
        source = transfers[name].config.upstream  # type: ignore[union-attr]
        if isinstance(source, Checkpoint):
            above = _checkpoint_cells(source)
        elif source.name in upstream:
            above = _upstream_cells(upstream[source.name])
        else:
            raise UserError(f"transfer {name} has no record of its upstream run {source.name}")
        adapted.add(source.name)
        rows.append(above | _transfer_cells(transfers[name]) | _again(retrained.get(name)))
    rows += [_upstream_cells(upstream[name]) for name in upstream if name not in adapted]
    frame = pd.DataFrame(rows, columns=[c.name for c in COLUMNS])
    return typed(frame.sort_values(["filename", "adapt_filename"], ignore_index=True))


def _retrained(transfers: Mapping[str, Record]) -> dict[str, Record]:
    """Returns the records of transfers that learnt from train and val, by the names of those that had tuned for them."""
    found = {}
    for name, record in transfers.items():
        config = record.config
        assert isinstance(config, Transfer)
        if config.fit == "trainval":
            found[replace(config, fit="tune").name] = record
            if replace(config, fit="tune").name not in transfers:
                raise UserError(f"transfer {name} was trained on train and val, but no record says how its settings did on val")
    return found


def _again(record: Record | None) -> dict[str, Any]:
    if record is None:
        return {}
    return {"adapt_final_test": _score(record, "test"), "adapt_retrained": record.config.name}


def _checkpoint_cells(config: Checkpoint) -> dict[str, Any]:
    run = config.run
    fields = ("epochs", "lr", "aug", "wd", "do", "sd", "seed")
    known = {"ds": run.ds, **{field: getattr(run, field) for field in fields}} if run else {}
    return {"name": config.model, "filename": config.name, "digest": config.digest, **known}


def _score(record: Record, split: str) -> float | None:
    last = record.last(split)
    return last.value if last and record.status == "ok" else None


def _upstream_cells(record: Record) -> dict[str, Any]:
    c = record.config
    assert isinstance(c, Upstream)
    return {
        "name": c.model,
        "ds": c.ds,
        **{field: getattr(c, field) for field in ("epochs", "lr", "aug", "wd", "do", "sd", "seed")},
        "best_val": record.best("val"),
        "final_val": _score(record, "val"),
        "final_test": _score(record, "test"),
        "params": float(record.params),
        "infer_samples_per_sec": record.cost.eval_images_per_second or None,
        "filename": c.name,
        "status": record.status,
        "digest": c.digest,
        "n_train": record.data["train"],
        "n_val": record.data["val"],
        "n_test": record.data["test"],
        "data_fingerprint": record.data["fingerprint"],
        "code_version": record.code_version,
        "device": record.device,
        "train_seconds": record.cost.train_seconds,
    }


def _transfer_cells(record: Record) -> dict[str, Any]:
    c = record.config
    assert isinstance(c, Transfer)
    return {
        "adapt_ds": c.task,
        "adapt_lr": c.lr,
        "adapt_steps": c.steps,
        "adapt_resolution": c.resolution,
        "adapt_final_val": _score(record, "val"),
        "adapt_final_test": _score(record, "test"),
        "adapt_final_val_v2": _score(record, "imagenet_v2"),
        # Both are those of the adapted model: at its resolution, with its head.
        "params": float(record.params),
        "infer_samples_per_sec": record.cost.eval_images_per_second or None,
        "adapt_filename": c.name,
        "adapt_group": c.facts.group,
        "adapt_synthetic": c.facts.synthetic,
        "adapt_seed": c.seed,
        "adapt_status": record.status,
        "adapt_digest": c.digest,
        "adapt_n_val": record.data["val"],
        "adapt_n_test": record.data["test"],
        "adapt_data_fingerprint": record.data["fingerprint"],
        "adapt_train_seconds": record.cost.train_seconds,
        "adapt_fit": c.fit,
        "adapt_version": c.facts.version,
        "adapt_train_flops": record.cost.train_flops,
    }


def write_table(frame: pd.DataFrame, path: Path) -> None:
    """Writes the table atomically, as CSV or Parquet by the path's suffix.

    Floats are written so that they read back to the same bits.

    Raises:
      UserError: another suffix, a frame that does not pass `typed`, or the file cannot be written.
    """
    suffix = _suffix(path)
    frame = typed(frame)
    if suffix == ".csv":
        export(path, frame.to_csv(index=False, lineterminator="\n"))
    else:
        content = BytesIO()
        frame.to_parquet(content, index=False)
        export(path, content.getvalue())


def read_table(path: Path | str) -> pd.DataFrame:
    """Reads a table written by `write_table`, or the released index (whose extra columns are then empty).

    Raises:
      UserError: missing or unreadable file, or a table that does not pass `typed`.
    """
    frame = read_cells(Path(path))
    try:
        return typed(frame)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def read_cells(path: Path) -> pd.DataFrame:
    """Returns the cells of a file as they are there, neither typed nor checked; those of a CSV file are texts.

    Raises:
      UserError: missing or unreadable file.
    """
    suffix = _suffix(path)
    try:
        return _read_csv(path) if suffix == ".csv" else pd.read_parquet(path)
    except FileNotFoundError:
        raise UserError(f"{path}: no such table") from None
    except (ValueError, OSError, pd.errors.ParserWarning) as error:  # pandas' and pyarrow's parser errors are ValueErrors
        raise UserError(f"{path}: not readable as {suffix[1:]} ({str(error).splitlines()[0]})") from None


def _read_csv(path: Path) -> pd.DataFrame:
    with warnings.catch_warnings():
        # Rows longer than the header: by default pandas shifts all cells by one column, silently.
        warnings.simplefilter("error", pd.errors.ParserWarning)
        return pd.read_csv(
            path,
            dtype="string",
            keep_default_na=False,
            na_values=[""],
            index_col=False,
            skip_blank_lines=False,  # else the row numbers of complaints would be off
        )


def _suffix(path: Path) -> str:
    if path.suffix not in (".csv", ".parquet"):
        raise UserError(f"{path}: a table is a .csv or a .parquet file")
    return path.suffix
