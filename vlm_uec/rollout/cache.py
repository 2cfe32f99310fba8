"""Key-value cache of the decode slots: a prompt's keys are stored once, a response's in its slot.

A decode step attends in two parts, each with its log-sum-exp, and merges them exactly. Up to
ROWS_PER_PREFIX_GROUP responses to one prompt form a *prefix group*: the prompt's keys are read once for all
of them, as one product with many queries instead of many with one.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from vlm_uec.rollout.prefix_groups import ROWS_PER_PREFIX_GROUP, PrefixGroupTable
from vlm_uec.rollout.valid_keys import KeyLengths, ValidKeysLayout, supports_valid_keys

# Lengths are rounded up to whole steps. A CPU's kernel then gives the same bits for every number of steps:
# with up to FREE_QUERIES queries a key head always, with more only up to 192 keys.
LENGTH_STEP = 32
ROW_STEP = 8
FREE_QUERIES = 2
# On a GPU without attention over valid keys, every size needs a captured graph of its own.
CUDA_LENGTH_STEP = 256
CUDA_PREFIX_GROUP_STEP = 8


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
class PoolSize:
    """The sizes that determine a pool's memory."""

    slots: int
    prefix_groups: int
    prompt_tokens: int  # of the longest prompt
    width: int  # most tokens of a response

    @property
    def positions(self) -> int:
        return self.slots * self.width + self.prefix_groups * self.prompt_tokens


@dataclass(frozen=True)
class View:
    """The part of the pool that a decode step works on."""

    slots: int  # rows of the matrix products
    rows: int  # rows of the attention: rows in use, rounded up
    length: int  # response positions read
    prefix_groups: int


def cuda_view(
    rows: int, longest: int, slots: int, width: int, table: PrefixGroupTable, *, valid_keys: bool
) -> View:
    """The view of a step on a GPU: the slots are halved as the pool empties.

    Attention over valid keys has no other sizes; otherwise lengths and prefix groups are rounded up.
    """
    while slots // 2 >= rows and slots % 16 == 0:
        slots //= 2
    if valid_keys:
        return View(slots, slots, width, table.capacity)
    length = min(round_up(longest, CUDA_LENGTH_STEP), width)
    return View(slots, slots, length, min(round_up(table.used, CUDA_PREFIX_GROUP_STEP), table.capacity))


@dataclass(frozen=True)
class StepPositions:
    """Positions that a decode step writes and attends to, in every layer. Masks are added to the scores."""

    write_indices: torch.Tensor  # [slots * KV heads]: index of each head's key in the flattened cache
    response_mask: torch.Tensor  # [rows, 1, 1, length] of 0 or -inf
    prompt_mask: torch.Tensor  # [prefix groups, 1, 1, P] of 0 or -inf


