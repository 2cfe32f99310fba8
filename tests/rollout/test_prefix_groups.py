from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlm_uec.rollout.prefix_groups import LANE_ROWS, LaneTable

ROWS = 24
PROMPTS = [object() for _ in range(4)]


def test_rows_of_a_prompt_fill_a_prefix_group_before_they_open_another() -> None:
    table, prompt, other = LaneTable(3), object(), object()
    assert [table.assign(row, prompt) for row in range(LANE_ROWS)] == [(0, True)] + [(0, False)] * 7
    assert table.assign(8, other) == (1, True)
    assert table.assign(9, prompt) == (2, True)
    assert table.used == 3
    assert table.has_room(prompt) and table.has_room(other)
    assert not table.has_room(object())
    with pytest.raises(ValueError):
        table.assign(10, object())


def test_an_unused_prefix_group_is_taken_by_the_last() -> None:
    table = LaneTable(3)
    for row, prompt in enumerate(PROMPTS[:3]):
        table.assign(row, prompt)
    assert table.leave(0) == (2, 0)
    assert table.leave(1) is None, "the last lane needs no move"
    assert table.layout(4) == ([[2] + [0] * 7, [0] * 8, [0] * 8], [0, 0, 0, 0])


def test_a_prefix_group_in_use_stays() -> None:
    table = LaneTable(2)
    table.assign(0, PROMPTS[0])
    table.assign(1, PROMPTS[0])
    assert table.leave(0) is None
    assert table.used == 1
    assert table.layout(2) == ([[0, 1] + [0] * 6, [0] * 8], [0, 1])


def test_equal_prompts_that_are_not_the_same_do_not_share() -> None:
    """A lane belongs to one prefill: the object, not what it holds."""
    table, first, second = LaneTable(2), [1], [1]
    assert table.assign(0, first) == (0, True)
    assert table.assign(1, second) == (1, True)


@settings(max_examples=300, deadline=None)
@given(st.data(), st.integers(1, 5), st.integers(1, 60))
def test_every_row_finds_its_prompt_after_any_sequence_of_changes(
    data: st.DataObject, capacity: int, changes: int
) -> None:
    """`memory` copies what the cache does with the answers; `prompt_of` is all there is to know."""
    table = LaneTable(capacity)
    memory: list[Any] = [None] * capacity
    prompt_of: dict[int, object] = {}
    for _ in range(changes):
        free = [row for row in range(ROWS) if row not in prompt_of]
        change = data.draw(st.sampled_from(["seat", "seat", "seat", "leave", "move"]))
        if change == "seat" and free:
            prompt = data.draw(st.sampled_from(PROMPTS))
            mates = _prefix_groups(table, prompt_of).get(id(prompt), [])
            room = len(_prefix_group_list(table, prompt_of)) < capacity or any(
                size < LANE_ROWS for size in mates
            )
            assert table.has_room(prompt) == room
            row = data.draw(st.sampled_from(free))
            if not room:
                with pytest.raises(ValueError):
                    table.assign(row, prompt)
                continue
            prefix_group, fresh = table.assign(row, prompt)
            assert fresh == all(size == LANE_ROWS for size in mates)
            if fresh:
                memory[prefix_group] = prompt
            prompt_of[row] = prompt
        elif change == "leave" and prompt_of:
            row = data.draw(st.sampled_from(sorted(prompt_of)))
            del prompt_of[row]
            if (moved := table.leave(row)) is not None:
                memory[moved[1]] = memory[moved[0]]
        elif change == "move" and prompt_of and free:
            source, target = data.draw(st.sampled_from(sorted(prompt_of))), data.draw(st.sampled_from(free))
            prompt_of[target] = prompt_of.pop(source)
            table.move(source, target)
        rows, seats = table.layout(ROWS)
        assert [len(prefix_group) for prefix_group in rows] == [LANE_ROWS] * capacity
        taken = [seats[row] for row in prompt_of]
        assert len(set(taken)) == len(taken), "no seat is given twice"
        for row, prompt in prompt_of.items():
            prefix_group, place = divmod(seats[row], LANE_ROWS)
            assert prefix_group < table.used
            assert rows[prefix_group][place] == row
            assert memory[prefix_group] is prompt
        assert {assign // LANE_ROWS for assign in taken} == set(range(table.used)), (
            "no lane is kept for nobody"
        )


def _prefix_group_list(table: LaneTable, prompt_of: dict[int, object]) -> dict[int, list[int]]:
    """Rows by lane, from where the layout seats them."""
    _, seats = table.layout(ROWS)
    prefix_groups: dict[int, list[int]] = {}
    for row in prompt_of:
        prefix_groups.setdefault(seats[row] // LANE_ROWS, []).append(row)
    return prefix_groups


def _prefix_groups(table: LaneTable, prompt_of: dict[int, object]) -> dict[int, list[int]]:
    """How many rows each lane of a prompt has, by the prompt's id."""
    sizes: dict[int, list[int]] = {}
    for rows in _prefix_group_list(table, prompt_of).values():
        sizes.setdefault(id(prompt_of[rows[0]]), []).append(len(rows))
    return sizes
