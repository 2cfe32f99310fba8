"""The vLLM engine against a server that samples the plain way: the real protocol, loop and checks, no vLLM.

`tests/vllm` has the same promises with vLLM itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.support.fakes import run_on_ranks
from tests.support.tiny import BANNED, mismatch, random_prompt, tiny_policy
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
from vlm_uec.rollout.vllm.client import Address, connected
from vlm_uec.rollout.vllm.engine import VllmEngine
from vlm_uec.rollout.vllm.messages import Drawn
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
    return VllmEngine(policy, ENDS, lambda: address, **{"room": 60, "patience": 20.0, **settings})


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
    """How far a token's log-prob is from the policy's at most."""
    return max(float(mismatch(response).max()) for response in _all(groups))


# --- what comes back --------------------------------------------------------------------------------------


def test_greedy_responses_are_the_native_engines(engine: VllmEngine) -> None:
    requests = [Request(prompt, range(1), GREEDY) for prompt in PROMPTS]
    ours = _generate(NativeEngine(tiny_policy(), ENDS, 8), requests)
    for mine, theirs in zip(_all(ours), _all(_generate(engine, requests)), strict=True):
        assert torch.equal(mine.tokens, theirs.tokens)
        assert mine.truncated == theirs.truncated
        for name in ("behaviour_logprobs", "policy_logprobs", "entropy", "kept_mass"):
            assert torch.allclose(getattr(mine, name), getattr(theirs, name), atol=1e-5), name
        assert torch.equal(mismatch(theirs), torch.zeros(len(theirs.tokens)))


@pytest.mark.parametrize("sampling", [PLAIN, HOT], ids=["plain", "hot"])
def test_what_is_told_of_a_drawn_token_is_what_the_native_engine_would_tell(
    engine: VllmEngine, sampling: Sampling, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The native engine is made to draw the same tokens."""
    request = Request(PROMPTS[0], range(5), sampling)
    (theirs,) = _generate(engine, [request])
    drawn = {response.index: response.tokens for response in theirs.responses}
    steps: Iterator[torch.Tensor] = iter([])

    def forced(weights: torch.Tensor, uniforms: torch.Tensor) -> torch.Tensor:
        return next(steps).expand(len(weights))

    native = NativeEngine(tiny_policy(), frozenset(), 8)
    monkeypatch.setattr("vlm_uec.rollout.sampling.inverse_cdf", forced)
    for response in theirs.responses:
        tokens = drawn[response.index]
        steps = iter(tokens[:, None])
        alone = Request(PROMPTS[0], [0], Sampling(sampling.temperature, sampling.top_p, len(tokens)))
        (mine,) = _all(_generate(native, [alone]))
        assert torch.equal(mine.tokens, tokens)
        for name in ("behaviour_logprobs", "policy_logprobs", "entropy", "kept_mass"):
            assert torch.allclose(getattr(mine, name), getattr(response, name), atol=1e-5), name


def test_groups_come_in_the_order_of_requests_and_responses_by_index(engine: VllmEngine) -> None:
    groups = _generate(engine, [Request(prompt, range(4), PLAIN) for prompt in PROMPTS])
    assert [group.prompt for group in groups] == PROMPTS
    assert [[response.index for response in group.responses] for group in groups] == [[0, 1, 2, 3]] * 3
    assert len({tuple(response.tokens.tolist()) for response in groups[0].responses}) > 1


def test_a_response_is_the_same_whoever_is_ordered_with_it(engine: VllmEngine) -> None:
    together = _generate(engine, [Request(prompt, range(4), PLAIN) for prompt in PROMPTS])
    (alone,) = _generate(engine, [Request(PROMPTS[1], [1, 3], PLAIN)])
    for response in alone.responses:
        assert torch.equal(response.tokens, together[1].responses[response.index].tokens)


def test_another_step_and_another_seed_draw_other_responses(engine: VllmEngine) -> None:
    drawn = {
        tuple(tuple(r.tokens.tolist()) for r in group.responses)
        for key in (StreamKey(1, 3), StreamKey(1, 4), StreamKey(2, 3))
        for group in engine.generate([Request(PROMPTS[0], range(4), PLAIN)], key, _ignore)
    }
    assert len(drawn) == 3


