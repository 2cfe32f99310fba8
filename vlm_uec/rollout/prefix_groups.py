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
        self._lanes: list[_Lane] = []
        self._lane_of: dict[int, int] = {}

    @property
    def used(self) -> int:
        return len(self._lanes)

    def has_room(self, prompt: object) -> bool:
        return self.used < self.capacity or self._open_lane(prompt) is not None

    def seat(self, row: int, prompt: object) -> tuple[int, bool]:
        """Gives a row a seat; its lane, and whether that lane is new and wants the prompt's keys.

        Raises ValueError where `has_room` says no.
        """
        lane = self._open_lane(prompt)
        fresh = lane is None
        if lane is None:
            if self.used == self.capacity:
                raise ValueError(f"all {self.capacity} lanes are taken; ask has_room first")
            lane = self.used
            self._lanes.append(_Lane(prompt))
        seats = self._lanes[lane].rows
        seats[seats.index(None)] = row
        self._lane_of[row] = lane
        return lane, fresh

    def leave(self, row: int) -> tuple[int, int] | None:
        """Frees a row's seat. Where its lane is now empty, the last lane takes that place: (from, to)."""
        place = self._lane_of.pop(row)
        lane = self._lanes[place]
        lane.rows[lane.rows.index(row)] = None
        if any(seat is not None for seat in lane.rows):
            return None
        last = self._lanes.pop()
        if last is lane:
            return None
        self._lanes[place] = last
        self._lane_of |= {seated: place for seated in last.rows if seated is not None}
        return self.used, place

    def move(self, source: int, target: int) -> None:
        """A row's response goes on under another number."""
        lane = self._lane_of[target] = self._lane_of.pop(source)
        seats = self._lanes[lane].rows
        seats[seats.index(source)] = target

    def layout(self, slots: int) -> tuple[list[list[int]], list[int]]:
        """The row in every seat of every lane, and the seat (lane * LANE_ROWS + place) of every row.

        Empty seats and rows without a seat say 0: what is computed for them is not used.
        """
        rows = [[row or 0 for row in lane.rows] for lane in self._lanes]
        rows += [[0] * LANE_ROWS] * (self.capacity - self.used)
        seats = [0] * slots
        for lane, seated in enumerate(self._lanes):
            for place, row in enumerate(seated.rows):
                if row is not None:
                    seats[row] = lane * LANE_ROWS + place
        return rows, seats

    def _open_lane(self, prompt: object) -> int | None:
        """A lane of this prompt with a free seat."""
        for place, lane in enumerate(self._lanes):
            if lane.prompt is prompt and None in lane.rows:
                return place
        return None
