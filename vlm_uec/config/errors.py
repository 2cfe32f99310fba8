"""One-line messages for config errors: the key, its value and how to fix it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, ValidationError

from vlm_uec.config.fields import ConfigKey, as_yaml, config_keys, join_or
from vlm_uec.escape import escape

# Names that other trainers use for the same settings.
_KEYS_OF_OTHER_TRAINERS = {
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

_TEXT_ERRORS = ("string_too_short", "string_pattern_mismatch")


def sorted_errors(error: ValidationError) -> list[Any]:
    """The errors, unknown keys first, because a misspelt key also causes a missing one."""
    return sorted(error.errors(include_url=False), key=lambda entry: entry["type"] != "extra_forbidden")


def describe_error(error: ValidationError, root: type[BaseModel]) -> str:
    """The first error of a config of type `root`, and the number of further ones."""
    errors = sorted_errors(error)
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    first = errors[0]
    name = ".".join(map(str, first["loc"]))
    if first["type"] == "extra_forbidden":
        return f"unknown key {escape(name)}{_suggestion(name, root)}{more}"
    if first["type"] == "missing":
        return f"{name} is missing{more}"
    if first["type"] == "value_error":
        return f"{first['ctx']['error']}{more}"
    problem = _requirement(first["loc"], root)
    if first["type"] in _TEXT_ERRORS:
        problem = "must not be empty or contain control characters"
    return f"{escape(name)} = {show_value(first['input'])}: {problem}{more}"


def show_value(value: object, limit: int = 60) -> str:
    """A value on one line: text in quotes, cut to `limit` characters; the size of mappings and lists."""
    if isinstance(value, str):
        return repr(value) if len(value) <= limit else f"{value[:limit]!r}... ({len(value)} characters)"
    if isinstance(value, dict | list):
        return f"a {'mapping' if isinstance(value, dict) else 'list'} of {len(value)}"
    return escape(as_yaml(value), limit)


def _requirement(location: tuple[Any, ...], root: type[BaseModel]) -> str:
    keys = config_keys(root)
    # An error inside a value, such as an entry of a mapping, is described by the value's key.
    for end in range(len(location), 0, -1):
        if key := keys.get(".".join(map(str, location[:end]))):
            return f"must be {_article(key.accepts)}{key.accepts}{_default(key)}"
    return f"must be a section of keys: {_comma_separated(_keys_in('.'.join(map(str, location)), keys))}"


def _article(words: str) -> str:
    return "a " if words.startswith(("whole", "number", "mapping", "list")) else ""


def _default(key: ConfigKey) -> str:
    # The default of a switch depends on the preset.
    is_fixed = key.default is not None and key.default not in ("true", "false")
    return f"; the default is {key.default}" if is_fixed else ""


def _suggestion(name: str, root: type[BaseModel]) -> str:
    if candidates := _candidates(name, root):
        return f"; did you mean {join_or(candidates)}?"
    section = name.rpartition(".")[0]
    if section:
        return f"; the keys of {section} are {_comma_separated(_keys_in(section, config_keys(root)))}"
    return f"; the keys are {_comma_separated(root.model_fields)}"


def _candidates(name: str, root: type[BaseModel]) -> list[str]:
    """Known keys similar to an unknown one, best match first, in the same or another section."""
    section, _, last = name.rpartition(".")
    if last in _KEYS_OF_OTHER_TRAINERS:
        return [_KEYS_OF_OTHER_TRAINERS[last]]
    keys = list(config_keys(root))
    elsewhere = [key for key in keys if _last_part(key) == last]
    if elsewhere and not section:
        return elsewhere[:3]
    here = _keys_in(section, keys) if section else list(root.model_fields)
    near = difflib.get_close_matches(last, here, n=1) or [word for word in here if _abbreviates(word, last)]
    if near or elsewhere:
        return [*(f"{section}.{word}" if section else word for word in near[:1]), *elsewhere][:3]
    similar = difflib.get_close_matches(last, {_last_part(key): None for key in keys}, n=1)
    return [key for key in keys if _last_part(key) in similar][:3]


def _abbreviates(word: str, other: str) -> bool:
    return min(len(word), len(other)) > 2 and (word.startswith(other) or other.startswith(word))


def _keys_in(section: str, keys: Iterable[str]) -> list[str]:
    return [_last_part(key) for key in keys if key.rpartition(".")[0] == section]


def _last_part(key: str) -> str:
    return key.rpartition(".")[2]


def _comma_separated(words: Iterable[str]) -> str:
    return ", ".join(words)
