"""How long a run takes: all of it, or a tenth (``QUICK=1``)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """`scale` is 1 for a whole run."""

    quick: bool = False
    scale: float = 1.0

    @classmethod
    def of(cls, quick: bool) -> "Settings":
        """A whole run, or a quick one."""
        return cls(quick, 0.1 if quick else 1.0)

    def seconds(self, whole: float) -> float:
        """For what takes so many seconds in a whole run."""
        return whole * self.scale

    def count(self, whole: int, least: int = 1) -> int:
        """Of what there are so many in a whole run."""
        return max(least, int(whole * self.scale))
