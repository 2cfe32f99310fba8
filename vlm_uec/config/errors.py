"""What is wrong with a config, in one line: the key, its value, the way out."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, ValidationError

from vlm_uec.config.fields import ConfigKey, as_yaml, config_keys, either
from vlm_uec.escape import escape

# What users of other trainers know our keys by.
_ELSEWHERE = {
    "beta": "loss.kl_coef",
    "clip_ratio_dual": "loss.dual_clip",
    "clip_ratio_high": "loss.clip_high",
    "clip_ratio_low": "loss.clip_low",
    "epsilon": "loss.clip_low",
    "epsilon_high": "loss.clip_high",
    "eval_steps": "train.eval_every",
    "global_batch_size": "optim.minibatch",
    "learning_rate": "optim.lr",
    "max_completion_length": "rollout.max_tokens",
    "max_new_tokens": "rollout.max_tokens",
    "max_prompt_length": "data.max_prompt_tokens",
    "max_response_length": "rollout.max_tokens",
    "max_steps": "train.steps",
    "model_name_or_path": "model.path",
    "model_path": "model.path",
    "num_generations": "rollout.n",
    "output_dir": "train.run_dir",
    "rollout_batch_size": "rollout.prompts",
    "save_steps": "train.save_every",
}

_TEXT_FAULTS = ("string_too_short", "string_pattern_mismatch")


def faults_of(error: ValidationError) -> list[Any]:
    """Its faults, the one to be told first; a misspelt key before the missing one that it was meant to be."""
    return sorted(error.errors(include_url=False), key=lambda fault: fault["type"] != "extra_forbidden")


def explain(error: ValidationError, root: type[BaseModel]) -> str:
    """The first fault of the tree below `root`, and how many more there are."""
    faults = faults_of(error)
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    first = faults[0]
    name = ".".join(map(str, first["loc"]))
    if first["type"] == "extra_forbidden":
        return f"unknown key {escape(name)}{_way_out(name, root)}{more}"
    if first["type"] == "missing":
        return f"{name} is missing{more}"
    if first["type"] == "value_error":
        return f"{first['ctx']['error']}{more}"
    told = _wanted(first["loc"], root)
    if first["type"] in _TEXT_FAULTS:
        told = "must not be empty or hold control characters"
    return f"{escape(name)} = {shown(first['input'])}: {told}{more}"


def shown(value: object, limit: int = 60) -> str:
    """A user's value on one line: text in quotes, cut to `limit` characters; mappings and lists counted."""
    if isinstance(value, str):
        return repr(value) if len(value) <= limit else f"{value[:limit]!r}... ({len(value)} characters)"
    if isinstance(value, dict | list):
        return f"a {'mapping' if isinstance(value, dict) else 'list'} of {len(value)}"
    return escape(as_yaml(value), limit)


def _wanted(place: tuple[Any, ...], root: type[BaseModel]) -> str:
    keys = config_keys(root)
    # Below a key that holds a value, as in a mapping's entry, it is that key's words that help.
    for end in range(len(place), 0, -1):
        if key := keys.get(".".join(map(str, place[:end]))):
            return f"must be {_article(key.takes)}{key.takes}{_default(key)}"
    return f"must be a section of keys: {_listed(_below('.'.join(map(str, place)), keys))}"


def _article(words: str) -> str:
    return "a " if words.startswith(("whole", "number", "mapping", "list")) else ""


def _default(key: ConfigKey) -> str:
    # A switch's default is the preset's.
    known = key.default is not None and key.default not in ("true", "false")
    return f"; the default is {key.default}" if known else ""


def _way_out(name: str, root: type[BaseModel]) -> str:
    if candidates := _meant(name, root):
        return f"; did you mean {either(candidates)}?"
    section = name.rpartition(".")[0]
    if section:
        return f"; {section} has {_listed(_below(section, config_keys(root)))}"
    return f"; there are {_listed(root.model_fields)}"


def _meant(name: str, root: type[BaseModel]) -> list[str]:
    """What a user may have meant by an unknown key, likeliest first: near in its section, or in another."""
    section, _, last = name.rpartition(".")
    if last in _ELSEWHERE:
        return [_ELSEWHERE[last]]
    keys = list(config_keys(root))
    elsewhere = [key for key in keys if _last(key) == last]
    if elsewhere and not section:
        return elsewhere[:3]
    here = _below(section, keys) if section else list(root.model_fields)
    near = difflib.get_close_matches(last, here, n=1) or [word for word in here if _abbreviates(word, last)]
    if near or elsewhere:
        return [*(f"{section}.{word}" if section else word for word in near[:1]), *elsewhere][:3]
    alike = difflib.get_close_matches(last, {_last(key): None for key in keys}, n=1)
    return [key for key in keys if _last(key) in alike][:3]


def _abbreviates(word: str, other: str) -> bool:
    return min(len(word), len(other)) > 2 and (word.startswith(other) or other.startswith(word))


def _below(section: str, keys: Iterable[str]) -> list[str]:
    return [_last(key) for key in keys if key.rpartition(".")[0] == section]


def _last(key: str) -> str:
    return key.rpartition(".")[2]


def _listed(words: Iterable[str]) -> str:
    return ", ".join(words)
