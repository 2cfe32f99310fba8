from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
import torch

from tests.support.oracles import plain_logits
from tests.support.tiny import BANNED, random_prompt, tiny_model, tiny_policy
from vlm_uec.model.packing import Row, pack
from vlm_uec.model.policy import Policy
from vlm_uec.rollout import native
from vlm_uec.rollout import slots as rollout_slots
from vlm_uec.rollout.cache import PromptCache
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
from vlm_uec.types import EncodedPrompt, Group, Response

POLICY, MODEL = tiny_policy(), tiny_model()
ENDS = frozenset(range(1, 9))  # about one token in twelve, so lengths differ
KEY = StreamKey(seed=1, step=3)
PLAIN = Sampling(temperature=1.0, top_p=1.0, max_tokens=14)
RECORDS = ("behaviour_logprobs", "policy_logprobs", "entropy", "kept_mass")
PROMPTS = [
    random_prompt("long", [(8, 8), (4, 4)], seed=1),
    random_prompt("words", text=3, seed=2),
    random_prompt("short", [(2, 4)], text=2, seed=3),
]


def _generate(
    requests: Sequence[Request],
    *,
    key: StreamKey = KEY,
    ends: frozenset[int] = ENDS,
    slots: int | None = 8,
    policy: Policy = POLICY,
    follow_up: FollowUp = nothing_more,
) -> list[Group]:
    engine = NativeEngine(policy, ends, slots)
    return engine.generate(requests, key, lambda progress: None, follow_up)


def _assert_same(first: Response, second: Response) -> None:
    assert torch.equal(first.tokens, second.tokens)
    assert all(torch.equal(getattr(first, name), getattr(second, name)) for name in RECORDS)
    assert (first.index, first.source, first.truncated) == (second.index, second.source, second.truncated)


