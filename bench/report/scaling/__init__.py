"""Figures about size, compute and time: "ConvNets Match Vision Transformers at Scale", EfficientNetV2 and CoAtNet.

Each is a module with `data`, which makes its rows of a table or of published numbers, `draw`, and its `FACTS`.
"""

from bench.report.catalogue import catalogue
from bench.report.scaling import efficientnetv2, finetuned, learning_rate, loss, optimum, pairs, sizes

FIGURES = catalogue(module.FACTS for module in (loss, optimum, learning_rate, finetuned, pairs, efficientnetv2, sizes))
"""The figures by name."""
