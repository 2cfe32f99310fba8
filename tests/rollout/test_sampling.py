from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vlm_uec.rollout.sampling import (
    BLOCK,
    Sampled,
    inverse_cdf,
    nucleus,
    sample_tokens,
    score_tokens,
    uniform_stream,
)

NONE_BANNED = torch.zeros(4, dtype=torch.bool)
PROBABILITIES = torch.tensor([[0.1, 0.5, 0.15, 0.25]])
BELOW_ONE = math.nextafter(1.0, 0.0)


def _uniforms(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


# --- keyed streams ----------------------------------------------------------------------------------------

KEY = (1, 2, "geo-3", 4)


def test_a_stream_depends_on_its_key_only() -> None:
    assert torch.equal(uniform_stream(*KEY, 50), uniform_stream(*KEY, 50))


@pytest.mark.parametrize(
    "other",
    [(2, 2, "geo-3", 4), (1, 3, "geo-3", 4), (1, 2, "geo-30", 4), (1, 2, "geo-3", 5), (12, 0, "geo-3", 4)],
)
def test_every_part_of_the_key_changes_the_stream(other: tuple[int, int, str, int]) -> None:
    assert not (uniform_stream(*KEY, 50) == uniform_stream(*other, 50)).any()


def test_parts_of_the_key_are_not_concatenated() -> None:
    assert not torch.equal(uniform_stream(1, 23, "4", 5, 8), uniform_stream(12, 3, "4", 5, 8))
    assert not torch.equal(uniform_stream(1, 2, "3", 45, 8), uniform_stream(1, 2, "34", 5, 8))


def test_a_longer_stream_starts_with_the_shorter_one() -> None:
    assert torch.equal(uniform_stream(*KEY, 100)[:50], uniform_stream(*KEY, 50))


def test_a_streams_numbers_are_uniform() -> None:
    """4000 draws: the standard error of the mean is 0.0046, and of a tenth's share 0.0047."""
    draws = uniform_stream(*KEY, 4000)
    assert draws.dtype == torch.float64
    assert draws.min() >= 0
    assert draws.max() < 1
    assert abs(draws.mean() - 0.5) < 0.02
    assert (torch.histc(draws, 10, 0, 1) / 4000 - 0.1).abs().max() < 0.02


# --- inverse CDF ------------------------------------------------------------------------------------------


def test_inverse_cdf_boundaries() -> None:
    """Weights 1, 0, 2, 1: boundaries at 0.25, 0.25, 0.75, 1; a boundary belongs to the next id."""
    weights = torch.tensor([[1.0, 0.0, 2.0, 1.0]])
    uniforms = _uniforms(0.0, 0.2499, 0.25, 0.7499, 0.75, BELOW_ONE)
    assert inverse_cdf(weights.expand(6, 4), uniforms).tolist() == [0, 0, 2, 2, 3, 3]


def test_trailing_and_leading_zeros_are_never_drawn() -> None:
    weights = torch.tensor([[0.0, 0.0, 1.0, 0.0]])
    assert inverse_cdf(weights.expand(3, 4), _uniforms(0.0, 0.5, BELOW_ONE)).tolist() == [2, 2, 2]


weights_with_zeros = st.lists(
    st.one_of(st.just(0.0), st.floats(2.0**-100, 1.0, width=32)), min_size=1, max_size=40
).filter(any)


@settings(max_examples=300, deadline=None)
@given(weights_with_zeros, st.floats(0.0, BELOW_ONE))
def test_an_id_of_zero_weight_is_never_drawn(weights: list[float], uniform: float) -> None:
    for u in (uniform, 0.0, BELOW_ONE):
        assert weights[int(inverse_cdf(torch.tensor([weights]), _uniforms(u)))] > 0


@settings(max_examples=100, deadline=None)
@given(weights_with_zeros, st.lists(st.floats(0.0, BELOW_ONE), min_size=2, max_size=2))
def test_a_larger_uniform_never_draws_an_earlier_id(weights: list[float], pair: list[float]) -> None:
    low, high = inverse_cdf(torch.tensor([weights, weights]), _uniforms(*sorted(pair))).tolist()
    assert low <= high


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 4), st.integers(0, 2**20), st.integers(0, 99))
def test_the_result_does_not_depend_on_the_blocks(blocks: int, seed: int, percent: int) -> None:
    """Integer weights, two thirds of them 0, some blocks empty: sums and boundaries are exact."""
    generator = torch.Generator().manual_seed(seed)
    weights = torch.randint(0, 9, (3, blocks, BLOCK), generator=generator).float()
    weights *= torch.rand(weights.shape, generator=generator) < 1 / 3
    weights[0, torch.randint(0, blocks, (1,), generator=generator)] = 0
    weights[:, -1, -1] = 1
    flat = weights.flatten(1)
    cumulative = flat.double().cumsum(dim=-1)
    for u in (percent / 100, 0.0, BELOW_ONE, float(cumulative[1, 40] / cumulative[1, -1])):
        expected = [int((row <= u * row[-1]).sum()) for row in cumulative]
        expected = [min(token, flat.shape[1] - 1) for token in expected]
        assert inverse_cdf(flat, _uniforms(u, u, u)).tolist() == expected


