"""The learner with a real policy of a few thousand weights and plain SGD instead of ZeRO-3."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch

from tests.support.tiny import VISION, random_prompt, random_response, tiny_policy
from vlm_uec.config import LossConfig
from vlm_uec.model.packing import PackedBatch, Row, pack
from vlm_uec.model.policy import Policy
from vlm_uec.types import EncodedPrompt, Response, Reward, ScoredTrajectory, Source, Trajectory
from vlm_uec.update import learner as learner_module
from vlm_uec.update.learner import Learner, PromptTable
from vlm_uec.update.microbatches import PassBudget

LR = 0.05
PROMPTS = {
    prompt.problem_id: prompt
    for prompt in [
        random_prompt("a", [(4, 4)], seed=1),
        random_prompt("b", text=6, seed=2),
        random_prompt("c", [(2, 4), (4, 2)], seed=3),
        random_prompt("d", [(4, 4)], seed=1),  # a's image
    ]
}
MINIBATCH = 6


class PlainPolicy:
    """A `TrainablePolicy` of one process that records every pass."""

    def __init__(self, policy: Policy, lr: float = LR) -> None:
        self.policy = policy
        self.device = torch.device("cpu")
        self.lr = lr
        self.optimizer = torch.optim.SGD([p for p in policy.parameters() if p.requires_grad], lr=lr)
        self.scored: list[PackedBatch] = []
        self.read: list[PackedBatch] = []
        self.losses: list[float] = []
        self.steps = 0

    def score(self, batch: PackedBatch) -> tuple[torch.Tensor, torch.Tensor]:
        self.scored.append(batch)
        with torch.no_grad():
            return self.policy.eval()(batch)

    def forward(self, batch: PackedBatch) -> tuple[torch.Tensor, torch.Tensor]:
        self.read.append(batch)
        return self.policy.train()(batch)

    def backward(self, loss: torch.Tensor) -> None:
        self.losses.append(float(loss.detach()))
        loss.backward()

    def step(self) -> float:
        self.steps += 1
        norm = torch.nn.utils.get_total_norm([p.grad for p in self.policy.parameters() if p.grad is not None])
        self.optimizer.step()
        self.optimizer.zero_grad()
        return float(norm)

    def discard(self) -> None:
        self.optimizer.zero_grad()

    def abandon_pass(self) -> None:
        self.discard()

    @property
    def tower_frozen(self) -> bool:
        return self.policy.frozen.tower

    def frozen_features(
        self, names: Sequence[str], encode: Callable[[str], EncodedPrompt]
    ) -> dict[str, torch.Tensor]:
        return {name: self.policy.frozen_features(encode(name)) for name in names}


class PlainReference:
    def __init__(self, policy: Policy) -> None:
        self.policy = policy

    def score(self, batch: PackedBatch) -> torch.Tensor:
        with torch.no_grad():
            return self.policy(batch)[0]

    def abandon_pass(self) -> None:
        pass


def _trajectory(
    name: str, index: int, length: int, advantage: float, source: Source = "regular"
) -> Trajectory:
    tokens = random_response(length, seed=100 * index + ord(name))
    behaviour = -torch.rand(length, generator=torch.Generator().manual_seed(index)) - 0.5
    response = Response(name, index, source, tokens, behaviour, behaviour, behaviour, behaviour, False)
    return Trajectory(response, Reward(0.0, 0.0, 0.0, ""), advantage, step=1)


def _batch() -> list[Trajectory]:
    """Two mini-batches of six, each with trajectories without a gradient."""
    return [
        _trajectory("a", 0, 5, 1.0),
        _trajectory("a", 1, 3, -0.5),
        _trajectory("a", 2, 9, 0.0),
        _trajectory("b", 0, 4, 0.0),
        _trajectory("b", 1, 1, 0.0),
        _trajectory("c", 0, 7, -1.0),
        _trajectory("c", 1, 2, 0.7),
        _trajectory("c", 8, 6, 0.0, "exploration"),
        _trajectory("d", 8, 4, 2.0, "exploration"),
        _trajectory("d", 9, 5, -1.0, "exploration"),
        _trajectory("b", 2, 3, 0.4),
        _trajectory("a", 3, 2, -0.3),
    ]


def _no_halving(positions: int, why: str) -> None:
    raise AssertionError(why)


def _learner(
    policy: PlainPolicy, reference: Policy | None = None, *, budget: int = 40, **loss: Any
) -> Learner:
    table = PromptTable({name: prompt.length for name, prompt in PROMPTS.items()}, PROMPTS.__getitem__)
    config = LossConfig(**{"kl_coef": 0.0, **loss})
    frozen = None if reference is None else PlainReference(reference)
    return Learner(
        policy,
        frozen,
        table,
        config,
        minibatch=MINIBATCH,
        max_tokens=20,
        budget=PassBudget(budget, _no_halving),
    )


def _update(learner: Learner, batch: Sequence[Trajectory]) -> tuple[list[ScoredTrajectory], list[Any]]:
    return learner.update(batch, learner.old_logprobs(batch), learner.reference_logprobs(batch))


def _alone(policy: Policy, trajectory: Trajectory) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probs and entropies of a trajectory in a separate pass."""
    return policy(pack([Row(PROMPTS[trajectory.response.problem_id], (trajectory.response.tokens,))]))


