"""The config's sections and keys, with their defaults and bounds.

docs/config.md is generated from this file: section docstrings, bounds, defaults and descriptions.
"""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from vlm_uec.algorithm.objectives import algorithm_names, loss_names
from vlm_uec.config.fields import Choices
from vlm_uec.config.rules import find_contradiction
from vlm_uec.verifier.strictness import Statements, Thinking

# Names of files, splits and functions, without control characters.
Name = Annotated[str, Field(min_length=1, pattern=r"^\P{Cc}+$")]

LoraTarget = Literal["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


class Section(BaseModel):
    # Strict: `true` is not a number, "5" is not a whole number, and 1 is not true.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class ModelConfig(Section):
    """The trained policy: weights, precision and frozen parts."""

    path: Name = Field(description="Hugging Face directory or Hub id of the Qwen2.5-VL to start from.")
    precision: Literal["fp32", "bf16"] = Field(
        "bf16",
        description="Precision of weights and activations: bf16 for GPUs, at half the memory; fp32 for CPUs.",
    )
    freeze_vision: bool = Field(
        False,
        description="Freeze the vision tower. Each rank then caches up to 4 GiB of its features.",
    )
    freeze_projector: bool | None = Field(
        None,
        description="Freeze the projector from the vision tower to the text model; null: same as "
        "freeze_vision.",
    )
    activation_checkpointing: bool = Field(
        True,
        description="Recompute activations in the backward pass: less memory, one more forward pass per "
        "update.",
    )


class LoraConfig(Section):
    """Low-rank adapters (LoRA), trained instead of the weights."""

    rank: int | None = Field(
        None, ge=1, le=1024, description="Rank of the adapters; null: no adapters, the weights are trained."
    )
    alpha: float = Field(
        32.0, gt=0, description="Scaling: the adapter's output is multiplied by alpha / rank."
    )
    targets: list[LoraTarget] = Field(
        list(get_args(LoraTarget)),
        min_length=1,
        description="Matrices of every text layer that have an adapter.",
    )
    vision: bool = Field(
        False,
        description="Add adapters to the vision tower, too. If false, the tower is frozen, and each rank "
        "caches up to 4 GiB of its features.",
    )
    export: Literal["merged", "adapter"] = Field(
        "merged", description="Export the merged model, or only the adapters in peft's format."
    )


class DataConfig(Section):
    """The data sets, and the limits on image and prompt size."""

    path: Name | None = Field(
        None,
        description="Directory written by data_prep, directory of parquet files, or Hub id; null: use "
        "mixture.",
    )
    mixture: dict[Name, Annotated[float, Field(gt=0, le=1_000_000)]] | None = Field(
        None,
        description="Several data sets instead of path, each with its relative share of a step's prompts.",
    )
    validation_path: Name | None = Field(
        None, description="Data set of the validation problems; null: same as path."
    )
    train_split: Name = Field("train", description="Split used for training.")
    validation_split: Name = Field("validation", description="Split used to measure eval/pass@1.")
    min_pixels: int = Field(262_144, ge=1, description="Smaller images are enlarged to this many pixels.")
    max_pixels: int = Field(
        4_194_304,
        ge=1,
        description="Larger images are shrunk to this many pixels; 28 x 28 pixels are one prompt token.",
    )
    max_prompt_tokens: int = Field(
        2048,
        ge=1,
        le=2**20,
        description="Longer prompts, images included, are dropped and counted, never truncated.",
    )

    @property
    def weights(self) -> dict[str, float]:
        """Every data set trained on, with its weight."""
        return self.mixture or {str(self.path): 1.0}


class PromptConfig(Section):
    """The prompt template around a question."""

    template: str | None = Field(
        None,
        description="jinja text, or the path of a .jinja file; variables: question, choices, precision, "
        "question_type, answer_type, source, metadata; null: the reference template (reason in <think> "
        "tags, answer in \\boxed{}).",
    )


class RolloutConfig(Section):
    """The regular responses of every step."""

    engine: Literal["native", "vllm"] = Field(
        "native", description="Sampler: the trainer's own, or a vLLM server that receives the weights."
    )
    prompts: int = Field(512, ge=1, le=1_000_000, description="|B|: prompts per step, over all ranks.")
    n: int = Field(
        5, ge=2, le=4096, description="G: responses per prompt; advantages are relative to this group."
    )
    temperature: float = Field(1.0, ge=0.01, le=4, description="t: softmax temperature of sampling.")
    top_p: float = Field(
        0.99,
        gt=0,
        le=1,
        description="Nucleus sampling: draw only from the most likely tokens with this total probability; "
        "1: all tokens. Also used by exploration and validation.",
    )
    max_tokens: int = Field(
        2048,
        ge=1,
        le=2**20,
        description="Maximum response length in tokens; also used by exploration and validation.",
    )
    slots: int | None = Field(
        None,
        ge=8,
        le=4096,
        description="Responses decoded at the same time on a rank; null: as many as fit in free GPU "
        "memory, 64 on a CPU.",
    )
    offload_states: bool = Field(
        False,
        description="Keep Adam's moments (8 bytes per trained weight) in host memory during a rollout: more "
        "slots fit, but each step copies them twice.",
    )


class VllmConfig(Section):
    """The vLLM server of `rollout.engine: vllm`; see docs/vllm.md."""

    python: Name | None = Field(
        None,
        description="Python executable of an environment with vLLM; the trainer starts a server with it.",
    )
    address: Name | None = Field(
        None,
        description="HOST:PORT of a running server, instead of python; its secret is read from "
        "VLM_UEC_VLLM_KEY.",
    )
    devices: Name | None = Field(
        None,
        description="CUDA_VISIBLE_DEVICES of the started server; null: the trainer's devices are shared.",
    )
    options: dict[Name, bool | int | float | str] = Field(
        {}, description="vLLM engine arguments for the started server, for example {tensor_parallel_size: 2}."
    )


class ExplorationConfig(Section):
    """Additional responses at a higher temperature to difficult prompts (all regular responses failed)."""

    enabled: bool = Field(False, description="Explore difficult prompts.")
    n: int = Field(20, ge=2, le=4096, description="G': additional responses to a difficult prompt.")
    temperature: float = Field(
        1.2,
        ge=0.01,
        le=4,
        description="t': sampling temperature of exploration, at least rollout.temperature.",
    )


class RetentionConfig(Section):
    """Selective retention: the trajectories that are used for an update."""

    regular: bool = Field(False, description="Filter regular trajectories by threshold.")
    threshold: float = Field(
        0.05, ge=0, description="Keep regular trajectories with |advantage| above this value."
    )
    mixed_groups: bool = Field(
        False,
        description="Keep regular trajectories only of prompts with both right and wrong responses (DAPO).",
    )
    exploration: bool = Field(
        False, description="Filter exploration trajectories by the rule named in retain."
    )
    retain: Literal["positive", "magnitude"] = Field(
        "positive",
        description="Rule for exploration trajectories: advantage > 0 (paper), or |advantage| > magnitude "
        "(reference code). Wrong ones with a positive advantage, from the format reward or a length penalty, "
        "are never kept.",
    )
    magnitude: float = Field(
        1.0,
        ge=0,
        description="Threshold of the magnitude rule; a later revision of the reference code uses 0.5.",
    )


class PendingConfig(Section):
    """The pending queue, which collects retained trajectories until they fill a batch."""

    enabled: bool = Field(
        False,
        description="Update only on whole multiples of |B| x G trajectories; false: each step trains on the "
        "trajectories it retained.",
    )


class OverlongFilterConfig(Section):
    """Filter for right answers that were truncated."""

    enabled: bool = Field(
        False, description="Drop trajectories with positive advantage that were truncated at max_tokens."
    )


class StabilizerConfig(Section):
    """The entropy stabiliser: a replay buffer of high-advantage trajectories."""

    enabled: bool = Field(False, description="Replay high-advantage trajectories every few steps.")
    capacity: float = Field(
        2.0,
        gt=0,
        le=1000,
        description="s': size of the buffer in units of |B| x G trajectories; the newest are kept.",
    )
    frequency: int = Field(
        5,
        ge=1,
        description="f_replay: steps between replays; a replay trains once on the buffer, in as many "
        "updates as capacity.",
    )
    min_advantage: float = Field(
        1.0, description="A0: only trajectories with a larger advantage enter the buffer."
    )
    retain: Literal["positive", "magnitude"] = Field(
        "positive",
        description="What min_advantage is compared with: the advantage (paper), or |advantage| (reference "
        "code), which also replays wrong responses to easy prompts. Wrong responses with a positive "
        "advantage never enter the buffer.",
    )


class AdvantageConfig(Section):
    """Computation of advantages from a group's rewards."""

    scaled: bool = Field(
        True, description="Divide by the group's standard deviation (GRPO); false: R - mean (Dr. GRPO)."
    )


class LossConfig(Section):
    """The policy objective and its additional terms."""

    name: Annotated[str, Choices(loss_names)] = Field(
        "grpo",
        description="Loss: PPO's clip of each token's ratio (grpo) or of a response's ratio (gspo), a "
        "clipped weight without gradient (cispo), a soft gate (sapo), or no clip (unclipped, "
        "for KL-Cov).",
    )
    clip_low: float = Field(
        0.2,
        ge=0,
        le=1,
        description="Ratios below 1 - clip_low have no gradient if the advantage is negative. cispo: "
        "weights are clipped at this lower bound; 1 disables it.",
    )
    clip_high: float = Field(
        0.2,
        gt=0,
        description="Ratios above 1 + clip_high have no gradient if the advantage is positive. cispo: "
        "weights are clipped at this upper bound.",
    )
    dual_clip: float | None = Field(
        3.0,
        gt=1,
        description="grpo: ratios above it have no gradient if the advantage is negative; null: no bound.",
    )
    tau_positive: float = Field(
        1.0, gt=0, description="sapo: temperature of the gate for advantage > 0; larger closes faster."
    )
    tau_negative: float = Field(
        1.05, gt=0, description="sapo: temperature of the gate for advantage < 0; larger closes faster."
    )
    aggregation: Literal["token_mean", "sequence_mean", "constant"] = Field(
        "token_mean",
        description="Mean over a mini-batch: over all tokens (token_mean), over responses' means "
        "(sequence_mean), or over responses' sums / rollout.max_tokens (constant).",
    )
    entropy_coef: float = Field(
        0.0, ge=0, description="Weight of the entropy bonus in the objective; 0: none."
    )
    kl_cov_coef: float = Field(
        0.0,
        ge=0,
        description="Weight of |log p - log old| on the tokens with the largest covariance (KL-Cov); 0: "
        "none.",
    )
    kl_cov_fraction: float = Field(
        2e-3, gt=0, le=1, description="KL-Cov: share of tokens that get the penalty."
    )
    kl_coef: float = Field(
        1e-2,
        ge=0,
        description="Weight of the KL to the starting policy; 0: the reference policy is not loaded.",
    )
    kl_estimator: Literal["k1", "k2", "k3"] = Field(
        "k3", description="Schulman's estimator of that KL; the gradient of k1 is zero on average."
    )
    kl_token_max: float | None = Field(
        None,
        gt=0,
        description="Clamp each token's KL estimate to this size, as veRL, EasyR1 and the reference code do "
        "(at 10): tokens beyond it have no KL gradient; null: no clamp, the published formula.",
    )
    importance_cap: float | None = Field(
        None,
        gt=0,
        description="Weight tokens by the ratio of policy to sampler probability, truncated at this cap; "
        "null: no weights (paper).",
    )


class OptimConfig(Section):
    """AdamW, and the learning rate of each trainer step."""

    lr: float = Field(1e-6, gt=0, le=1, description="Learning rate: the highest, reached after the warm-up.")
    warmup_steps: int = Field(
        0,
        ge=0,
        description="First trainer steps, in which the rate rises linearly from lr / warmup_steps to lr.",
    )
    decay: Literal["constant", "linear", "cosine"] = Field(
        "constant",
        description="Course of the rate after the warm-up, from lr towards lr * min_ratio at the end of "
        "train.steps.",
    )
    min_ratio: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Share of lr that a linear or cosine decay would reach after the last step.",
    )
    weight_decay: float = Field(
        1e-2, ge=0, description="Decoupled weight decay, multiplied by lr in each step."
    )
    max_grad_norm: float = Field(
        1.0, gt=0, description="Gradients with a larger norm are scaled down to this norm."
    )
    minibatch: int = Field(
        128,
        ge=1,
        description="Mini-batch of an optimizer step in prompts: minibatch x G trajectories over all ranks.",
    )
    microbatch_tokens: int = Field(
        8192,
        ge=1,
        description="Maximum positions of one forward pass on a rank; a prompt counts once for all its "
        "responses. Larger is faster and needs more memory; results differ only by rounding.",
    )


