"""The server process: `python -m vlm_uec.rollout.vllm.server --model DIR`, in vLLM's environment.

A trainer that connects by `vllm.address` needs the same key: set VLM_UEC_VLLM_KEY on both sides. See
docs/vllm.md.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import sys
import threading
from collections.abc import Sequence
from typing import Any, TextIO

from vlm_uec.cli import configure_logging
from vlm_uec.rollout.vllm.service import Service

KEY_VARIABLE = "VLM_UEC_VLLM_KEY"


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", required=True, help="the trainer's model.path; its weights are not loaded")
    parser.add_argument(
        "--dtype", choices=["float32", "bfloat16"], default="bfloat16", help="model.precision"
    )
    parser.add_argument(
        "--max-length", type=int, required=True, help="data.max_prompt_tokens + rollout.max_tokens, or more"
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="the address to listen on (default: this machine)"
    )
    parser.add_argument("--port", type=int, default=0, help="0: any free port")
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an engine argument of vLLM, such as tensor_parallel_size=2",
    )
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def read_options(pairs: Sequence[str]) -> dict[str, Any]:
    """Parses `name=value` pairs; a value that is valid JSON is decoded, any other is text."""
    options: dict[str, Any] = {}
    for pair in pairs:
        name, _, value = pair.partition("=")
        try:
            options[name.replace("-", "_")] = json.loads(value)
        except ValueError:
            options[name.replace("-", "_")] = value
    return options


def serve(arguments: argparse.Namespace, key: bytes, announce: TextIO) -> None:
    """Loads vLLM, writes the server's address to `announce`, and serves until the process ends."""
    # Before vLLM loads, so that a port in use fails at once.
    listener = socket.create_server((arguments.host, arguments.port))
    from vlm_uec.rollout.vllm.backend import VllmBackend

    options = read_options(arguments.option)
    service = Service(VllmBackend(arguments.model, arguments.dtype, arguments.max_length, options), key)
    service.listen(listener)
    print(json.dumps({"host": arguments.host, "port": listener.getsockname()[1]}), file=announce, flush=True)
    service.run()


def main(arguments: Sequence[str] | None = None) -> int:
    parsed = parse_arguments(arguments)
    key = sys.stdin.readline().strip() if parsed.child else os.environ.get(KEY_VARIABLE)
    if not key:
        print(
            f"error: {KEY_VARIABLE} is not set; set it to the same secret for trainer and server",
            file=sys.stderr,
        )
        return 2
    if parsed.child:
        threading.Thread(target=_end_with_parent, daemon=True).start()
    configure_logging()
    # vLLM and its libraries write to stdout, which is reserved for the address.
    announce = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    try:
        serve(parsed, key.encode(), announce)
    except ImportError as error:
        print(f"error: {sys.executable} cannot run vLLM ({error}); see docs/vllm.md", file=sys.stderr)
        return 2
    return 0


def _end_with_parent() -> None:
    """Ends this process when stdin closes: the trainer holds the other end until it ends."""
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
