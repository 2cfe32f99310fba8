"""The server that a run samples from: one that rank 0 starts and ends, or somebody's at an address."""

from __future__ import annotations

import json
import os
import secrets
import select
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

from vlm_uec.config import Config, VllmConfig
from vlm_uec.errors import RunFailed, UserError
from vlm_uec.escape import escape
from vlm_uec.ranks.collectives import gather_lists, local_ranks, on_first_rank, rank, world_size
from vlm_uec.rollout.vllm.client import Address, connected
from vlm_uec.rollout.vllm.server import KEY

LOG = "vllm.log"
DTYPES = {"fp32": "float32", "bf16": "bfloat16"}
_ROOT = Path(__file__).parents[3]
# The launcher's, which would tell vLLM that it is a rank of ours.
_OF_RANKS = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
_LOOK_S = 1.0
_LOOKING_S = 120.0


class VllmHost:
    """Every rank has one, and all come to the same address."""

    def __init__(self, config: Config) -> None:
        self._config, self._settings = config, config.vllm
        self._address: Address | None = None
        self._process: subprocess.Popen[str] | None = None

    def address(self) -> Address:
        if self._address is None:
            raise RuntimeError("the server is asked for before `open`")
        return self._address

    def check(self) -> None:
        """Raises what can be told before anything heavy is loaded; every rank calls it."""
        on_first_rank(self._check)

    def _check(self) -> None:
        if self._settings.address is not None:
            check_server(self._config, given_address(self._settings))
        else:
            check_python(str(self._settings.python))

    def open(self, run_dir: Path, on_wait: Callable[[], None]) -> None:
        """Starts the server, or finds it; every rank calls it. `on_wait` is called meanwhile, and may raise.

        Raises `RunFailed` or `UserError` where there is none, or it cannot do what the config asks.
        """
        everywhere = len(local_ranks()) == world_size()
        host = "127.0.0.1" if everywhere else os.environ["MASTER_ADDR"]  # rank 0's
        found = gather_lists(lambda: [self._open(run_dir, host, on_wait)] if rank() == 0 else [])
        self._address = found[0]

    def close(self) -> None:
        """Ends the server that this rank started."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _open(self, run_dir: Path, host: str, on_wait: Callable[[], None]) -> Address:
        if self._settings.address is not None:
            address = given_address(self._settings)
        else:
            address = self._start(run_dir / LOG, host, on_wait)
        check_server(self._config, address)
        return address

    def _start(self, log: Path, host: str, on_wait: Callable[[], None]) -> Address:
        key = secrets.token_hex(16)
        with log.open("a", encoding="utf-8") as output:
            self._process = subprocess.Popen(  # noqa: S603  (the user's own python)
                command_of(self._config, host),
                env=environment_of(self._settings),
                stdin=subprocess.PIPE,  # held open: the server ends when it closes, whatever closes it
                stdout=subprocess.PIPE,
                stderr=output,
                text=True,
                start_new_session=True,  # a signal to the ranks' group is for the ranks to grant
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{key}\n")
        self._process.stdin.flush()
        limit = self._config.guard.start_timeout
        told = _first_line(self._process.stdout, limit, on_wait)
        if not told:
            gave_up = told is None
            if gave_up:
                self._process.kill()
            code = self._process.wait()
            why = f"not ready after {limit:g} s" if gave_up else f"ended with exit code {code}"
            raise RunFailed(f"the vLLM server did not start ({why}): {_last_line(log)}; see {log}")
        ready = json.loads(told)
        return Address(ready["host"], ready["port"], key.encode(), str(log))


def check_python(python: str) -> None:
    """Raises `UserError` where it is no python that has vLLM; imports nothing, which would take long."""
    looks = [python, "-c", "import importlib.util as u, sys; sys.exit(u.find_spec('vllm') is None)"]
    try:
        looked = subprocess.run(looks, capture_output=True, timeout=_LOOKING_S, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UserError(f"vllm.python {python}: cannot be run ({error}); see docs/vllm.md") from error
    if looked.returncode:
        raise UserError(f"vllm.python {python}: has no vLLM; install it there (docs/vllm.md)")


def given_address(settings: VllmConfig) -> Address:
    """The address that the config gives, with the key of the environment; raises `UserError` without one."""
    host, _, port = str(settings.address).rpartition(":")
    key = os.environ.get(KEY)
    if not key:
        raise UserError(f"vllm.address {settings.address}: {KEY} is not set; give the server's secret in it")
    return Address(host.strip("[]"), int(port), key.encode(), "its own output")


def check_server(config: Config, address: Address) -> None:
    """Raises `UserError` where the server cannot do what the config asks, `RunFailed` where there is none."""
    with connected(address, config.guard.stall_timeout) as link:
        facts = link.facts()
    where = f"vLLM server {address.host}:{address.port}"
    if facts.dtype != DTYPES[config.model.precision]:
        raise UserError(
            f"{where}: computes in {facts.dtype}, and model.precision is {config.model.precision}; start it "
            f"with --dtype {DTYPES[config.model.precision]}"
        )
    needed = config.data.max_prompt_tokens + config.rollout.max_tokens
    if facts.max_length < needed:
        raise UserError(
            f"{where}: holds {facts.max_length} tokens, and data.max_prompt_tokens + rollout.max_tokens are "
            f"{needed}; start it with --max-length {needed}"
        )


def command_of(config: Config, host: str) -> list[str]:
    """The server's command line; its key comes by stdin, where no list of processes shows it."""
    settings = config.vllm
    command = [str(settings.python), "-m", "vlm_uec.rollout.vllm.server", "--child"]
    command += ["--model", config.model.path, "--dtype", DTYPES[config.model.precision], "--host", host]
    command += ["--max-length", str(config.data.max_prompt_tokens + config.rollout.max_tokens)]
    for name, value in settings.options.items():
        command += ["--option", f"{name}={json.dumps(value)}"]
    return command


def environment_of(settings: VllmConfig) -> dict[str, str]:
    """This rank's, without what makes it a rank."""
    environment = {name: value for name, value in os.environ.items() if name not in _OF_RANKS}
    environment["PYTHONPATH"] = str(_ROOT)  # this project, and nothing of the trainer's own environment
    if settings.devices is not None:
        environment["CUDA_VISIBLE_DEVICES"] = settings.devices
    return environment


def _first_line(stream: IO[str], seconds: float, on_wait: Callable[[], None]) -> str | None:
    """The line; "" where the process ended without one, None after so many seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        on_wait()
        if select.select([stream], [], [], _LOOK_S)[0]:
            return stream.readline()
    return None


def _last_line(log: Path) -> str:
    """Of what the server wrote before it ended: where Python says what it ended of."""
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return escape(lines[-1], 200) if lines else "it said nothing"
