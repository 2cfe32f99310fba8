"""Attention of a decode step over valid keys only, by CUDA's variable-length kernel.

A (row, key head) pair is a sequence of one head, whose queries are the query heads that share the key head.
The prompt part has a sequence for each (prefix group, key head), whose queries are those of the group's rows.
The kernel reads lengths from device tensors, so a captured step depends on the number of rows alone.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch

from vlm_uec.rollout.prefix_groups import ROWS_PER_PREFIX_GROUP

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class KeyLengths:
    """Positions that a decode step writes and attends to, in every layer."""

    write_indices: torch.Tensor  # [rows * KV heads]: index of each head's key in the flattened cache
    response: torch.Tensor  # [rows * KV heads] int32
    prompt: torch.Tensor  # [prefix groups * KV heads] int32


def supports_valid_keys(keys: torch.Tensor) -> bool:
    """Whether the kernel can attend over these keys: bf16 or fp16 on CUDA, a torch that has it (2.12), and
    results that are right on this device."""
    half = keys.dtype in (torch.bfloat16, torch.float16)
    if not (keys.is_cuda and half and "seqused_k" in _kernel_parameters()):
        return False
    return kernel_is_right(keys.device, keys.dtype, keys.shape[-1])


@cache
def kernel_is_right(device: torch.device, dtype: torch.dtype, size: int) -> bool:
    """Compares the kernel with plain products, once per process; logs a warning if they differ.

    The kernel depends on the device and on torch's build, and a wrong one would only lower rewards.
    """
    width, lengths = 64, torch.tensor([1, 3, 17, 64], dtype=torch.int32)
    generator = torch.Generator().manual_seed(0)
    query = torch.randn(2 * len(lengths), size, generator=generator).to(device, dtype)
    key, value = (torch.randn(2, width * len(lengths), size, generator=generator)).to(device, dtype)
    starts = torch.arange(len(lengths) + 1, dtype=torch.int32, device=device)
    scale = size**-0.5
    try:
        output, log_sum = varlen_attention(
            query, key, value, starts * 2, starts * width, (2, width), lengths.to(device), scale
        )
        expected, expected_log_sum = _plain_attention(query, key, value, lengths.tolist(), width, scale)
        torch.testing.assert_close(output.float(), expected, rtol=0, atol=3e-2)
        torch.testing.assert_close(log_sum.float(), expected_log_sum, rtol=0, atol=3e-2)
    except (RuntimeError, TypeError, ValueError, AssertionError) as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        log.warning("attention over valid keys does not work on %s (%s); rollouts are slower", device, first)
        return False
    return True


def _plain_attention(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, lengths: list[int], width: int, scale: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Two queries a sequence, over the first keys of `width`; in fp32."""
    outputs, log_sums = [], []
    for number, length in enumerate(lengths):
        keys = slice(number * width, number * width + length)
        scores = query[2 * number : 2 * number + 2].float() @ key[keys].float().T * scale
        outputs.append(torch.softmax(scores, dim=-1) @ value[keys].float())
        log_sums.append(torch.logsumexp(scores, dim=-1))
    return torch.cat(outputs), torch.cat(log_sums)


@cache
def _kernel_parameters() -> frozenset[str]:
    try:
        return frozenset(inspect.signature(_kernel()).parameters)
    except ImportError:
        return frozenset()


def _kernel() -> Callable[..., Any]:
    from torch.nn.attention.varlen import varlen_attn

    return varlen_attn


