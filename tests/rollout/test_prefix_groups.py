from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlm_uec.rollout.prefix_groups import ROWS_PER_PREFIX_GROUP, PrefixGroupTable

ROWS = 24
PROMPTS = [object() for _ in range(4)]


def test_rows_of_a_prompt_fill_a_prefix_group_before_they_open_another() -> None:
    table, prompt, other = PrefixGroupTable(3), object(), object()
    assert [table.assign(row, prompt) for row in range(ROWS_PER_PREFIX_GROUP)] == [(0, True)] + [
        (0, False)
    ] * 7
    assert table.assign(8, other) == (1, True)
    assert table.assign(9, prompt) == (2, True)
    assert table.used == 3
    assert table.has_place(prompt) and table.has_place(other)
    assert not table.has_place(object())
    with pytest.raises(ValueError):
        table.assign(10, object())


def test_an_unused_prefix_group_is_taken_by_the_last() -> None:
    table = PrefixGroupTable(3)
    for row, prompt in enumerate(PROMPTS[:3]):
        table.assign(row, prompt)
    assert table.release(0) == (2, 0)
    assert table.release(1) is None, "the last prefix group needs no move"
    assert table.layout(4) == ([[2] + [0] * 7, [0] * 8, [0] * 8], [0, 0, 0, 0])


def test_a_prefix_group_in_use_stays() -> None:
    table = PrefixGroupTable(2)
    table.assign(0, PROMPTS[0])
    table.assign(1, PROMPTS[0])
    assert table.release(0) is None
    assert table.used == 1
    assert table.layout(2) == ([[0, 1] + [0] * 6, [0] * 8], [0, 1])


def test_equal_prompts_that_are_not_the_same_do_not_share() -> None:
    """A prefix group belongs to one prefill, by identity, not by equality."""
    table, first, second = PrefixGroupTable(2), [1], [1]
    assert table.assign(0, first) == (0, True)
    assert table.assign(1, second) == (1, True)


@settings(max_examples=300, deadline=None)
@given(st.data(), st.integers(1, 5), st.integers(1, 60))
def test_every_row_finds_its_prompt_after_any_sequence_of_changes(
    data: st.DataObject, capacity: int, changes: int
) -> None:
    """`memory` mirrors the cache's copies; `prompt_of` is the expected state."""
    table = PrefixGroupTable(capacity)
    memory: list[Any] = [None] * capacity
    prompt_of: dict[int, object] = {}
    for _ in range(changes):
        free = [row for row in range(ROWS) if row not in prompt_of]
        change = data.draw(st.sampled_from(["assign", "assign", "assign", "release", "move"]))
        if change == "assign" and free:
            prompt = data.draw(st.sampled_from(PROMPTS))
            mates = _prefix_groups(table, prompt_of).get(id(prompt), [])
            possible = len(_prefix_group_list(table, prompt_of)) < capacity or any(
                size < ROWS_PER_PREFIX_GROUP for size in mates
            )
            assert table.has_place(prompt) == possible
            row = data.draw(st.sampled_from(free))
            if not possible:
                with pytest.raises(ValueError):
                    table.assign(row, prompt)
                continue
            prefix_group, fresh = table.assign(row, prompt)
            assert fresh == all(size == ROWS_PER_PREFIX_GROUP for size in mates)
            if fresh:
                memory[prefix_group] = prompt
            prompt_of[row] = prompt
        elif change == "release" and prompt_of:
            row = data.draw(st.sampled_from(sorted(prompt_of)))
            del prompt_of[row]
            if (moved := table.release(row)) is not None:
                memory[moved[1]] = memory[moved[0]]
        elif change == "move" and prompt_of and free:
            source, target = data.draw(st.sampled_from(sorted(prompt_of))), data.draw(st.sampled_from(free))
            prompt_of[target] = prompt_of.pop(source)
            table.move(source, target)
        rows, places = table.layout(ROWS)
        assert [len(prefix_group) for prefix_group in rows] == [ROWS_PER_PREFIX_GROUP] * capacity
        taken = [places[row] for row in prompt_of]
        assert len(set(taken)) == len(taken), "no place is assigned twice"
        for row, prompt in prompt_of.items():
            prefix_group, place = divmod(places[row], ROWS_PER_PREFIX_GROUP)
            assert prefix_group < table.used
            assert rows[prefix_group][place] == row
            assert memory[prefix_group] is prompt
        assert {place // ROWS_PER_PREFIX_GROUP for place in taken} == set(range(table.used)), (
            "no prefix group is kept empty"
        )


def _prefix_group_list(table: PrefixGroupTable, prompt_of: dict[int, object]) -> dict[int, list[int]]:
    """Rows by prefix group, from the layout."""
    _, places = table.layout(ROWS)
    prefix_groups: dict[int, list[int]] = {}
    for row in prompt_of:
        prefix_groups.setdefault(places[row] // ROWS_PER_PREFIX_GROUP, []).append(row)
    return prefix_groups


def _prefix_groups(table: PrefixGroupTable, prompt_of: dict[int, object]) -> dict[int, list[int]]:
    """How many rows each prefix group of a prompt has, by the prompt's id."""
    sizes: dict[int, list[int]] = {}
    for rows in _prefix_group_list(table, prompt_of).values():
        sizes.setdefault(id(prompt_of[rows[0]]), []).append(len(rows))
    return sizes
