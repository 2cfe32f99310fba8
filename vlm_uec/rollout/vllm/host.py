"""The server that a run samples from: rank 0 starts and stops it, or it already runs at an address."""

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
from vlm_uec.rollout.vllm.client import Address, connect
from vlm_uec.rollout.vllm.server import KEY_VARIABLE

LOG = "vllm.log"
DTYPES = {"fp32": "float32", "bf16": "bfloat16"}
_ROOT = Path(__file__).parents[3]
# Set by the launcher; vLLM would take itself for a rank of the trainer.
_LAUNCHER_VARIABLES = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
_POLL_S = 1.0
_CHECK_TIMEOUT_S = 120.0


class VllmHost:
    """Every rank has one; all ranks get the same address."""

    def __init__(self, config: Config) -> None:
        self._config, self._settings = config, config.vllm
        self._address: Address | None = None
        self._process: subprocess.Popen[str] | None = None

    def address(self) -> Address:
        if self._address is None:
            raise RuntimeError("address() was called before open()")
        return self._address

    def check(self) -> None:
        """Raises errors that can be detected before the model loads; every rank calls it."""
        on_first_rank(self._check)

    def _check(self) -> None:
        if self._settings.address is not None:
            check_server(self._config, configured_address(self._settings))
        else:
            check_python(str(self._settings.python))

    def open(self, run_dir: Path, on_wait: Callable[[], None]) -> None:
        """Starts the server or connects to it; every rank calls it. Calls `on_wait` meanwhile; it may raise.

        Raises `RunFailed` or `UserError` if no server is available or it does not match the config.
        """
        single_machine = len(local_ranks()) == world_size()
        host = "127.0.0.1" if single_machine else os.environ["MASTER_ADDR"]  # rank 0's
        addresses = gather_lists(lambda: [self._open(run_dir, host, on_wait)] if rank() == 0 else [])
        self._address = addresses[0]

    def close(self) -> None:
        """Stops the server if this rank started it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _open(self, run_dir: Path, host: str, on_wait: Callable[[], None]) -> Address:
        if self._settings.address is not None:
            address = configured_address(self._settings)
        else:
            address = self._start(run_dir / LOG, host, on_wait)
        check_server(self._config, address)
        return address

    def _start(self, log: Path, host: str, on_wait: Callable[[], None]) -> Address:
        key = secrets.token_hex(16)
        with log.open("a", encoding="utf-8") as output:
            self._process = subprocess.Popen(  # noqa: S603  (the user's own python)
                server_command(self._config, host),
                env=server_environment(self._settings),
                stdin=subprocess.PIPE,  # stays open: the server ends when it closes, for whatever reason
                stdout=subprocess.PIPE,
                stderr=output,
                text=True,
                start_new_session=True,  # signals to the ranks' process group must not reach it
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{key}\n")
        self._process.stdin.flush()
        limit = self._config.guard.start_timeout
        line = _first_line(self._process.stdout, limit, on_wait)
        if not line:
            timed_out = line is None
            if timed_out:
                self._process.kill()
            code = self._process.wait()
            reason = f"not ready after {limit:g} s" if timed_out else f"ended with exit code {code}"
            raise RunFailed(f"the vLLM server did not start ({reason}): {_last_line(log)}; see {log}")
        ready = json.loads(line)
        return Address(ready["host"], ready["port"], key.encode(), str(log))


def check_python(python: str) -> None:
    """Raises `UserError` unless this python has vLLM; does not import it, which would be slow."""
    command = [python, "-c", "import importlib.util as u, sys; sys.exit(u.find_spec('vllm') is None)"]
    try:
        completed = subprocess.run(command, capture_output=True, timeout=_CHECK_TIMEOUT_S, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UserError(f"vllm.python {python}: cannot be run ({error}); see docs/vllm.md") from error
    if completed.returncode:
        raise UserError(f"vllm.python {python}: has no vLLM; install it there (docs/vllm.md)")


def configured_address(settings: VllmConfig) -> Address:
    """The address in the config, with the key from the environment; raises `UserError` without a key."""
    host, _, port = str(settings.address).rpartition(":")
    key = os.environ.get(KEY_VARIABLE)
    if not key:
        raise UserError(
            f"vllm.address {settings.address}: {KEY_VARIABLE} is not set; set it to the server's secret"
        )
    return Address(host.strip("[]"), int(port), key.encode(), "its own output")


def check_server(config: Config, address: Address) -> None:
    """Raises `UserError` if the server does not match the config, `RunFailed` if it is not reachable."""
    with connect(address, config.guard.stall_timeout) as client:
        facts = client.facts()
    where = f"vLLM server {address.host}:{address.port}"
    if facts.dtype != DTYPES[config.model.precision]:
        raise UserError(
            f"{where}: computes in {facts.dtype}, but model.precision is {config.model.precision}; start it "
            f"with --dtype {DTYPES[config.model.precision]}"
        )
    needed = config.data.max_prompt_tokens + config.rollout.max_tokens
    if facts.max_length < needed:
        raise UserError(
            f"{where}: its maximum is {facts.max_length} tokens, but data.max_prompt_tokens + "
            f"rollout.max_tokens is {needed}; start it with --max-length {needed}"
        )


def server_command(config: Config, host: str) -> list[str]:
    """The server's command line. The key is sent by stdin, so that process listings do not show it."""
    settings = config.vllm
    command = [str(settings.python), "-m", "vlm_uec.rollout.vllm.server", "--child"]
    command += ["--model", config.model.path, "--dtype", DTYPES[config.model.precision], "--host", host]
    command += ["--max-length", str(config.data.max_prompt_tokens + config.rollout.max_tokens)]
    for name, value in settings.options.items():
        command += ["--option", f"{name}={json.dumps(value)}"]
    return command


def server_environment(settings: VllmConfig) -> dict[str, str]:
    """This rank's environment without the launcher's variables."""
    environment = {name: value for name, value in os.environ.items() if name not in _LAUNCHER_VARIABLES}
    environment["PYTHONPATH"] = str(_ROOT)  # this project only, not the trainer's packages
    if settings.devices is not None:
        environment["CUDA_VISIBLE_DEVICES"] = settings.devices
    return environment


def _first_line(stream: IO[str], seconds: float, on_wait: Callable[[], None]) -> str | None:
    """The first line; "" if the process ended without one, None after `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        on_wait()
        if select.select([stream], [], [], _POLL_S)[0]:
            return stream.readline()
    return None


def _last_line(log: Path) -> str:
    """The last line of the log: the exception, if Python printed a traceback."""
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return escape(lines[-1], 200) if lines else "its log is empty"
