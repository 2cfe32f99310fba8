"""Generates docs/config.md from the typed config: python -m vlm_uec.config.docs > docs/config.md"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from vlm_uec.algorithm.objectives import OBJECTIVES
from vlm_uec.config import SWITCHES, Config
from vlm_uec.config.fields import ConfigKey, config_keys, section_type
from vlm_uec.config.file import MAX_BYTES
from vlm_uec.config.presets import objective_preset
from vlm_uec.config.rules import RULES

_HEAD = """\
<!-- Generated from vlm_uec/config/; do not edit: python -m vlm_uec.config.docs > docs/config.md -->

# Configuration

A run is configured by one YAML file with sections; `configs/` has examples. Any key can also be set on the
command line:

```
deepspeed train.py --config configs/geometry3k_qwen2.5_vl_7b_uec.yaml rollout.n=8 optim.lr=2e-6
deepspeed train.py --config configs/geometry3k_qwen2.5_vl_7b_uec.yaml --dry-run
```

The second command checks the settings and prints all of them. A run writes them to `config.yaml` in its
directory, which is a valid config file. Defaults are the paper's reference settings (Geometry3K, 7B, 8 GPUs).

## Presets and precedence

`algorithm` is a preset: `uec`, one of the objectives below, or `NAME+uec`, an objective with UEC-RL.

| algorithm | settings that differ from the defaults |
|---|---|
{objectives}

UEC-RL consists of six switches. They are on in `uec` and every `NAME+uec`, and off otherwise, unless the
table above sets them:

| switch | effect |
|---|---|
{switches}

Without them, every step trains on all \\|B\\| x G trajectories, including those with zero advantage.

Arguments override the file, and the file overrides its own `algorithm`. So each switch can be tested
separately: `algorithm=grpo exploration.enabled=true`, or `stabilizer.enabled=false`. An `algorithm` given as
an argument overrides the file for all keys of the preset: with any recipe, or the config.yaml of a run, one
argument selects another algorithm.

## Syntax of values

Values are YAML 1.2: `1e-6` is a number, `010` is ten, dates and `1:30` are text. Two things are as in YAML
1.1: `yes` and `no`, `on` and `off` mean `true` and `false`, and underscores may group digits (`1_000` is a
thousand). Types are strict: `rollout.n: "8"` is rejected. Arguments are YAML, too, and replace the old value
completely: `data.mixture='{{data/a: 2, data/b: 1}}'`,
`prompt.template='"{{{{ question }}}} Think."'`.

Anchors, aliases and merge keys are supported. Unknown or duplicate keys, tags like `!!binary`, and files over
{kib} KiB are rejected.

## Settings that must agree

Each rule is checked before anything is loaded, and only if its features are enabled:

{rules}

The largest possible advantage in a group of n is (n - 1) / sqrt(n), for any rewards. It is reached by one
right answer among wrong ones: 1.789 for n = 5 and 4.249 for n = 20.
"""


def config_page() -> str:
    """The page in Markdown."""
    keys = config_keys(Config)
    rules = "\n".join(f"- {rule.__doc__}" for rule in RULES)
    head = _HEAD.format(objectives=_objectives(), switches=_switches(), rules=rules, kib=MAX_BYTES // 2**10)
    top = _section(
        "Top level",
        "Two keys are outside of the sections.",
        [key for key in keys.values() if "." not in key.name],
    )
    sections = [
        _section(f"`{name}`", inner.__doc__ or "", [keys[key] for key in keys if key.startswith(f"{name}.")])
        for name, field in Config.model_fields.items()
        if (inner := section_type(field))
    ]
    return "\n".join([head, top, *sections])


def _objectives() -> str:
    rows = []
    for name, objective in OBJECTIVES.items():
        preset = objective_preset(objective)
        settings = [f"`{key} = {json.dumps(value)}`" for key, value in _flatten(preset)]
        rows.append(f"| `{name}` | {', '.join(settings) or 'none'} |")
    return "\n".join(rows)


def _switches() -> str:
    keys = config_keys(Config)
    return "\n".join(f"| `{name}` | {_cell(keys[name].description)} |" for name in _switch_names())


def _switch_names() -> list[str]:
    return [f"{section}.{key}" for section, switches in SWITCHES.items() for key in switches]


def _flatten(tree: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, Any]]:
    return [(f"{section}.{key}", value) for section, keys in tree.items() for key, value in keys.items()]


def _section(title: str, summary: str, keys: list[ConfigKey]) -> str:
    rows = [_row(key) for key in keys]
    head = ["| key | accepted values | default | description |", "|---|---|---|---|"]
    return "\n".join([f"## {title}\n", f"{summary}\n", *head, *rows, ""])


def _row(key: ConfigKey) -> str:
    default = "required" if key.default is None else f"`{key.default}`"
    if key.name in _switch_names():
        default = "`algorithm`'s"
    return f"| `{key.name}` | {key.accepts} | {default} | {_cell(key.description)} |"


def _cell(text: str) -> str:
    """Escapes text for a table cell: a bar would end the cell, and `<` would start a tag."""
    return text.replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    print(config_page(), end="")
