"""Rules across keys: settings that are valid separately but contradict each other.

A rule checks only enabled features, so that ablations stay possible; its message shows the arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from vlm_uec.algorithm.objectives import token_loss

if TYPE_CHECKING:
    from vlm_uec.config.schema import Config

Rule = Callable[["Config"], str | None]


def find_contradiction(config: Config) -> str | None:
    """The message of the first violated rule; None if there is none."""
    return next(filter(None, (rule(config) for rule in RULES)), None)


def largest_advantage(n: int) -> float:
    """The upper bound of a normalised advantage (ddof = 1) in a group of `n`, for any rewards.

    One right answer among n reaches it: (1 - 1/n) / sqrt(1/n). Samuelson 1968, "How deviant can you be?".
    """
    return (n - 1) / math.sqrt(n)


def largest_deviation(n: int, spread: float) -> float:
    """The upper bound of R - mean among `n` rewards within `spread`: one is high, the others low."""
    return spread * (n - 1) / n


def _data(config: Config) -> str | None:
    """Exactly one of `data.path` and `data.mixture` is given."""
    data = config.data
    if data.path and data.mixture:
        return "data.path and data.mixture are both set; set data.path=null to use the mixture"
    if not data.path and not data.mixture:
        return "data.path is missing: give a data set, or data.mixture={PATH: WEIGHT, ...}"
    return None


def _validation(config: Config) -> str | None:
    """A mixture with validation (`train.eval_every` > 0) has a `data.validation_path`."""
    if config.train.eval_every and config.data.mixture and not config.data.validation_path:
        return (
            "data.validation_path is missing: a mixture does not define a validation set; "
            "set it, or train.eval_every=0"
        )
    return None


def _pixels(config: Config) -> str | None:
    """`data.min_pixels` <= `data.max_pixels`."""
    low, high = config.data.min_pixels, config.data.max_pixels
    return f"data.min_pixels {low} is above data.max_pixels {high}; lower it" if low > high else None


def _adapters(config: Config) -> str | None:
    """`lora.rank` excludes `model.freeze_projector: false`; `lora.vision` excludes `model.freeze_vision`."""
    if config.lora.rank is None:
        return None
    if config.model.freeze_projector is False:
        return "model.freeze_projector=false with lora.rank: only adapters are trained; remove it"
    if config.lora.vision and config.model.freeze_vision:
        return (
            "lora.vision and model.freeze_vision: a frozen tower cannot train adapters; set only one of them"
        )
    return None


def _minibatch(config: Config) -> str | None:
    """`optim.minibatch` divides `rollout.prompts`."""
    size, prompts = config.optim.minibatch, config.rollout.prompts
    if prompts % size == 0:
        return None
    near = next(part for part in range(min(size, prompts), 0, -1) if prompts % part == 0)
    return f"optim.minibatch {size} does not divide rollout.prompts {prompts}; {near} does"


def _weight_decay(config: Config) -> str | None:
    """`optim.lr` * `optim.weight_decay` < 1."""
    product = config.optim.lr * config.optim.weight_decay
    if product < 1:
        return None
    return (
        f"optim.lr * optim.weight_decay is {product:g}: each step multiplies weights by "
        f"1 - {product:g} = {1 - product:g}; lower one of them"
    )


def _warmup(config: Config) -> str | None:
    """`optim.warmup_steps` <= `train.steps`."""
    warmup, steps = config.optim.warmup_steps, config.train.steps
    if warmup <= steps:
        return None
    return (
        f"optim.warmup_steps {warmup} is above train.steps {steps}: the learning rate would never reach "
        "optim.lr; lower it"
    )


def _dual_clip(config: Config) -> str | None:
    """`loss.dual_clip` > 1 + `loss.clip_high`, if the loss of `loss.name` has a dual clip (grpo)."""
    bound, ceiling = config.loss.dual_clip, 1 + config.loss.clip_high
    is_used = "dual_clip" in token_loss(config.loss.name).keys
    if not is_used or bound is None or bound > ceiling:
        return None
    return (
        f"loss.dual_clip {bound:g} is not above 1 + loss.clip_high = {ceiling:g}: it would cut off "
        "ratios that the clip range allows; raise it (the default is 3.0), or disable it with null"
    )


def _exploration_temperature(config: Config) -> str | None:
    """With exploration, `exploration.temperature` >= `rollout.temperature`."""
    explored, regular = config.exploration.temperature, config.rollout.temperature
    if not config.exploration.enabled or explored >= regular:
        return None
    return (
        f"exploration.temperature {explored:g} is below rollout.temperature {regular:g}: it would explore "
        f"less than the responses that failed; give at least {regular:g}, or set exploration.enabled=false"
    )


def _regular_threshold(config: Config) -> str | None:
    """With `retention.regular`, advantages of `rollout.n` responses can exceed `retention.threshold`."""
    threshold, n = config.retention.threshold, config.rollout.n
    if not config.retention.regular or threshold < _largest_in(config, n):
        return None
    return (
        f"retention.threshold {threshold:g} keeps no regular response: {_bound_text(config, 'rollout', n)}; "
        "lower it (the default is 0.05)"
    )


def _exploration_magnitude(config: Config) -> str | None:
    """With `retention.retain: magnitude`, `exploration.n` responses can exceed `retention.magnitude`."""
    rules, explored = config.retention, config.exploration
    is_used = explored.enabled and rules.exploration and rules.retain == "magnitude"
    if not is_used or rules.magnitude < _largest_in(config, explored.n):
        return None
    return (
        f"retention.magnitude {rules.magnitude:g} keeps no exploration response: "
        f"{_bound_text(config, 'exploration', explored.n)}; lower it (the default is 1.0)"
    )


def _min_advantage(config: Config) -> str | None:
    """With the stabilizer, advantages in some group can exceed `stabilizer.min_advantage`."""
    groups = {"rollout": config.rollout.n}
    if config.exploration.enabled:
        groups["exploration"] = config.exploration.n
    least = config.stabilizer.min_advantage
    if not config.stabilizer.enabled or least < max(_largest_in(config, n) for n in groups.values()):
        return None
    reach = ", and ".join(_bound_text(config, section, n) for section, n in groups.items())
    return (
        f"stabilizer.min_advantage {least:g} excludes every trajectory from replay: {reach}; "
        "lower it, or set stabilizer.enabled=false"
    )


def _capacity(config: Config) -> str | None:
    """With the stabilizer, `stabilizer.capacity` >= 1."""
    capacity, unit = config.stabilizer.capacity, config.unit
    if not config.stabilizer.enabled or capacity >= 1:
        return None
    return (
        f"stabilizer.capacity {capacity:g} means {capacity:g} x {unit} trajectories, but a replay needs "
        f"rollout.prompts x rollout.n = {unit}; set at least 1"
    )


def _validation_at_start(config: Config) -> str | None:
    """`train.eval_at_start` needs `train.eval_every` > 0."""
    if config.train.eval_at_start and not config.train.eval_every:
        return "train.eval_at_start needs validation: set train.eval_every, or train.eval_at_start=false"
    return None


def _greedy_validation(config: Config) -> str | None:
    """With validation, more than one response (`evaluation.n`) needs `evaluation.temperature` > 0."""
    n = config.evaluation.n
    if not config.train.eval_every or config.evaluation.temperature > 0 or n == 1:
        return None
    return (
        f"evaluation.n {n} with evaluation.temperature 0: greedy responses are equal, so {n} cost {n} times "
        "as much as one without additional information; set evaluation.n=1, or a temperature above 0"
    )


def _vllm(config: Config) -> str | None:
    """With `rollout.engine: vllm`, one of `vllm.python` and `vllm.address` is given."""
    vllm = config.vllm
    if config.rollout.engine != "vllm" or (vllm.python is None) != (vllm.address is None):
        return None
    if vllm.python is not None:
        return "vllm.python and vllm.address are both set; set the unused one to null"
    return (
        "rollout.engine vllm needs vllm.python (of an environment with vLLM) or "
        "vllm.address (of a running server); see docs/vllm.md"
    )


def _vllm_address(config: Config) -> str | None:
    """`vllm.address` is HOST:PORT, and excludes `vllm.devices` and `vllm.options`."""
    vllm = config.vllm
    if config.rollout.engine != "vllm" or vllm.address is None:
        return None
    host, _, port = vllm.address.rpartition(":")
    if not host or not (port.isascii() and port.isdigit() and 0 < int(port) < 2**16):
        return f"vllm.address {vllm.address!r} is not HOST:PORT; example: node3:8765"
    if vllm.devices is None and not vllm.options:
        return None
    return (
        "vllm.devices and vllm.options are for a server that the trainer starts; for the "
        "server at vllm.address, set them when you start it"
    )


def _largest_in(config: Config, n: int) -> float:
    if config.advantage.scaled:
        return largest_advantage(n)
    return largest_deviation(n, _spread(config))


def _spread(config: Config) -> float:
    """The width of the rewards' range: 0 to 1, and below 0 by the overlong penalty."""
    reward = config.reward
    return 1.0 if reward.overlong_buffer is None else 1.0 + reward.overlong_penalty


def _bound_text(config: Config, section: str, n: int) -> str:
    formula = f"({n} - 1) / sqrt({n})"
    if not config.advantage.scaled:
        formula = f"{_spread(config):g} x ({n} - 1) / {n}"
    return f"no advantage in a group of {section}.n = {n} exceeds {formula} = {_largest_in(config, n):.3f}"


RULES: tuple[Rule, ...] = (
    _data,
    _validation,
    _pixels,
    _adapters,
    _minibatch,
    _weight_decay,
    _warmup,
    _dual_clip,
    _exploration_temperature,
    _regular_threshold,
    _exploration_magnitude,
    _min_advantage,
    _capacity,
    _validation_at_start,
    _greedy_validation,
    _vllm,
    _vllm_address,
)
"""The rules in the order of checking; docs/config.md lists their docstrings."""
