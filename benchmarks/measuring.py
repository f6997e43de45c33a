"""Turns, rounds and ratios: how everything here is timed.

Turns are short and in random order within a round, and a ratio is that of turns of the same round, so that what else
the machine does falls on all alike. Knows nothing of what is measured, nor in which process it runs.
"""

import random
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

Turn: TypeAlias = Callable[[int], float]
"""Does something so many times, one after another, and answers the seconds that they took together."""

LEAST_ROUNDS = 5
MOST_CALLS = 1_000_000


@dataclass(frozen=True, slots=True)
class Spread:
    """The median, and the quartiles, between which half of the figures lie."""

    low: float
    middle: float
    high: float

    @classmethod
    def of(cls, figures: Iterable[float]) -> "Spread":
        """Of figures of equal weight; one alone is its own spread."""
        known = sorted(figures)
        if len(known) < 2:
            return cls(*known * 3)
        return cls(*statistics.quantiles(known, n=4, method="inclusive"))

    def written(self, digits: int = 2) -> str:
        """``1.43 [1.40–1.49]``."""
        low, middle, high = (f"{figure:,.{digits}f}" for figure in (self.low, self.middle, self.high))
        return f"{middle} [{low}–{high}]"


class Rounds:
    """Microseconds per call of each contender, a figure for each round."""

    def __init__(self, times: Mapping[str, list[float]]) -> None:
        self.times = times

    def of(self, name: str) -> Spread:
        """Microseconds per call."""
        return Spread.of(self.times[name])

    def over(self, name: str, base: str) -> Spread:
        """Microseconds per call more than `base` takes."""
        return Spread.of(one - zero for one, zero in zip(self.times[name], self.times[base], strict=True))

    def ratio(self, name: str, other: str) -> Spread:
        """So many times what `other` takes."""
        return Spread.of(one / two for one, two in zip(self.times[name], self.times[other], strict=True))

    def ratio_over(self, name: str, other: str, base: str) -> Spread:
        """So many times what `other` takes, each over what `base` takes."""
        turns = zip(self.times[name], self.times[other], self.times[base], strict=True)
        # A round in which the machine was elsewhere just then may show no difference at all.
        return Spread.of((one - zero) / (two - zero) for one, two, zero in turns if two > zero)

    def ratio_of_over(self, name: str, base: str, other: str) -> Spread:
        """So many times what `other` takes, the time over what `base` takes alone being counted."""
        turns = zip(self.times[name], self.times[base], self.times[other], strict=True)
        return Spread.of((one - zero) / two for one, zero, two in turns)


def measure(turns: Mapping[str, Turn], seconds: float, *, turn: float = 0.002, seed: int = 1) -> Rounds:
    """Rounds for so many seconds, in each of which every contender has a turn of about `turn` seconds."""
    chance = random.Random(seed)  # noqa: S311 - an order of turns
    calls = {name: calls_in(one, turn) for name, one in turns.items()}
    order, times = list(turns), {name: list[float]() for name in turns}
    end, rounds = time.perf_counter() + seconds, 0
    while rounds < LEAST_ROUNDS or time.perf_counter() < end:
        chance.shuffle(order)
        for name in order:
            times[name].append(turns[name](calls[name]) / calls[name] * 1e6)
        rounds += 1
    return Rounds(times)


def calls_in(one: Turn, seconds: float) -> int:
    """How many calls make a turn of about so many seconds."""
    calls = 1
    while calls < MOST_CALLS:
        # Twice: somebody else may have had the processor meanwhile.
        took = min(one(calls), one(calls))
        if took * 2 >= seconds:
            return max(1, round(calls * seconds / took)) if took < seconds else calls
        calls *= 2
    return calls