def _tokens(batches: Sequence[PackedBatch]) -> int:
    return sum(len(batch.targets) for batch in batches)


def _weights(policy: Policy) -> dict[str, torch.Tensor]:
    return {name: weight.detach().clone() for name, weight in policy.named_parameters()}


def _assert_weights(policy: Policy, expected: dict[str, torch.Tensor]) -> None:
    for name, weight in policy.named_parameters():
        torch.testing.assert_close(weight.detach(), expected[name], rtol=0, atol=2e-6, msg=name)


# --- old log-probs ----------------------------------------------------------------------------------------


def test_the_first_minibatchs_old_logprobs_are_its_own_new_ones() -> None:
    policy, before = PlainPolicy(tiny_policy()), tiny_policy()
    batch = _batch()[:MINIBATCH]
    learner = _learner(policy)
    assert learner.old_logprobs(batch) == [None] * MINIBATCH
    scored, (stats,) = _update(learner, batch)
    assert policy.scored == [], "no scoring pass is needed"
    assert (stats.ratio_mean, stats.ratio_max) == (1.0, 1.0)
    assert (stats.clipped_low, stats.clipped_high) == (0.0, 0.0)
    assert [item.trajectory for item in scored] == [t for t in batch if t.advantage]
    for item in scored:
        with torch.no_grad():
            expected, _ = _alone(before, item.trajectory)
        torch.testing.assert_close(item.old_logprobs, expected, rtol=0, atol=1e-5)
        assert not item.old_logprobs.requires_grad


