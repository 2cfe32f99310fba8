"""TRL's GRPOTrainer (no vLLM), one optimizer step at a time on command, timed by phase.

    pip install -r benchmarks/requirements.txt
    OMP_NUM_THREADS=1 python benchmarks/speed/trl_worker.py SPEC.json PORT
    OMP_NUM_THREADS=1 torchrun --nproc_per_node 2 benchmarks/speed/trl_worker.py SPEC.json PORT

A benchmark that listens on PORT sends the commands, so that two trainers can take turns on one machine. Rank
0 connects and sends {"ready": ...}; each "step" command is answered with the step's seconds; "stop" ends the
worker.

generation: from prompts to completions, including tokenization and pictures. scoring: the rest of the
rollout, which is TRL's second pass over the pictures, the reference's log-probs, rewards and advantages.
update: from there to the end of the step. step: the whole step and the data loader, from the command to the
answer. SPEC.json holds the fields of `Spec`; others are ignored. All other settings are TRL's defaults,
except that logging and saving are off and that activation checkpointing is the same as on our side.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from multiprocessing.connection import Client
from pathlib import Path
from typing import Any

import datasets
import torch
import transformers
from transformers import AutoTokenizer, BatchFeature, ProcessorMixin, TrainerCallback

from vlm_uec.data.chat import IMAGE_MARK
from vlm_uec.data.vision import load_image_processor
from vlm_uec.telemetry.metrics import peak_memory_gib

try:
    import trl
except ModuleNotFoundError:
    print("pip install trl==1.16.0", file=sys.stderr)
    raise SystemExit(2) from None

IMAGE_PAD = "<|image_pad|>"


@dataclass(frozen=True)
class Spec:
    """The settings of both trainers; the last two fields only concern TRL."""

    model: str
    problems: list[dict[str, str]]
    prompts: int
    n: int
    max_tokens: int
    forced_lengths: bool
    temperature: float
    top_p: float
    kl_coef: float
    lr: float
    precision: str
    steps: int
    min_pixels: int
    max_pixels: int
    threads: int
    reward: str
    checkpointing: bool = False
    trl_microbatch: int | None = None  # rows per forward pass and rank; None: all in one pass
    trl_dtype: str = "float32"  # of the weights; with bf16 TRL keeps them in fp32 and autocasts

    def __post_init__(self) -> None:
        if self.reward != "forced":
            raise ValueError(f'reward "{self.reward}": only "forced" is supported')
        if len(self.problems) < self.prompts:
            raise ValueError(
                f"{len(self.problems)} problems are too few for a step of {self.prompts} prompts"
            )


def read_spec(path: str) -> Spec:
    known = {field.name for field in fields(Spec)}
    given = json.loads(Path(path).read_text(encoding="utf-8"))
    return Spec(**{name: value for name, value in given.items() if name in known})


class PictureProcessor(ProcessorMixin):
    """Qwen2.5-VL's processor without its video part, which needs torchvision."""

    def __init__(self, image_processor: Any = None, tokenizer: Any = None, chat_template: Any = None) -> None:
        super().__init__(image_processor, tokenizer, chat_template=chat_template)
        self.image_token_id = tokenizer.convert_tokens_to_ids(IMAGE_PAD)

    def __call__(
        self,
        images: Sequence[Sequence[Any]],
        text: Sequence[str],
        padding: bool = False,
        return_tensors: str | None = None,
        **_: object,
    ) -> BatchFeature:
        """The model's inputs. `images`: the pictures of each text, which has one image pad per picture."""
        pictures = [picture for group in images for picture in group]
        features = self.image_processor(images=pictures, return_tensors="pt")
        merged = self.image_processor.merge_size**2
        counts = iter((features["image_grid_thw"].prod(dim=1) // merged).tolist())
        expanded = [re.sub(re.escape(IMAGE_PAD), lambda _: IMAGE_PAD * next(counts), each) for each in text]
        tokens = self.tokenizer(expanded, padding=padding)
        kinds = [[int(token == self.image_token_id) for token in row] for row in tokens["input_ids"]]
        return BatchFeature({**tokens, "mm_token_type_ids": kinds, **features}, tensor_type=return_tensors)


def load_processor(spec: Spec) -> ProcessorMixin:
    tokenizer: Any = AutoTokenizer.from_pretrained(spec.model, padding_side="left")
    try:
        import torchvision  # noqa: F401
    except (ImportError, RuntimeError):
        pictures = load_image_processor(spec.model, spec.min_pixels, spec.max_pixels)
        return PictureProcessor(pictures, tokenizer, chat_template=tokenizer.chat_template)
    from transformers import Qwen2_5_VLProcessor, Qwen2VLImageProcessor, Qwen2VLVideoProcessor

    budget: dict[str, Any] = {"min_pixels": spec.min_pixels, "max_pixels": spec.max_pixels}
    return Qwen2_5_VLProcessor(
        Qwen2VLImageProcessor.from_pretrained(spec.model, **budget),
        tokenizer,
        Qwen2VLVideoProcessor(),
        chat_template=tokenizer.chat_template,
    )


def load_problems(spec: Spec) -> datasets.Dataset:
    """Conversations with a picture column, as TRL documents them: the picture precedes the text."""
    questions = [problem["question"].replace(IMAGE_MARK, "") for problem in spec.problems]
    columns = {
        "prompt": [[{"role": "user", "content": question}] for question in questions],
        "image": [problem["image"] for problem in spec.problems],
    }
    return datasets.Dataset.from_dict(columns).cast_column("image", datasets.Image())


def forced_rewards(n: int) -> Callable[..., list[float | None]]:
    """Evenly spaced from 0 to 1 over each prompt's samples, so that for even n no advantage is zero."""

    def forced(completions: Sequence[object], **_: object) -> list[float | None]:
        return [index % n / (n - 1) for index in range(len(completions))]

    return forced


class BenchmarkConnection:
    """The connection of rank 0 to the benchmark; commands are broadcast to all ranks."""

    def __init__(self, port: int) -> None:
        self._rank, self._group = 0, None
        if torch.distributed.is_initialized():
            self._rank = torch.distributed.get_rank()
            # Waiting with NCCL would keep the device busy during the other trainer's turn.
            self._group = torch.distributed.new_group(backend="gloo")
        self._benchmark = None if self._rank else Client(("127.0.0.1", port), authkey=b"benchmark")

    def send(self, message: Mapping[str, Any]) -> None:
        if self._benchmark is not None:
            self._benchmark.send(message)

    def receive(self) -> str:
        command = [None if self._benchmark is None else self._benchmark.recv()]
        if self._group is not None:
            torch.distributed.broadcast_object_list(command, src=0, group=self._group)
        return str(command[0])


class StopCommand(Exception):
    """The benchmark sent "stop"."""


def now() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


class TimedTrainer(trl.GRPOTrainer):
    """TRL's trainer, unchanged except for the measured times of its rollout."""

    generation_seconds: float
    rollout_seconds: float  # generation included
    rollout_end: float
    completion_tokens: int  # of all ranks

    def _generate(self, prompts: list[Any]) -> Any:
        start = now()
        generated = super()._generate(prompts)
        self.generation_seconds = now() - start
        return generated

    def _generate_and_score_completions(self, inputs: list[Any]) -> Any:
        start = now()
        rollout = super()._generate_and_score_completions(inputs)
        self.rollout_end = now()
        self.rollout_seconds = self.rollout_end - start
        self.completion_tokens = int(rollout["num_items_in_batch"])
        return rollout


class TurnTaking(TrainerCallback):
    """Blocks TRL's loop before each step until the benchmark sends a command."""

    def __init__(self, trainer: TimedTrainer, spec: Spec, connection: BenchmarkConnection) -> None:
        self._trainer, self._spec, self._connection = trainer, spec, connection
        self._started = 0.0

    def on_train_begin(self, *_: object, **__: object) -> None:
        self._connection.send({"ready": description(self._trainer)})
        self._wait()

    def on_step_end(self, *_: object, **__: object) -> None:
        ended, trainer = now(), self._trainer
        expected = self._spec.prompts * self._spec.n * self._spec.max_tokens
        if self._spec.forced_lengths and trainer.completion_tokens != expected:
            raise RuntimeError(f"{trainer.completion_tokens} completion tokens, not {expected}")
        self._connection.send(
            {
                "generation": trainer.generation_seconds,
                "scoring": trainer.rollout_seconds - trainer.generation_seconds,
                "update": ended - trainer.rollout_end,
                "step": ended - self._started,
                "peak_gib": peak_memory_gib(),
                "completion_tokens": trainer.completion_tokens,
            }
        )
        self._wait()

    def _wait(self) -> None:
        if self._connection.receive() == "stop":
            raise StopCommand
        self._started = now()


def description(trainer: Any) -> dict[str, Any]:
    return {
        "trl": trl.__version__,
        "transformers": transformers.__version__,
        "torch": torch.__version__,
        "parameters": sum(weight.numel() for weight in trainer.model.parameters()),
        "processor": type(trainer.processing_class).__name__,
        "device": str(trainer.args.device),
        "ranks": trainer.args.world_size,
        "threads": torch.get_num_threads(),
    }


def grpo_config(spec: Spec, out: str) -> trl.GRPOConfig:
    on_cpu = not torch.cuda.is_available()
    ranks = int(os.environ.get("WORLD_SIZE", "1"))
    rows = spec.prompts * spec.n // ranks
    microbatch = spec.trl_microbatch or rows
    return trl.GRPOConfig(
        out,
        use_cpu=on_cpu,
        ddp_backend="gloo" if on_cpu and ranks > 1 else None,
        per_device_train_batch_size=microbatch,
        gradient_accumulation_steps=rows // microbatch,
        max_steps=spec.steps,
        num_generations=spec.n,
        max_completion_length=spec.max_tokens,
        generation_kwargs={"min_new_tokens": spec.max_tokens} if spec.forced_lengths else None,
        temperature=spec.temperature,
        top_p=spec.top_p,
        beta=spec.kl_coef,
        learning_rate=spec.lr,
        bf16=spec.precision == "bf16",
        model_init_kwargs={"dtype": spec.trl_dtype},
        gradient_checkpointing=spec.checkpointing,
        logging_strategy="no",
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )


def main() -> None:
    spec, port = read_spec(sys.argv[1]), int(sys.argv[2])
    with tempfile.TemporaryDirectory() as out:
        trainer = TimedTrainer(
            model=spec.model,
            reward_funcs=forced_rewards(spec.n),
            args=grpo_config(spec, out),
            train_dataset=load_problems(spec),
            processing_class=load_processor(spec),
        )
        # accelerate raises the number of threads if OMP_NUM_THREADS is unset, so it is set afterwards.
        torch.set_num_threads(spec.threads)
        trainer.add_callback(TurnTaking(trainer, spec, BenchmarkConnection(port)))
        try:
            trainer.train()
        except StopCommand:
            trainer.accelerator.end_training()


if __name__ == "__main__":
    main()
