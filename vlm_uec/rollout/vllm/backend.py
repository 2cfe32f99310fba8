"""The server's vLLM engine: samples groups for prompts, and loads new weights between rollouts."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

# In one process: the server loop steps the engine, and handles new jobs and aborts between steps.
os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"

import torch
from transformers import AutoConfig
from vllm import EngineArgs, SamplingParams
from vllm.platforms import current_platform
from vllm.sampling_params import RequestOutputKind
from vllm.v1.engine.llm_engine import LLMEngine
from vllm.v1.metrics.loggers import StatLoggerBase

from vlm_uec.rollout.vllm.messages import Completion, SamplingJob

RECEIVER = "vlm_uec.rollout.vllm.worker.WeightReceiver"


class TokenCount(StatLoggerBase):
    """Counts the tokens that vLLM has sampled: the only visible progress before a group is complete."""

    def __init__(self) -> None:
        self.sampled = 0

    def record(self, scheduler_stats: Any, iteration_stats: Any, *args: Any, **kwargs: Any) -> None:
        if iteration_stats is not None:
            self.sampled += iteration_stats.num_generation_tokens

    def log_engine_initialized(self) -> None: ...


class VllmBackend:
    """One vLLM engine. It starts with random weights, so that a weight missing from a push is noticed."""

    def __init__(self, model: str, dtype: str, max_length: int, options: dict[str, Any]) -> None:
        """`options`: engine arguments of vLLM, which override the defaults set here."""
        defaults: dict[str, Any] = {
            "model": model,
            "dtype": dtype,
            "max_model_len": max_length,
            "load_format": "dummy",
            "enable_prefix_caching": True,
        }
        if hasattr(AutoConfig.from_pretrained(model), "vision_config"):
            # The trainer's vision tower encodes the pictures; prompts come with their features.
            defaults |= {"enable_mm_embeds": True, "limit_mm_per_prompt": {"image": 0, "video": 0}}
        if current_platform.is_cpu():
            # Chunked prefill rewinds a response's random numbers, which a CPU's generator does not support.
            defaults["enable_chunked_prefill"] = False
        fixed = {
            "logprobs_mode": "processed_logprobs",
            "worker_extension_cls": RECEIVER,
            "disable_log_stats": False,  # required by TokenCount
        }
        self._count = TokenCount()
        arguments = EngineArgs(**defaults | options | fixed)
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
        """The checksum of the tensor that every worker loaded."""
        checksums = set(self._engine.collective_rpc("uec_load", args=(name, tensor)))
        if len(checksums) != 1:
            raise ValueError(f"vLLM's workers loaded different values of {name}")
        return str(checksums.pop())

    def finish(self) -> None:
        self._engine.collective_rpc("uec_finish")
        # Their contents were computed with the old weights.
        self._engine.reset_mm_cache()
        self._engine.reset_encoder_cache()
        if not self._engine.reset_prefix_cache():
            raise ValueError("vLLM did not reset its prefix cache")

    def add(self, job_id: str, job: SamplingJob) -> None:
        """vLLM prefills the prompt for the first response; the others find its blocks in the prefix cache."""
        prompt: dict[str, Any] = {"prompt_token_ids": self._collapse_placeholders(job)}
        if len(job.grid):
            data = {"image_embeds": job.features, "image_grid_thw": job.grid}
            prompt["multi_modal_data"] = {"image": data}
        params = SamplingParams(
            n=job.n,
            seed=job.seed,
            temperature=job.temperature,
            top_p=job.top_p,
            max_tokens=job.max_tokens,
            stop_token_ids=list(job.end_ids),
            ignore_eos=True,  # only the trainer's end tokens end a response
            logprobs=0,  # of the sampled token only
            flat_logprobs=True,
            detokenize=False,
            output_kind=RequestOutputKind.FINAL_ONLY,
        )
        self._engine.add_request(job_id, prompt, params)

    def abort(self, job_ids: Sequence[str]) -> None:
        self._engine.abort_request(list(job_ids))

    def step(self) -> Iterator[tuple[str, Sequence[Completion]] | None]:
        before = self._count.sampled
        outputs = self._engine.step()
        if self._count.sampled > before:
            yield None
        for output in outputs:
            if output.finished:
                group = sorted(output.outputs, key=lambda response: response.index)
                yield (
                    output.request_id,
                    [Completion(list(one.token_ids), list(one.logprobs.logprobs)) for one in group],
                )

    def _collapse_placeholders(self, job: SamplingJob) -> list[int]:
        """Prompt ids with one placeholder per picture; vLLM expands it by the grid."""
        ids, collapsed, position = job.prompt.tolist(), list[int](), 0
        if not len(job.grid):
            return ids
        config = self._engine.model_config.hf_config
        counts = iter((job.grid.prod(dim=1) // config.vision_config.spatial_merge_size**2).tolist())
        while position < len(ids):
            collapsed.append(ids[position])
            position += next(counts) if ids[position] == config.image_token_id else 1
        return collapsed