def test_log_probs_are_copied_to_the_cpu_only_as_old_log_probs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy stalls a GPU: later mini-batches and replays have old log-probs already."""
    copied: list[int] = []
    split_by_key = learner_module._split_by_key

    def recording(trajectories: Sequence[Trajectory], values: torch.Tensor) -> Any:
        copied.append(len(trajectories))
        return split_by_key(trajectories, values)

    monkeypatch.setattr(learner_module, "_split_by_key", recording)
    batch = _batch()
    learner = _learner(PlainPolicy(tiny_policy()))
    old, reference = learner.old_logprobs(batch), learner.reference_logprobs(batch)
    copied.clear()
    scored, _ = learner.update(batch, old, reference)
    active = [trajectory for trajectory in batch[:MINIBATCH] if trajectory.advantage]
    assert sum(copied) == len(active)
    copied.clear()
    learner.replay(scored)
    learner.update(batch, old, reference, needs_scored=False)
    assert copied == []


def test_a_later_minibatchs_old_logprobs_are_of_the_policy_before_any_step() -> None:
    policy, before = PlainPolicy(tiny_policy()), tiny_policy()
    batch = _batch()
    scored, stats = _update(_learner(policy), batch)
    assert [item.trajectory for item in scored] == [t for t in batch if t.advantage]
    for item in scored:
        with torch.no_grad():
            expected, _ = _alone(before, item.trajectory)
        torch.testing.assert_close(item.old_logprobs, expected, rtol=0, atol=1e-5)
    assert stats[0].ratio_max == 1.0
    assert abs(stats[1].ratio_max - 1) > 0.01, "the first step changed the policy"


def test_an_unchanged_policys_ratio_is_one_in_every_minibatch() -> None:
    """A learning rate of zero: scoring packs the same rows as the update."""
    policy = PlainPolicy(tiny_policy(), lr=0.0)
    _, stats = _update(_learner(policy), _batch())
    assert stats[1].ratio_mean == pytest.approx(1.0, abs=1e-6)
    assert stats[1].ratio_max == pytest.approx(1.0, abs=1e-5)
    layout = [batch.input_ids.tolist() for batch in policy.scored]
    assert layout == [batch.input_ids.tolist() for batch in policy.read][-len(layout) :]


# --- processed trajectories -------------------------------------------------------------------------------


@pytest.mark.parametrize("aggregation", ["token_mean", "sequence_mean"])
@pytest.mark.parametrize("budget", [30, 1000], ids=["several passes", "one pass"])
def test_trajectories_without_gradient_are_skipped_but_counted(aggregation: str, budget: int) -> None:
    """Compared with all six trajectories in separate passes and one step of SGD."""
    policy, brute = PlainPolicy(tiny_policy()), tiny_policy()
    batch = _batch()[:MINIBATCH]
    lengths = [len(trajectory.response.tokens) for trajectory in batch]
    total = torch.zeros(())
    for trajectory, length in zip(batch, lengths, strict=True):
        logprobs, _ = _alone(brute, trajectory)
        weight = 1 / sum(lengths) if aggregation == "token_mean" else 1 / (len(batch) * length)
        ratio = (logprobs - logprobs.detach()).exp()
        total = total - (ratio * trajectory.advantage * weight).sum()
    total.backward()
    expected = {
        name: weight.detach() - LR * (0 if weight.grad is None else weight.grad)
        for name, weight in brute.named_parameters()
    }
    _, (stats,) = _update(_learner(policy, aggregation=aggregation, budget=budget), batch)
    assert _tokens(policy.read) == 5 + 3 + 7
    assert len(policy.read) == (2 if budget == 30 else 1)
    assert sum(policy.losses) == pytest.approx(float(total.detach()), abs=1e-6)
    assert stats.policy_loss == pytest.approx(float(total.detach()), abs=1e-6)
    assert (stats.kl, stats.kl_loss) == (None, None)
    assert stats.trajectories == 6
    assert stats.tokens == sum(lengths) + sum(PROMPTS[t.response.problem_id].length for t in batch)
    assert stats.unique_tokens < stats.tokens
    _assert_weights(policy.policy, expected)


def test_with_a_kl_term_all_trajectories_are_processed() -> None:
    """Compared with an explicit k3 over all tokens, including those with zero advantage."""
    policy, reference, brute = PlainPolicy(tiny_policy()), tiny_policy(seed=1), tiny_policy()
    batch = _batch()[:MINIBATCH]
    learner = _learner(policy, reference, kl_coef=0.1)
    tokens = sum(len(trajectory.response.tokens) for trajectory in batch)
    total, kl_sum = torch.zeros(()), 0.0
    for trajectory in batch:
        logprobs, _ = _alone(brute, trajectory)
        with torch.no_grad():
            toward, _ = _alone(reference, trajectory)
        r = toward - logprobs
        kl = r.exp() - r - 1
        surrogate = (logprobs - logprobs.detach()).exp() * trajectory.advantage
        total = total + (0.1 * kl - surrogate).sum() / tokens
        kl_sum += float(kl.detach().sum())
    total.backward()
    expected = {
        name: weight.detach() - LR * (0 if weight.grad is None else weight.grad)
        for name, weight in brute.named_parameters()
    }
    scored, (stats,) = _update(learner, batch)
    assert [item.trajectory for item in scored] == batch
    assert _tokens(policy.read) == tokens
    assert stats.kl == pytest.approx(kl_sum / tokens, rel=1e-4)
    assert stats.kl_loss == pytest.approx(0.1 * kl_sum / tokens, rel=1e-4)
    _assert_weights(policy.policy, expected)


def test_the_clamp_bounds_the_gradient_after_a_step_that_is_far_too_large() -> None:
    """The first step, 400 times the usual one, starts at the reference, where the KL has no gradient."""
    norms = {}
    for maximum in (None, 10.0):
        policy = PlainPolicy(tiny_policy(), lr=400 * LR)
        learner = _learner(policy, tiny_policy(), kl_coef=0.01, kl_token_max=maximum)
        norms[maximum] = [_update(learner, _batch()[:MINIBATCH])[1][0].grad_norm for _ in range(2)]
    assert norms[None][0] == norms[10.0][0]
    assert norms[None][1] > 10_000 * norms[None][0]
    assert norms[10.0][1] < 20 * norms[10.0][0]


def test_without_any_gradient_one_filler_makes_the_step() -> None:
    """The cheapest pass is b's response of one token. Weight decay and momentum need the step."""
    policy = PlainPolicy(tiny_policy())
    weights = _weights(policy.policy)
    batch = [t for t in _batch() if not t.advantage]
    scored, (stats,) = _update(_learner(policy), batch)
    assert scored == []
    assert [batch.targets.tolist() for batch in policy.read] == [_batch()[4].response.tokens.tolist()]
    assert policy.scored == []
    assert (policy.steps, policy.losses) == (1, [0.0])
    assert (stats.ratio_mean, stats.ratio_max, stats.policy_loss, stats.grad_norm) == (1.0, 1.0, 0.0, 0.0)
    assert (stats.unique_tokens, stats.trajectories) == (0, 4)
    assert stats.covariance == {"regular": 0.0, "exploration": 0.0}
    _assert_weights(policy.policy, weights)


