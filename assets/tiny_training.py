"""Supervised training of the tiny model on synthetic problems and their worked solutions."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

import torch
from torch.nn import functional as F

from data_prep.synthetic.kinds import LEVELS, kinds_at_level
from data_prep.synthetic.problems import SyntheticProblem, assigned_split, make_problem, problem_id
from vlm_uec.data.chat import FormatPrompt
from vlm_uec.data.encode import PromptEncoder
from vlm_uec.model.policy import Policy
from vlm_uec.types import EncodedPrompt

IGNORED = -100


@dataclass(frozen=True)
class Recipe:
    """Settings of the supervised training.

    `level_weights`: probabilities of levels 1, 2, 3 and 4. `direct_share`: share of responses without
    reasoning in the last part of the training, in which every prompt has the format prompt.
    """

    seed: int = 1
    steps: int = 1800
    batch: int = 32
    lr: float = 2e-3
    filter_lr_scale: float = 0.03
    bare_share: float = 0.7  # the first 70% of the steps omit the format prompt,
    full_every: int = 4  # except for every fourth step
    warmup: int = 100
    weight_decay: float = 0.01
    max_grad_norm: float = 1.0
    level_weights: tuple[float, ...] = (0.55, 0.3, 0.1, 0.05)
    direct_share: float = 0.5


@dataclass(frozen=True)
class TrainingBatch:
    """B right-padded sequences of L positions, with N patches in total."""

    input_ids: torch.Tensor  # [B, L] int64
    positions: torch.Tensor  # [3, B, L] int64
    labels: torch.Tensor  # [B, L] int64: the next token if it belongs to the response, else IGNORED
    patches: torch.Tensor  # [N, 1176] float32
    grid: torch.Tensor  # [B, 3] int64


def response_text(made: SyntheticProblem) -> str:
    """The target response: short reasoning, then the boxed answer."""
    return f"<think> {made.solution} </think> \\boxed{{{made.problem.answer}}}"


def direct_response_text(made: SyntheticProblem) -> str:
    """The boxed answer alone, without reasoning."""
    return f"\\boxed{{{made.problem.answer}}}"


def training_stream(recipe: Recipe) -> Iterator[SyntheticProblem]:
    """Endless problems of the training split; a repeated problem has a figure in another position."""
    rng = Random(recipe.seed)
    drawn = 0
    while True:
        level = rng.choices(LEVELS, recipe.level_weights)[0]
        kind = rng.choice(kinds_at_level(level))
        values = kind.draw_values(rng)
        if assigned_split(problem_id(kind, values)) == "train":
            drawn += 1
            yield make_problem(kind, values, seed=drawn)


def collate(samples: Sequence[tuple[EncodedPrompt, torch.Tensor]], pad: int) -> TrainingBatch:
    """Concatenates each prompt with its response ([R], end token included) and pads to the right."""
    length = max(prompt.length + len(response) - 1 for prompt, response in samples)
    input_ids = torch.full((len(samples), length), pad)
    labels = torch.full((len(samples), length), IGNORED)
    positions = torch.zeros(3, len(samples), length, dtype=torch.int64)
    for row, (prompt, response) in enumerate(samples):
        start, read = prompt.length, len(response) - 1
        input_ids[row, :start] = prompt.input_ids
        input_ids[row, start : start + read] = response[:-1]
        labels[row, start - 1 : start + read] = response
        positions[:, row, :start] = prompt.position_ids
        positions[:, row, start : start + read] = prompt.next_position + torch.arange(read)
    patches = torch.cat([prompt.pixel_values for prompt, _ in samples])
    return TrainingBatch(
        input_ids, positions, labels, patches, torch.cat([prompt.image_grid_thw for prompt, _ in samples])
    )


def batches(
    recipe: Recipe, encoder: PromptEncoder, problems: Iterator[SyntheticProblem]
) -> Iterator[TrainingBatch]:
    """Batches that, at first, mostly have no format prompt.

    This halves the tokens and the time of training. Some batches have the format prompt from the start,
    because it shifts the positions of responses, and a late switch would lose what was learned.
    """
    tokenizer, rng = encoder.tokenizer, Random(f"style {recipe.seed}")
    bare = PromptEncoder(
        tokenizer, encoder.image_processor, FormatPrompt("{{ question }}"), encoder.max_prompt_tokens, 0
    )
    for step in range(recipe.steps):
        is_last_part = step >= recipe.bare_share * recipe.steps
        encode = encoder if is_last_part or step % recipe.full_every == 0 else bare
        made = [next(problems) for _ in range(recipe.batch)]
        direct_share = recipe.direct_share if is_last_part else 0.0
        texts = [
            direct_response_text(one) if rng.random() < direct_share else response_text(one) for one in made
        ]
        responses = [torch.tensor([*tokenizer(text)["input_ids"], tokenizer.eos_token_id]) for text in texts]
        prompts = [encode(one.problem) for one in made]
        yield collate(list(zip(prompts, responses, strict=True)), tokenizer.pad_token_id)


def response_loss(policy: Policy, batch: TrainingBatch) -> torch.Tensor:
    """Mean cross entropy of the response tokens; with padding on the right, the causal mask hides it."""
    embeddings = policy.embed(batch.input_ids.flatten(), policy.image_features(batch.patches, batch.grid))
    output = policy.model.model.language_model(
        inputs_embeds=embeddings.view(*batch.input_ids.shape, -1),
        position_ids=batch.positions,
        attention_mask={"full_attention": None},
        use_cache=False,
    )
    scored = batch.labels != IGNORED
    return F.cross_entropy(policy.logits(output.last_hidden_state[scored]), batch.labels[scored])


def learning_rate(recipe: Recipe, step: int) -> float:
    warm = min(1.0, (step + 1) / recipe.warmup)
    return recipe.lr * warm * 0.5 * (1 + math.cos(math.pi * step / recipe.steps))


def _optimizer(policy: Policy, recipe: Recipe) -> torch.optim.AdamW:
    """AdamW with a lower learning rate for the pixel filters.

    Adam changes all 1176 weights of a filter by similar amounts, and most pixels are white: at the full rate,
    one step would shift the output for every patch by more than any drawing does.
    """
    filters = list(policy.model.model.visual.patch_embed.parameters())
    filter_ids = {id(parameter) for parameter in filters}
    others = [parameter for parameter in policy.model.parameters() if id(parameter) not in filter_ids]
    groups = [{"params": filters, "lr_scale": recipe.filter_lr_scale}, {"params": others, "lr_scale": 1.0}]
    return torch.optim.AdamW(groups, lr=recipe.lr, betas=(0.9, 0.98), weight_decay=recipe.weight_decay)


def train(
    policy: Policy, encoder: PromptEncoder, recipe: Recipe, problems: Iterator[SyntheticProblem]
) -> None:
    optimizer = _optimizer(policy, recipe)
    started, running = time.monotonic(), 0.0
    policy.train()
    for step, batch in enumerate(batches(recipe, encoder, problems)):
        for group in optimizer.param_groups:
            group["lr"] = group["lr_scale"] * learning_rate(recipe, step)
        loss = response_loss(policy, batch)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(policy.model.parameters(), recipe.max_grad_norm)
        optimizer.step()
        running += loss.item()
        if (step + 1) % 100 == 0:
            seconds = time.monotonic() - started
            print(f"step {step + 1:5d}  loss {running / 100:.4f}  {seconds:6.0f} s", flush=True)
            running = 0.0