def test_follow_ups_are_answered_after_the_requests_with_their_source(engine: VllmEngine) -> None:
    asked: list[str] = []

    def follow_up(group: Group) -> Request | None:
        asked.append(f"{group.prompt.problem_id} {group.responses[0].source}")
        if group.prompt is PROMPTS[1] or group.responses[0].source == "exploration":
            return None
        return Request(group.prompt, range(3, 5), HOT, source="exploration")

    groups = _generate(engine, [Request(prompt, range(3), PLAIN) for prompt in PROMPTS], follow_up)
    explored = [PROMPTS[0], PROMPTS[2]]
    assert [group.prompt for group in groups] == [*PROMPTS, *explored]
    assert [[r.index for r in group.responses] for group in groups[3:]] == [[3, 4], [3, 4]]
    assert {response.source for response in _all(groups[3:])} == {"exploration"}
    assert len(asked) == 5


def test_a_stream_gives_every_response_asked_for(engine: VllmEngine) -> None:
    requests = [Request(prompt, [0, 2, 3], PLAIN) for prompt in PROMPTS]
    stream = engine.stream(requests, RolloutShape.of(requests), KEY_OF_STEP, _ignore)
    told = sorted((response.problem_id, response.index) for response in stream)
    assert told == sorted((prompt.problem_id, index) for prompt in PROMPTS for index in (0, 2, 3))


def test_prompts_are_encoded_only_when_there_is_room_for_them(
    engine: VllmEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollout_module, "ORDERED", 4)
    taken: list[str] = []

    def requests() -> Iterator[Request]:
        for prompt in PROMPTS * 3:
            taken.append(prompt.problem_id)
            yield Request(prompt, range(4), PLAIN)

    shape = RolloutShape(responses=36, group=4, prompt_tokens=99, max_tokens=6)
    for done, _ in enumerate(engine.stream(requests(), shape, KEY_OF_STEP, _ignore)):
        assert len(taken) <= done // 4 + 2
    assert len(taken) == 9


def test_nothing_asked_for_is_nothing_answered(engine: VllmEngine) -> None:
    assert _generate(engine, []) == []


def test_the_rollout_reports_how_far_it_is(engine: VllmEngine) -> None:
    reports: list[Progress] = []
    groups = engine.generate([Request(PROMPTS[0], range(4), PLAIN)], KEY_OF_STEP, reports.append)
    tokens = sum(len(response.tokens) for response in _all(groups))
    assert reports[0] == Progress(0, 4, 0)
    assert reports[-1] == Progress(4, 4, tokens)


def test_a_small_room_scores_the_same_in_more_passes(backend: TinyBackend) -> None:
    requests = [Request(PROMPTS[0], range(5), PLAIN)]
    address = serve(backend)
    wide = _all(_generate(_engine(address, room=10_000), requests))
    narrow = _all(_generate(_engine(address, room=1), requests))
    for one, other in zip(wide, narrow, strict=True):
        assert torch.allclose(one.policy_logprobs, other.policy_logprobs, atol=1e-5)


def test_a_prompt_is_sent_once_for_all_its_responses(engine: VllmEngine, backend: TinyBackend) -> None:
    backend.received.clear()
    _generate(engine, [Request(PROMPTS[0], range(8), PLAIN)])
    assert [order.n for order in backend.received] == [8]


# --- weights ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "own head"])
def test_the_server_samples_from_the_policys_weights(tied: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights_module, "PIECE_BYTES", 1000)  # several pieces a matrix
    engine = _engine(serve(TinyBackend(tied=tied)), policy=tiny_policy(tied=tied))
    responses = _all(_generate(engine, [Request(prompt, range(3), PLAIN) for prompt in PROMPTS]))
    assert max(float(mismatch(response).max()) for response in responses) < 1e-5


def test_weights_are_sent_when_they_changed_and_not_otherwise() -> None:
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


def test_ids_that_are_banned_from_now_on_are_not_sampled_any_more() -> None:
    backend = TinyBackend()
    engine = _engine(serve(backend))
    requests = [Request(prompt, range(4), PLAIN) for prompt in PROMPTS]
    seen = torch.cat([response.tokens for response in _all(_generate(engine, requests))])
    often = int(seen.mode().values)
    engine.policy.head.banned[often] = True
    after = _all(_generate(engine, requests))
    assert often not in torch.cat([response.tokens for response in after])
    assert max(float(mismatch(response).max()) for response in after) < 1e-5


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
    assert mismatch(after).max() < 1e-5