def test_a_minibatch_without_gradient_still_steps() -> None:
    policy = PlainPolicy(tiny_policy())
    zero_advantage = [_trajectory("b", index, 3, 0.0) for index in range(10, 16)]
    scored, stats = _update(_learner(policy), [*zero_advantage, *_batch()[:MINIBATCH]])
    assert policy.steps == len(stats) == 2
    assert len(scored) == 3
    assert stats[1].ratio_max == pytest.approx(1.0, abs=1e-5), "the first step did not change the policy"


@pytest.mark.parametrize("kl_coef", [0.0, 0.1])
def test_a_frozen_tower_runs_once_per_image(kl_coef: float) -> None:
    """Old log-probs, update and replay of a, c and d, which has a's image; b has none."""
    policy = PlainPolicy(tiny_policy(frozen=VISION))
    reference = tiny_policy(seed=1, frozen=VISION) if kl_coef else None
    tower_calls: list[int] = []
    policy.policy.model.model.visual.register_forward_hook(lambda *call: tower_calls.append(1))
    learner = _learner(policy, reference, kl_coef=kl_coef)
    scored, _ = _update(learner, _batch())
    learner.replay(scored)
    assert len(policy.read) > 2
    assert len(tower_calls) == 2


# --- replay and statistics --------------------------------------------------------------------------------


def test_a_replay_uses_its_stored_logprobs() -> None:
    """Old log-probs log 2 below the policy's: every ratio is 2 and is clipped."""
    policy = PlainPolicy(tiny_policy())
    batch = [_trajectory("a", 0, 5, 1.0), _trajectory("c", 0, 4, 1.0)]
    with torch.no_grad():
        stored = [
            ScoredTrajectory(t, _alone(policy.policy, t)[0] - torch.log(torch.tensor(2.0)), None)
            for t in batch
        ]
    weights = _weights(policy.policy)
    (stats,) = _learner(policy).replay(stored)
    assert stats.ratio_mean == pytest.approx(2.0, abs=1e-4)
    assert stats.ratio_max == pytest.approx(2.0, abs=1e-4)
    assert (stats.clipped_low, stats.clipped_high) == (0.0, 1.0)
    assert stats.policy_loss == pytest.approx(-1.2, abs=1e-4)
    assert policy.scored == []
    _assert_weights(policy.policy, weights)


