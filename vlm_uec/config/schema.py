"""The config's sections and keys, with their defaults and bounds.

docs/config.md is generated from this file: section docstrings, bounds, defaults and descriptions.
"""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from vlm_uec.algorithm.objectives import algorithm_names, loss_names
from vlm_uec.config.fields import Choices
from vlm_uec.config.rules import contradiction

# Names of files, splits and functions: a control character in one is a mistake or an attack.
Name = Annotated[str, Field(min_length=1, pattern=r"^\P{Cc}+$")]


Target = Literal["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


class Section(BaseModel):
    # Strict: `true` is no number, "5" no whole number, and 1 no switch.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class ModelConfig(Section):
    """The policy that is trained, and how it lies in memory."""

    path: Name = Field(description="Hugging Face directory or Hub id of the Qwen2.5-VL to start from.")
    precision: Literal["fp32", "bf16"] = Field(
        "bf16", description="Weights and activations: bf16 for GPUs, at half the memory; fp32 for CPUs."
    )
    freeze_vision: bool = Field(
        False,
        description="Do not train the vision tower; each rank then keeps up to 4 GiB of its features.",
    )
    freeze_projector: bool | None = Field(
        None,
        description="Do not train the projector from the tower to the text model; null: as freeze_vision.",
    )
    activation_checkpointing: bool = Field(
        True, description="Compute activations again in backward: less memory, one more forward an update."
    )


class LoraConfig(Section):
    """Low-rank adapters, trained in place of the weights."""

    rank: int | None = Field(
        None, ge=1, le=1024, description="Rank of the adapters; null: none, the weights are trained."
    )
    alpha: float = Field(32.0, gt=0, description="Scale: an adapter counts alpha / rank times.")
    targets: list[Target] = Field(
        list(get_args(Target)), min_length=1, description="Matrices of every text layer that have an adapter."
    )
    vision: bool = Field(
        False,
        description="Adapters in the vision tower, too; without them it is frozen, and each rank keeps up to "
        "4 GiB of its features.",
    )
    export: Literal["merged", "adapter"] = Field(
        "merged", description="What is exported: a whole model, or adapters alone for peft."
    )


class DataConfig(Section):
    """The problems, and which of their pictures and prompts are small enough."""

    path: Name | None = Field(
        None, description="Directory of data_prep, directory of parquet files, or Hub id; null: see mixture."
    )
    mixture: dict[Name, Annotated[float, Field(gt=0, le=1_000_000)]] | None = Field(
        None,
        description="Instead of path: several such, each with its share of a step's prompts (relative).",
    )
    validation_path: Name | None = Field(
        None, description="Where validation problems come from; null: from path."
    )
    train_split: Name = Field("train", description="Split that is trained on.")
    validation_split: Name = Field("validation", description="Split that eval/pass@1 is measured on.")
    min_pixels: int = Field(262_144, ge=1, description="Smaller pictures are enlarged to this many pixels.")
    max_pixels: int = Field(
        4_194_304,
        ge=1,
        description="Larger pictures are shrunk to this many pixels; 28 x 28 of them are one prompt token.",
    )
    max_prompt_tokens: int = Field(
        2048,
        ge=1,
        le=2**20,
        description="Longer prompts, pictures included, are left out and counted, never cut.",
    )

    @property
    def weights(self) -> dict[str, float]:
        """Every data set trained on, with its weight."""
        return self.mixture or {str(self.path): 1.0}


class PromptConfig(Section):
    """The text around a question."""

    template: str | None = Field(
        None,
        description="jinja text, or the path of a .jinja file, that sees the problem but its answer; null: "
        "the reference's (reason in <think> tags, answer in \\boxed{}).",
    )


class RolloutConfig(Section):
    """The regular responses of every step."""

    engine: Literal["native", "vllm"] = Field(
        "native", description="Sampler: this trainer's own, or a vLLM server that is sent its weights."
    )
    prompts: int = Field(512, ge=1, le=1_000_000, description="|B|: prompts a step, over all ranks.")
    n: int = Field(5, ge=2, le=4096, description="G: responses a prompt, whose rewards are compared.")
    temperature: float = Field(1.0, ge=0.01, le=4, description="t: softmax temperature of sampling.")
    top_p: float = Field(
        0.99,
        gt=0,
        le=1,
        description="Nucleus: only the likeliest tokens of this total probability are drawn; 1: all. "
        "Exploration and validation use it too.",
    )
    max_tokens: int = Field(
        2048,
        ge=1,
        le=2**20,
        description="Response tokens after which it is cut off, exploration and validation too.",
    )
    slots: int | None = Field(
        None,
        ge=8,
        le=4096,
        description="Responses decoded at a time on a rank; null: what free GPU memory holds, 64 on a CPU.",
    )
    offload_states: bool = Field(
        False,
        description="Adam's moments (8 bytes a trained weight) are in host memory while a rollout lasts: "
        "room for more slots, at two copies a step.",
    )


class VllmConfig(Section):
    """Where vLLM is, for `rollout.engine: vllm`; see docs/vllm.md."""

    python: Name | None = Field(
        None, description="Python of an environment that has vLLM: the trainer starts a server with it."
    )
    address: Name | None = Field(
        None, description="HOST:PORT of a server that runs already, instead; its secret in VLM_UEC_VLLM_KEY."
    )
    devices: Name | None = Field(
        None,
        description="CUDA_VISIBLE_DEVICES of the server started; null: the trainer's own, shared.",
    )
    options: dict[Name, bool | int | float | str] = Field(
        {}, description="vLLM's engine arguments for the server started, as {tensor_parallel_size: 2}."
    )


class ExplorationConfig(Section):
    """More and hotter responses to difficult prompts: those on which every regular response failed."""

    enabled: bool = Field(False, description="Explore difficult prompts.")
    n: int = Field(20, ge=2, le=4096, description="G': more responses to a difficult prompt.")
    temperature: float = Field(1.2, ge=0.01, le=4, description="t': their temperature, at least rollout's.")


class RetentionConfig(Section):
    """Which trajectories are worth a gradient."""

    regular: bool = Field(False, description="Keep regular trajectories only by the rule of threshold.")
    threshold: float = Field(0.05, ge=0, description="Of regular ones, keep those of |advantage| above it.")
    mixed_groups: bool = Field(
        False,
        description="Keep regular trajectories only of prompts with right and wrong ones (DAPO).",
    )
    exploration: bool = Field(False, description="Keep exploration trajectories only by the rule of retain.")
    retain: Literal["positive", "magnitude"] = Field(
        "positive",
        description="Of exploration, keep advantage > 0 (paper) or |advantage| > magnitude (its code).",
    )
    magnitude: float = Field(1.0, ge=0, description="Bound of that second rule; a later revision has 0.5.")


class PendingConfig(Section):
    """The queue in which retained trajectories wait for a whole batch."""

    enabled: bool = Field(
        False, description="Update on whole multiples of |B| x G; off: each step trains on what it has."
    )


class OverlongFilterConfig(Section):
    """Right answers that never stop."""

    enabled: bool = Field(
        False, description="Drop trajectories of positive advantage that max_tokens cut off."
    )


class StabilizerConfig(Section):
    """The entropy stabiliser: a replay buffer of high-advantage trajectories."""

    enabled: bool = Field(False, description="Train on good trajectories again every few steps.")
    capacity: float = Field(
        2.0, gt=0, le=1000, description="s': size of the buffer in units of |B| x G; the newest stay."
    )
    frequency: int = Field(
        5,
        ge=1,
        description="f_replay: steps from one replay to the next; one reads the buffer, as capacity updates.",
    )
    min_advantage: float = Field(1.0, description="A0: only trajectories of an advantage above it are kept.")


class AdvantageConfig(Section):
    """How a group's rewards become advantages."""

    scaled: bool = Field(
        True, description="Divide by the group's standard deviation (GRPO); off: R - mean (Dr. GRPO)."
    )


class LossConfig(Section):
    """The policy objective, and what is added to it."""

    name: Annotated[str, Choices(loss_names)] = Field(
        "grpo",
        description="PPO's clip of each token's ratio, of a response's (gspo), of a weight without gradient "
        "(cispo), a soft gate (sapo), or no bound at all (unclipped: KL-Cov's).",
    )
    clip_low: float = Field(
        0.2,
        gt=0,
        le=1,
        description="Ratios below 1 - clip_low have no gradient where the advantage is negative; cispo: they "
        "weigh as much as that bound, and 1 is no bound.",
    )
    clip_high: float = Field(
        0.2,
        gt=0,
        description="Ratios above 1 + clip_high have no gradient where the advantage is positive; cispo: "
        "they weigh as much as that bound.",
    )
    dual_clip: float | None = Field(
        3.0,
        gt=1,
        description="grpo: ratios above it have no gradient where the advantage is < 0; null: none.",
    )
    tau_positive: float = Field(1.0, gt=0, description="sapo: how fast the gate closes, advantage > 0.")
    tau_negative: float = Field(1.05, gt=0, description="sapo: how fast the gate closes, advantage < 0.")
    aggregation: Literal["token_mean", "sequence_mean", "constant"] = Field(
        "token_mean",
        description="Over a mini-batch: every token weighs alike, or every response does, or every token "
        "as one of a response of rollout.max_tokens (constant).",
    )
    entropy_coef: float = Field(
        0.0, ge=0, description="Weight of the policy's entropy, which is added to the objective; 0: none."
    )
    kl_cov_coef: float = Field(
        0.0,
        ge=0,
        description="Weight of |log p - log old| on the tokens of largest covariance (KL-Cov); 0: none.",
    )
    kl_cov_fraction: float = Field(2e-3, gt=0, le=1, description="KL-Cov: which share of tokens that is.")
    kl_coef: float = Field(
        1e-2, ge=0, description="Weight of the KL to the starting policy; 0: none is held or run."
    )
    kl_estimator: Literal["k1", "k2", "k3"] = Field(
        "k3", description="Schulman's estimators of that KL; k1 has no gradient on average."
    )
    importance_cap: float | None = Field(
        None,
        gt=0,
        description="Weigh tokens by policy over sampler probability, up to this cap; null: do not (paper).",
    )


class OptimConfig(Section):
    """AdamW at a constant rate, without warm-up."""

    lr: float = Field(1e-6, gt=0, le=1, description="Learning rate.")
    weight_decay: float = Field(1e-2, ge=0, description="Decoupled, times lr a step.")
    max_grad_norm: float = Field(1.0, gt=0, description="Longer gradients are scaled down to this norm.")
    minibatch: int = Field(
        128, ge=1, description="Prompts' worth of an optimizer step: minibatch x G trajectories, all ranks."
    )
    microbatch_tokens: int = Field(
        8192,
        ge=1,
        description="Packed positions of one forward pass on a rank, a prompt counted once for all its "
        "responses; more is faster and takes memory, results differ by rounding only.",
    )


class RewardConfig(Section):
    """What a response earns."""

    function: Name = Field(
        "accuracy", description='Accuracy from the verifier, or a plug-in "path/to/file.py:function".'
    )
    format_weight: float = Field(
        0.0, ge=0, lt=1, description="Share w of the format: the reward is (1 - w) accuracy + w format."
    )
    overlong_buffer: float | None = Field(
        None,
        gt=0,
        le=1,
        description="Last share of rollout.max_tokens in which a response's reward falls, by 1 at the end; "
        "null: none.",
    )


class DeepSpeedConfig(Section):
    """How weights, gradients and optimizer state are sharded."""

    config: Name = Field(
        "configs/zero3.json", description="ZeRO-3 JSON; zero3_offload.json needs less GPU memory, and time."
    )


class EvalConfig(Section):
    """Validation during training, with rollout's top_p and max_tokens."""

    n: int = Field(1, ge=1, description="Responses a validation problem; from 2 on, eval/pass@n comes too.")
    temperature: float = Field(0.5, ge=0, le=4, description="Of these responses; 0: greedy.")
    problems: int | None = Field(None, ge=1, description="Only the first so many problems; null: all.")


class TrainConfig(Section):
    """Length, randomness and files of the run."""

    steps: int = Field(ge=1, description="Trainer steps, those that only generate included.")
    max_response_tokens: int | None = Field(
        None,
        ge=1,
        description="Sampled tokens, exploration included, with which the run ends before `steps`: for "
        "comparisons at equal cost; null: no bound.",
    )
    seed: int = Field(1, ge=0, description="Of prompt order, sampling and replay.")
    eval_every: int = Field(
        0, ge=0, description="Steps from one validation to the next, and one after the last step; 0: never."
    )
    save_every: int = Field(
        0, ge=0, description="Steps from one checkpoint to the next; the last step always has one."
    )
    keep: int = Field(
        2, ge=1, description="Newest checkpoints kept; one has 12 bytes a trained weight (7B: 100 GB)."
    )
    keep_best: int = Field(
        1,
        ge=0,
        description="Best checkpoints by eval/pass@1, kept besides; `checkpoints/best` names the best.",
    )
    measure_entropy: bool = Field(
        False,
        description="After an optimizer step, one more pass over its tokens: how far it moved their entropy, "
        "beside what theory predicts.",
    )
    trackers: list[Literal["tensorboard", "wandb"]] = Field(
        ["tensorboard"],
        description="Where metrics go besides metrics.jsonl, under the same names; wandb, installed apart, "
        "reads WANDB_MODE, WANDB_PROJECT and its other variables.",
    )
    run_dir: Name = Field(description="Directory for metrics, samples, checkpoints, export and report.")


class GuardConfig(Section):
    """What is watched while a run goes on, and when it is too much; see docs/reliability.md."""

    bad_updates: int = Field(
        3,
        ge=1,
        description="Updates in a row with a loss or gradient that is not finite, after which the run ends. "
        "Each of them is skipped.",
    )
    entropy_low: float = Field(
        0.2, ge=0, lt=1, description="Alarm (collapse) below this share of the first steps' entropy; 0: none."
    )
    entropy_high: float = Field(
        3.0, gt=1, description="Alarm (explosion) above this multiple of the first steps' entropy."
    )
    entropy_window: int = Field(10, ge=1, description="Steps whose mean entropy is compared, first and last.")
    start_timeout: float = Field(
        600, ge=5, description="Seconds that ranks wait for each other to start, libraries imported."
    )
    rank_timeout: float = Field(
        120,
        ge=2,
        description="Seconds without a sign of life from a rank, after which the others end. A dead one is "
        "noticed at once on its own machine.",
    )
    stall_timeout: float = Field(
        3600,
        ge=10,
        description="Seconds in which no rank gets from one phase to the next, or on in a rollout, until all "
        "end: longer than the longest update or checkpoint.",
    )


class Config(Section):
    """One run."""

    algorithm: Annotated[str, Choices(algorithm_names)] = Field(
        "uec",
        description="Preset: an objective, and with +uec all that UEC-RL adds to it; uec is grpo+uec. What "
        "else an argument says of a key goes first.",
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
        description='"never" refuses a run_dir in use, "auto" goes on from its newest checkpoint if there is '
        "one, a path names a checkpoint.",
    )

    @property
    def unit(self) -> int:
        """|B| x G: trajectories of one full batch."""
        return self.rollout.prompts * self.rollout.n

    @model_validator(mode="after")
    def _consistent(self) -> Config:
        if fault := contradiction(self):
            raise ValueError(fault)
        return self