def _full_logits(prompt: EncodedPrompt, tokens: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return plain_logits(MODEL, prompt, tokens)


@pytest.fixture(scope="module")
def plain() -> list[Group]:
    """27 responses in 8 slots, so every slot is refilled, with prompts of different lengths."""
    return _generate([Request(prompt, range(9), PLAIN) for prompt in PROMPTS])


# --- results ----------------------------------------------------------------------------------------------


def test_groups_are_in_the_order_of_requests_and_responses_in_index_order(plain: list[Group]) -> None:
    assert [group.prompt for group in plain] == PROMPTS
    for group in plain:
        assert [response.index for response in group.responses] == list(range(9))
        assert {response.problem_id for response in group.responses} == {group.prompt.problem_id}


def test_records_do_not_share_memory(plain: list[Group]) -> None:
    """A view would be kept, and sent to other ranks, with its whole storage."""
    for response in (response for group in plain for response in group.responses):
        for name in RECORDS:
            record = getattr(response, name)
            assert record.untyped_storage().nbytes() == record.nbytes


def test_a_response_ends_with_its_first_end_token_or_at_the_limit(plain: list[Group]) -> None:
    responses = [response for group in plain for response in group.responses]
    for response in responses:
        tokens = response.tokens.tolist()
        assert not ENDS & set(tokens[:-1])
        assert response.truncated == (tokens[-1] not in ENDS)
        assert len(tokens) == PLAIN.max_tokens if response.truncated else len(tokens) <= PLAIN.max_tokens
        assert all(getattr(response, name).shape == response.tokens.shape for name in RECORDS)
    assert {response.truncated for response in responses} == {True, False}
    assert len({len(response.tokens) for response in responses}) > 4


def test_an_end_token_at_the_limit_is_not_a_truncation(plain: list[Group]) -> None:
    """A limit equal to the length of a response that ended by itself does not change it."""
    ended = next(response for response in plain[0].responses if not response.truncated)
    shorter = Sampling(1.0, 1.0, max_tokens=len(ended.tokens))
    again = _generate([Request(PROMPTS[0], range(9), shorter)])[0].responses[ended.index]
    assert torch.equal(again.tokens, ended.tokens)
    assert not again.truncated


def test_exploration_responses_have_their_source_and_later_indices() -> None:
    """Index 5 has the same random numbers in every request."""
    regular = _generate([Request(PROMPTS[0], range(9), PLAIN)])[0].responses
    (explored,) = _generate([Request(PROMPTS[0], range(5, 9), PLAIN, source="exploration")])
    assert [response.index for response in explored.responses] == [5, 6, 7, 8]
    assert {response.source for response in explored.responses} == {"exploration"}
    for response in explored.responses:
        assert torch.equal(response.tokens, regular[response.index].tokens)


def test_no_requests_give_no_groups() -> None:
    assert _generate([]) == []


def test_responses_that_end_at_the_first_token() -> None:
    """Every id is an end token: 30 responses use 8 slots without a decode step."""
    groups = _generate([Request(prompt, range(10), PLAIN) for prompt in PROMPTS], ends=frozenset(range(96)))
    lengths = [len(response.tokens) for group in groups for response in group.responses]
    assert lengths == [1] * 30
    assert not any(response.truncated for group in groups for response in group.responses)
    assert torch.equal(
        torch.cat([response.tokens for response in groups[0].responses]),
        torch.cat(
            [
                response.tokens[:1]
                for response in _generate([Request(PROMPTS[0], range(10), PLAIN)])[0].responses
            ]
        ),
    )


def test_a_limit_of_one_token() -> None:
    (group,) = _generate([Request(PROMPTS[0], range(10), Sampling(1.0, 1.0, max_tokens=1))])
    for response in group.responses:
        assert len(response.tokens) == 1
        assert response.truncated == (int(response.tokens) not in ENDS)


# --- records ----------------------------------------------------------------------------------------------


def test_policy_logprobs_and_entropies_equal_teacher_forcing(plain: list[Group]) -> None:
    for group in plain:
        row = Row(group.prompt, tuple(response.tokens for response in group.responses))
        with torch.no_grad():
            logprobs, entropy = POLICY(pack([row]))
        recorded = torch.cat([response.policy_logprobs for response in group.responses])
        exact = torch.cat([response.entropy for response in group.responses])
        assert logprobs.std() > 0.5
        torch.testing.assert_close(recorded, logprobs, rtol=0, atol=1e-4)
        torch.testing.assert_close(exact, entropy, rtol=0, atol=1e-4)


def test_policy_logprobs_equal_the_librarys_forward(plain: list[Group]) -> None:
    for group in plain:
        response = max(group.responses, key=lambda one: len(one.tokens))
        logprobs = torch.log_softmax(_full_logits(group.prompt, response.tokens), dim=-1)
        expected = logprobs.gather(1, response.tokens[:, None])[:, 0]
        torch.testing.assert_close(response.policy_logprobs, expected, rtol=0, atol=1e-4)


def test_at_temperature_and_top_p_one_the_behaviour_is_the_policy(plain: list[Group]) -> None:
    for response in (response for group in plain for response in group.responses):
        torch.testing.assert_close(response.behaviour_logprobs, response.policy_logprobs, rtol=0, atol=1e-5)
        torch.testing.assert_close(response.kept_mass, torch.ones(len(response.tokens)), rtol=0, atol=1e-5)


def test_behaviour_logprobs_are_of_the_tempered_nucleus() -> None:
    """The nucleus by definition: ids in decreasing order until their mass reaches top-p."""
    sampling = Sampling(temperature=1.2, top_p=0.79, max_tokens=10)
    (group,) = _generate([Request(PROMPTS[0], range(5, 13), sampling, source="exploration")])
    for response in group.responses:
        logits = _full_logits(group.prompt, response.tokens)
        for position, token in enumerate(response.tokens.tolist()):
            descending = sorted(torch.softmax(logits[position] / 1.2, dim=-1).tolist(), reverse=True)
            mass, count = 0.0, 0
            while mass < 0.79:
                mass += descending[count]
                count += 1
            chosen = torch.softmax(logits[position] / 1.2, dim=-1)[token]
            assert chosen >= descending[count - 1]
            expected = (chosen / mass).log()
            torch.testing.assert_close(response.behaviour_logprobs[position], expected, rtol=0, atol=1e-4)
            torch.testing.assert_close(response.kept_mass[position], torch.tensor(mass), rtol=0, atol=1e-4)
            policy = torch.log_softmax(logits[position], dim=-1)[token]
            torch.testing.assert_close(response.policy_logprobs[position], policy, rtol=0, atol=1e-4)


def test_greedy_takes_the_most_likely_allowed_id() -> None:
    (group,) = _generate(
        [Request(PROMPTS[0], range(3), Sampling(0.0, 1.0, max_tokens=12))], ends=frozenset([1])
    )
    first = group.responses[0].tokens
    assert torch.equal(first, _full_logits(group.prompt, first).argmax(dim=-1))
    assert all(torch.equal(response.tokens, first) for response in group.responses)
    assert not group.responses[0].behaviour_logprobs.any()


def test_banned_ids_are_never_sampled() -> None:
    """Even if the weights favour them: their head rows are twenty times larger."""
    policy = tiny_policy(tied=False)
    with torch.no_grad():
        policy.head.weight[list(BANNED)] *= 20
    for temperature in (0.0, 1.0, 4.0):
        sampling = Sampling(temperature, 0.99, max_tokens=20)
        (group,) = _generate([Request(PROMPTS[0], range(16), sampling)], ends=frozenset(), policy=policy)
        tokens = torch.cat([response.tokens for response in group.responses])
        assert not torch.isin(tokens, torch.tensor(BANNED)).any()


# --- reproducibility --------------------------------------------------------------------------------------


def test_a_rerun_is_bit_equal(plain: list[Group]) -> None:
    again = _generate([Request(prompt, range(9), PLAIN) for prompt in PROMPTS])
    for first, second in zip(plain, again, strict=True):
        for one, other in zip(first.responses, second.responses, strict=True):
            _assert_same(one, other)


@pytest.mark.parametrize("key", [StreamKey(2, 3), StreamKey(1, 4)], ids=["seed", "step"])
def test_another_key_gives_other_responses(plain: list[Group], key: StreamKey) -> None:
    (group,) = _generate([Request(PROMPTS[0], range(9), PLAIN)], key=key)
    pairs = zip(plain[0].responses, group.responses, strict=True)
    assert not any(torch.equal(one.tokens, other.tokens) for one, other in pairs)


@pytest.mark.parametrize(
    ("requests", "slots"),
    [
        (
            [
                Request(PROMPTS[2], range(9), PLAIN),
                Request(PROMPTS[1], range(9), PLAIN),
                Request(PROMPTS[0], range(9), PLAIN),
            ],
            8,
        ),
        ([Request(PROMPTS[0], range(9), PLAIN)], 8),
        ([Request(PROMPTS[1], range(3), PLAIN)], 8),
        (
            [
                Request(PROMPTS[2], range(2), PLAIN),
                Request(PROMPTS[1], range(20), PLAIN),
                Request(PROMPTS[0], range(1), PLAIN),
            ],
            8,
        ),
        ([Request(prompt, range(9), PLAIN) for prompt in PROMPTS], 16),
    ],
    ids=["other order", "alone", "fewer than slots", "other counts", "more slots"],
)
def test_tokens_do_not_depend_on_other_requests_or_slots(
    plain: list[Group], requests: list[Request], slots: int
) -> None:
    expected = {
        (response.problem_id, response.index): response for group in plain for response in group.responses
    }
    compared = 0
    for response in (response for group in _generate(requests, slots=slots) for response in group.responses):
        if other := expected.get((response.problem_id, response.index)):
            assert torch.equal(response.tokens, other.tokens)
            torch.testing.assert_close(response.policy_logprobs, other.policy_logprobs, rtol=0, atol=1e-4)
            compared += 1
    assert compared >= 3


# --- exploration in the same pool -------------------------------------------------------------------------

LONG = Sampling(temperature=1.0, top_p=1.0, max_tokens=75)  # more than two length steps
RARE_ENDS = frozenset([1, 2, 3])  # about one token in thirty


def _exploring(difficult: Sequence[str], count: int, sampling: Sampling) -> FollowUp:
    def follow_up(group: Group) -> Request | None:
        if group.responses[0].source == "exploration" or group.prompt.problem_id not in difficult:
            return None
        first = len(group.responses)
        return Request(group.prompt, range(first, first + count), sampling, source="exploration")

    return follow_up


def _assert_same_groups(first: Sequence[Group], second: Sequence[Group]) -> None:
    for one, other in zip(first, second, strict=True):
        assert one.prompt is other.prompt
        for response, expected in zip(one.responses, other.responses, strict=True):
            _assert_same(response, expected)


@pytest.mark.parametrize("top_p", [1.0, 0.9])
@pytest.mark.parametrize("temperature", [1.0, 1.3])
@pytest.mark.parametrize("slots", [8, 16])
def test_exploration_in_the_same_pool_is_bit_equal_to_a_separate_rollout(
    slots: int, temperature: float, top_p: float
) -> None:
    """It depends neither on regular responses that still run nor on earlier responses in its slots."""
    hot = Sampling(temperature, top_p, max_tokens=75)
    requests = [Request(prompt, range(9), LONG) for prompt in PROMPTS]
    difficult = ["short", "long"]
    together = _generate(requests, ends=RARE_ENDS, slots=slots, follow_up=_exploring(difficult, 10, hot))
    separate = _generate(
        [Request(PROMPTS[place], range(9, 19), hot, source="exploration") for place in (0, 2)],
        ends=RARE_ENDS,
        slots=slots,
    )
    lengths = {len(response.tokens) for group in together for response in group.responses}
    assert min(lengths) < 10 and max(lengths) > 64
    _assert_same_groups(together[:3], _generate(requests, ends=RARE_ENDS, slots=slots))
    _assert_same_groups(together[3:], separate)


def test_the_bits_do_not_depend_on_a_longer_prompt_in_the_rollout() -> None:
    """Without `prompt_tokens` its padding would be 160 alone and 288 together; bits differ above 192."""
    prompts = [random_prompt("longest", [(32, 32)], text=6, seed=4), random_prompt("long", text=150, seed=5)]
    assert [prompt.length for prompt in prompts] == [268, 150]
    hot = Sampling(1.3, 1.0, max_tokens=20)
    engine = NativeEngine(POLICY, RARE_ENDS, 8, prompt_tokens=268)
    explore = _exploring(["long"], 8, hot)
    requests = [Request(prompt, range(3), Sampling(1.0, 1.0, max_tokens=20)) for prompt in prompts]
    together = engine.generate(requests, KEY, lambda progress: None, explore)
    alone = Request(prompts[1], range(3, 11), hot, source="exploration")
    _assert_same_groups(together[2:], engine.generate([alone], KEY, lambda progress: None))


@pytest.mark.parametrize(
    "invalid",
    [
        Request(PROMPTS[1], range(2), PLAIN),
        Request(PROMPTS[0], range(2), Sampling(1.0, 1.0, max_tokens=15)),
    ],
    ids=["another prompt", "longer than what was requested"],
)
def test_an_invalid_follow_up_is_rejected(invalid: Request) -> None:
    with pytest.raises(ValueError, match="long: a follow-up must follow a request and have the same prompt"):
        _generate([Request(PROMPTS[0], range(2), PLAIN)], follow_up=lambda group: invalid)


def test_a_follow_up_of_a_follow_up_is_rejected() -> None:
    with pytest.raises(ValueError, match="must follow a request"):
        _generate(
            [Request(PROMPTS[0], range(2), PLAIN)],
            follow_up=lambda group: Request(group.prompt, range(2), PLAIN),
        )


@pytest.mark.parametrize("count", [1, 3, 20])
def test_a_prompt_is_prefilled_once(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    prefilled: list[str] = []
    prefill = NativeEngine.prefill

    def recording_prefill(engine: NativeEngine, prompt: EncodedPrompt) -> PromptCache:
        prefilled.append(prompt.problem_id)
        return prefill(engine, prompt)

    monkeypatch.setattr(NativeEngine, "prefill", recording_prefill)
    requests = [Request(prompt, range(count), PLAIN) for prompt in PROMPTS]
    groups = _generate(requests, follow_up=_exploring(["long", "short"], 6, PLAIN))
    assert len(groups) == 5
    assert sorted(prefilled) == ["long", "short", "words"]


def test_follow_ups_come_last_in_the_order_of_their_requests() -> None:
    """The last request's group is complete first: its limit is one token."""
    requests = [
        Request(PROMPTS[0], range(2), LONG),
        Request(PROMPTS[1], range(2), LONG),
        Request(PROMPTS[2], range(2), Sampling(1.0, 1.0, max_tokens=1)),
    ]
    called: list[str] = []
    explore = _exploring(["long", "short"], 3, PLAIN)

    def follow_up(group: Group) -> Request | None:
        called.append(group.prompt.problem_id)
        return explore(group)

    groups = _generate(requests, ends=frozenset([1]), follow_up=follow_up)
    assert called[0] == "short"
    assert sorted(called) == ["long", "long", "short", "short", "words"], "called once with every group"
    assert [group.prompt.problem_id for group in groups] == ["long", "words", "short", "long", "short"]
    assert [[response.index for response in group.responses] for group in groups] == [
        [0, 1],
        [0, 1],
        [0, 1],
        [2, 3, 4],
        [2, 3, 4],
    ]


@pytest.mark.parametrize("slots", [16, 64])
def test_the_bits_do_not_depend_on_the_number_of_slots(slots: int) -> None:
    def sampled(slots: int) -> list[Group]:
        requests = [Request(prompt, range(9), LONG) for prompt in PROMPTS]
        hot = Sampling(1.3, 0.95, max_tokens=75)
        return _generate(requests, ends=RARE_ENDS, slots=slots, follow_up=_exploring(["words"], 20, hot))

    _assert_same_groups(sampled(slots), sampled(8))


@pytest.mark.parametrize("prefix_groups", [1, 2])
def test_tokens_do_not_depend_on_the_number_of_prefix_groups(
    prefix_groups: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = [Request(prompt, range(9), LONG) for prompt in PROMPTS]
    follow_up = _exploring(["long", "short"], 10, Sampling(1.3, 1.0, max_tokens=40))
    expected = _generate(requests, ends=RARE_ENDS, slots=16, follow_up=follow_up)
    monkeypatch.setattr(rollout_slots, "prefix_group_count", lambda slots, group: prefix_groups)
    groups = _generate(requests, ends=RARE_ENDS, slots=16, follow_up=follow_up)
    for group, other in zip(groups, expected, strict=True):
        assert group.prompt is other.prompt
        for one, another in zip(group.responses, other.responses, strict=True):
            assert torch.equal(one.tokens, another.tokens)
            assert (one.index, one.source, one.truncated) == (
                another.index,
                another.source,
                another.truncated,
            )


@pytest.mark.parametrize(
    ("prefix_groups", "slots", "seed"),
    # In the last case the first waiting request does not fit into a prefix group, but a later one does.
    [
        (1, 8, 1),
        (2, 8, 1),
        (8, 8, 1),
        (8, 16, 5),
        (3, 16, 5),
    ],
)
def test_a_waiting_response_starts_as_soon_as_it_fits(
    prefix_groups: int, slots: int, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also before the first step, after a step in which all responses ended, and with exploration."""
    monkeypatch.setattr(rollout_slots, "prefix_group_count", lambda slots, group: prefix_groups)
    idle: list[int] = []
    waiting: list[bool] = []
    refill = native._Rollout._refill

    def checked_refill(rollout: native._Rollout) -> Iterator[tuple[native.NativeRequestState, Response]]:
        yield from refill(rollout)
        rollout._next_request()  # also count the next request that was not consumed yet
        waiting.append(bool(rollout.waiting))
        # A prompt without a cache has no prefix group yet; any new object stands for it.
        table = rollout.pool.cache.table
        can_start = [table.can_assign(state.cache or object()) for state in rollout.waiting]
        if any(can_start) and len(rollout.sequences) < rollout.slots:
            idle.append(len(rollout.sequences))

    monkeypatch.setattr(native._Rollout, "_refill", checked_refill)
    requests = [Request(prompt, range(5), LONG) for prompt in PROMPTS]
    requests[1] = Request(PROMPTS[1], range(5), LONG if seed == 5 else Sampling(1.0, 1.0, max_tokens=1))
    follow_up = _exploring(["long", "words", "short"], 10, LONG)
    _generate(requests, key=StreamKey(seed, 3), ends=RARE_ENDS, slots=slots, follow_up=follow_up)
    assert any(waiting)
    assert idle == []


# --- streams ------------------------------------------------------------------------------------------------


def _stream(requests: Iterator[Request], responses: int) -> Iterator[Response]:
    """Streams responses in 8 slots, as in an evaluation with 9 responses per prompt."""
    longest = max(prompt.length for prompt in PROMPTS)
    shape = RolloutShape(responses, 9, longest, PLAIN.max_tokens)
    return NativeEngine(POLICY, ENDS, 8).stream(requests, shape, KEY, lambda progress: None)


def test_a_stream_yields_the_responses_of_the_groups(plain: list[Group]) -> None:
    requests = (Request(prompt, range(9), PLAIN) for prompt in PROMPTS)
    streamed = {(response.problem_id, response.index): response for response in _stream(requests, 27)}
    assert len(streamed) == 27
    for group in plain:
        for response in group.responses:
            _assert_same(streamed[response.problem_id, response.index], response)


def test_the_remaining_responses_of_an_evaluation_do_not_change(plain: list[Group]) -> None:
    """Some indices of some prompts, in another order and with other responses in the pool."""
    remaining = [(PROMPTS[2], (8, 1)), (PROMPTS[0], (0, 3, 4, 7))]
    streamed = list(_stream((Request(prompt, indices, PLAIN) for prompt, indices in remaining), 6))
    assert {(r.problem_id, r.index) for r in streamed} == {
        (prompt.problem_id, index) for prompt, indices in remaining for index in indices
    }
    groups = {group.prompt.problem_id: group for group in plain}
    for response in streamed:
        _assert_same(response, groups[response.problem_id].responses[response.index])


def test_a_prompt_is_consumed_when_a_slot_is_free() -> None:
    """8 slots: one response must have ended before the second prompt is needed, ten before the third."""
    ended = 0
    ended_when_consumed: list[int] = []

    def requests() -> Iterator[Request]:
        for prompt in PROMPTS:
            ended_when_consumed.append(ended)
            yield Request(prompt, range(9), PLAIN)

    for _ in _stream(requests(), 27):
        ended += 1
    assert ended == 27
    first, second, third = ended_when_consumed
    assert first == 0
    assert second >= 1
    assert third >= 10


def test_an_empty_stream() -> None:
    assert list(_stream(iter(()), 0)) == []


# --- training ---------------------------------------------------------------------------------------------


def test_sampled_responses_can_be_trained_on(plain: list[Group]) -> None:
    """Sampling runs in inference mode, whose tensors autograd rejects."""
    policy = tiny_policy()
    response = plain[0].responses[0]
    logprobs, _ = policy(pack([Row(plain[0].prompt, (response.tokens,))]))
    (logprobs - response.policy_logprobs).pow(2).sum().backward()
    assert policy.head.weight.grad is not None


def test_progress_ends_with_all_responses() -> None:
    reports: list[Progress] = []
    groups = NativeEngine(POLICY, ENDS, 8).generate(
        [Request(PROMPTS[0], range(9), PLAIN)], KEY, reports.append
    )
    tokens = sum(len(response.tokens) for response in groups[0].responses)
    assert reports[-1] == Progress(finished=9, total=9, tokens=tokens)
