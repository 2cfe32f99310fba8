"""The vLLM engine with the tiny server: the real protocol, server loop and checks, without vLLM.

`tests/vllm` tests the same with vLLM itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.support.fakes import on_ranks
from tests.support.tiny import BANNED, random_prompt, tiny_policy
from tests.support.tiny_vllm import KEY, ScriptedServer, TinyBackend, interrupted_push, serve
from vlm_uec.errors import RunFailed, Stopped
from vlm_uec.rollout.engine import (
    FollowUp,
    Progress,
    Request,
    RolloutShape,
    Sampling,
    StreamKey,
    nothing_more,
)
from vlm_uec.rollout.native import NativeEngine
from vlm_uec.rollout.vllm import client as client_module
from vlm_uec.rollout.vllm import engine as engine_module
from vlm_uec.rollout.vllm import rollout as rollout_module
from vlm_uec.rollout.vllm import service as service_module
from vlm_uec.rollout.vllm import weights as weights_module
from vlm_uec.rollout.vllm.client import Address, connect
from vlm_uec.rollout.vllm.engine import VllmEngine
from vlm_uec.rollout.vllm.messages import Completion
from vlm_uec.rollout.vllm.weight_names import language_weights
from vlm_uec.types import Group, Response

ENDS = frozenset(range(1, 9))  # about one token in twelve
KEY_OF_STEP = StreamKey(seed=1, step=3)
PLAIN = Sampling(temperature=1.0, top_p=1.0, max_tokens=6)
HOT = Sampling(temperature=1.7, top_p=0.8, max_tokens=6)
GREEDY = Sampling(temperature=0.0, top_p=1.0, max_tokens=6)
PROMPTS = [
    random_prompt("two pictures", [(8, 8), (4, 4)], seed=1),
    random_prompt("words", text=3, seed=2),
    random_prompt("one picture", [(2, 4)], text=2, seed=3),
]


def _engine(address: Address, **settings: Any) -> VllmEngine:
    policy = settings.pop("policy", None) or tiny_policy()
    return VllmEngine(
        policy, ENDS, lambda: address, **{"max_positions": 60, "stall_timeout": 20.0, **settings}
    )


def _ignore(progress: Progress) -> None: ...


def _generate(
    engine: VllmEngine | NativeEngine, requests: Sequence[Request], follow_up: FollowUp = nothing_more
) -> list[Group]:
    return engine.generate(requests, KEY_OF_STEP, _ignore, follow_up)


@pytest.fixture(scope="module")
def backend() -> TinyBackend:
    return TinyBackend()


@pytest.fixture(scope="module")
def engine(backend: TinyBackend) -> VllmEngine:
    return _engine(serve(backend))


def _all(groups: Sequence[Group]) -> list[Response]:
    return [response for group in groups for response in group.responses]


def _largest(groups: Sequence[Group]) -> float:
    """The largest |log ratio| of any token."""
    return max(float(response.mismatch.abs().max()) for response in _all(groups))


# --- results ----------------------------------------------------------------------------------------------


def test_greedy_responses_equal_the_native_engines(engine: VllmEngine) -> None:
    requests = [Request(prompt, range(1), GREEDY) for prompt in PROMPTS]
    native = _generate(NativeEngine(tiny_policy(), ENDS, 8), requests)
    for expected, response in zip(_all(native), _all(_generate(engine, requests)), strict=True):
        assert torch.equal(expected.tokens, response.tokens)
        assert expected.truncated == response.truncated
        for name in ("behaviour_logprobs", "policy_logprobs", "entropy", "kept_mass"):
            assert torch.allclose(getattr(expected, name), getattr(response, name), atol=1e-5), name
        assert torch.equal(response.mismatch, torch.zeros(len(response.tokens)))


@pytest.mark.parametrize("sampling", [PLAIN, HOT], ids=["plain", "hot"])
def test_records_of_a_token_equal_the_native_engines(
    engine: VllmEngine, sampling: Sampling, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The native engine is forced to sample the same tokens."""
    request = Request(PROMPTS[0], range(5), sampling)
    (group,) = _generate(engine, [request])
    steps = iter([])

    def forced(weights: torch.Tensor, uniforms: torch.Tensor) -> torch.Tensor:
        return next(steps).expand(len(weights))

    native = NativeEngine(tiny_policy(), frozenset(), 8)
    monkeypatch.setattr("vlm_uec.rollout.sampling.inverse_cdf", forced)
    for response in group.responses:
        tokens = response.tokens
        steps = iter(tokens[:, None])
        alone = Request(PROMPTS[0], [0], Sampling(sampling.temperature, sampling.top_p, len(tokens)))
        (expected,) = _all(_generate(native, [alone]))
        assert torch.equal(expected.tokens, tokens)
        for name in ("behaviour_logprobs", "policy_logprobs", "entropy", "kept_mass"):
            assert torch.allclose(getattr(expected, name), getattr(response, name), atol=1e-5), name


