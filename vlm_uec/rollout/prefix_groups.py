"""Which rows of the pool share a prompt's keys: bookkeeping on the host, no tensors."""

from __future__ import annotations

from dataclasses import dataclass, field

LANE_ROWS = 8


@dataclass
class _Lane:
    prompt: object
    rows: list[int | None] = field(default_factory=lambda: [None] * LANE_ROWS)


class LaneTable:
    """Lanes 0 .. used-1, each with one prompt and up to LANE_ROWS rows that answer it."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._prefix_groups: list[_Lane] = []
        self._prefix_group_of: dict[int, int] = {}

    @property
    def used(self) -> int:
        return len(self._prefix_groups)

    def has_room(self, prompt: object) -> bool:
        return self.used < self.capacity or self._open_prefix_group(prompt) is not None

    def assign(self, row: int, prompt: object) -> tuple[int, bool]:
        """Gives a row a seat; its lane, and whether that lane is new and wants the prompt's keys.

        Raises ValueError where `has_room` says no.
        """
        prefix_group = self._open_prefix_group(prompt)
        fresh = prefix_group is None
        if prefix_group is None:
            if self.used == self.capacity:
                raise ValueError(f"all {self.capacity} lanes are taken; ask has_room first")
            prefix_group = self.used
            self._prefix_groups.append(_Lane(prompt))
        seats = self._prefix_groups[prefix_group].rows
        seats[seats.index(None)] = row
        self._prefix_group_of[row] = prefix_group
        return prefix_group, fresh

    def leave(self, row: int) -> tuple[int, int] | None:
        """Frees a row's seat. Where its lane is now empty, the last lane takes that place: (from, to)."""
        place = self._prefix_group_of.pop(row)
        prefix_group = self._prefix_groups[place]
        prefix_group.rows[prefix_group.rows.index(row)] = None
        if any(assign is not None for assign in prefix_group.rows):
            return None
        last = self._prefix_groups.pop()
        if last is prefix_group:
            return None
        self._prefix_groups[place] = last
        self._prefix_group_of |= {seated: place for seated in last.rows if seated is not None}
        return self.used, place

    def move(self, source: int, target: int) -> None:
        """A row's response goes on under another number."""
        prefix_group = self._prefix_group_of[target] = self._prefix_group_of.pop(source)
        seats = self._prefix_groups[prefix_group].rows
        seats[seats.index(source)] = target

    def layout(self, slots: int) -> tuple[list[list[int]], list[int]]:
        """The row in every seat of every lane, and the seat (lane * LANE_ROWS + place) of every row.

        Empty seats and rows without a seat say 0: what is computed for them is not used.
        """
        rows = [[row or 0 for row in prefix_group.rows] for prefix_group in self._prefix_groups]
        rows += [[0] * LANE_ROWS] * (self.capacity - self.used)
        seats = [0] * slots
        for prefix_group, seated in enumerate(self._prefix_groups):
            for place, row in enumerate(seated.rows):
                if row is not None:
                    seats[row] = prefix_group * LANE_ROWS + place
        return rows, seats

    def _open_prefix_group(self, prompt: object) -> int | None:
        """A lane of this prompt with a free seat."""
        for place, prefix_group in enumerate(self._prefix_groups):
            if prefix_group.prompt is prompt and None in prefix_group.rows:
                return place
        return None