class SlotCache:
    """S slots of `width` positions and their prefix groups; memory is allocated once."""

    def __init__(self, size: PoolSize, query_heads: int, like: PromptCache) -> None:
        slots, prefix_groups = size.slots, size.prefix_groups
        self._heads, _, head_size = like.keys[0].shape
        self._shared = query_heads // self._heads
        device, dtype = like.keys[0].device, like.keys[0].dtype
        self._cuda = device.type == "cuda"
        self._width = round_up(size.width, CUDA_LENGTH_STEP if self._cuda else LENGTH_STEP)
        prompt_tokens = round_up(size.prompt_tokens, LENGTH_STEP)

        def zeros(rows: int, positions: int) -> list[torch.Tensor]:
            shape = (rows, self._heads, positions, head_size)
            return [torch.zeros(shape, device=device, dtype=dtype) for _ in like.keys]

        self.table = PrefixGroupTable(prefix_groups)
        self._keys, self._values = zeros(slots, self._width), zeros(slots, self._width)
        self._prompt_keys, self._prompt_values = (
            zeros(prefix_groups, prompt_tokens),
            zeros(prefix_groups, prompt_tokens),
        )
        self.lengths = torch.zeros(slots, dtype=torch.int64, device=device)  # response positions written
        # A fully masked row would be NaN: prefix groups without a prompt leave their first position visible.
        self._prompt_lengths = torch.ones(prefix_groups, dtype=torch.int64, device=device)
        self._positions = torch.arange(max(self._width, prompt_tokens), device=device)
        self._starts = torch.arange(slots * self._heads, device=device).view(slots, -1) * self._width
        queries = (prefix_groups, self._heads, ROWS_PER_PREFIX_GROUP, self._shared)
        self._group_queries = torch.zeros(queries, dtype=torch.int64, device=device)
        self._row_outputs = torch.zeros(slots, self._shared, self._heads, dtype=torch.int64, device=device)
        self._valid_keys: ValidKeysLayout | None = None
        if supports_valid_keys(like.keys[0]):
            widths = (self._width, prompt_tokens)
            self._valid_keys = ValidKeysLayout(
                slots, prefix_groups, self._heads, self._shared, widths, device
            )

    def view(self, rows: int, longest: int) -> View:
        """The view for a step over the first `rows`, whose longest response has `longest` tokens.

        On a CPU a row's bits must not depend on its neighbours: products keep all slots, and attention the
        full width if its kernel requires that.
        """
        slots = len(self.lengths)
        if self._cuda:
            return cuda_view(
                rows, longest, slots, self._width, self.table, valid_keys=self._valid_keys is not None
            )
        prefix_groups, length = self.table.used, min(round_up(longest, LENGTH_STEP), self._width)
        if self._shared > FREE_QUERIES:
            length = self._width
        return View(slots, min(round_up(rows, ROW_STEP), slots), length, prefix_groups)

    def admit(self, slot: int, prompt: PromptCache) -> None:
        """Assigns the slot to a response of this prompt; raises ValueError if no prefix group is free."""
        prefix_group, is_new = self.table.assign(slot, prompt)
        if is_new:
            for layer, (keys, values) in enumerate(zip(prompt.keys, prompt.values, strict=True)):
                self._prompt_keys[layer][prefix_group, :, : prompt.length] = keys
                self._prompt_values[layer][prefix_group, :, : prompt.length] = values
            self._prompt_lengths[prefix_group] = prompt.length

    def release(self, slot: int) -> None:
        """Frees the slot of a finished response. An empty prefix group is replaced by the last one."""
        self.lengths[slot] = 0  # a free slot attends to one position
        if (moved := self.table.release(slot)) is not None:
            source, target = moved
            for tensor in (*self._prompt_keys, *self._prompt_values, self._prompt_lengths):
                tensor[target] = tensor[source]

    def move(self, source: int, target: int) -> None:
        """Moves a response to another slot, which must be free."""
        self.table.move(source, target)
        for tensor in (*self._keys, *self._values, self.lengths):
            tensor[target] = tensor[source]
        self.lengths[source] = 0

    def upload_layout(self) -> None:
        """Copies the table's layout to the device; must be called after changes, before the next step."""
        if self._valid_keys is not None:
            self._valid_keys.upload(self.table.members())
            return
        rows, positions = map(torch.tensor, self.table.layout(len(self.lengths)))
        head, shared = torch.arange(self._heads), torch.arange(self._shared)
        queries = (rows[:, None, :, None] * self._heads + head[:, None, None]) * self._shared + shared
        self._group_queries.copy_(queries)
        outputs = (positions[:, None, None] * self._shared + shared[:, None]) * self._heads + head
        self._row_outputs.copy_(outputs)

    def step_positions(self, view: View) -> StepPositions | KeyLengths:
        """The positions of the next decode step; a response attends to the position that the step writes."""
        if self._valid_keys is not None:
            lengths, starts = self.lengths[: view.slots], self._starts[: view.slots]
            return self._valid_keys.lengths(lengths, self._prompt_lengths, starts)
        response = self._positions[: view.length] <= self.lengths[: view.rows, None]
        size = self._prompt_keys[0].shape[2]
        prompt = self._positions[:size] < self._prompt_lengths[: view.prefix_groups, None]
        indices = self._starts[: view.slots] + self.lengths[: view.slots, None]
        return StepPositions(indices.flatten(), self._additive_mask(response), self._additive_mask(prompt))

    def _additive_mask(self, visible: torch.Tensor) -> torch.Tensor:
        scores = torch.zeros_like(visible, dtype=self._keys[0].dtype).masked_fill_(~visible, -torch.inf)
        return scores[:, None, None]

    def attend(
        self,
        layer: int,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        positions: StepPositions | KeyLengths,
        scale: float,
    ) -> torch.Tensor:
        """Writes one position a row (key, value [S, KV heads, D]) and attends: query [S, H, D] to [S, H, D].

        Idle rows, which the masks do not cover, get zeros.
        """
        keys, values = self._keys[layer], self._values[layer]
        keys.flatten(0, 2).index_copy_(0, positions.write_indices, key.flatten(0, 1))
        values.flatten(0, 2).index_copy_(0, positions.write_indices, value.flatten(0, 1))
        if isinstance(positions, KeyLengths):
            return self._attend_valid_keys(layer, query, positions, scale)
        rows, length = positions.response_mask.shape[0], positions.response_mask.shape[-1]
        # Query heads that share a key head are the queries of one product, so keys are not copied.
        folded = query[:rows].unflatten(1, (self._heads, self._shared))
        response = attend_part(
            folded, keys[:rows, :, :length], values[:rows, :, :length], positions.response_mask, scale
        )
        prompt = self._attend_prompt(layer, folded, positions.prompt_mask, scale)
        merged = merge(response, prompt).transpose(1, 2).flatten(1, 2)
        if rows == len(query):
            return merged
        return torch.cat([merged, merged.new_zeros(len(query) - rows, *merged.shape[1:])])

    def _attend_valid_keys(
        self, layer: int, query: torch.Tensor, lengths: KeyLengths, scale: float
    ) -> torch.Tensor:
        assert self._valid_keys is not None
        response = self._valid_keys.attend_response(
            query, self._keys[layer], self._values[layer], lengths.response, scale
        )
        prompt = self._valid_keys.attend_prompt(
            query, self._prompt_keys[layer], self._prompt_values[layer], lengths.prompt, scale
        )
        return merge(PartialAttention(*response), PartialAttention(*prompt))

    def _attend_prompt(
        self, layer: int, folded: torch.Tensor, mask: torch.Tensor, scale: float
    ) -> PartialAttention:
        """Each row's attention over its prompt: folded queries [rows, KV heads, shared, D]."""
        prefix_groups, rows = len(mask), len(folded)
        queries = folded.flatten(0, 2).index_select(0, self._group_queries[:prefix_groups].flatten())
        part = attend_part(
            queries.view(prefix_groups, self._heads, ROWS_PER_PREFIX_GROUP * self._shared, -1),
            self._prompt_keys[layer][:prefix_groups],
            self._prompt_values[layer][:prefix_groups],
            mask,
            scale,
        )
        outputs = self._row_outputs[:rows].flatten()

        def by_row(values: torch.Tensor) -> torch.Tensor:
            selected = values.flatten(0, 2).index_select(0, outputs)
            return selected.view(rows, self._shared, self._heads, -1)

        return PartialAttention(by_row(part.output), by_row(part.log_sum))