def test_groups_are_in_the_order_of_requests_and_responses_in_index_order(engine: VllmEngine) -> None:
    groups = _generate(engine, [Request(prompt, range(4), PLAIN) for prompt in PROMPTS])
    assert [group.prompt for group in groups] == PROMPTS
    assert [[response.index for response in group.responses] for group in groups] == [[0, 1, 2, 3]] * 3
    assert len({tuple(response.tokens.tolist()) for response in groups[0].responses}) > 1


def test_a_response_does_not_depend_on_the_other_requests(engine: VllmEngine) -> None:
    together = _generate(engine, [Request(prompt, range(4), PLAIN) for prompt in PROMPTS])
    (alone,) = _generate(engine, [Request(PROMPTS[1], [1, 3], PLAIN)])
    for response in alone.responses:
        assert torch.equal(response.tokens, together[1].responses[response.index].tokens)


def test_responses_depend_on_step_and_seed(engine: VllmEngine) -> None:
    sampled = {
        tuple(tuple(r.tokens.tolist()) for r in group.responses)
        for key in (StreamKey(1, 3), StreamKey(1, 4), StreamKey(2, 3))
        for group in engine.generate([Request(PROMPTS[0], range(4), PLAIN)], key, _ignore)
    }
    assert len(sampled) == 3


def test_follow_ups_are_returned_after_the_requests_with_their_source(engine: VllmEngine) -> None:
    called: list[str] = []

    def follow_up(group: Group) -> Request | None:
        called.append(f"{group.prompt.problem_id} {group.responses[0].source}")
        if group.prompt is PROMPTS[1] or group.responses[0].source == "exploration":
            return None
        return Request(group.prompt, range(3, 5), HOT, source="exploration")

    groups = _generate(engine, [Request(prompt, range(3), PLAIN) for prompt in PROMPTS], follow_up)
    explored = [PROMPTS[0], PROMPTS[2]]
    assert [group.prompt for group in groups] == [*PROMPTS, *explored]
    assert [[r.index for r in group.responses] for group in groups[3:]] == [[3, 4], [3, 4]]
    assert {response.source for response in _all(groups[3:])} == {"exploration"}
    assert len(called) == 5


def test_a_stream_yields_every_requested_response(engine: VllmEngine) -> None:
    requests = [Request(prompt, [0, 2, 3], PLAIN) for prompt in PROMPTS]
    stream = engine.stream(requests, RolloutShape.of(requests), KEY_OF_STEP, _ignore)
    streamed = sorted((response.problem_id, response.index) for response in stream)
    assert streamed == sorted((prompt.problem_id, index) for prompt in PROMPTS for index in (0, 2, 3))


def test_prompts_are_encoded_only_when_they_can_be_submitted(
    engine: VllmEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollout_module, "MAX_PENDING_RESPONSES", 4)
    taken: list[str] = []

    def requests() -> Iterator[Request]:
        for prompt in PROMPTS * 3:
            taken.append(prompt.problem_id)
            yield Request(prompt, range(4), PLAIN)

    shape = RolloutShape(responses=36, group=4, prompt_tokens=99, max_tokens=6)
    for done, _ in enumerate(engine.stream(requests(), shape, KEY_OF_STEP, _ignore)):
        assert len(taken) <= done // 4 + 2
    assert len(taken) == 9


def test_no_requests_give_no_groups(engine: VllmEngine) -> None:
    assert _generate(engine, []) == []


def test_the_rollout_reports_its_progress(engine: VllmEngine) -> None:
    reports: list[Progress] = []
    groups = engine.generate([Request(PROMPTS[0], range(4), PLAIN)], KEY_OF_STEP, reports.append)
    tokens = sum(len(response.tokens) for response in _all(groups))
    assert reports[0] == Progress(0, 4, 0)
    assert reports[-1] == Progress(4, 4, tokens)