def varlen_attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    query_bounds: torch.Tensor,
    key_bounds: torch.Tensor,
    longest: tuple[int, int],
    key_lengths: torch.Tensor,
    scale: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Attention [T, D], and log-sum-exps [T], of queries [T, D] in N sequences over keys [K, D].

    Sequence i has queries `query_bounds[i]` to `query_bounds[i + 1]`, and the `key_lengths[i]` keys from
    `key_bounds[i]`; `longest`: bounds of the numbers of queries and keys of a sequence.
    """
    from torch.nn.attention.varlen import AuxRequest

    output, log_sum = _kernel()(
        query[:, None],
        key[:, None],
        value[:, None],
        query_bounds,
        key_bounds,
        *longest,
        return_aux=AuxRequest(lse=True),
        scale=scale,
        seqused_k=key_lengths,
    )
    return output[:, 0], log_sum.flatten()


class ValidKeysLayout:
    """Where the sequences' queries and keys are, for S slots and G prefix groups."""

    def __init__(
        self, slots: int, groups: int, heads: int, shared: int, widths: tuple[int, int], device: torch.device
    ) -> None:
        """`heads`: key heads; `shared`: query heads of each; `widths`: positions of a slot and of a group."""
        self._heads, self._shared, self._widths = heads, shared, widths

        def bounds(sequences: int, step: int) -> torch.Tensor:
            return torch.arange(sequences + 1, dtype=torch.int32, device=device) * step

        self._query_bounds = bounds(slots * heads, shared)
        self._key_bounds = bounds(slots * heads, widths[0])
        self._prompt_key_bounds = bounds(groups * heads, widths[1])
        self._prompt_query_bounds = torch.zeros_like(self._prompt_key_bounds)
        # Queries in the order of prefix groups, and each query's place in that order.
        self._group_queries = torch.zeros(slots * heads * shared, dtype=torch.int64, device=device)
        self._row_outputs = torch.zeros_like(self._group_queries)

    def upload(self, members: Sequence[Sequence[int]]) -> None:
        """Copies the rows of every prefix group in use to the device.

        A row without a group gets the outputs of the first group's first row: finite, and not used.
        """
        sizes = torch.tensor([len(rows) for rows in members], dtype=torch.int64)
        starts = sizes.cumsum(0) - sizes
        rows = torch.tensor([row for group in members for row in group], dtype=torch.int64)
        groups = torch.arange(len(members)).repeat_interleave(sizes)
        offsets = torch.arange(len(rows)) - starts[groups]
        head, shared = torch.arange(self._heads)[:, None], torch.arange(self._shared)
        sequences = starts[:, None] * self._heads + torch.arange(self._heads) * sizes[:, None]
        places = (sequences[groups][:, :, None] + offsets[:, None, None]) * self._shared + shared
        queries = (rows[:, None, None] * self._heads + head) * self._shared + shared
        self._copy(sequences * self._shared, places, queries)

    def _copy(self, bounds: torch.Tensor, places: torch.Tensor, queries: torch.Tensor) -> None:
        """Groups that are not in use are sequences without queries."""
        all_bounds = torch.full(self._prompt_query_bounds.shape, places.numel(), dtype=torch.int32)
        all_bounds[: bounds.numel()] = bounds.flatten()
        order = torch.zeros(self._group_queries.shape, dtype=torch.int64)
        order[places.flatten()] = queries.flatten()
        outputs = torch.zeros_like(order)
        outputs[queries.flatten()] = places.flatten()
        self._prompt_query_bounds.copy_(all_bounds)
        self._group_queries.copy_(order)
        self._row_outputs.copy_(outputs)

    def lengths(
        self, lengths: torch.Tensor, prompt_lengths: torch.Tensor, starts: torch.Tensor
    ) -> KeyLengths:
        """Of a step over rows with `lengths` [rows] written positions, whose first are at `starts` [rows, H].

        A response attends to the position that the step writes.
        """
        return KeyLengths(
            (starts + lengths[:, None]).flatten(),
            (lengths + 1).to(torch.int32).repeat_interleave(self._heads, output_size=starts.numel()),
            prompt_lengths.to(torch.int32).repeat_interleave(
                self._heads, output_size=len(prompt_lengths) * self._heads
            ),
        )

    def attend_response(
        self,
        query: torch.Tensor,
        keys: torch.Tensor,
        values: torch.Tensor,
        lengths: torch.Tensor,
        scale: float,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Attention [rows, H, D], with log-sum-exps [rows, H, 1], of queries [rows, H, D] over their own keys
        [slots, KV heads, width, D]."""
        sequences = len(lengths)
        output, log_sum = varlen_attention(
            query.flatten(0, 1),
            keys.flatten(0, 2),
            values.flatten(0, 2),
            self._query_bounds[: sequences + 1],
            self._key_bounds[: sequences + 1],
            (self._shared, self._widths[0]),
            lengths,
            scale,
        )
        return output.view(query.shape), log_sum.view(*query.shape[:2], 1)

    def attend_prompt(
        self,
        query: torch.Tensor,
        keys: torch.Tensor,
        values: torch.Tensor,
        lengths: torch.Tensor,
        scale: float,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """As `attend_response`, over the prompts' keys [groups, KV heads, width, D]."""
        flat = query.flatten(0, 1)
        output, log_sum = varlen_attention(
            flat.index_select(0, self._group_queries[: len(flat)]),
            keys.flatten(0, 2),
            values.flatten(0, 2),
            self._prompt_query_bounds,
            self._prompt_key_bounds,
            (ROWS_PER_PREFIX_GROUP * self._shared, self._widths[1]),
            lengths,
            scale,
        )
        places = self._row_outputs[: len(flat)]
        return (
            output.index_select(0, places).view(query.shape),
            log_sum.index_select(0, places).view(*query.shape[:2], 1),
        )