class RewardConfig(Section):
    """The reward of a response."""

    function: Name = Field(
        "accuracy",
        description="Accuracy from the verifier (accuracy), from mathruler on the last box (mathruler), or "
        'from a plug-in "path/to/file.py:function".',
    )
    thinking: Thinking = Field(
        "ignore",
        description="For accuracy; accept: a box inside the thinking counts if no answer follows the "
        "thinking, as for mathruler; ignore: it never counts.",
    )
    statements: Statements = Field(
        "accept",
        description='For accuracy; accept: an <answer> tag or a sentence such as "The answer is 15." '
        "counts if there is no box; boxed_only: only a box counts, as for EasyR1.",
    )
    format_weight: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Weight w of the format reward: the reward is (1 - w) accuracy + w format.",
    )
    overlong_buffer: float | None = Field(
        None,
        gt=0,
        le=1,
        description="Last part of rollout.max_tokens, as a fraction, in which the reward falls linearly, "
        "by overlong_penalty at the limit; null: no penalty.",
    )
    overlong_penalty: float = Field(
        0.5,
        gt=0,
        le=10,
        description="What a response at the length limit loses. DAPO takes 1 from rewards of -1 and 1; with "
        "rewards of 0 and 1, half of it is the same.",
    )


class DeepSpeedConfig(Section):
    """Sharding of weights, gradients and optimizer states."""

    config: Name = Field(
        "configs/zero3.json",
        description="ZeRO-3 JSON file; zero3_offload.json needs less GPU memory and is slower.",
    )


