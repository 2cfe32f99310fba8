"""deepspeed train.py --config FILE [dotted.key=value …]: UEC-RL or GRPO training of a Qwen2.5-VL."""

from __future__ import annotations

import argparse
import os
import sys

from vlm_uec.cli import exit_code_of
from vlm_uec.config import Config, load_config


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", required=True, help="a YAML file of configs/")
    parser.add_argument(
        "--dry-run", action="store_true", help="check, print the resolved config, tokens and memory; exit"
    )
    parser.add_argument("--local_rank", type=int, help="set by the launcher; the environment says the same")
    parser.add_argument("overrides", nargs="*", metavar="dotted.key=value")
    return parser.parse_intermixed_args()


def run(arguments: argparse.Namespace) -> None:
    config = load_config(arguments.config, arguments.overrides)
    if arguments.dry_run:
        forecast(config)
        return
    # DeepSpeed and transformers are imported only now, so that a mistyped key is reported sooner.
    from vlm_uec.run.session import train

    train(config)


def forecast(config: Config) -> None:
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # a forecast waits for no network
    from vlm_uec.forecast.report import dry_run

    if os.environ.get("RANK", "0") == "0":
        print(dry_run(config, ranks=int(os.environ.get("WORLD_SIZE", "1"))), end="")


def main() -> int:
    arguments = parse_arguments()
    return exit_code_of(lambda: run(arguments))


if __name__ == "__main__":
    sys.exit(main())
