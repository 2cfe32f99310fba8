"""vLLM samples from the policy: equal tokens and log-probs, the same banned ids, the latest weights.

Tolerance in fp32: 1e-4 nats on any token's log-prob. Measured differences are a tenth of it (docs/vllm.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer

from tests.support.tiny import mismatch, random_prompt
from tests.support.tiny_vllm import interrupted_push
from vlm_uec.config import LoraConfig
from vlm_uec.data.positions import mrope_positions
from vlm_uec.errors import RunFailed, Stopped
from vlm_uec.model.adapters import add_adapters
from vlm_uec.model.load import banned_ids, end_ids, load_model
from vlm_uec.model.policy import Policy
from vlm_uec.rollout.engine import Progress, Request, Sampling, StreamKey
from vlm_uec.rollout.native import NativeEngine
from vlm_uec.rollout.vllm.client import connect
from vlm_uec.rollout.vllm.engine import VllmEngine
from vlm_uec.rollout.vllm.host import VllmHost
from vlm_uec.types import EncodedPrompt, Group, Response

TOLERANCE = 1e-4
KEY = StreamKey(seed=1, step=1)
PAD, START, END = 510, 507, 508


def _prompt(name: str, grids: Sequence[tuple[int, int]], seed: int) -> EncodedPrompt:
    """Pictures as the chat template places them, next to each other, with text before and after."""
    generator = torch.Generator().manual_seed(seed)
    pieces = [torch.randint(5, 300, (20,), generator=generator)]
    for height, width in grids:
        pieces += [torch.tensor([START]), torch.full((height * width // 4,), PAD), torch.tensor([END])]
    pieces.append(torch.randint(5, 300, (35,), generator=generator))
    ids = torch.cat(pieces)
    grid = torch.tensor([(1, *size) for size in grids], dtype=torch.int64).reshape(-1, 3)
    patches = random_prompt("", grids, seed=seed).pixel_values
    return EncodedPrompt(name, ids, patches, grid, mrope_positions(ids, grid, PAD, 2))


PROMPTS = [
    _prompt("one picture", [(6, 6)], seed=1),
    _prompt("two pictures", [(4, 8), (6, 4)], seed=2),
    _prompt("words alone", [], seed=3),
]


@pytest.fixture
def policy(wide: Path) -> Policy:
    model = load_model(str(wide), "fp32", checkpointing=False)
    banned = banned_ids(model.model.language_model.vocab_size, AutoTokenizer.from_pretrained(wide))
    return Policy(model, banned).eval()


@pytest.fixture
def engine(policy: Policy, host: VllmHost, wide: Path) -> VllmEngine:
    ends = end_ids(str(wide), AutoTokenizer.from_pretrained(wide))
    return VllmEngine(policy, ends, host.address, max_positions=1024, stall_timeout=120.0)


def _ignore(progress: Progress) -> None: ...


def _sampled(engine: VllmEngine | NativeEngine, count: int, sampling: Sampling) -> list[Response]:
    groups = engine.generate([Request(prompt, range(count), sampling) for prompt in PROMPTS], KEY, _ignore)
    return [response for group in groups for response in group.responses]


def _largest(responses: Sequence[Response]) -> float:
    return max(float(mismatch(response).max()) for response in responses)


def test_greedy_responses_equal_the_native_engines(engine: VllmEngine, policy: Policy) -> None:
    greedy = Sampling(0.0, 1.0, 64)
    native = _sampled(NativeEngine(policy, engine.end_ids, 8), 1, greedy)
    for expected, response in zip(native, _sampled(engine, 1, greedy), strict=True):
        assert expected.tokens.tolist() == response.tokens.tolist()
        assert torch.allclose(expected.entropy, response.entropy, atol=TOLERANCE)


@pytest.mark.parametrize(
    "sampling",
    [Sampling(1.0, 1.0, 64), Sampling(1.2, 0.9, 64), Sampling(0.5, 0.99, 64)],
    ids=["plain", "hot nucleus", "cool nucleus"],
)
def test_log_probs_of_sampled_tokens_equal_the_policys(engine: VllmEngine, sampling: Sampling) -> None:
    responses = _sampled(engine, 8, sampling)
    assert sum(len(response.tokens) for response in responses) > 500
    assert len({tuple(response.tokens.tolist()) for response in responses}) > 12
    mismatches = torch.cat([mismatch(response) for response in responses])
    print(
        f"fp32, {sampling}: {len(mismatches)} tokens, mean {mismatches.mean():.3g}, "
        f"max {mismatches.max():.3g}"
    )
    # Rounding may put an unlikely token, with its probability, into only one of the two nuclei.
    edge = 0 if sampling.top_p == 1 else 3
    assert (mismatches >= TOLERANCE).sum() <= edge
    assert mismatches.max() < (0.02 if edge else TOLERANCE)


def test_responses_end_with_an_end_token_or_at_the_limit(engine: VllmEngine) -> None:
    responses = _sampled(engine, 8, Sampling(1.2, 1.0, 24))
    assert all(
        len(response.tokens) == 24 if response.truncated else int(response.tokens[-1]) in engine.end_ids
        for response in responses
    )
    assert not any(set(response.tokens[:-1].tolist()) & engine.end_ids for response in responses)


def test_responses_depend_on_the_key(engine: VllmEngine) -> None:
    plain = Sampling(1.0, 1.0, 24)
    first, again = _sampled(engine, 4, plain), _sampled(engine, 4, plain)
    assert [r.tokens.tolist() for r in first] == [r.tokens.tolist() for r in again]
    requests = [Request(prompt, range(4), plain) for prompt in PROMPTS]
    other = engine.generate(requests, StreamKey(seed=1, step=2), _ignore)
    assert [r.tokens.tolist() for g in other for r in g.responses] != [r.tokens.tolist() for r in first]


def test_banned_ids_are_never_sampled_and_the_others_are_renormalised(
    engine: VllmEngine, policy: Policy
) -> None:
    """Bans the digits and spaces that this model samples most."""
    frequent = torch.cat([r.tokens for r in _sampled(engine, 8, Sampling(1.0, 1.0, 32))]).unique()[:20]
    policy.head.banned[frequent] = True
    policy.head.banned[list(engine.end_ids)] = False
    responses = _sampled(engine, 8, Sampling(1.0, 1.0, 32))
    assert not policy.head.banned[torch.cat([response.tokens for response in responses])].any()
    assert _largest(responses) < TOLERANCE


@pytest.mark.parametrize(
    "perturbed", ["embed_tokens", "layers.0.self_attn.k_proj", "layers.2.mlp.down_proj", "norm"]
)
def test_a_perturbed_weight_changes_the_next_log_probs(
    engine: VllmEngine, policy: Policy, perturbed: str
) -> None:
    """vLLM fuses and packs these weights in four ways; the head is tied to the embedding."""
    plain = Sampling(1.0, 1.0, 16)
    before = _sampled(engine, 8, plain)
    with torch.no_grad():
        policy.model.model.language_model.get_submodule(perturbed).weight.mul_(1.02)
    after = _sampled(engine, 8, plain)
    pairs = [
        (float(one.behaviour_logprobs[0]), float(other.behaviour_logprobs[0]))
        for one, other in zip(before, after, strict=True)
        if one.tokens[0] == other.tokens[0]
    ]
    assert len(pairs) > 12
    assert sum(abs(one - other) > 10 * TOLERANCE for one, other in pairs) > len(pairs) / 2
    assert _largest(after) < TOLERANCE


def test_vllm_samples_from_the_policy_with_its_adapters(engine: VllmEngine, policy: Policy) -> None:
    plain = Sampling(1.0, 1.0, 16)
    before = _sampled(engine, 8, plain)
    add_adapters(policy.model, LoraConfig(rank=4, alpha=8), "base", seed=1)
    with torch.no_grad():
        for name, weight in policy.model.named_parameters():
            if ".lora_B." in name:
                weight.normal_(std=0.02)
    after = _sampled(engine, 8, plain)
    assert _largest(after) < TOLERANCE
    assert [r.tokens.tolist() for r in after] != [r.tokens.tolist() for r in before]


def test_a_skipped_push_fails_with_a_one_line_error(
    engine: VllmEngine, policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    _sampled(engine, 1, Sampling(1.0, 1.0, 4))
    with torch.no_grad():
        policy.model.model.language_model.layers[1].mlp.up_proj.weight[0, 0] += 1e-6
    monkeypatch.setattr(VllmEngine, "_push", lambda self, client, banned: None)
    with pytest.raises(RunFailed, match=r"stale weights.*model\.layers\.1\.mlp\.up_proj\.weight") as caught:
        _sampled(engine, 1, Sampling(1.0, 1.0, 4))
    assert "\n" not in str(caught.value)


def test_an_interrupted_push_does_not_affect_the_next_one(
    engine: VllmEngine, policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """vLLM fuses q, k and v: when the first push stops, it has buffered a part of a layer."""
    complete_push = VllmEngine._push
    with torch.no_grad():
        policy.model.model.language_model.layers[1].self_attn.q_proj.weight.mul_(1.5)
    monkeypatch.setattr(VllmEngine, "_push", interrupted_push)
    with pytest.raises(Stopped):
        _sampled(engine, 1, Sampling(1.0, 1.0, 4))
    monkeypatch.setattr(VllmEngine, "_push", complete_push)
    with torch.no_grad():
        policy.model.model.language_model.layers[1].self_attn.q_proj.weight.mul_(0.5)
    assert _largest(_sampled(engine, 8, Sampling(1.0, 1.0, 16))) < TOLERANCE


def test_heartbeats_report_progress_before_any_group_is_complete(engine: VllmEngine, host: VllmHost) -> None:
    digest = engine._refresh()
    features = engine.policy.prompt_features(PROMPTS[0]).detach()
    long = Sampling(1.0, 1.0, 96)
    heartbeats: list[int] = []
    with connect(host.address(), 60.0) as client:
        client.submit(1, PROMPTS[0], features, long, n=256, seed=1, end_ids=[], weights=digest)
        while len(heartbeats) < 3:
            message = client._connection.receive(60.0)
            assert message is not None
            assert "alive" in message.head, "the job completed too soon: request more responses"
            heartbeats.append(message.head["alive"])
    assert heartbeats == sorted(set(heartbeats))


def test_follow_ups_join_the_same_rollout(engine: VllmEngine) -> None:
    def follow_up(group: Group) -> Request | None:
        if group.responses[0].source == "exploration":
            return None
        return Request(group.prompt, range(4, 10), Sampling(1.3, 1.0, 32), source="exploration")

    requests = [Request(prompt, range(4), Sampling(1.0, 1.0, 32)) for prompt in PROMPTS]
    groups = engine.generate(requests, KEY, _ignore, follow_up)
    assert [len(group.responses) for group in groups] == [4, 4, 4, 6, 6, 6]
    assert _largest([response for group in groups for response in group.responses]) < TOLERANCE


def test_an_abandoned_rollout_leaves_the_server_free(engine: VllmEngine) -> None:
    calls = 0

    def stop(progress: Progress) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise Stopped(15)

    long = Sampling(1.0, 1.0, 96)
    requests = [Request(prompt, range(64), long) for prompt in PROMPTS]
    with pytest.raises(Stopped):
        engine.generate(requests, KEY, stop)
    assert len(_sampled(engine, 1, Sampling(0.0, 1.0, 4))) == 3
