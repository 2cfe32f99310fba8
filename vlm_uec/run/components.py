"""Builds the components of a run from its config: data, policy, sampler, learner, trainer, validation."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch

from vlm_uec.checkpoint import load_state
from vlm_uec.checkpoint.state import Origin, TrainState
from vlm_uec.collector import Collector, Judge
from vlm_uec.config import Config
from vlm_uec.config.cautions import cautions, cpu_cautions
from vlm_uec.data.dataset import data_fingerprint
from vlm_uec.data.encode import PromptEncoder
from vlm_uec.data.mixture import load_mixture
from vlm_uec.data.prompts import PromptSet, prepare_prompts
from vlm_uec.data.schedule import ProblemSchedule, mixture_parts
from vlm_uec.errors import UserError
from vlm_uec.forecast.preflight import preflight
from vlm_uec.hub import model_fingerprint
from vlm_uec.model.load import end_ids, read_model_config
from vlm_uec.ranks.collectives import gather_lists, on_first_rank, rank, world_size
from vlm_uec.ranks.heartbeat import HeartbeatMonitor
from vlm_uec.ranks.signals import StopRequest
from vlm_uec.rewards import check_reward_function, judge, load_reward_function
from vlm_uec.rollout.engine import OnProgress, Progress, RolloutEngine
from vlm_uec.rollout.native import NativeEngine
from vlm_uec.rollout.vllm.engine import VllmEngine
from vlm_uec.rollout.vllm.host import VllmHost
from vlm_uec.run.budget import FILE, load_budget, save_budget
from vlm_uec.run.run_dir import StartPoint, open_run_dir
from vlm_uec.run.validation import Validation
from vlm_uec.telemetry.display import Display
from vlm_uec.timers import PhaseTimer
from vlm_uec.trainer import Trainer
from vlm_uec.update.learner import Learner, PromptTable
from vlm_uec.update.microbatches import PassBudget
from vlm_uec.verifier import Strictness
from vlm_uec.zero.build import build_policy, build_reference
from vlm_uec.zero.config import partition_layout, read_deepspeed_config
from vlm_uec.zero.engine import ZeroPolicy

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Components:
    """The parts of a run on one rank that stay the same from step to step."""

    config: Config
    request: StopRequest
    display: Display
    timer: PhaseTimer
    start: StartPoint
    state: TrainState  # the checkpoint's, without its buffers: the trainer keeps those
    origin: Origin
    host: VllmHost | None
    encoder: PromptEncoder
    prompts: PromptSet
    policy: ZeroPolicy
    collector: Collector
    trainer: Trainer
    validation: Validation | None  # None if train.eval_every is 0
    on_progress: OnProgress

    @property
    def run_dir(self) -> Path:
        return Path(self.config.train.run_dir)


def build_components(
    config: Config, request: StopRequest, monitor: HeartbeatMonitor | None = None
) -> Components:
    """Builds all components, after every check that needs no model; every rank calls it.

    `request`: a pending signal; `monitor` publishes this rank's phase to the others. Raises `UserError`.
    """
    display = Display(active=rank() == 0, steps=config.train.steps, monitor=monitor)
    model_config = read_model_config(config.model.path)  # raises for an unsupported model
    start = open_run_dir(config)
    preflight(config, world_size(), check_disk=start.trained < config.train.steps)
    host = VllmHost(config) if config.rollout.engine == "vllm" else None
    if host:
        host.check()
    for line in [*cautions(config), *([] if torch.cuda.is_available() else cpu_cautions(config))]:
        display.line(f"warning: {line}")
    for line in start.changed_settings:
        display.line(f"resuming with a changed setting: {line}")
    reward_function = load_reward_function(config.reward.function)
    encoder = PromptEncoder.from_config(config)
    prompts, schedule = _training_prompts(config, encoder, display)
    held_out = _held_out_prompts(config, encoder, display) if config.train.eval_every else None
    problems = list(prompts.problems.values())
    on_first_rank(lambda: check_reward_function(reward_function, problems[0]))
    deepspeed_config = read_deepspeed_config(config.deepspeed.config, config.model.precision, config.optim)
    fingerprints = gather_lists(
        lambda: [model_fingerprint(config.model.path, model_config, "model.path")] if rank() == 0 else []
    )
    origin = Origin(
        data=data_fingerprint(problems), model=fingerprints[0], layout=partition_layout(deepspeed_config)
    )
    state = _saved_state(config, start, origin)
    judge_response = partial(
        judge,
        function=reward_function,
        format_weight=config.reward.format_weight,
        prompt=encoder.format_prompt,
        strictness=Strictness(config.reward.thinking, config.reward.statements),
    )
    parts = _PartsBeforeModel(
        config, request, display, PhaseTimer(), host, encoder, prompts, schedule, held_out, judge_response
    )
    return parts.assemble(start, state, origin)


@dataclass(frozen=True)
class _PartsBeforeModel:
    """The components that do not need the model."""

    config: Config
    request: StopRequest
    display: Display
    timer: PhaseTimer
    host: VllmHost | None
    encoder: PromptEncoder
    prompts: PromptSet
    schedule: ProblemSchedule
    held_out: PromptSet | None
    judge: Judge

    def assemble(self, start: StartPoint, state: TrainState, origin: Origin) -> Components:
        """Loads the model and builds the components that need it."""
        config, tokenizer = self.config, self.encoder.tokenizer
        self.display.start_phase("loading the model")
        stop_ids = end_ids(config.model.path, tokenizer)
        policy = build_policy(config, tokenizer)
        learner = self._learner(policy)
        engine = self._engine(policy, stop_ids)
        collector = self._collector(engine)
        trainer = Trainer(
            config,
            policy,
            collector,
            learner,
            self.schedule,
            self.timer,
            announce=self.display.start_phase,
            report=self.display.line,
            on_progress=self._on_progress,
        )
        trainer.restore(state)
        validation = None
        if self.held_out is not None:
            validation = Validation(config, self.held_out, engine, self.encoder.response_text, self.judge)
        return Components(
            config=config,
            request=self.request,
            display=self.display,
            timer=self.timer,
            start=start,
            state=replace(state, pending=(), replay=()),
            origin=origin,
            host=self.host,
            encoder=self.encoder,
            prompts=self.prompts,
            policy=policy,
            collector=collector,
            trainer=trainer,
            validation=validation,
            on_progress=self._on_progress,
        )

    def _on_progress(self, progress: Progress) -> None:
        self.display.progress(progress)
        self.request.check()

    def _learner(self, policy: ZeroPolicy) -> Learner:
        config = self.config
        return Learner(
            policy,
            build_reference(config, self.encoder.tokenizer, policy),
            PromptTable(self.prompts.tokens, self.prompts.encode),
            config.loss,
            minibatch=config.optim.minibatch * config.rollout.n,
            max_tokens=config.rollout.max_tokens,
            budget=_pass_budget(config, self.display),
            on_pass=self.display.record_progress,
            measure_entropy=config.train.measure_entropy,
        )

    def _engine(self, policy: ZeroPolicy, stop_ids: frozenset[int]) -> RolloutEngine:
        config = self.config
        if self.host is None:
            sets = [self.prompts] if self.held_out is None else [self.prompts, self.held_out]
            longest = max(max(prompts.tokens.values()) for prompts in sets)
            return NativeEngine(policy.policy, stop_ids, config.rollout.slots, longest)
        return VllmEngine(
            policy.policy,
            stop_ids,
            self.host.address,
            max_positions=config.optim.microbatch_tokens,
            stall_timeout=config.guard.stall_timeout,
        )

    def _collector(self, engine: RolloutEngine) -> Collector:
        config = self.config
        return Collector(
            engine,
            self.prompts,
            self.encoder.response_text,
            self.judge,
            config.rollout,
            config.exploration,
            seed=config.train.seed,
            scaled=config.advantage.scaled,
            overlong_buffer=config.reward.overlong_buffer,
            overlong_weight=config.reward.overlong_penalty,
        )


def _training_prompts(
    config: Config, encoder: PromptEncoder, display: Display
) -> tuple[PromptSet, ProblemSchedule]:
    weights = config.data.weights
    prompts, ids = _prompts(list(weights), config.data.train_split, encoder, display)
    usable = {path: [name for name in ids[path] if name in prompts.problems] for path in weights}
    return prompts, ProblemSchedule(mixture_parts(usable, weights, config.rollout.prompts), config.train.seed)


def _held_out_prompts(config: Config, encoder: PromptEncoder, display: Display) -> PromptSet:
    path = config.data.validation_path or str(config.data.path)
    return _prompts([path], config.data.validation_split, encoder, display)[0]


def _prompts(
    paths: list[str], split: str, encoder: PromptEncoder, display: Display
) -> tuple[PromptSet, Mapping[str, Sequence[str]]]:
    loaded = load_mixture(paths, split)
    prompts = prepare_prompts(loaded.problems, encoder)
    for reason, count in (loaded.rejected + prompts.rejected).items():
        display.line(f"{split}: left out {count} ({reason})")
    display.line(f"{split}: {len(prompts.problems)} problems")
    return prompts, loaded.ids


def _saved_state(config: Config, start: StartPoint, origin: Origin) -> TrainState:
    """The checkpoint's state, verified before the model is loaded."""
    if start.checkpoint is None:
        return TrainState()
    state = load_state(start.checkpoint, origin)
    if config.loss.kl_coef and any(item.reference_logprobs is None for item in state.replay):
        raise UserError(
            f"{start.checkpoint}: its replay buffer was filled at loss.kl_coef 0; keep 0 or start a new run"
        )
    return state


def _pass_budget(config: Config, display: Display) -> PassBudget:
    """The configured micro-batch size, or the smaller one that this run reduced it to before it stopped."""
    run_dir, configured = Path(config.train.run_dir), config.optim.microbatch_tokens
    positions = gather_lists(lambda: [load_budget(run_dir, configured)] if rank() == 0 else [])[0]
    if positions < configured:
        display.line(f"micro-batches have {positions} positions: more did not fit ({run_dir / FILE})")

    def save(positions: int, why: str) -> None:
        log.warning("%s: micro-batches have %d positions from now on", why, positions)
        try:
            save_budget(run_dir, positions, why)
        except OSError as error:
            log.warning("%s: cannot be written (%s); lower optim.microbatch_tokens", FILE, error.strerror)

    return PassBudget(positions, save)