def test_scores_do_not_depend_on_the_number_of_passes(backend: TinyBackend) -> None:
    requests = [Request(PROMPTS[0], range(5), PLAIN)]
    address = serve(backend)
    wide = _all(_generate(_engine(address, max_positions=10_000), requests))
    narrow = _all(_generate(_engine(address, max_positions=1), requests))
    for one, other in zip(wide, narrow, strict=True):
        assert torch.allclose(one.policy_logprobs, other.policy_logprobs, atol=1e-5)


def test_a_prompt_is_sent_once_for_all_its_responses(engine: VllmEngine, backend: TinyBackend) -> None:
    backend.received.clear()
    _generate(engine, [Request(PROMPTS[0], range(8), PLAIN)])
    assert [job.n for job in backend.received] == [8]


# --- weights ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "own head"])
def test_the_server_samples_from_the_policys_weights(tied: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights_module, "PIECE_BYTES", 1000)  # several pieces a matrix
    engine = _engine(serve(TinyBackend(tied=tied)), policy=tiny_policy(tied=tied))
    responses = _all(_generate(engine, [Request(prompt, range(3), PLAIN) for prompt in PROMPTS]))
    assert max(float(response.mismatch.abs().max()) for response in responses) < 1e-5


def test_weights_are_sent_only_if_they_changed() -> None:
    backend = TinyBackend()
    engine = _engine(serve(backend))
    requests = [Request(PROMPTS[0], range(2), PLAIN)]
    _generate(engine, requests)
    _generate(engine, requests)
    assert backend.pushes == 1
    with torch.no_grad():
        engine.policy.model.model.language_model.layers[1].mlp.up_proj.weight[0, 0] += 1e-6
    _generate(engine, requests)
    assert backend.pushes == 2


def test_ids_that_become_banned_are_no_longer_sampled() -> None:
    backend = TinyBackend()
    engine = _engine(serve(backend))
    requests = [Request(prompt, range(4), PLAIN) for prompt in PROMPTS]
    sampled = torch.cat([response.tokens for response in _all(_generate(engine, requests))])
    frequent = int(sampled.mode().values)
    engine.policy.head.banned[frequent] = True
    after = _all(_generate(engine, requests))
    assert frequent not in torch.cat([response.tokens for response in after])
    assert max(float(response.mismatch.abs().max()) for response in after) < 1e-5


def test_a_perturbed_weight_changes_the_next_log_probs() -> None:
    backend = TinyBackend()
    engine = _engine(serve(backend))
    request = Request(PROMPTS[0], range(1), Sampling(1.0, 1.0, 1))
    (before,) = _all(_generate(engine, [request]))
    with torch.no_grad():
        engine.policy.model.model.language_model.norm.weight *= 1.01
    (after,) = _all(_generate(engine, [request]))
    if torch.equal(before.tokens, after.tokens):
        assert not torch.equal(before.behaviour_logprobs, after.behaviour_logprobs)
    assert after.mismatch.abs().max() < 1e-5