def test_a_push_that_is_skipped_ends_the_run_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = _engine(serve(TinyBackend()))
    _generate(engine, [Request(PROMPTS[0], range(2), PLAIN)])
    with torch.no_grad():
        engine.policy.head.weight[3, 3] += 1e-6
    monkeypatch.setattr(VllmEngine, "_push", lambda self, link, banned: None)
    with pytest.raises(RunFailed, match=r"stale weights.* 1 of \d+ .*model\.embed_tokens\.weight") as caught:
        _generate(engine, [Request(PROMPTS[0], range(2), PLAIN)])
    assert "\n" not in str(caught.value)


def test_a_weight_that_the_server_did_not_take_is_named() -> None:
    engine = _engine(serve(TinyBackend(faults=["keeps model.layers.1.self_attn.q_proj.weight"])))
    with pytest.raises(RunFailed, match=r"stale weights.*model\.layers\.1\.self_attn\.q_proj\.weight"):
        _generate(engine, [Request(PROMPTS[0], range(2), PLAIN)])


def test_a_weight_that_was_taken_and_not_used_shows_in_the_log_probs() -> None:
    """What no checksum finds: vLLM's packed copy of a weight, say, that a load forgot."""
    engine = _engine(serve(TinyBackend(faults=["says it has model.layers.0.mlp.down_proj.weight"])))
    with pytest.raises(RunFailed, match="nats from the policy's on average"):
        _generate(engine, [Request(prompt, range(4), PLAIN) for prompt in PROMPTS])


def test_weights_are_sent_anew_after_a_push_that_was_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also those that the server had before it, which a run that goes on from a checkpoint has again."""
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


def test_no_piece_of_a_push_gets_into_another_trainers() -> None:
    """The other one begins before ours has ended, and we go on."""
    address = serve(TinyBackend())
    ours, other = tiny_policy().head.weight.detach(), _engine(address, policy=tiny_policy(seed=5))
    with connected(address, 20.0) as link, connected(address, 20.0) as theirs:
        link._send({"do": "begin", "banned": []})
        link.facts()  # an answer: what was sent before it is done

        def others() -> Iterator[tuple[str, torch.Tensor]]:
            for name, weight in language_weights(other.policy.model):
                yield name, weight
                if name == "model.embed_tokens.weight":
                    theirs.facts()
                    start = {"name": name, "dtype": "float32", "shape": list(ours.shape)}
                    link._send({"do": "piece", **start}, {"piece": next(weights_module.pieces(ours))})
                    with pytest.raises(RunFailed, match="somebody else's came in between"):
                        link.facts()

        theirs.push(others(), BANNED)
    assert _largest(_generate(other, [Request(prompt, range(3), PLAIN) for prompt in PROMPTS])) < 1e-5


def test_weights_that_were_not_used_are_sent_anew_by_the_next_run() -> None:
    """Their checksums are the policy's, so that nothing else would make it send them."""
    backend = TinyBackend(faults=["says it has model.layers.0.mlp.down_proj.weight"])
    address = serve(backend)
    engine, requests = _engine(address), [Request(prompt, range(4), PLAIN) for prompt in PROMPTS]
    with pytest.raises(RunFailed, match="nats from the policy's on average"):
        _generate(engine, requests)
    backend.faults.clear()
    with connected(address, 20.0) as link:
        _until(lambda: not link.facts().checksums)
    assert _largest(_generate(engine, requests)) < 1e-5
    assert backend.pushes == 2