class EvalConfig(Section):
    """Validation during training, with rollout's top_p and max_tokens."""

    n: int = Field(
        1, ge=1, description="Responses per validation problem; if more than 1, eval/pass@n is also logged."
    )
    temperature: float = Field(0.5, ge=0, le=4, description="Sampling temperature of validation; 0: greedy.")
    problems: int | None = Field(
        None, ge=1, description="Validate only on the first problems, at most this many; null: all."
    )


class TrainConfig(Section):
    """Length, seed, checkpoints and output of the run."""

    steps: int = Field(ge=1, description="Trainer steps, including steps without an update.")
    max_response_tokens: int | None = Field(
        None,
        ge=1,
        description="End the run before `steps` when this many tokens have been sampled, including "
        "exploration, for comparisons at equal cost; null: no limit.",
    )
    seed: int = Field(1, ge=0, description="Seed of prompt order, sampling and replay.")
    eval_every: int = Field(
        0,
        ge=0,
        description="Steps between validations; the last step is always validated; 0: never validate.",
    )
    eval_at_start: bool = Field(
        False,
        description="Validate the starting model, too, and log it as step 0; needs eval_every.",
    )
    save_every: int = Field(
        0, ge=0, description="Steps between checkpoints; the last step always writes one."
    )
    keep: int = Field(
        2,
        ge=1,
        description="Number of newest checkpoints kept; each has 12 bytes per trained weight (7B: 100 GB).",
    )
    keep_best: int = Field(
        1,
        ge=0,
        description="Number of best checkpoints by eval/pass@1 kept in addition; `checkpoints/best` "
        "points to the best.",
    )
    measure_entropy: bool = Field(
        False,
        description="Measure each optimizer step's change of entropy with one more pass over its tokens, "
        "and log it with the predicted change.",
    )
    trackers: list[Literal["tensorboard", "wandb"]] = Field(
        ["tensorboard"],
        description="Trackers besides metrics.jsonl, under the same metric names; wandb must be installed "
        "separately; it reads WANDB_MODE, WANDB_PROJECT and its other variables.",
    )
    run_dir: Name = Field(description="Directory for metrics, samples, checkpoints, export and report.")