def test_rare_ids_after_a_frequent_one_keep_their_probability() -> None:
    """Ids of weight 2^-30 after one of weight 1: in float32 all their boundaries would be equal."""
    rare, count = 2.0**-30, 1000
    weights = torch.cat([torch.ones(1), torch.full((count,), rare)])[None]
    total = 1 + count * rare
    for token in (1, 2, 500, count):
        assert int(inverse_cdf(weights, _uniforms((1 + (token - 0.5) * rare) / total))) == token


# --- the nucleus ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("top_p", "kept"),
    [
        (1.0, [0.1, 0.5, 0.15, 0.25]),
        (0.95, [0.1, 0.5, 0.15, 0.25]),
        (0.85, [0.0, 0.5, 0.15, 0.25]),
        (0.6, [0.0, 0.5, 0.0, 0.25]),
        (0.5, [0.0, 0.5, 0.0, 0.0]),
        (1e-9, [0.0, 0.5, 0.0, 0.0]),
    ],
)
def test_the_nucleus_of_four_ids(top_p: float, kept: list[float]) -> None:
    """0.5 + 0.25 = 0.75 is less than 0.85, and 0.9 is not; 0.5 alone reaches 0.5."""
    assert nucleus(PROBABILITIES, torch.tensor([top_p])).tolist()[0] == pytest.approx(kept)


def test_rows_have_separate_nuclei() -> None:
    """The table above, all rows in one call."""
    kept = nucleus(PROBABILITIES.expand(4, 4), torch.tensor([0.5, 1.0, 0.85, 0.6]))
    assert (kept > 0).tolist() == [
        [False, True, False, False],
        [True, True, True, True],
        [False, True, True, True],
        [False, True, False, True],
    ]
    assert torch.equal(kept[kept > 0], PROBABILITIES.expand(4, 4)[kept > 0])


def test_a_top_p_of_one_keeps_every_id() -> None:
    """Ten ids of 0.1 sum to 1 + 1e-7 in fp32: a comparison with 1 would drop the last id of 1e-9."""
    weights = torch.tensor([[0.1] * 10 + [1e-9]])
    assert weights.sum() > 1
    assert torch.equal(nucleus(weights, torch.ones(1)), weights)
    assert nucleus(weights, torch.tensor([0.999999]))[0, -1] == 0


def test_ties_go_to_the_earliest_id() -> None:
    equal = torch.full((1, 4), 0.25)
    assert nucleus(equal, torch.tensor([0.5])).tolist() == [[0.25, 0.25, 0.0, 0.0]]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(-8, 8), min_size=2, max_size=30), st.floats(0.01, 1.0))
def test_the_nucleus_is_the_smallest_set_that_reaches_the_mass(logits: list[float], top_p: float) -> None:
    probabilities = torch.softmax(torch.tensor([logits], dtype=torch.float64), dim=-1)
    kept = nucleus(probabilities, torch.tensor([top_p], dtype=torch.float64))[0]
    assert kept.sum() >= top_p - 1e-9
    least = kept[kept > 0].min()
    assert kept.sum() - least < top_p + 1e-9  # without the least likely id the mass is not reached
    dropped = probabilities[0][kept == 0]
    assert len(dropped) == 0 or dropped.max() <= least


# --- sampled tokens and their records ---------------------------------------------------------------------

LOGITS = PROBABILITIES.log()


def _sample(
    logits: torch.Tensor, banned: torch.Tensor, uniforms: torch.Tensor, temperature: float, top_p: float
) -> Sampled:
    """`sample_tokens` with the same temperature and top-p in every row."""
    rows = torch.ones(len(logits))
    return sample_tokens(logits, banned, uniforms, rows * temperature, rows * top_p)


