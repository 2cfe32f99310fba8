"""Prints docs/config.md, made of the typed config: python -m vlm_uec.config.docs > docs/config.md"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from vlm_uec.algorithm.objectives import OBJECTIVES
from vlm_uec.config import SWITCHES, Config
from vlm_uec.config.fields import ConfigKey, config_keys, section_of
from vlm_uec.config.file import MAX_BYTES
from vlm_uec.config.presets import objective_preset
from vlm_uec.config.rules import RULES

_HEAD = """\
<!-- Generated from vlm_uec/config/; do not edit: python -m vlm_uec.config.docs > docs/config.md -->

# Configuration

A run is one YAML file of sections, `configs/` holds some, and any key can be set on the command line:

```
deepspeed train.py --config configs/geometry3k_qwen2.5_vl_7b_uec.yaml rollout.n=8 optim.lr=2e-6
deepspeed train.py --config configs/geometry3k_qwen2.5_vl_7b_uec.yaml --dry-run
```

The second checks the settings and prints them all. A run keeps that in its directory, as `config.yaml`, which
is a config file itself. Defaults are the paper's reference settings (Geometry3K, 7B, 8 GPUs).

## Presets, and what goes before what

`algorithm` is a preset: `uec`, an objective of the family, or `NAME+uec`, which is UEC-RL on top of it.

| algorithm | what it sets; the rest are defaults |
|---|---|
{objectives}

UEC-RL is six switches, on in `uec` and every `NAME+uec`, and off elsewhere but where the table above says
otherwise:

| switch | on |
|---|---|
{switches}

Without them, every step trains on all \\|B\\| x G trajectories, those of zero advantage included.

What goes before what: an argument goes before the file, and the file before its own `algorithm`. So each part
can be tried alone: `algorithm=grpo exploration.enabled=true`, or `stabilizer.enabled=false`. An `algorithm`
given as an argument is that algorithm in full, whatever the file says of these keys: with any recipe, or the
config.yaml of a run, one argument compares two algorithms.

## How values are written

As in YAML 1.2: `1e-6` is a number, `010` is ten, dates and `1:30` are text; `yes` and `no`, `on` and `off`
are `true` and `false`. Types are strict: `rollout.n: "8"` is refused. An argument's value is YAML too and
takes the place of the whole old one: `data.mixture='{{data/a: 2, data/b: 1}}'`,
`prompt.template='"{{{{ question }}}} Think."'`.

Anchors, aliases and merge keys work. Keys that are unknown or come twice, tags like `!!binary`, and files
over {kib} KiB are refused.

## Settings that must agree

Each rule is checked before anything loads, and only where it matters:

{rules}

The largest advantage that a group of n can hold is (n - 1) / sqrt(n), whatever the rewards: that of one right
answer among wrong ones, 1.789 for 5 and 4.249 for 20.
"""


def config_page() -> str:
    """The whole page, Markdown."""
    keys = config_keys(Config)
    rules = "\n".join(f"- {rule.__doc__}" for rule in RULES)
    head = _HEAD.format(objectives=_objectives(), switches=_switches(), rules=rules, kib=MAX_BYTES // 2**10)
    top = _section(
        "Top level",
        "Two keys stand outside of the sections.",
        [key for key in keys.values() if "." not in key.name],
    )
    sections = [
        _section(f"`{name}`", inner.__doc__ or "", [keys[key] for key in keys if key.startswith(f"{name}.")])
        for name, field in Config.model_fields.items()
        if (inner := section_of(field))
    ]
    return "\n".join([head, top, *sections])


def _objectives() -> str:
    rows = []
    for name, objective in OBJECTIVES.items():
        preset = objective_preset(objective)
        settings = [f"`{key} = {json.dumps(value)}`" for key, value in _flat(preset)]
        rows.append(f"| `{name}` | {', '.join(settings) or 'nothing'} |")
    return "\n".join(rows)


def _switches() -> str:
    keys = config_keys(Config)
    return "\n".join(f"| `{name}` | {_cell(keys[name].description)} |" for name in _switch_names())


def _switch_names() -> list[str]:
    return [f"{section}.{key}" for section, switches in SWITCHES.items() for key in switches]


def _flat(tree: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, Any]]:
    return [(f"{section}.{key}", value) for section, keys in tree.items() for key, value in keys.items()]


def _section(title: str, sentence: str, keys: list[ConfigKey]) -> str:
    rows = [_row(key) for key in keys]
    head = ["| key | takes | default | what it does |", "|---|---|---|---|"]
    return "\n".join([f"## {title}\n", f"{sentence}\n", *head, *rows, ""])


def _row(key: ConfigKey) -> str:
    default = "must be given" if key.default is None else f"`{key.default}`"
    if key.name in _switch_names():
        default = "`algorithm`'s"
    return f"| `{key.name}` | {key.takes} | {default} | {_cell(key.description)} |"


def _cell(text: str) -> str:
    """Text that a table's cell holds: a bar would end it, and `<` opens a tag."""
    return text.replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    print(config_page(), end="")