class GuardConfig(Section):
    """Alarms and timeouts of a run; see docs/reliability.md."""

    bad_updates: int = Field(
        3,
        ge=1,
        description="Consecutive updates with a non-finite loss or gradient after which the run ends. "
        "Each of them is skipped.",
    )
    entropy_low: float = Field(
        0.2,
        ge=0,
        lt=1,
        description="Alarm (collapse) below this fraction of the first steps' entropy; 0: no alarm.",
    )
    entropy_high: float = Field(
        3.0, gt=1, description="Alarm (explosion) above this multiple of the first steps' entropy."
    )
    entropy_window: int = Field(
        10,
        ge=1,
        description="Number of steps in the compared means of entropy: of the first steps and of the last.",
    )
    start_timeout: float = Field(
        600,
        ge=5,
        description="Seconds that ranks wait for each other at the start, after importing libraries.",
    )
    rank_timeout: float = Field(
        120,
        ge=2,
        description="Seconds without a heartbeat from a rank after which the other ranks end. On its own "
        "machine, a dead rank is detected at once.",
    )
    stall_timeout: float = Field(
        3600,
        ge=10,
        description="Seconds without progress on any rank (a new phase, or tokens in a rollout) after "
        "which all end; must be longer than the longest update or checkpoint.",
    )