def _assert_equal(first: Sampled, second: Sampled) -> None:
    for name, value in vars(first).items():
        assert torch.equal(value, getattr(second, name)), name


def test_behaviour_and_policy_logprobs_with_top_p() -> None:
    """Kept 0.5 and 0.25 of mass 0.75: id 3 has behaviour probability 1/3, policy probability 1/4."""
    sampled = _sample(LOGITS, NONE_BANNED, _uniforms(0.9), 1.0, 0.6)
    assert sampled.tokens.tolist() == [3]
    assert sampled.behaviour_logprobs.item() == pytest.approx(math.log(1 / 3), abs=1e-6)
    assert sampled.policy_logprobs.item() == pytest.approx(math.log(1 / 4), abs=1e-6)
    assert sampled.kept_mass.item() == pytest.approx(0.75)


def test_temperature_changes_the_behaviour_and_not_the_policy() -> None:
    """t = 2: square roots of 1/10, 1/2, 3/20 and 1/4, renormalised."""
    roots = [math.sqrt(p) for p in (0.1, 0.5, 0.15, 0.25)]
    sampled = _sample(LOGITS, NONE_BANNED, _uniforms(0.0), 2.0, 1.0)
    assert sampled.tokens.tolist() == [0]
    assert sampled.behaviour_logprobs.item() == pytest.approx(math.log(roots[0] / sum(roots)), abs=1e-6)
    assert sampled.policy_logprobs.item() == pytest.approx(math.log(0.1), abs=1e-6)
    assert sampled.kept_mass.item() == pytest.approx(1.0)


def test_entropy_is_of_the_whole_policy_at_temperature_one() -> None:
    exact = -sum(p * math.log(p) for p in (0.1, 0.5, 0.15, 0.25))
    for temperature, top_p in ((0.0, 1.0), (1.0, 1.0), (1.3, 0.6)):
        sampled = _sample(LOGITS, NONE_BANNED, _uniforms(0.3), temperature, top_p)
        assert sampled.entropy.item() == pytest.approx(exact, abs=1e-6)


def test_rows_do_not_depend_on_the_other_rows() -> None:
    """Greedy rows and rows of three temperatures, with and without a nucleus, are equal bit for bit."""
    generator = torch.Generator().manual_seed(5)
    logits, uniforms = torch.randn(8, 40, generator=generator), uniform_stream(*KEY, 8)
    banned = torch.arange(40) % 9 == 4
    temperature = torch.tensor([0.0, 1.0, 1.3, 0.5, 0.0, 1.0, 1.3, 0.5])
    top_p = torch.tensor([1.0, 1.0, 1.0, 1.0, 0.7, 0.7, 0.7, 0.7])
    together = sample_tokens(logits, banned, uniforms, temperature, top_p)
    for row in range(8):
        one = slice(row, row + 1)
        alone = sample_tokens(logits[one], banned, uniforms[one], temperature[one], top_p[one])
        _assert_equal(alone, Sampled(*(value[one] for value in vars(together).values())))
    plain = _sample(logits[1:2], banned, uniforms[1:2], 1.0, 1.0)
    _assert_equal(plain, Sampled(*(value[1:2] for value in vars(together).values())))
    assert (together.behaviour_logprobs[[0, 4]] == 0).all()
    assert (together.kept_mass[5:] < 0.999).all()


@pytest.mark.parametrize("temperature", [None, 1.0], ids=["no temperature", "temperatures of one"])
@pytest.mark.parametrize("top_p", [None, 1.0], ids=["no top-p", "top-p of one"])
def test_none_gives_the_same_bits_as_ones(temperature: float | None, top_p: float | None) -> None:
    """300 rows: None skips a softmax and a sort."""
    generator = torch.Generator().manual_seed(6)
    logits, uniforms = 3 * torch.randn(300, 97, generator=generator), uniform_stream(*KEY, 300)
    banned = torch.arange(97) >= 90
    rows = torch.ones(300)
    sampled = sample_tokens(
        logits,
        banned,
        uniforms,
        None if temperature is None else rows * temperature,
        None if top_p is None else rows * top_p,
    )
    _assert_equal(sampled, sample_tokens(logits, banned, uniforms))


