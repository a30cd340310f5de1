"""What every model variant has: a name, a family, a static shape that knows its cost, a source."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import UserDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

Modifiers = Mapping[str, Mapping[str, Any]]


class Product(NamedTuple):
    """One convolution, projection or attention product of one image's forward pass.

    Attributes:
      macs: multiply-adds.
      inputs, outputs: numbers that it reads and writes, weights excluded.
      weights: numbers of its kernel, 0 where both factors depend on the image.
    """

    macs: int
    inputs: int
    outputs: int
    weights: int


def convolution(before: int, after: int, kernel: int, channels: int, out: int, groups: int = 1) -> Product:
    """Returns a square convolution from `before` to `after` pixels a side; `channels` and `out` count all groups."""
    weights = kernel**2 * channels * out // groups
    return Product(after**2 * weights, before**2 * channels, after**2 * out, weights)


def projection(tokens: int, channels: int, out: int) -> Product:
    """Returns a linear layer on every token."""
    return Product(tokens * channels * out, tokens * channels, tokens * out, channels * out)


def attention(queries: int, keys: int, width: int, heads: int) -> tuple[Product, Product]:
    """Returns both products of multi-head attention: queries by keys, and their scores by values."""
    macs, scores = queries * keys * width, heads * queries * keys
    return (
        Product(macs, (queries + keys) * width, scores, 0),
        Product(macs, scores + keys * width, queries * width, 0),
    )


class Spec(ABC):
    """The static shape of an architecture; a frozen dataclass of each family."""

    @abstractmethod
    def products(self, resolution: int, classes: int) -> Iterator[Product]:
        """Yields every product of one image's forward pass at `resolution` pixels: all but element-wise work."""

    def macs(self, resolution: int, classes: int) -> int:
        """Returns multiply-adds of one image's forward pass at `resolution` pixels (what the papers call FLOPs)."""
        return sum(product.macs for product in self.products(resolution, classes))


@dataclass(frozen=True)
class Variant:
    """A named architecture.

    Attributes:
      name: as the papers spell it, `B/16`.
      prefix: as file names spell it, `B_16`.
      family: a key of `FAMILIES`.
      spec: its static shape.
      source: where the shape stands.
    """

    name: str
    prefix: str
    family: str
    spec: Any
    source: str


@dataclass(frozen=True)
class Family:
    """Facts that all variants of a family share.

    Attributes:
      name: of the family and of its modules.
      optimizer: the recipe's.
      variants: by size.
      modifiers: fields of the spec that `NAME:modifier` changes; the order here is their order in a name.
      any_resolution: whether the weights are the same for images of any resolution.
    """

    name: str
    optimizer: str
    variants: tuple[Variant, ...]
    modifiers: Modifiers = field(default_factory=dict)
    any_resolution: bool = False

    def modified(self, variant: Variant, chosen: tuple[str, ...]) -> Variant | None:
        """Returns `variant` under the modifiers `chosen`.

        None where one is unknown, out of order, at odds with another or changes nothing: a shape has one name.
        """
        if not chosen or [m for m in self.modifiers if m in chosen] != list(chosen):
            return None
        changes = [(name, value) for modifier in chosen for name, value in self.modifiers[modifier].items()]
        if len(dict(changes)) < len(changes) or any(replace(variant.spec, **self.modifiers[m]) == variant.spec for m in chosen):
            return None
        name, prefix = ":".join((variant.name, *chosen)), "_".join((variant.prefix, *chosen))
        return Variant(name, prefix, self.name, replace(variant.spec, **dict(changes)), variant.source)


Spelled = Callable[[str], Variant | None]


class Catalogue(UserDict[str, Variant]):
    """Variants by name (or by prefix); lists the plain ones and finds modified ones, `B/16:gap:sincos`, as well.

    `spelled` find those whose names spell their shape.
    """

    def __init__(self, families: Mapping[str, Family], key: str, separator: str, *spelled: Spelled) -> None:
        self._families, self._key, self._separator, self._spelled = families, key, separator, spelled
        super().__init__({getattr(v, key): v for f in families.values() for v in f.variants})

    def _splits(self, name: str) -> Iterator[tuple[str, tuple[str, ...]]]:
        parts = name.split(self._separator)
        for i in range(len(parts) - 1, 0, -1):
            yield self._separator.join(parts[:i]), tuple(parts[i:])

    def __missing__(self, name: str) -> Variant:
        """Returns the variant of a name with modifiers, or of one that spells its shape."""
        for base, chosen in self._splits(name):
            variant = self.data.get(base)
            found = self._families[variant.family].modified(variant, chosen) if variant else None
            if found:
                return found
        for find in self._spelled:
            found = find(name)
            if found and getattr(found, self._key) == name:
                return found
        raise KeyError(name)

    def __contains__(self, name: object) -> bool:
        try:
            return isinstance(name, str) and bool(self[name])
        except KeyError:
            return False