class Config(Section):
    """One run."""

    algorithm: Annotated[str, Choices(algorithm_names)] = Field(
        "uec",
        description="Preset: an objective, with +uec also the settings of UEC-RL; uec is grpo+uec. Other "
        "arguments override its settings.",
    )
    model: ModelConfig
    lora: LoraConfig = LoraConfig()
    data: DataConfig
    prompt: PromptConfig = PromptConfig()
    rollout: RolloutConfig = RolloutConfig()
    vllm: VllmConfig = VllmConfig()
    exploration: ExplorationConfig = ExplorationConfig()
    retention: RetentionConfig = RetentionConfig()
    pending: PendingConfig = PendingConfig()
    overlong_filter: OverlongFilterConfig = OverlongFilterConfig()
    stabilizer: StabilizerConfig = StabilizerConfig()
    advantage: AdvantageConfig = AdvantageConfig()
    loss: LossConfig = LossConfig()
    optim: OptimConfig = OptimConfig()
    reward: RewardConfig = RewardConfig()
    deepspeed: DeepSpeedConfig = DeepSpeedConfig()
    evaluation: EvalConfig = EvalConfig()
    train: TrainConfig
    guard: GuardConfig = GuardConfig()
    resume: Name = Field(
        "never",
        description='"never" requires a new run_dir, "auto" resumes from its newest checkpoint if it '
        "has one, a path selects a checkpoint.",
    )

    @property
    def unit(self) -> int:
        """|B| x G: trajectories of one full batch."""
        return self.rollout.prompts * self.rollout.n

    @model_validator(mode="after")
    def _consistent(self) -> Config:
        if message := find_contradiction(self):
            raise ValueError(message)
        return self