def test_temperature_zero_takes_the_most_likely_allowed_id() -> None:
    banned = torch.tensor([False, True, False, False])
    for uniform in (0.0, 0.5, BELOW_ONE):
        sampled = _sample(LOGITS, banned, _uniforms(uniform), 0.0, 0.5)
        assert sampled.tokens.tolist() == [3]
        assert sampled.behaviour_logprobs.tolist() == [0.0]
        assert sampled.policy_logprobs.item() == pytest.approx(math.log(0.25 / 0.5), abs=1e-6)
        assert sampled.kept_mass.tolist() == [1.0]


def test_banned_ids_have_no_probability() -> None:
    """Without id 1 the others are renormalised: 0.1, 0.15 and 0.25 of 0.5."""
    banned = torch.tensor([False, True, False, False])
    sampled = _sample(LOGITS.expand(3, 4), banned, _uniforms(0.1, 0.4, 0.9), 1.0, 1.0)
    assert sampled.tokens.tolist() == [0, 2, 3]
    assert sampled.policy_logprobs.exp().tolist() == pytest.approx([0.2, 0.3, 0.5])
    assert torch.equal(sampled.policy_logprobs, sampled.behaviour_logprobs)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.floats(-50, 50, width=32), min_size=6, max_size=6),
    st.sets(st.integers(0, 5), max_size=5),
    st.sampled_from([0.0, 0.5, 1.0, 1.2, 4.0]),
    st.floats(0.01, 1.0),
    st.floats(0.0, BELOW_ONE),
)
def test_a_banned_id_is_never_sampled(
    logits: list[float], banned_ids: set[int], temperature: float, top_p: float, uniform: float
) -> None:
    banned = torch.zeros(6, dtype=torch.bool)
    banned[list(banned_ids)] = True
    sampled = _sample(torch.tensor([logits]), banned, _uniforms(uniform), temperature, top_p)
    assert int(sampled.tokens) not in banned_ids
    for record in (sampled.behaviour_logprobs, sampled.policy_logprobs, sampled.entropy, sampled.kept_mass):
        assert record.isfinite().all()
    assert sampled.behaviour_logprobs.item() <= 1e-5


@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (1.2, 1.0), (1.0, 0.8)])
def test_frequencies_follow_the_behaviours_probabilities(temperature: float, top_p: float) -> None:
    """Pearson's chi-square over 20,000 keyed draws; 32.9 is the 99.9 % point of its 12 degrees of freedom."""
    generator = torch.Generator().manual_seed(3)
    logits, banned, draws = torch.randn(1, 14, generator=generator), torch.zeros(14, dtype=torch.bool), 20_000
    banned[5] = True
    uniforms = uniform_stream(1, 1, "frequencies", 0, draws)
    sampled = _sample(logits.expand(draws, 14), banned, uniforms, temperature, top_p)
    kept = torch.softmax((logits[0] / temperature).masked_fill(banned, -torch.inf), dim=-1)
    if top_p < 1:
        order = kept.argsort(descending=True)
        count = int((kept[order].cumsum(0) < top_p).sum()) + 1
        kept = torch.zeros(14).scatter(0, order[:count], kept[order[:count]])
    expected = kept / kept.sum() * draws
    observed = torch.bincount(sampled.tokens, minlength=14)
    assert (observed[expected == 0] == 0).all()
    live = expected > 0
    assert ((observed[live] - expected[live]) ** 2 / expected[live]).sum() < 32.9
    share = sampled.behaviour_logprobs.exp() * draws
    torch.testing.assert_close(share, expected[sampled.tokens], rtol=1e-4, atol=1e-3)


def test_records_of_another_samplers_token() -> None:
    """The nucleus of 0.7 is 0.5 and 0.25, of mass 0.75; the token of 0.1 is outside."""
    logits, tokens = PROBABILITIES.log(), torch.tensor([0])
    scored = score_tokens(logits, NONE_BANNED, tokens, None, torch.tensor([0.7]))
    assert scored.tokens is tokens
    assert float(scored.policy_logprobs) == pytest.approx(math.log(0.1))
    assert float(scored.behaviour_logprobs) == pytest.approx(math.log(0.1 / 0.75))
    assert float(scored.kept_mass) == pytest.approx(0.75)
    entropy = -sum(p * math.log(p) for p in (0.1, 0.5, 0.15, 0.25))
    assert float(scored.entropy) == pytest.approx(entropy)
