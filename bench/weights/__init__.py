"""Weights as files: read from here or elsewhere, checked, converted between layouts, written; never a pickle."""

from bench.weights.convert import LAYOUTS, convert
from bench.weights.files import Flat, identity, read, write
from bench.weights.load import adopt, load, save, standard

__all__ = ["LAYOUTS", "Flat", "adopt", "convert", "identity", "load", "read", "save", "standard", "write"]
