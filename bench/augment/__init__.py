"""Data augmentation on the device: RandAugment, Mixup, flips and Inception crops."""
