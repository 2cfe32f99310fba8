"""Code that runs only on a GPU: captured decode steps, CUDA attention kernels, products of bf16 factors."""

from __future__ import annotations

import pytest
import torch

from tests.support.tiny import banned_mask, random_prompt, tiny_model
from vlm_uec.model.packing import Row, pack
from vlm_uec.model.policy import Policy
from vlm_uec.rollout.engine import Request, Sampling, StreamKey
from vlm_uec.rollout.native import NativeEngine
from vlm_uec.types import Group

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")

ENDS = frozenset(range(1, 9))
PROMPTS = [
    random_prompt("long", [(8, 8), (4, 4)], seed=1),
    random_prompt("words", text=3, seed=2),
    random_prompt("short", [(2, 4)], text=2, seed=3),
]
TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 0.15}


def _cpu_policy() -> Policy:
    return Policy(tiny_model(head=24), banned_mask())


def _policy(precision: torch.dtype) -> Policy:
    return _cpu_policy().to(device="cuda", dtype=precision)


def _sampled(policy: Policy, temperature: float = 1.0, top_p: float = 1.0) -> list[Group]:
    requests = [Request(prompt, range(40), Sampling(temperature, top_p, 40)) for prompt in PROMPTS]
    return NativeEngine(policy, ENDS, 32).generate(requests, StreamKey(1, 3), lambda progress: None)


@pytest.mark.parametrize("precision", TOLERANCE)
def test_log_probs_of_decoding_equal_those_of_training(precision: torch.dtype) -> None:
    policy = _policy(precision)
    for group in _sampled(policy):
        row = Row(group.prompt, tuple(response.tokens for response in group.responses))
        with torch.no_grad():
            logprobs, entropy = (values.cpu() for values in policy(pack([row]).to(torch.device("cuda"))))
        recorded = torch.cat([response.policy_logprobs for response in group.responses])
        exact = torch.cat([response.entropy for response in group.responses])
        assert logprobs.std() > 0.5
        torch.testing.assert_close(recorded, logprobs, rtol=0, atol=TOLERANCE[precision])
        torch.testing.assert_close(exact, entropy, rtol=0, atol=TOLERANCE[precision])


@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 0.99), (1.2, 1.0), (1.2, 0.99)])
def test_log_probs_of_a_tempered_nucleus(temperature: float, top_p: float) -> None:
    """Scored by the training pass; the nucleus keeps at least top-p, and behaviours are renormalised."""
    policy = _policy(torch.float32)
    for group in _sampled(policy, temperature, top_p):
        row = Row(group.prompt, tuple(response.tokens for response in group.responses))
        with torch.no_grad():
            logprobs = policy(pack([row]).to(torch.device("cuda")))[0].cpu()
        recorded = torch.cat([response.policy_logprobs for response in group.responses])
        torch.testing.assert_close(recorded, logprobs, rtol=0, atol=TOLERANCE[torch.float32])
        behaviour = torch.cat([response.behaviour_logprobs for response in group.responses])
        mass = torch.cat([response.kept_mass for response in group.responses])
        assert (mass >= top_p - 1e-5).all()
        if temperature == 1:
            torch.testing.assert_close(behaviour, recorded - mass.log(), rtol=0, atol=1e-4)
        else:
            assert (behaviour - recorded).abs().max() > 0.01


def test_greedy_responses_equal_the_cpus() -> None:
    gpu_groups, cpu_groups = (
        _sampled(policy, temperature=0.0) for policy in (_policy(torch.float32), _cpu_policy())
    )
    for on_gpu, on_cpu in zip(gpu_groups, cpu_groups, strict=True):
        assert [one.tokens.tolist() for one in on_gpu.responses] == [
            one.tokens.tolist() for one in on_cpu.responses
        ]


@pytest.mark.parametrize("precision", TOLERANCE)
def test_gradients_equal_the_cpus(precision: torch.dtype) -> None:
    """Gradients of the mean log-prob of rows with and without pictures; the CPU always computes in fp32."""
    groups = _sampled(_policy(torch.float32))
    batch = pack([Row(group.prompt, tuple(one.tokens for one in group.responses)) for group in groups])

    def gradient_of(policy: Policy) -> torch.Tensor:
        policy(batch.to(policy.head.weight.device))[0].mean().backward()
        gradients = [weight.grad for weight in policy.parameters() if weight.grad is not None]
        return torch.cat([grad.float().flatten().cpu() for grad in gradients])

    on_gpu, exact = gradient_of(_policy(precision)), gradient_of(_cpu_policy())
    assert float((on_gpu - exact).norm() / exact.norm()) < TOLERANCE[precision]