def test_a_skipped_push_fails_with_a_one_line_error(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = _engine(serve(TinyBackend()))
    _generate(engine, [Request(PROMPTS[0], range(2), PLAIN)])
    with torch.no_grad():
        engine.policy.head.weight[3, 3] += 1e-6
    monkeypatch.setattr(VllmEngine, "_push", lambda self, client, banned: None)
    with pytest.raises(RunFailed, match=r"stale weights.* 1 of \d+ .*model\.embed_tokens\.weight") as caught:
        _generate(engine, [Request(PROMPTS[0], range(2), PLAIN)])
    assert "\n" not in str(caught.value)


def test_a_weight_that_was_not_loaded_is_named() -> None:
    engine = _engine(serve(TinyBackend(faults=["does not load model.layers.1.self_attn.q_proj.weight"])))
    with pytest.raises(RunFailed, match=r"stale weights.*model\.layers\.1\.self_attn\.q_proj\.weight"):
        _generate(engine, [Request(PROMPTS[0], range(2), PLAIN)])


def test_a_weight_that_was_loaded_but_not_used_is_detected_by_the_log_probs() -> None:
    """Checksums do not detect it: for example a packed copy of a weight that vLLM did not update."""
    engine = _engine(serve(TinyBackend(faults=["does not use model.layers.0.mlp.down_proj.weight"])))
    with pytest.raises(RunFailed, match="nats from the policy's on average"):
        _generate(engine, [Request(prompt, range(4), PLAIN) for prompt in PROMPTS])


def test_weights_are_sent_again_after_an_interrupted_push(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also if they are the weights from before the push, as after resuming from a checkpoint."""
    backend = TinyBackend()
    engine = _engine(serve(backend))
    requests = [Request(prompt, range(3), PLAIN) for prompt in PROMPTS]
    _generate(engine, requests)
    weight = engine.policy.model.model.language_model.layers[0].mlp.up_proj.weight
    before = weight.detach().clone()
    with torch.no_grad():
        weight.mul_(1.5)
    with monkeypatch.context() as patch:
        patch.setattr(VllmEngine, "_push", interrupted_push)
        with pytest.raises(Stopped):
            _generate(engine, requests)
    with torch.no_grad():
        weight.copy_(before)
    assert _largest(_generate(engine, requests)) < 1e-5
    assert backend.pushes == 3


def test_pieces_of_concurrent_pushes_are_not_mixed() -> None:
    """Another trainer starts a push before the first one has ended, and the first continues."""
    address = serve(TinyBackend())
    head, other = tiny_policy().head.weight.detach(), _engine(address, policy=tiny_policy(seed=5))
    with connect(address, 20.0) as first, connect(address, 20.0) as second:
        first._send({"do": "begin", "banned": []})
        first.facts()  # the reply shows that earlier requests were handled

        def weights_of_other() -> Iterator[tuple[str, torch.Tensor]]:
            for name, weight in language_weights(other.policy.model):
                yield name, weight
                if name == "model.embed_tokens.weight":
                    second.facts()
                    start = {"name": name, "dtype": "float32", "shape": list(head.shape)}
                    piece = next(weights_module.split_into_pieces(head))
                    first._send({"do": "piece", **start}, {"piece": piece})
                    with pytest.raises(RunFailed, match="another trainer's update replaced it"):
                        first.facts()

        second.push(weights_of_other(), BANNED)
    assert _largest(_generate(other, [Request(prompt, range(3), PLAIN) for prompt in PROMPTS])) < 1e-5


def test_weights_that_were_not_used_are_sent_again_by_the_next_run() -> None:
    """Their checksums equal the policy's, so they would not be sent otherwise."""
    backend = TinyBackend(faults=["does not use model.layers.0.mlp.down_proj.weight"])
    address = serve(backend)
    engine, requests = _engine(address), [Request(prompt, range(4), PLAIN) for prompt in PROMPTS]
    with pytest.raises(RunFailed, match="nats from the policy's on average"):
        _generate(engine, requests)
    backend.faults.clear()
    with connect(address, 20.0) as client:
        _until(lambda: not client.facts().checksums)
    assert _largest(_generate(engine, requests)) < 1e-5
    assert backend.pushes == 2


def test_a_rank_can_sample_after_another_one_rejected_the_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own check should report the fault, not an error about another trainer's weights."""
    address = serve(TinyBackend())
    engine, refresh = _engine(address), VllmEngine._refresh

    def refresh_and_reject(engine: VllmEngine) -> str:
        digest = refresh(engine)
        with connect(address, 20.0) as client:
            client.reject("not used")
            _until(lambda: not client.facts().checksums)
        return digest

    monkeypatch.setattr(VllmEngine, "_refresh", refresh_and_reject)
    assert len(_all(_generate(engine, [Request(PROMPTS[0], range(2), PLAIN)]))) == 2


def test_jobs_are_not_sampled_from_another_trainers_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other trainer sends its weights after the first one's were checked and before the first job."""
    address = serve(TinyBackend())
    engine, other = _engine(address), _engine(address, policy=tiny_policy(seed=5))
    refresh = VllmEngine._refresh

    def refresh_both(engine: VllmEngine) -> str:
        digest = refresh(engine)
        refresh(other)
        return digest

    monkeypatch.setattr(VllmEngine, "_refresh", refresh_both)
    with pytest.raises(RunFailed, match="another trainer's"):
        _generate(engine, [Request(PROMPTS[0], range(2), PLAIN)])


# --- a server that fails or sends invalid data ------------------------------------------------------------


def _result(tokens: Sequence[int], logprobs: Sequence[float], lengths: Sequence[int], number: int = 1) -> Any:
    return (
        {"number": number, "lengths": list(lengths)},
        {"tokens": torch.tensor(tokens), "logprobs": torch.tensor(logprobs)},
    )


@pytest.fixture
def facts() -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """The facts of a server that has the tiny policy's weights."""
    checksums = {
        name: weights_module.checksum(weight) for name, weight in language_weights(tiny_policy().model)
    }
    checksums[weights_module.BANNED] = weights_module.checksum_of_ids(BANNED)
    return {"facts": {"dtype": "float32", "max_length": 999}, "weights": checksums}, {}


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (_result([20, 21], [-1.0, -1.0], [2]), "not 2 responses of 1 to 6 tokens"),
        (_result([20, 21], [-1.0, -1.0], [0, 2]), "not 2 responses of 1 to 6 tokens"),
        (_result([20] * 8, [-1.0] * 8, [1, 7]), "not 2 responses of 1 to 6 tokens"),
        (_result([20, BANNED[0]], [-1.0, -1.0], [1, 1]), "banned"),
        (_result([20, 96], [-1.0, -1.0], [1, 1]), "not in the vocabulary"),
        (_result([20, -1], [-1.0, -1.0], [1, 1]), "not in the vocabulary"),
        (_result([20, 21], [-1.0, float("nan")], [1, 1]), "not finite"),
        (_result([20, 21], [-1.0], [1, 1]), "invalid result"),
        (_result([20, 21], [-1.0, -1.0], [1, 1], number=7), "job 7, which is not pending"),
        (({"number": 1}, {}), "invalid result"),
        (({"number": 1, "lengths": 3}, {}), "invalid result"),
        (({"error": "RuntimeError: out of\nmemory"}, {}), "out of"),
    ],
)
def test_an_invalid_result_fails_with_a_one_line_error(facts: Any, result: Any, message: str) -> None:
    server = ScriptedServer({"facts": [facts], "sample": [result]})
    with pytest.raises(RunFailed, match=message) as caught:
        _generate(_engine(server.address), [Request(PROMPTS[1], range(2), PLAIN)])
    assert "\n" not in str(caught.value)
    assert "its log" in str(caught.value)