def test_covariances_are_means_over_all_of_a_sources_tokens() -> None:
    """Tokens that are not processed add nothing to the sum, but are counted."""
    policy, before = PlainPolicy(tiny_policy()), tiny_policy()
    batch = [_batch()[index] for index in (0, 1, 2, 7, 8, 9)]

    def mean(trajectories: Sequence[Trajectory]) -> float:
        total = tokens = 0.0
        for trajectory in trajectories:
            with torch.no_grad():
                logprobs, entropy = _alone(before, trajectory)
            total += float(((logprobs + entropy) * trajectory.advantage).sum())
            tokens += len(trajectory.response.tokens)
        return total / tokens

    scored, (stats,) = _update(_learner(policy, budget=20), batch)
    assert stats.covariance == {
        "regular": pytest.approx(mean(batch[:3]), abs=1e-5),
        "exploration": pytest.approx(mean(batch[3:]), abs=1e-5),
    }
    before.load_state_dict(policy.policy.state_dict())
    (again,) = _learner(policy, budget=20).replay(scored)
    assert again.covariance == {"replay": pytest.approx(mean([item.trajectory for item in scored]), abs=1e-5)}


def test_a_source_without_trajectories_has_no_covariance() -> None:
    _, (stats,) = _update(_learner(PlainPolicy(tiny_policy())), _batch()[:MINIBATCH])
    assert set(stats.covariance) == {"regular"}


# --- objectives -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["grpo", "gspo", "cispo", "sapo"])
def test_every_objective_takes_the_same_step_on_policy(name: str) -> None:
    """In several passes, which need the right lengths of their responses."""
    policy, plain = PlainPolicy(tiny_policy()), PlainPolicy(tiny_policy())
    batch = _batch()[:MINIBATCH]
    _update(_learner(plain, budget=1000), batch)
    _update(_learner(policy, budget=30, name=name), batch)
    assert len(policy.read) > len(plain.read)
    _assert_weights(policy.policy, _weights(plain.policy))


def test_gspo_uses_each_responses_mean_ratio() -> None:
    """Old log-probs 0.2 and 0.4 below the policy's: ratios e^0.2 and e^0.4, the second beyond 1 + 0.3."""
    policy = PlainPolicy(tiny_policy())
    batch = [_trajectory("a", 0, 5, 1.0), _trajectory("c", 0, 2, 1.0)]
    with torch.no_grad():
        stored = [
            ScoredTrajectory(t, _alone(policy.policy, t)[0] - gap, None)
            for t, gap in zip(
                batch, (torch.tensor([0.0, 0.4, 0.2, 0.1, 0.3]), torch.tensor(0.4)), strict=True
            )
        ]
    learner = _learner(policy, name="gspo", clip_high=0.3, aggregation="sequence_mean")
    (stats,) = learner.replay(stored)
    assert stats.ratio_mean == pytest.approx((5 * 1.221403 + 2 * 1.491825) / 7, abs=1e-4)
    assert stats.clipped_high == pytest.approx(2 / 7)
    assert stats.policy_loss == pytest.approx(-(1.221403 + 1.3) / 2, abs=1e-4)


def test_an_entropy_bonus_processes_all_trajectories_and_raises_entropy() -> None:
    policy, brute = PlainPolicy(tiny_policy()), tiny_policy()
    batch = [t for t in _batch() if not t.advantage]
    tokens = sum(len(t.response.tokens) for t in batch)
    total = -torch.cat([_alone(brute, t)[1] for t in batch]).sum() * 0.5 / tokens
    total.backward()
    expected = {
        name: weight.detach() - LR * (0 if weight.grad is None else weight.grad)
        for name, weight in brute.named_parameters()
    }
    learner = _learner(policy, entropy_coef=0.5)
    learner.measure_entropy = True
    _, (stats,) = _update(learner, batch)
    _assert_weights(policy.policy, expected)
    assert stats.entropy_change > 0