def test_a_rank_goes_on_while_another_one_doubts_the_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is to find the same, if it is so, and not to be told of another trainer."""
    address = serve(TinyBackend())
    engine, real = _engine(address), VllmEngine._refresh

    def doubted(engine: VllmEngine) -> str:
        digest = real(engine)
        with connected(address, 20.0) as link:
            link.distrusted("not used")
            _until(lambda: not link.facts().checksums)
        return digest

    monkeypatch.setattr(VllmEngine, "_refresh", doubted)
    assert len(_all(_generate(engine, [Request(PROMPTS[0], range(2), PLAIN)]))) == 2


def test_another_trainers_weights_are_not_sampled_from(monkeypatch: pytest.MonkeyPatch) -> None:
    """It sends its own after ours were checked, and before we order."""
    address = serve(TinyBackend())
    mine, other = _engine(address), _engine(address, policy=tiny_policy(seed=5))
    real = VllmEngine._refresh

    def interrupted(engine: VllmEngine) -> str:
        digest = real(engine)
        real(other)
        return digest

    monkeypatch.setattr(VllmEngine, "_refresh", interrupted)
    with pytest.raises(RunFailed, match="another trainer's"):
        _generate(mine, [Request(PROMPTS[0], range(2), PLAIN)])


# --- a server that fails, or lies -------------------------------------------------------------------------


def _drawn(tokens: Sequence[int], logprobs: Sequence[float], lengths: Sequence[int], number: int = 1) -> Any:
    return (
        {"number": number, "lengths": list(lengths)},
        {"tokens": torch.tensor(tokens), "logprobs": torch.tensor(logprobs)},
    )


@pytest.fixture
def facts() -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Of a server that has the tiny policy's weights already."""
    checksums = {
        name: weights_module.checksum(weight) for name, weight in language_weights(tiny_policy().model)
    }
    checksums[weights_module.BANNED] = weights_module.checksum_of_ids(BANNED)
    return {"facts": {"dtype": "float32", "max_length": 999}, "weights": checksums}, {}


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (_drawn([20, 21], [-1.0, -1.0], [2]), "not 2 responses of 1 to 6 tokens"),
        (_drawn([20, 21], [-1.0, -1.0], [0, 2]), "not 2 responses of 1 to 6 tokens"),
        (_drawn([20] * 8, [-1.0] * 8, [1, 7]), "not 2 responses of 1 to 6 tokens"),
        (_drawn([20, BANNED[0]], [-1.0, -1.0], [1, 1]), "banned"),
        (_drawn([20, 96], [-1.0, -1.0], [1, 1]), "no token"),
        (_drawn([20, -1], [-1.0, -1.0], [1, 1]), "no token"),
        (_drawn([20, 21], [-1.0, float("nan")], [1, 1]), "not finite"),
        (_drawn([20, 21], [-1.0], [1, 1]), "nonsense"),
        (_drawn([20, 21], [-1.0, -1.0], [1, 1], number=7), "an order 7 that it does not have"),
        (({"number": 1}, {}), "nonsense"),
        (({"number": 1, "lengths": 3}, {}), "nonsense"),
        (({"error": "RuntimeError: out of\nmemory"}, {}), "out of"),
    ],
)
def test_an_answer_that_cannot_be_one_ends_the_run_in_one_line(facts: Any, answer: Any, told: str) -> None:
    server = ScriptedServer({"facts": [facts], "sample": [answer]})
    with pytest.raises(RunFailed, match=told) as caught:
        _generate(_engine(server.address), [Request(PROMPTS[1], range(2), PLAIN)])
    assert "\n" not in str(caught.value)
    assert "its log" in str(caught.value)


@pytest.mark.parametrize(
    "told", [{}, {"facts": 3}, {"facts": {"dtype": "float32"}, "weights": {}}, {"facts": {}, "weights": 3}]
)
def test_facts_that_are_none_end_the_run_in_one_line(told: dict[str, Any]) -> None:
    server = ScriptedServer({"facts": [(told, {})]})
    with pytest.raises(RunFailed, match="tells nonsense of itself"):
        _generate(_engine(server.address), [Request(PROMPTS[1], range(2), PLAIN)])


def test_a_server_that_dies_in_a_rollout_ends_the_run_at_once(facts: Any) -> None:
    server = ScriptedServer({"facts": [facts]})  # hangs up on an order
    with pytest.raises(RunFailed, match="lost") as caught:
        _generate(_engine(server.address), [Request(PROMPTS[1], range(2), PLAIN)])
    assert caught.value.exit_code == 1