@dataclass(frozen=True)
class PartialAttention:
    """Attention over a part of the keys, in the kernels' layout."""

    output: torch.Tensor  # [n, queries, heads, D]
    log_sum: torch.Tensor  # [n, queries, heads, 1] fp32: log of the summed exponentials


def attend_part(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor, scale: float
) -> PartialAttention:
    """Attention of queries [n, heads, queries, D] over [n, heads, keys, D]; adds `mask` [n, 1, 1, keys]."""
    if query.is_cuda:
        bias = mask.expand(*query.shape[:3], -1)
        output, log_sum = torch.ops.aten._scaled_dot_product_efficient_attention(
            query, key, value, bias, compute_log_sumexp=True, scale=scale
        )[:2]
        # The kernel rounds the number of queries up.
        log_sum = log_sum[..., : query.shape[2]]
    else:
        output, log_sum = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
            query, key, value, attn_mask=mask, scale=scale
        )
    return PartialAttention(output.transpose(1, 2), log_sum.transpose(1, 2)[..., None])


def merge(first: PartialAttention, second: PartialAttention) -> torch.Tensor:
    """Attention over the keys of both parts, [n, queries, heads, D]."""
    share = torch.sigmoid(second.log_sum - first.log_sum).to(first.output.dtype)
    return torch.lerp(first.output, second.output, share)


def round_up(count: int, step: int) -> int:
    return -(-count // step) * step
