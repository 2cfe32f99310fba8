from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlm_uec.rollout.prefix_groups import ROWS_PER_PREFIX_GROUP, PrefixGroupTable

ROWS = 24
PROMPTS = [object() for _ in range(4)]


def test_a_prefix_group_is_filled_before_another_one_is_opened() -> None:
    table, prompt, other = PrefixGroupTable(3), object(), object()
    assert [table.assign(row, prompt) for row in range(ROWS_PER_PREFIX_GROUP)] == [(0, True)] + [
        (0, False)
    ] * 7
    assert table.assign(8, other) == (1, True)
    assert table.assign(9, prompt) == (2, True)
    assert table.used == 3
    assert table.can_assign(prompt) and table.can_assign(other)
    assert not table.can_assign(object())
    with pytest.raises(ValueError):
        table.assign(10, object())


def test_the_last_prefix_group_replaces_an_empty_one() -> None:
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


def test_equal_but_not_identical_prompts_do_not_share() -> None:
    """Prompts are compared by identity, because each prefill has its own keys."""
    table, first, second = PrefixGroupTable(2), [1], [1]
    assert table.assign(0, first) == (0, True)
    assert table.assign(1, second) == (1, True)


@settings(max_examples=300, deadline=None)
@given(st.data(), st.integers(1, 5), st.integers(1, 60))
def test_every_row_has_its_prompt_after_any_sequence_of_changes(
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
            sizes = _prefix_group_sizes(table, prompt_of).get(id(prompt), [])
            possible = len(_rows_by_prefix_group(table, prompt_of)) < capacity or any(
                size < ROWS_PER_PREFIX_GROUP for size in sizes
            )
            assert table.can_assign(prompt) == possible
            row = data.draw(st.sampled_from(free))
            if not possible:
                with pytest.raises(ValueError):
                    table.assign(row, prompt)
                continue
            prefix_group, is_new = table.assign(row, prompt)
            assert is_new == all(size == ROWS_PER_PREFIX_GROUP for size in sizes)
            if is_new:
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
        rows, positions = table.layout(ROWS)
        assert [len(prefix_group) for prefix_group in rows] == [ROWS_PER_PREFIX_GROUP] * capacity
        used = [positions[row] for row in prompt_of]
        assert len(set(used)) == len(used), "no position is assigned twice"
        for row, prompt in prompt_of.items():
            prefix_group, offset = divmod(positions[row], ROWS_PER_PREFIX_GROUP)
            assert prefix_group < table.used
            assert rows[prefix_group][offset] == row
            assert memory[prefix_group] is prompt
        assert {position // ROWS_PER_PREFIX_GROUP for position in used} == set(range(table.used)), (
            "no prefix group is empty"
        )


def _rows_by_prefix_group(table: PrefixGroupTable, prompt_of: dict[int, object]) -> dict[int, list[int]]:
    """Rows by prefix group, from the layout."""
    _, positions = table.layout(ROWS)
    prefix_groups: dict[int, list[int]] = {}
    for row in prompt_of:
        prefix_groups.setdefault(positions[row] // ROWS_PER_PREFIX_GROUP, []).append(row)
    return prefix_groups


def _prefix_group_sizes(table: PrefixGroupTable, prompt_of: dict[int, object]) -> dict[int, list[int]]:
    """The number of rows in each prefix group of a prompt, by the prompt's `id()`."""
    sizes: dict[int, list[int]] = {}
    for rows in _rows_by_prefix_group(table, prompt_of).values():
        sizes.setdefault(id(prompt_of[rows[0]]), []).append(len(rows))
    return sizes