@pytest.mark.parametrize(
    "facts", [{}, {"facts": 3}, {"facts": {"dtype": "float32"}, "weights": {}}, {"facts": {}, "weights": 3}]
)
def test_invalid_facts_fail_with_a_one_line_error(facts: dict[str, Any]) -> None:
    server = ScriptedServer({"facts": [(facts, {})]})
    with pytest.raises(RunFailed, match="reports invalid facts"):
        _generate(_engine(server.address), [Request(PROMPTS[1], range(2), PLAIN)])


def test_a_server_that_dies_in_a_rollout_fails_the_run_at_once(facts: Any) -> None:
    server = ScriptedServer({"facts": [facts]})  # closes the connection at the first job
    with pytest.raises(RunFailed, match="lost") as caught:
        _generate(_engine(server.address), [Request(PROMPTS[1], range(2), PLAIN)])
    assert caught.value.exit_code == 1


def test_a_silent_server_counts_as_lost_after_the_stall_timeout(
    facts: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = ScriptedServer({"facts": [facts], "sample": []})
    monkeypatch.setattr(rollout_module, "POLL_S", 0.02)
    with pytest.raises(RunFailed, match=r"made no progress for 0\.1 s"):
        _generate(_engine(server.address, stall_timeout=0.1), [Request(PROMPTS[1], range(2), PLAIN)])


@pytest.fixture
def fast_heartbeats(monkeypatch: pytest.MonkeyPatch) -> TinyBackend:
    """The backend of a server that sends heartbeats every 0.02 s, at which ranks poll as well."""
    monkeypatch.setattr(service_module, "HEARTBEAT_S", 0.02)
    monkeypatch.setattr(rollout_module, "POLL_S", 0.02)
    return TinyBackend()


def test_a_server_that_responds_but_samples_nothing_counts_as_lost(fast_heartbeats: TinyBackend) -> None:
    address = serve(fast_heartbeats)
    _generate(_engine(address), [Request(PROMPTS[1], range(1), PLAIN)])

    def idle() -> Iterator[None]:
        time.sleep(0.01)
        return iter(())

    fast_heartbeats.step = idle  # type: ignore[method-assign]
    started = time.monotonic()
    with pytest.raises(RunFailed, match=r"made no progress for 0\.5 s \(guard\.stall_timeout\)"):
        _generate(_engine(address, stall_timeout=0.5), [Request(PROMPTS[1], range(2), PLAIN)])
    assert time.monotonic() - started > 0.5
    _until(lambda: not fast_heartbeats.jobs)


def test_a_slow_server_is_waited_for_while_it_samples_tokens(fast_heartbeats: TinyBackend) -> None:
    """For three times the stall timeout."""
    address = serve(fast_heartbeats)
    _generate(_engine(address), [Request(PROMPTS[1], range(1), PLAIN)])
    step, started = fast_heartbeats.step, time.monotonic()

    def slow() -> Iterator[tuple[str, Sequence[Completion]] | None]:
        time.sleep(0.01)
        return step() if time.monotonic() - started > 1.5 else iter([None])

    fast_heartbeats.step = slow  # type: ignore[method-assign]
    (group,) = _generate(_engine(address, stall_timeout=0.5), [Request(PROMPTS[1], range(2), PLAIN)])
    assert time.monotonic() - started > 1.5
    assert len(group.responses) == 2


def test_an_unreachable_server_is_reported_with_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "HANDSHAKE_TIMEOUT_S", 0.5)
    unreachable = Address("127.0.0.1", 9, KEY, "its log")
    with pytest.raises(RunFailed, match=r"127\.0\.0\.1:9: no connection"):
        _generate(_engine(unreachable), [Request(PROMPTS[1], range(2), PLAIN)])


