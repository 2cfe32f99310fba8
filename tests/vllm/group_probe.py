"""Run by vLLM's python: samples a group for a prompt with a picture and prints the result as JSON."""

from __future__ import annotations

import json
import sys

import torch
from safetensors.torch import load_file

from vlm_uec.rollout.vllm.backend import VllmBackend
from vlm_uec.rollout.vllm.messages import SamplingJob

if __name__ == "__main__":  # vLLM's workers import this file again
    model, options = sys.argv[1], json.loads(sys.argv[2])
    backend = VllmBackend(model, "float32", 256, options)
    backend.begin([510])
    for name, weight in load_file(f"{model}/model.safetensors").items():
        if not name.startswith("visual."):
            backend.load(name, weight)
    backend.finish()
    prompt = torch.cat(
        [torch.tensor([507]), torch.full((9,), 510), torch.tensor([508]), torch.arange(40, 130)]
    )
    features = torch.randn(9, 128, generator=torch.Generator().manual_seed(1))
    backend.add("a", SamplingJob(prompt, features, torch.tensor([[1, 6, 6]]), 8, 1, 1.0, 1.0, 12, ()))
    outputs = []
    while backend.busy:
        outputs += [output for output in backend._engine.step() if output.finished]
    result = {
        "prompt": len(outputs[0].prompt_token_ids),
        "cached": outputs[0].num_cached_tokens,
        "tokens": [list(response.token_ids) for response in outputs[0].outputs],
        "logprobs": [response.logprobs.logprobs for response in outputs[0].outputs],
    }
    print(json.dumps(result))
