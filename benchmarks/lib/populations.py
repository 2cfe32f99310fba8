"""Populations of problems: solve probabilities from mixtures of Beta distributions."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

Draw = Callable[[np.random.Generator, int], np.ndarray]  # (generator, problems) -> solve probabilities


def mixed(generator: np.random.Generator, size: int) -> np.ndarray:
    """3 in 10 out of reach, 2 in 10 mastered, the others anywhere between."""
    kind = generator.choice(3, size, p=[0.3, 0.5, 0.2])
    return np.choose(kind, [np.zeros(size), generator.beta(1, 1, size), generator.beta(20, 1, size)])


def hard(generator: np.random.Generator, size: int) -> np.ndarray:
    """7 in 10 out of reach."""
    return np.where(generator.random(size) < 0.7, 0.0, generator.beta(0.5, 2, size))


def hopeless(generator: np.random.Generator, size: int) -> np.ndarray:
    """9 in 10 out of reach, the others hard."""
    return np.where(generator.random(size) < 0.9, 0.0, generator.beta(1, 3, size))


def slight(generator: np.random.Generator, size: int) -> np.ndarray:
    """All near 1 %."""
    return generator.beta(1, 99, size)


def even(generator: np.random.Generator, size: int) -> np.ndarray:
    """All near one half."""
    return generator.beta(8, 8, size)


def easy(generator: np.random.Generator, size: int) -> np.ndarray:
    """9 in 10 mastered."""
    return np.where(generator.random(size) < 0.9, 1.0, generator.beta(1, 1, size))


POPULATIONS: Mapping[str, Draw] = {
    draw.__name__: draw for draw in (mixed, hard, hopeless, slight, even, easy)
}
