"""Keys and values while responses are decoded: a prompt's once, a response's in its slot.

A decode step attends in two parts, each with its log-sum-exp, and merges them exactly. Up to LANE_ROWS rows
that answer one prompt share a *lane*: the prompt's keys are read once for all of them, and as one product
with many queries instead of many with one.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from vlm_uec.rollout.lanes import LANE_ROWS, LaneTable

# What is read comes in whole steps: a row's numbers then do not depend on how far its neighbours are.
LENGTH_STEP = 32
ROW_STEP = 8
# On a GPU every size is a graph to capture.
CUDA_LENGTH_STEP = 256
CUDA_LANE_STEP = 8


@dataclass(frozen=True)
class PromptCache:
    """A prefilled prompt: keys and values of every layer, each [KV heads, P, D], and last logits [1, V]."""

    keys: tuple[torch.Tensor, ...]
    values: tuple[torch.Tensor, ...]
    logits: torch.Tensor
    next_position: int

    @property
    def length(self) -> int:
        return self.keys[0].shape[1]


@dataclass(frozen=True)
class View:
    """The part of the pool that a decode step works on."""

    slots: int  # rows of the matrix products
    rows: int  # rows of the attention: those in use, rounded up
    length: int  # response positions read
    lanes: int


@dataclass(frozen=True)
class Masks:
    """What a decode step sees, the same in every layer; added to the scores, so 0 or -inf."""

    own: torch.Tensor  # [rows, 1, 1, length]
    prompt: torch.Tensor  # [lanes, 1, 1, P]


class SlotCache:
    """S slots of `width` positions and the lanes of their prompts; memory is taken once."""

    def __init__(self, slots: int, prompt_tokens: int, width: int, like: PromptCache) -> None:
        """`prompt_tokens`: of the longest prompt; `width`: most tokens of a response."""
        heads, _, size = like.keys[0].shape
        device, dtype = like.keys[0].device, like.keys[0].dtype
        self._cuda = device.type == "cuda"
        self._length_step = CUDA_LENGTH_STEP if self._cuda else LENGTH_STEP
        width, prompt_tokens = round_up(width, self._length_step), round_up(prompt_tokens, LENGTH_STEP)

        def zeros(*shape: int) -> list[torch.Tensor]:
            return [torch.zeros(shape, device=device, dtype=dtype) for _ in like.keys]

        self.table = LaneTable(lane_count(slots))
        self._keys, self._values = zeros(slots, heads, width, size), zeros(slots, heads, width, size)
        lanes = (self.table.capacity, heads, prompt_tokens, size)
        self._prompt_keys, self._prompt_values = zeros(*lanes), zeros(*lanes)
        self.lengths = torch.zeros(slots, dtype=torch.int64, device=device)  # response positions written
        # A row that sees nothing would be NaN: lanes without a prompt show their first position.
        self._prompt_lengths = torch.ones(self.table.capacity, dtype=torch.int64, device=device)
        self._places = torch.arange(max(width, prompt_tokens), device=device)
        self._rows = torch.arange(slots, device=device)
        self._rows_of_lanes = torch.zeros(self.table.capacity, LANE_ROWS, dtype=torch.int64, device=device)
        self._seats_of_rows = torch.zeros(slots, dtype=torch.int64, device=device)

    def view(self, rows: int, longest: int) -> View:
        """What a step over the first rows needs, when the longest of their responses has so many tokens.

        On a CPU the products keep all slots: their rows' last bits can follow the number of rows. A GPU
        halves the slots as the pool empties, a few sizes in all.
        """
        slots, lanes = len(self.lengths), self.table.used
        length = min(round_up(longest, self._length_step), self._keys[0].shape[2])
        if self._cuda:
            while slots // 2 >= rows and slots % 16 == 0:
                slots //= 2
            return View(slots, slots, length, min(round_up(lanes, CUDA_LANE_STEP), self.table.capacity))
        return View(slots, min(round_up(rows, ROW_STEP), slots), length, lanes)

    def admit(self, slot: int, prompt: PromptCache) -> None:
        """Gives the slot to a response of this prompt; the table must have room for it."""
        lane, fresh = self.table.seat(slot, prompt)
        if fresh:
            for layer, (keys, values) in enumerate(zip(prompt.keys, prompt.values, strict=True)):
                self._prompt_keys[layer][lane, :, : prompt.length] = keys
                self._prompt_values[layer][lane, :, : prompt.length] = values
            self._prompt_lengths[lane] = prompt.length
        self.lengths[slot] = 0

    def release(self, slot: int) -> None:
        """The slot's response has ended. A lane that nobody uses is taken by the last one."""
        if (moved := self.table.leave(slot)) is not None:
            source, target = moved
            for tensor in (*self._prompt_keys, *self._prompt_values, self._prompt_lengths):
                tensor[target] = tensor[source]

    def move(self, source: int, target: int) -> None:
        """Gives one slot's response another slot, which must have been released."""
        self.table.move(source, target)
        for tensor in (*self._keys, *self._values, self.lengths):
            tensor[target] = tensor[source]

    def seated(self) -> None:
        """Tells the device who sits where; after changes, before the next step."""
        rows, seats = self.table.layout(len(self.lengths))
        self._rows_of_lanes.copy_(torch.tensor(rows))
        self._seats_of_rows.copy_(torch.tensor(seats))

    def masks(self, view: View) -> Masks:
        """Of the next decode step; a response sees the position that the step writes."""
        own = self._places[: view.length] <= self.lengths[: view.rows, None]
        size = self._prompt_keys[0].shape[2]
        prompt = self._places[:size] < self._prompt_lengths[: view.lanes, None]
        return Masks(self._additive(own), self._additive(prompt))

    def _additive(self, seen: torch.Tensor) -> torch.Tensor:
        scores = torch.zeros_like(seen, dtype=self._keys[0].dtype).masked_fill_(~seen, -torch.inf)
        return scores[:, None, None]

    def attend(
        self,
        layer: int,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        masks: Masks,
        scale: float,
    ) -> torch.Tensor:
        """Writes one position a row (key, value [S, KV heads, D]) and attends: query [S, H, D] to [S, H, D].

        Rows that the masks leave out are idle; they get zeros.
        """
        keys, values = self._keys[layer], self._values[layer]
        slots, places = self._rows[: len(key)], self.lengths[: len(key)]
        keys[slots, :, places] = key
        values[slots, :, places] = value
        rows, length = masks.own.shape[0], masks.own.shape[-1]
        # Query heads that share a key head are queries of one product: no copy of keys for each.
        folded = query[:rows].unflatten(1, (key.shape[1], -1))
        own = attend_part(folded, keys[:rows, :, :length], values[:rows, :, :length], masks.own, scale)
        prompt = self._attend_prompt(layer, folded, masks.prompt, scale)
        merged = merge(own, prompt).flatten(1, 2)
        if rows == len(query):
            return merged
        return torch.cat([merged, merged.new_zeros(len(query) - rows, *merged.shape[1:])])

    def _attend_prompt(self, layer: int, folded: torch.Tensor, mask: torch.Tensor, scale: float) -> Part:
        """Each row's attention over its prompt: folded queries [rows, KV heads, shared, D]."""
        lanes, (rows, heads, shared, size) = mask.shape[0], folded.shape
        seated = folded.index_select(0, self._rows_of_lanes[:lanes].flatten())
        by_lane = seated.view(lanes, LANE_ROWS, heads, shared, size).transpose(1, 2)
        part = attend_part(
            by_lane.reshape(lanes, heads, LANE_ROWS * shared, size),
            self._prompt_keys[layer][:lanes],
            self._prompt_values[layer][:lanes],
            mask,
            scale,
        )
        seats = self._seats_of_rows[:rows]

        def by_row(values: torch.Tensor) -> torch.Tensor:
            seated = values.reshape(lanes, heads, LANE_ROWS, shared, -1).transpose(1, 2)
            return seated.reshape(lanes * LANE_ROWS, heads, shared, -1).index_select(0, seats)

        return Part(by_row(part.output), by_row(part.log_sum))


