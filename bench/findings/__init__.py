"""Claims of papers, one module each, tested on a table or on published numbers; in the order in which reports show them."""

from __future__ import annotations

from bench.findings import (
    augreg_worth_tenfold,
    best_lr_falls,
    finetuning_prefers_larger,
    grow_together,
    hybrid_gains,
    larger_patch,
    loss_power_law,
    minival_misleads,
    more_data,
    prefer_augmentation,
    progressive_saves,
    repeated_augmentation,
    short_budget,
    tenth_of_imagenet,
    transfer_beats_scratch,
    upstream_suffices,
)
from bench.findings.finding import Finding

FINDINGS: dict[str, Finding] = {
    module.FINDING.name: module.FINDING
    for module in (
        *(augreg_worth_tenfold, tenth_of_imagenet, short_budget, prefer_augmentation),
        *(upstream_suffices, minival_misleads),
        *(transfer_beats_scratch, more_data, larger_patch),
        *(loss_power_law, best_lr_falls, grow_together, finetuning_prefers_larger, repeated_augmentation),
        *(progressive_saves, hybrid_gains),
    )
}
