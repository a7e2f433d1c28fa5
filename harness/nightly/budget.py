"""How much time is left for searches."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field


class OutOfTime(KeyboardInterrupt):
    """The time for searches is over: it stops a search as the user does, which every search knows how to end."""


@dataclass
class Budget:
    """``seconds`` from now on; a probe that has begun is ended, the next one is not begun."""

    seconds: float
    clock: Callable[[], float] = time.monotonic
    begun: float = field(init=False)

    def __post_init__(self) -> None:
        """Begin to count."""
        self.begun = self.clock()

    @property
    def left(self) -> float:
        """Return the seconds that are left, never less than none."""
        return max(0.0, self.seconds - (self.clock() - self.begun))

    def check(self) -> None:
        """Raise where nothing is left.

        Raises:
            OutOfTime: the time is over.
        """
        if not self.left:
            raise OutOfTime