def test_a_server_that_says_nothing_any_more_is_not_waited_for_for_ever(
    facts: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = ScriptedServer({"facts": [facts], "sample": []})
    monkeypatch.setattr(rollout_module, "LISTEN_S", 0.02)
    with pytest.raises(RunFailed, match=r"did not get on for 0\.1 s"):
        _generate(_engine(server.address, patience=0.1), [Request(PROMPTS[1], range(2), PLAIN)])


@pytest.fixture
def beating(monkeypatch: pytest.MonkeyPatch) -> TinyBackend:
    """It has the tiny policy's weights, its server beats often, and a rank listens as often."""
    monkeypatch.setattr(service_module, "BEAT_S", 0.02)
    monkeypatch.setattr(rollout_module, "LISTEN_S", 0.02)
    return TinyBackend()


def test_a_server_that_lives_and_draws_nothing_is_not_waited_for_for_ever(
    beating: TinyBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = serve(beating)
    _generate(_engine(address), [Request(PROMPTS[1], range(1), PLAIN)])

    def idle() -> Iterator[None]:
        time.sleep(0.01)
        return iter(())

    monkeypatch.setattr(beating, "step", idle)
    started = time.monotonic()
    with pytest.raises(RunFailed, match=r"did not get on for 0\.5 s \(guard\.stall_timeout\)"):
        _generate(_engine(address, patience=0.5), [Request(PROMPTS[1], range(2), PLAIN)])
    assert time.monotonic() - started > 0.5
    _until(lambda: not beating.orders)


def test_a_slow_server_is_waited_for_while_it_draws_tokens(
    beating: TinyBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three times as long as it may do nothing."""
    address = serve(beating)
    _generate(_engine(address), [Request(PROMPTS[1], range(1), PLAIN)])
    whole, started = beating.step, time.monotonic()

    def slow() -> Iterator[tuple[str, Sequence[Drawn]] | None]:
        time.sleep(0.01)
        return whole() if time.monotonic() - started > 1.5 else iter([None])

    monkeypatch.setattr(beating, "step", slow)
    (group,) = _generate(_engine(address, patience=0.5), [Request(PROMPTS[1], range(2), PLAIN)])
    assert time.monotonic() - started > 1.5
    assert len(group.responses) == 2


def test_no_server_is_told_with_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "GREETING_S", 0.5)
    gone = Address("127.0.0.1", 9, KEY, "its log")
    with pytest.raises(RunFailed, match=r"127\.0\.0\.1:9: no connection"):
        _generate(_engine(gone), [Request(PROMPTS[1], range(2), PLAIN)])


def test_the_key_is_in_no_message() -> None:
    assert "secret" not in repr(Address("127.0.0.1", 9, KEY, "its log"))


def test_an_abandoned_rollout_is_taken_back_at_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = TinyBackend()
    engine = _engine(serve(backend))
    _generate(engine, [Request(PROMPTS[1], range(1), PLAIN)])
    monkeypatch.setattr(backend, "step", lambda: iter(()))  # works for ever, finishes nothing

    def stop(progress: Progress) -> None:
        if backend.orders:
            raise Stopped(15)

    with pytest.raises(Stopped):
        engine.generate([Request(prompt, range(2), PLAIN) for prompt in PROMPTS], KEY_OF_STEP, stop)
    _until(lambda: not backend.orders)
    assert len(backend.aborted) == len(set(backend.aborted)) > 0


def _until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# --- ranks ------------------------------------------------------------------------------------------------


def test_two_ranks_share_a_server_and_one_sends_the_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = TinyBackend()
    address = serve(backend)
    prompts = [[PROMPTS[0]], [PROMPTS[1], PROMPTS[2]]]
    engines = [_engine(address), _engine(address)]

    def body(rank: int) -> list[Group]:
        return _generate(engines[rank], [Request(prompt, range(3), PLAIN) for prompt in prompts[rank]])

    alone = _generate(_engine(serve(TinyBackend())), [Request(prompt, range(3), PLAIN) for prompt in PROMPTS])
    first, second = run_on_ranks(monkeypatch, 2, body, engine_module)
    assert backend.pushes == 1
    for one, other in zip(_all([*first, *second]), _all(alone), strict=True):
        assert (one.problem_id, one.index) == (other.problem_id, other.index)
        assert torch.equal(one.tokens, other.tokens)


def test_a_rank_without_requests_takes_part_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    address = serve(TinyBackend())
    engines = [_engine(address), _engine(address)]

    def body(rank: int) -> int:
        requests = [Request(PROMPTS[0], range(2), PLAIN)] if rank == 0 else []
        return len(_generate(engines[rank], requests))

    assert run_on_ranks(monkeypatch, 2, body, engine_module) == [1, 0]


def test_a_fault_of_the_push_is_everybodys(monkeypatch: pytest.MonkeyPatch) -> None:
    address = serve(TinyBackend(faults=["keeps model.embed_tokens.weight"]))
    engines = [_engine(address), _engine(address)]

    def body(rank: int) -> str:
        with pytest.raises(RunFailed) as caught:
            _generate(engines[rank], [Request(PROMPTS[0], range(2), PLAIN)])
        return str(caught.value)

    first, second = run_on_ranks(monkeypatch, 2, body, engine_module)
    assert first == second
    assert "model.embed_tokens.weight" in first


def test_the_trainer_imports_no_vllm() -> None:
    """Only three files may, and none of the others imports those."""
    package = Path(engine_module.__file__).parents[2]
    importing = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if any(line.startswith(("import vllm", "from vllm")) for line in path.read_text().splitlines())
    }
    assert importing == {"rollout/vllm/backend.py", "rollout/vllm/worker.py"}
