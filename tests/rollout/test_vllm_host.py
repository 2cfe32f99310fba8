"""The vLLM server of a run: started and stopped by rank 0, or running at an address. Uses no vLLM."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from benchmarks.lib.launching import ROOT
from tests.support.fakes import make_config
from tests.support.tiny_vllm import KEY, TinyBackend, serve
from vlm_uec.config import Config
from vlm_uec.errors import RunFailed, Stopped, UserError
from vlm_uec.rollout.vllm import host as host_module
from vlm_uec.rollout.vllm.client import connect
from vlm_uec.rollout.vllm.host import LOG, VllmHost, server_command, server_environment
from vlm_uec.rollout.vllm.server import main as server_main
from vlm_uec.rollout.vllm.server import read_options

TINY_SERVER = ROOT / "tests" / "support" / "tiny_vllm_server.py"


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """A script that acts as a python with vLLM: the check `-c` succeeds, and the server is the tiny one."""
    path = tmp_path / "python"
    command = shlex.join([sys.executable, str(TINY_SERVER)])
    path.write_text(f'#!/bin/sh\n[ "$1" = -c ] && exit 0\nshift 2\nexec {command} "$@"\n')
    path.chmod(0o755)
    return path


def _config(*overrides: str) -> Config:
    return make_config(
        "rollout.engine=vllm", "data.max_prompt_tokens=64", "rollout.max_tokens=32", *overrides
    )


def _no_check() -> None: ...


@pytest.fixture
def opened() -> Iterator[Callable[..., VllmHost]]:
    hosts: list[VllmHost] = []

    def make(config: Config, run_dir: Path, check: Callable[[], None] = _no_check) -> VllmHost:
        hosts.append(VllmHost(config))
        hosts[-1].open(run_dir, check)
        return hosts[-1]

    yield make
    for host in hosts:
        host.close()


def test_a_server_is_started_and_stopped(
    python: Path, tmp_path: Path, opened: Callable[..., VllmHost]
) -> None:
    host = opened(_config(f"vllm.python={python}", "vllm.options={a: 2, b: true, c: x}"), tmp_path)
    assert host.address().host == "127.0.0.1"
    with connect(host.address(), 5) as client:
        assert client.facts().max_length == 96
    log = (tmp_path / LOG).read_text()
    assert "in float32 for 96 tokens with {'a': 2, 'b': True, 'c': 'x'}" in log
    process = host._process
    assert process is not None
    assert host.address().key.decode() not in " ".join(psutil.Process(process.pid).cmdline())
    host.close()
    with pytest.raises(RunFailed, match="no connection"), connect(host.address(), 5):
        pass


def test_the_servers_log_has_rejected_connections_and_failed_requests(
    python: Path, tmp_path: Path, opened: Callable[..., VllmHost]
) -> None:
    address = opened(_config(f"vllm.python={python}"), tmp_path).address()
    with pytest.raises(RunFailed), connect(replace(address, key=b"another"), 5) as client:
        client.facts()
    with connect(address, 5) as client, pytest.raises(RunFailed, match="unknown request 'dance'"):
        client._send({"do": "dance"})
        client.facts()
    log = (tmp_path / LOG).read_text()
    assert "warning: connection from 127.0.0.1 rejected: " in log
    assert "error: request of peer 1 failed\nTraceback" in log


def test_the_server_ends_when_its_stdin_closes() -> None:
    """Stdin closes whenever the trainer ends."""
    command = [sys.executable, str(TINY_SERVER), "--child", "--model", "m", "--max-length", "9"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    pipe = subprocess.PIPE
    server = subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.write("a secret\n")
    server.stdin.flush()
    assert json.loads(server.stdout.readline())["port"] > 0
    assert server.poll() is None
    server.stdin.close()
    assert server.wait(10) == 0


def test_a_server_that_dies_while_it_loads_is_reported_with_its_last_line(
    python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened: Callable[..., VllmHost]
) -> None:
    monkeypatch.setenv("FAULT", "dies")
    with pytest.raises(RunFailed, match=r"exit code 1.*no such engine argument.*vllm\.log") as caught:
        opened(_config(f"vllm.python={python}"), tmp_path)
    assert str(caught.value).isprintable()


def test_a_server_that_is_not_ready_in_time_is_killed(
    python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened: Callable[..., VllmHost]
) -> None:
    monkeypatch.setenv("FAULT", "hangs")
    monkeypatch.setattr(host_module, "_POLL_S", 0.1)
    config = _config(f"vllm.python={python}")
    short = config.model_copy(update={"guard": config.guard.model_copy(update={"start_timeout": 0.3})})
    with pytest.raises(RunFailed, match=r"not ready after 0\.3 s"):
        opened(short, tmp_path)


def test_a_stop_request_is_honoured_while_the_server_loads(
    python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened: Callable[..., VllmHost]
) -> None:
    monkeypatch.setenv("FAULT", "hangs")

    def check() -> None:
        raise Stopped(15)

    with pytest.raises(Stopped):
        opened(_config(f"vllm.python={python}"), tmp_path, check)


def test_a_server_at_an_address_needs_the_key_in_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened: Callable[..., VllmHost]
) -> None:
    port = serve(TinyBackend()).port
    config = _config(f"vllm.address=127.0.0.1:{port}")
    with pytest.raises(UserError, match="VLM_UEC_VLLM_KEY is not set"):
        VllmHost(config).check()
    monkeypatch.setenv("VLM_UEC_VLLM_KEY", "wrong")
    with pytest.raises(RunFailed, match="no connection"):
        VllmHost(config).check()
    monkeypatch.setenv("VLM_UEC_VLLM_KEY", KEY.decode())
    VllmHost(config).check()
    assert opened(config, tmp_path).address().port == port


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["rollout.max_tokens=40"],
            r"its maximum is 96 tokens, but .* is 104; start it with --max-length 104",
        ),
        (["model.precision=bf16"], r"computes in float32, but model.precision is bf16; .*--dtype bfloat16"),
    ],
)
def test_a_server_that_does_not_match_the_config_is_rejected(
    overrides: list[str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLM_UEC_VLLM_KEY", KEY.decode())
    port = serve(TinyBackend(max_length=96)).port
    with pytest.raises(UserError, match=message):
        VllmHost(_config(f"vllm.address=127.0.0.1:{port}", *overrides)).check()


@pytest.mark.parametrize(
    ("python", "message"), [("/nowhere/python", "cannot be run"), (sys.executable, "has no vLLM")]
)
def test_a_python_without_vllm_is_rejected_before_anything_is_loaded(python: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        VllmHost(_config(f"vllm.python={python}")).check()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ([], "needs vllm.python"),
        (["vllm.python=p", "vllm.address=here:1"], "both set"),
        (["vllm.address=here"], "is not HOST:PORT"),
        (["vllm.address=':80'"], "is not HOST:PORT"),
        (["vllm.address=here:0"], "is not HOST:PORT"),
        (["vllm.address=here:65536"], "is not HOST:PORT"),
        (["vllm.address=here:1", "vllm.devices='1'"], "a server that the trainer starts"),
        (["vllm.address=here:1", "vllm.options={a: 1}"], "a server that the trainer starts"),
    ],
)
def test_invalid_settings_give_a_one_line_error(overrides: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        _config(*overrides)
    assert "\n" not in str(caught.value)


def test_the_native_engine_ignores_the_vllm_settings() -> None:
    assert make_config("vllm.address=nonsense").rollout.engine == "native"


def test_the_servers_environment_has_no_rank_and_its_own_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "MASTER_PORT"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    config = _config("vllm.python=p", "vllm.devices='6,7'", "vllm.options={tensor_parallel_size: 2}")
    environment = server_environment(config.vllm)
    assert not {"RANK", "WORLD_SIZE", "MASTER_PORT"} & environment.keys()
    assert environment["CUDA_VISIBLE_DEVICES"] == "6,7"
    assert environment["PYTHONPATH"] == str(ROOT)
    assert server_command(config, "127.0.0.1")[-2:] == ["--option", "tensor_parallel_size=2"]


@pytest.mark.parametrize(
    ("pair", "value"),
    [("a=2", 2), ("a=0.5", 0.5), ("a=true", True), ("a=auto", "auto"), ('a="2"', "2"), ("a=x=y", "x=y")],
)
def test_an_option_is_parsed_as_json_or_text(pair: str, value: Any) -> None:
    assert read_options([pair]) == {"a": value}


SERVER = ["--model", "m", "--max-length", "9"]


def test_a_server_without_a_key_prints_a_one_line_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("VLM_UEC_VLLM_KEY", raising=False)
    assert server_main(SERVER) == 2
    errors = capsys.readouterr().err
    assert "VLM_UEC_VLLM_KEY is not set" in errors
    assert len(errors.splitlines()) == 1


def test_a_server_without_vllm_prints_a_one_line_error() -> None:
    command = [sys.executable, "-m", "vlm_uec.rollout.vllm.server", *SERVER]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "VLM_UEC_VLLM_KEY": "k"}
    completed = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (completed.returncode, completed.stdout) == (2, "")
    assert "cannot run vLLM" in completed.stderr
    assert len(completed.stderr.strip().splitlines()) == 1
