"""Assigns the pool's rows to prefix groups, which share a prompt's keys; on the host, without tensors."""

from __future__ import annotations

from dataclasses import dataclass, field

ROWS_PER_PREFIX_GROUP = 8


@dataclass
class _PrefixGroup:
    prompt: object
    rows: list[int | None] = field(default_factory=lambda: [None] * ROWS_PER_PREFIX_GROUP)


class PrefixGroupTable:
    """Prefix groups 0 .. used-1, each with one prompt and up to ROWS_PER_PREFIX_GROUP rows."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._prefix_groups: list[_PrefixGroup] = []
        self._prefix_group_of: dict[int, int] = {}

    @property
    def used(self) -> int:
        return len(self._prefix_groups)

    def can_assign(self, prompt: object) -> bool:
        """Whether a row of this prompt can be assigned."""
        return self.used < self.capacity or self._open_prefix_group(prompt) is not None

    def assign(self, row: int, prompt: object) -> tuple[int, bool]:
        """Adds a row to a prefix group; returns the group, and whether it is new (its keys must be copied).

        Raises ValueError if `can_assign` is false.
        """
        prefix_group = self._open_prefix_group(prompt)
        is_new = prefix_group is None
        if prefix_group is None:
            if self.used == self.capacity:
                raise ValueError(f"all {self.capacity} prefix groups are in use; check can_assign first")
            prefix_group = self.used
            self._prefix_groups.append(_PrefixGroup(prompt))
        members = self._prefix_groups[prefix_group].rows
        members[members.index(None)] = row
        self._prefix_group_of[row] = prefix_group
        return prefix_group, is_new

    def release(self, row: int) -> tuple[int, int] | None:
        """Removes a row from its group. An empty group is replaced by the last one: returns (from, to)."""
        number = self._prefix_group_of.pop(row)
        prefix_group = self._prefix_groups[number]
        prefix_group.rows[prefix_group.rows.index(row)] = None
        if any(member is not None for member in prefix_group.rows):
            return None
        last = self._prefix_groups.pop()
        if last is prefix_group:
            return None
        self._prefix_groups[number] = last
        self._prefix_group_of |= {member: number for member in last.rows if member is not None}
        return self.used, number

    def move(self, source: int, target: int) -> None:
        """Renumbers a row."""
        prefix_group = self._prefix_group_of[target] = self._prefix_group_of.pop(source)
        members = self._prefix_groups[prefix_group].rows
        members[members.index(source)] = target

    def members(self) -> list[list[int]]:
        """The rows of every prefix group in use."""
        return [[row for row in group.rows if row is not None] for group in self._prefix_groups]

    def layout(self, slots: int) -> tuple[list[list[int]], list[int]]:
        """The rows of every prefix group, and each row's position (group * ROWS_PER_PREFIX_GROUP + offset).

        Empty positions and unassigned rows are 0: results computed for them are not used.
        """
        rows = [[row or 0 for row in prefix_group.rows] for prefix_group in self._prefix_groups]
        rows += [[0] * ROWS_PER_PREFIX_GROUP] * (self.capacity - self.used)
        positions = [0] * slots
        for number, prefix_group in enumerate(self._prefix_groups):
            for offset, row in enumerate(prefix_group.rows):
                if row is not None:
                    positions[row] = number * ROWS_PER_PREFIX_GROUP + offset
        return rows, positions

    def _open_prefix_group(self, prompt: object) -> int | None:
        """A prefix group of this prompt that is not full."""
        for number, prefix_group in enumerate(self._prefix_groups):
            if prefix_group.prompt is prompt and None in prefix_group.rows:
                return number
        return None