def test_kl_cov_penalises_the_tokens_with_the_largest_covariance() -> None:
    """Covariances 0.9 * 1, -1 * -0.4 and 0.1 * -0.6: the first is selected; 2 * 0.3 / 3."""
    policy = PlainPolicy(tiny_policy())
    stored = []
    for name, advantage, sampled, gap in (
        ("a", 1.0, -0.1, 0.3),
        ("c", -0.4, -2.0, 9.0),
        ("b", -0.6, -0.9, 9.0),
    ):
        t = _trajectory(name, 0, 1, advantage)
        t = replace(t, response=replace(t.response, policy_logprobs=torch.tensor([sampled])))
        with torch.no_grad():
            stored.append(ScoredTrajectory(t, _alone(policy.policy, t)[0] - gap, None))
    losses = []
    for coef in (0.0, 2.0):
        plain = PlainPolicy(tiny_policy())
        _learner(plain, kl_cov_coef=coef, kl_cov_fraction=0.34, dual_clip=None).replay(stored)
        losses.append(sum(plain.losses))
    assert losses[1] - losses[0] == pytest.approx(2.0 * 0.3 / 3, abs=1e-3)


# --- importance weights -----------------------------------------------------------------------------------


def test_importance_weights_are_truncated_at_the_cap() -> None:
    """Unchanged policy, advantage 1: -1 per token, times min(exp(policy - sampler), 2), over 6 tokens."""
    policy = PlainPolicy(tiny_policy())
    trajectory = _trajectory("b", 0, 6, 1.0)
    with torch.no_grad():
        logprobs = _alone(policy.policy, trajectory)[0]
    gaps = torch.tensor([0.0, 0.5, -0.5, 2.0, -2.0, 0.1])
    sampled = replace(trajectory.response, behaviour_logprobs=logprobs - gaps)
    _update(_learner(policy, importance_cap=2.0), [replace(trajectory, response=sampled)])
    weights = [1.0, 1.6487213, 0.6065307, 2.0, 0.1353353, 1.1051709]
    assert policy.losses == [pytest.approx(-sum(weights) / 6, abs=1e-5)]


# --- measured entropy change ------------------------------------------------------------------------------


def test_the_entropy_change_is_measured_on_the_processed_tokens() -> None:
    policy, before = PlainPolicy(tiny_policy()), tiny_policy()
    batch = _batch()[:MINIBATCH]
    learner = _learner(policy, budget=30)
    learner.measure_entropy = True
    _, (stats,) = _update(learner, batch)
    read = [t for t in batch if t.advantage]
    with torch.no_grad():
        entropies = [torch.cat([_alone(model, t)[1] for t in read]) for model in (before, policy.policy)]
        covariance = torch.cat([torch.stack(_alone(before, t)).sum(dim=0) * t.advantage for t in read]).mean()
    assert stats.entropy_change == pytest.approx(float((entropies[1] - entropies[0]).mean()), abs=1e-5)
    assert stats.entropy_predicted == pytest.approx(-LR * float(covariance), abs=1e-6)


def test_the_entropy_change_is_not_measured_by_default_or_without_gradients() -> None:
    policy = PlainPolicy(tiny_policy())
    _, (stats,) = _update(_learner(policy), _batch()[:MINIBATCH])
    assert (stats.entropy_change, stats.entropy_predicted, policy.scored) == (None, None, [])
    learner = _learner(policy)
    learner.measure_entropy = True
    _, (stats,) = _update(learner, [t for t in _batch() if not t.advantage])
    assert (stats.entropy_change, stats.entropy_predicted, policy.scored) == (None, None, [])


def test_unused_scored_trajectories_are_not_made_and_change_nothing() -> None:
    batch = _batch()[:MINIBATCH]
    nothing: list[torch.Tensor | None] = [None] * MINIBATCH
    (_, expected), (scored, stats) = (
        _learner(PlainPolicy(tiny_policy())).update(batch, nothing, nothing, needs_scored=needed)
        for needed in (True, False)
    )
    assert scored == []
    assert stats == expected
