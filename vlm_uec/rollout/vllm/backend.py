"""vLLM as the server uses it: prompts in, sampled groups out, weights replaced in between."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

# In one process: the server's loop steps the engine, and hears of new orders and aborts between steps.
os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"

import torch
from transformers import AutoConfig
from vllm import EngineArgs, SamplingParams
from vllm.platforms import current_platform
from vllm.sampling_params import RequestOutputKind
from vllm.v1.engine.llm_engine import LLMEngine
from vllm.v1.metrics.loggers import StatLoggerBase

from vlm_uec.rollout.vllm.messages import Drawn, Order

RECEIVER = "vlm_uec.rollout.vllm.worker.WeightReceiver"


class TokenCount(StatLoggerBase):
    """How many tokens vLLM has drawn: before a group is done, nothing else of it is to be seen."""

    def __init__(self) -> None:
        self.drawn = 0

    def record(self, scheduler_stats: Any, iteration_stats: Any, *args: Any, **kwargs: Any) -> None:
        if iteration_stats is not None:
            self.drawn += iteration_stats.num_generation_tokens

    def log_engine_initialized(self) -> None: ...


class VllmBackend:
    """One vLLM engine, that starts from random weights: none that a push does not reach goes unnoticed."""

    def __init__(self, model: str, dtype: str, max_length: int, options: dict[str, Any]) -> None:
        """`options`: engine arguments of vLLM, beside ours or instead of them."""
        ours: dict[str, Any] = {
            "model": model,
            "dtype": dtype,
            "max_model_len": max_length,
            "load_format": "dummy",
            "enable_prefix_caching": True,
        }
        if hasattr(AutoConfig.from_pretrained(model), "vision_config"):
            # The trainer's own tower has seen the pictures: what it makes of them comes with the prompt.
            ours |= {"enable_mm_embeds": True, "limit_mm_per_prompt": {"image": 0, "video": 0}}
        if current_platform.is_cpu():
            # A prompt in parts winds a response's random numbers back, which a CPU's generator cannot do.
            ours["enable_chunked_prefill"] = False
        fixed = {
            "logprobs_mode": "processed_logprobs",
            "worker_extension_cls": RECEIVER,
            "disable_log_stats": False,  # the count is one of them
        }
        self._count = TokenCount()
        arguments = EngineArgs(**ours | options | fixed)
        self._engine = LLMEngine.from_engine_args(arguments, stat_loggers=[lambda *_: self._count])

    @property
    def facts(self) -> dict[str, Any]:
        config = self._engine.model_config
        return {"dtype": str(config.dtype).removeprefix("torch."), "max_length": config.max_model_len}

    @property
    def busy(self) -> bool:
        return self._engine.has_unfinished_requests()

    def begin(self, banned: Sequence[int]) -> None:
        self._engine.collective_rpc("uec_begin", args=(list(banned),))

    def load(self, name: str, tensor: torch.Tensor) -> str:
        """The checksum of what every worker loaded."""
        found = set(self._engine.collective_rpc("uec_load", args=(name, tensor)))
        if len(found) != 1:
            raise ValueError(f"vLLM's workers loaded different {name}")
        return str(found.pop())

    def finish(self) -> None:
        self._engine.collective_rpc("uec_finish")
        # What was computed with the old weights.
        self._engine.reset_mm_cache()
        self._engine.reset_encoder_cache()
        if not self._engine.reset_prefix_cache():
            raise ValueError("vLLM kept its prefix cache")

    def add(self, ticket: str, order: Order) -> None:
        """vLLM reads the prompt for the first of the n; the others find its blocks in the prefix cache."""
        prompt: dict[str, Any] = {"prompt_token_ids": self._collapsed(order)}
        if len(order.grid):
            data = {"image_embeds": order.features, "image_grid_thw": order.grid}
            prompt["multi_modal_data"] = {"image": data}
        params = SamplingParams(
            n=order.n,
            seed=order.seed,
            temperature=order.temperature,
            top_p=order.top_p,
            max_tokens=order.max_tokens,
            stop_token_ids=list(order.ends),
            ignore_eos=True,  # the trainer's end tokens alone
            logprobs=0,  # of the drawn token
            flat_logprobs=True,
            detokenize=False,
            output_kind=RequestOutputKind.FINAL_ONLY,
        )
        self._engine.add_request(ticket, prompt, params)

    def abort(self, tickets: Sequence[str]) -> None:
        self._engine.abort_request(list(tickets))

    def step(self) -> Iterator[tuple[str, Sequence[Drawn]] | None]:
        before = self._count.drawn
        outputs = self._engine.step()
        if self._count.drawn > before:
            yield None
        for output in outputs:
            if output.finished:
                group = sorted(output.outputs, key=lambda response: response.index)
                yield (
                    output.request_id,
                    [Drawn(list(one.token_ids), list(one.logprobs.logprobs)) for one in group],
                )

    def _collapsed(self, order: Order) -> list[int]:
        """Ids with one placeholder a picture, which vLLM expands again by the grid."""
        ids, collapsed, place = order.prompt.tolist(), list[int](), 0
        if not len(order.grid):
            return ids
        config = self._engine.model_config.hf_config
        counts = iter((order.grid.prod(dim=1) // config.vision_config.spatial_merge_size**2).tolist())
        while place < len(ids):
            collapsed.append(ids[place])
            place += next(counts) if ids[place] == config.image_token_id else 1
        return collapsed
