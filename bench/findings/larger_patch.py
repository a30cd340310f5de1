"""At equal speed and depth, a wider model with larger patches against a thinner one with smaller patches."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from bench.findings.effects import judged, paired
from bench.findings.finding import Evidence, Finding, Untestable, Verdict
from bench.findings.runs import adapted, ended, of_families, published, sides, tops
from bench.points import VARIANTS
from bench.select.runs import transfer_runs

_ALIKE = 1.6
"""Largest ratio of speeds that pass for equal. Of the paper's pairs (Fig. 6 right, Table 3) B/32 is 1.16 and 1.57 times as fast
as Ti/16, at 224 and 384 pixels, and S/32 0.89 times as fast as R+Ti/16."""
_SETS = ("i1k", "i21k_30", "i21k")


def _patch(model: str) -> int:
    """Pixels a side that a model's name gives its patches: B/32 has 32."""
    return int(model.split(":")[0].rpartition("/")[2])


def opponents(reached: pd.DataFrame) -> pd.DataFrame:
    """Every wider model of larger patches against every thinner one of as many layers that is about as fast.

    Patches are those of the name. R+Ti/16 counts as the paper's Fig. 6 has it, although its patches cover 32 pixels; hybrids
    with residual blocks are left out, as their layers are no Transformer's alone.

    Args:
      reached: columns of `bench.findings.runs.ADAPTED` and img_per_sec; of one resolution.

    Returns:
      The pairs of `bench.findings.effects.paired` but for `model`, with `pair`, both names.
    """
    vits = reached[of_families(reached, "vit", "hybrid") & reached["name"].str.contains("/")]
    blocks = vits["name"].map(lambda name: bool(getattr(VARIANTS[name].spec, "units", ()))).astype(bool)
    vits = vits[~blocks]
    specs = [VARIANTS[name].spec for name in vits["name"]]
    facts = {"patch": [_patch(n) for n in vits["name"]], "width": [s.width for s in specs], "depth": [s.depth for s in specs]}
    vits = vits.assign(**facts)
    both = sides(vits, vits, on=("ds", "task"))
    ratio = both["img_per_sec_a"] / both["img_per_sec_b"]
    fair = (both["depth_a"] == both["depth_b"]) & ratio.between(1 / _ALIKE, _ALIKE)
    found = both[fair & (both["width_a"] > both["width_b"]) & (both["patch_a"] > both["patch_b"])]
    return found.assign(pair=found["name_a"] + " against " + found["name_b"])


def _measured(table: pd.DataFrame) -> pd.DataFrame:
    runs = ended(table)
    transfers = transfer_runs(table)
    speeds = transfers.set_index("adapt_filename")["infer_samples_per_sec"].astype(float)
    found = []
    for _, rows in transfers.groupby("adapt_resolution"):
        reached = adapted(rows, tops(runs))
        found.append(opponents(reached.assign(img_per_sec=reached["run"].map(speeds).astype("float64"))))
    pairs = pd.concat(found, ignore_index=True) if found else pd.DataFrame()
    if pairs.empty:
        raise Untestable("no wider Vision Transformer with larger patches is about as fast as a thinner one of as many layers")
    return pairs


def _published(folder: Path) -> pd.DataFrame:
    parts = [opponents(published(folder, ds, px, "upstream_best")) for px in (224, 384) for ds in _SETS]
    return pd.concat(parts, ignore_index=True)


def test(evidence: Evidence) -> Verdict:
    """Judges test accuracy of the wider model less that of the thinner one; pairs are few, so it speaks of these alone."""
    pairs = evidence.read(_measured, _published)
    means = (100 * (pairs["a"] - pairs["b"])).groupby(pairs["pair"]).mean()
    by_pair = ", ".join(f"{pair} {value:+.1f}" for pair, value in means.items())
    return judged(paired(pairs.assign(model=range(len(pairs))), general=False), f"wider with larger patches ({by_pair})")


FINDING = Finding(
    "larger-patch",
    "A larger patch is to be preferred to a smaller model",
    '"How to train your ViT?", Fig. 6 (right)',
    test,
)