def test_the_key_is_not_in_the_repr() -> None:
    assert "secret" not in repr(Address("127.0.0.1", 9, KEY, "its log"))


def test_the_jobs_of_an_abandoned_rollout_are_aborted() -> None:
    backend = TinyBackend()
    engine = _engine(serve(backend))
    _generate(engine, [Request(PROMPTS[1], range(1), PLAIN)])
    backend.step = lambda: iter(())  # type: ignore[method-assign]  (busy forever)

    def stop(progress: Progress) -> None:
        if backend.jobs:
            raise Stopped(15)

    with pytest.raises(Stopped):
        engine.generate([Request(prompt, range(2), PLAIN) for prompt in PROMPTS], KEY_OF_STEP, stop)
    _until(lambda: not backend.jobs)
    assert len(backend.aborted) == len(set(backend.aborted)) > 0


def _until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# --- ranks ------------------------------------------------------------------------------------------------


def test_two_ranks_share_a_server_and_rank_0_sends_the_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = TinyBackend()
    address = serve(backend)
    prompts = [[PROMPTS[0]], [PROMPTS[1], PROMPTS[2]]]
    engines = [_engine(address), _engine(address)]

    def body(rank: int) -> list[Group]:
        return _generate(engines[rank], [Request(prompt, range(3), PLAIN) for prompt in prompts[rank]])

    alone = _generate(_engine(serve(TinyBackend())), [Request(prompt, range(3), PLAIN) for prompt in PROMPTS])
    first, second = on_ranks(monkeypatch, 2, body, engine_module)
    assert backend.pushes == 1
    for one, other in zip(_all([*first, *second]), _all(alone), strict=True):
        assert (one.problem_id, one.index) == (other.problem_id, other.index)
        assert torch.equal(one.tokens, other.tokens)


def test_a_rank_may_have_no_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    address = serve(TinyBackend())
    engines = [_engine(address), _engine(address)]

    def body(rank: int) -> int:
        requests = [Request(PROMPTS[0], range(2), PLAIN)] if rank == 0 else []
        return len(_generate(engines[rank], requests))

    assert on_ranks(monkeypatch, 2, body, engine_module) == [1, 0]


def test_a_failed_push_raises_on_every_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    address = serve(TinyBackend(faults=["does not load model.embed_tokens.weight"]))
    engines = [_engine(address), _engine(address)]

    def body(rank: int) -> str:
        with pytest.raises(RunFailed) as caught:
            _generate(engines[rank], [Request(PROMPTS[0], range(2), PLAIN)])
        return str(caught.value)

    first, second = on_ranks(monkeypatch, 2, body, engine_module)
    assert first == second
    assert "model.embed_tokens.weight" in first


def test_the_trainer_imports_no_vllm() -> None:
    """Only two modules import it."""
    package = Path(engine_module.__file__).parents[2]
    importing = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if any(line.startswith(("import vllm", "from vllm")) for line in path.read_text().splitlines())
    }
    assert importing == {"rollout/vllm/backend.py", "rollout/vllm/worker.py"}
