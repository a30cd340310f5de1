"""Records made by hand, for everything that needs results and no training."""

import hashlib

from bench.points import Transfer
from bench.records.record import Cost, Measurement, Record


def score(config):
    """Returns a validation accuracy that depends on the run's name alone."""
    return int(hashlib.sha256(config.name.encode()).hexdigest()[:4], 16) / 2**16


def record(config, status="ok", value=None):
    """Returns a record of `config`; a diverged one has no measurements."""
    value = score(config) if value is None else value
    n_val, n_test = (200, 797) if isinstance(config, Transfer) else (500, 500)
    measurements = (Measurement("val", "accuracy", n_val, value, 10), Measurement("test", "accuracy", n_test, value / 2, 10))
    return Record(
        config=config,
        status=status,
        measurements=measurements if status == "ok" else (),
        params=1234,
        data={"train": 400, "val": n_val, "test": n_test, "fingerprint": "f" * 16},
        device="cpu",
        code_version="0",
        cost=Cost(train_seconds=1.5, steps=10, images=640, eval_images_per_second=100.0),
        why="" if status == "ok" else "loss nan at step 3",
    )


def commit(workdir, config, **changes):
    """Does what a worker does, training aside: claims the run, leaves weights, commits the record."""
    run = workdir.run(config)
    (run.claim() / "weights.npz").touch()
    return record(config, **changes).commit(run.folder)
