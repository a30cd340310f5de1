"""The library: what one run is made of, and what is made of many results."""

__version__ = "0.1.0"
