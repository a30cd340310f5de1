"""Devices as data: what a chip can do at most, and what an hour of it costs.

Figures are a chip's (for CPUs: a core's), as data sheets state them. Prices are list prices on demand of the machine that holds
the chip, divided by its chips; they change, so the plan says of when they are, and `--price` replaces them.
"""

from __future__ import annotations

from dataclasses import dataclass

from bench.errors import UserError, choose_from

GIB = 2**30


@dataclass(frozen=True)
class Device:
    """A kind of chip.

    Attributes:
      name: as given to `--device`.
      peak: FLOP/s with bfloat16 operands.
      peak32: FLOP/s with float32 operands, multiplied as JAX does by default: rounded to bfloat16 on TPUs, to TF32 where a GPU
        has it.
      cores: of a chip, as "core-hours" count them.
      memory: bytes.
      bandwidth: of the memory, bytes/s.
      price: US dollars for an hour of a chip.
      facts, priced: where the figures and the price are from, the latter with its date.
    """

    name: str
    peak: float
    peak32: float
    cores: int
    memory: float
    bandwidth: float
    price: float
    facts: str
    priced: str

    def best_seconds(self, flops: float, numbers: float, dtype: str) -> float:
        """Returns the seconds that a chip needs for work at its peak, first computing, then moving `numbers` of `dtype`."""
        peak, size = (self.peak, 2) if dtype == "bfloat16" else (self.peak32, 4)
        return flops / peak + numbers * size / self.bandwidth


_CLOUD = "Cloud TPU documentation, page of this version"
_GOOGLE = "Google Cloud, on demand"
_AWS = "AWS EC2, on demand, us-east-1"


def _tpu(version: str, peak: float, cores: int, memory: float, bandwidth: float, price: float, priced: str) -> Device:
    return Device(f"tpu-{version}", peak, peak, cores, memory, bandwidth, price, _CLOUD, f"{_GOOGLE}, {priced}")


DEVICES: dict[str, Device] = {
    d.name: d
    for d in (
        # No data sheet states a core's share. Peak: two fused multiply-adds of eight float32 a cycle at 3 GHz (AVX2), bfloat16
        # being computed as float32; bandwidth: a round figure.
        Device(
            "cpu-core",
            96e9,
            96e9,
            1,
            4 * GIB,
            10e9,
            0.089,
            "arithmetic: AVX2 at 3 GHz",
            f"{_AWS}, a quarter of c7i.2xlarge, 2025-06",
        ),
        _tpu("v2", 45e12, 2, 16 * GIB, 700e9, 1.125, "a quarter of a v2-8, us-central1, 2023-06"),
        _tpu("v3", 123e12, 2, 32 * GIB, 900e9, 2.0, "a quarter of a v3-8, us-central1, 2023-06"),
        _tpu("v4", 275e12, 2, 32 * GIB, 1200e9, 3.22, "us-central2, 2025-06"),
        _tpu("v5e", 197e12, 1, 16e9, 819e9, 1.2, "us-central1, 2025-06"),
        _tpu("v5p", 459e12, 2, 95e9, 2765e9, 4.2, "us-central1, 2026-10"),
        _tpu("v6e", 918e12, 1, 32e9, 1638e9, 2.7, "us-central1, 2026-10"),
        # It has neither bfloat16 nor TF32: the first figure is float16's.
        Device("v100", 125e12, 15.7e12, 1, 16e9, 900e9, 3.06, "NVIDIA data sheet, SXM2", f"{_AWS}, p3.2xlarge, 2025-06"),
        Device(
            "a100", 312e12, 156e12, 1, 40e9, 1555e9, 2.745, "NVIDIA data sheet, SXM4 40 GB", f"{_AWS}, p4d.24xlarge, 2025-06"
        ),
        Device("h100", 989e12, 495e12, 1, 80e9, 3350e9, 6.88, "NVIDIA data sheet, SXM5", f"{_AWS}, p5.48xlarge, 2025-06"),
        Device("h200", 989e12, 495e12, 1, 141e9, 4800e9, 7.91, "NVIDIA data sheet, SXM", f"{_AWS}, p5en.48xlarge, 2025-06"),
    )
}

# What JAX calls them (`device_kind`), in lower case, up to what distinguishes them.
_KINDS = {
    "cpu": "cpu-core",
    "tpu v2": "tpu-v2",
    "tpu v3": "tpu-v3",
    "tpu v4": "tpu-v4",
    "tpu v5 lite": "tpu-v5e",
    "tpu v5e": "tpu-v5e",
    "tpu v5": "tpu-v5p",
    "tpu v6": "tpu-v6e",
    "nvidia h200": "h200",
    "nvidia h100": "h100",
    "nvidia a100": "a100",
    "tesla v100": "v100",
}


def find(name: str) -> Device:
    """Returns a device; raises `UserError` for a name that is none."""
    if name not in DEVICES:
        raise UserError(f"no device {name!r}; {choose_from(name, DEVICES)}")
    return DEVICES[name]


def of_kind(kind: str) -> Device | None:
    """Returns the device that JAX calls `kind`, None where it is none of these."""
    return next((DEVICES[name] for start, name in _KINDS.items() if kind.lower().startswith(start)), None)