@dataclass(frozen=True)
class Part:
    """Attention over a part of the keys."""

    output: torch.Tensor  # [n, heads, queries, D]
    log_sum: torch.Tensor  # [n, heads, queries, 1] fp32: log of the summed exponentials


def attend_part(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor, scale: float
) -> Part:
    """Attention of [n, heads, queries, D] over [n, heads, keys, D]; `mask` [n, 1, 1, keys] is added."""
    if query.is_cuda:
        bias = mask.expand(*query.shape[:3], -1)
        output, log_sum = torch.ops.aten._scaled_dot_product_efficient_attention(
            query, key, value, bias, compute_log_sumexp=True, scale=scale
        )[:2]
        # The kernel rounds the number of queries up.
        return Part(output, log_sum[..., : query.shape[2], None])
    output, log_sum = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
        query, key, value, attn_mask=mask, scale=scale
    )
    return Part(output, log_sum[..., None])


def merge(first: Part, second: Part) -> torch.Tensor:
    """Attention over the keys of both parts, [n, heads, queries, D]."""
    share = torch.sigmoid(second.log_sum - first.log_sum).to(first.output.dtype)
    return torch.lerp(first.output, second.output, share)


def lane_count(slots: int) -> int:
    """Lanes for so many slots. A prompt keeps its lane until its longest response ends, so there are four
    times those that full lanes would need."""
    return min(slots, max(ROW_STEP, 4 * slots // LANE_ROWS))


def round_up(count: int, step: int) -> int:
    return -(-count // step) * step
