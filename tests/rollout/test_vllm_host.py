"""Where a run's vLLM server comes from: started and ended by rank 0, or found at an address. No vLLM here."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
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
from vlm_uec.rollout.vllm.client import connected
from vlm_uec.rollout.vllm.host import LOG, VllmHost, command_of, environment_of
from vlm_uec.rollout.vllm.server import main as server_main
from vlm_uec.rollout.vllm.server import read_options

STAND_IN = ROOT / "tests" / "support" / "tiny_vllm_server.py"


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """A python "that has vLLM": `-c` finds it, and the server is the tiny one."""
    path = tmp_path / "python"
    command = shlex.join([sys.executable, str(STAND_IN)])
    path.write_text(f'#!/bin/sh\n[ "$1" = -c ] && exit 0\nshift 2\nexec {command} "$@"\n')
    path.chmod(0o755)
    return path


def _config(*overrides: str) -> Config:
    return make_config(
        "rollout.engine=vllm", "data.max_prompt_tokens=64", "rollout.max_tokens=32", *overrides
    )


def _never() -> None: ...


@pytest.fixture
def opened() -> Iterator[Callable[..., VllmHost]]:
    hosts: list[VllmHost] = []

    def make(config: Config, run_dir: Path, check: Callable[[], None] = _never) -> VllmHost:
        hosts.append(VllmHost(config))
        hosts[-1].open(run_dir, check)
        return hosts[-1]

    yield make
    for host in hosts:
        host.close()


def test_a_server_is_started_sampled_from_and_ended(
    python: Path, tmp_path: Path, opened: Callable[..., VllmHost]
) -> None:
    host = opened(_config(f"vllm.python={python}", "vllm.options={a: 2, b: true, c: x}"), tmp_path)
    assert host.address().host == "127.0.0.1"
    with connected(host.address(), 5) as link:
        assert link.facts().max_length == 96
    log = (tmp_path / LOG).read_text()
    assert "in float32 for 96 tokens with {'a': 2, 'b': True, 'c': 'x'}" in log
    process = host._process
    assert process is not None
    assert host.address().key.decode() not in " ".join(psutil.Process(process.pid).cmdline())
    host.close()
    with pytest.raises(RunFailed, match="no connection"), connected(host.address(), 5):
        pass


def test_the_server_ends_when_whatever_started_it_ends() -> None:
    """The trainer's end of the pipe closes, however that comes about."""
    command = [sys.executable, str(STAND_IN), "--child", "--model", "m", "--max-length", "9"]
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


def test_a_server_that_dies_while_it_loads_is_told_with_its_last_words(
    python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened: Callable[..., VllmHost]
) -> None:
    monkeypatch.setenv("FAULT", "dies")
    with pytest.raises(RunFailed, match=r"exit code 1.*no such engine argument.*vllm\.log") as caught:
        opened(_config(f"vllm.python={python}"), tmp_path)
    assert str(caught.value).isprintable()


def test_a_server_that_never_gets_ready_is_given_up(
    python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened: Callable[..., VllmHost]
) -> None:
    monkeypatch.setenv("FAULT", "hangs")
    monkeypatch.setattr(host_module, "_LOOK_S", 0.1)
    config = _config(f"vllm.python={python}")
    impatient = config.model_copy(update={"guard": config.guard.model_copy(update={"start_timeout": 0.3})})
    with pytest.raises(RunFailed, match=r"not ready after 0\.3 s"):
        opened(impatient, tmp_path)


def test_a_wish_to_stop_is_granted_while_it_loads(
    python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened: Callable[..., VllmHost]
) -> None:
    monkeypatch.setenv("FAULT", "hangs")

    def check() -> None:
        raise Stopped(15)

    with pytest.raises(Stopped):
        opened(_config(f"vllm.python={python}"), tmp_path, check)


def test_a_server_at_an_address_is_found_with_the_secret_of_the_environment(
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
    ("overrides", "told"),
    [
        (["rollout.max_tokens=40"], r"holds 96 tokens, and .* are 104; start it with --max-length 104"),
        (["model.precision=bf16"], r"computes in float32, and model.precision is bf16; .*--dtype bfloat16"),
    ],
)
def test_a_server_that_cannot_do_what_the_config_asks_is_refused(
    overrides: list[str], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLM_UEC_VLLM_KEY", KEY.decode())
    port = serve(TinyBackend(max_length=96)).port
    with pytest.raises(UserError, match=told):
        VllmHost(_config(f"vllm.address=127.0.0.1:{port}", *overrides)).check()


@pytest.mark.parametrize(
    ("python", "told"), [("/nowhere/python", "cannot be run"), (sys.executable, "has no vLLM")]
)
def test_a_python_without_vllm_is_refused_before_anything_is_loaded(python: str, told: str) -> None:
    with pytest.raises(UserError, match=told):
        VllmHost(_config(f"vllm.python={python}")).check()


@pytest.mark.parametrize(
    ("overrides", "told"),
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
def test_settings_that_cannot_work_are_refused_in_one_line(overrides: list[str], told: str) -> None:
    with pytest.raises(UserError, match=told) as caught:
        _config(*overrides)
    assert "\n" not in str(caught.value)


def test_the_native_engine_needs_none_of_it() -> None:
    assert make_config("vllm.address=nonsense").rollout.engine == "native"


def test_the_server_is_no_rank_and_has_its_own_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "MASTER_PORT"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    config = _config("vllm.python=p", "vllm.devices='6,7'", "vllm.options={tensor_parallel_size: 2}")
    environment = environment_of(config.vllm)
    assert not {"RANK", "WORLD_SIZE", "MASTER_PORT"} & environment.keys()
    assert environment["CUDA_VISIBLE_DEVICES"] == "6,7"
    assert environment["PYTHONPATH"] == str(ROOT)
    assert command_of(config, "127.0.0.1")[-2:] == ["--option", "tensor_parallel_size=2"]


@pytest.mark.parametrize(
    ("pair", "value"),
    [("a=2", 2), ("a=0.5", 0.5), ("a=true", True), ("a=auto", "auto"), ('a="2"', "2"), ("a=x=y", "x=y")],
)
def test_an_option_is_what_it_looks_like(pair: str, value: Any) -> None:
    assert read_options([pair]) == {"a": value}


SERVER = ["--model", "m", "--max-length", "9"]


def test_a_server_without_a_key_says_so_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("VLM_UEC_VLLM_KEY", raising=False)
    assert server_main(SERVER) == 2
    told = capsys.readouterr()
    assert "VLM_UEC_VLLM_KEY is not set" in told.err
    assert len(told.err.splitlines()) == 1


def test_a_server_without_vllm_says_so_in_one_line() -> None:
    command = [sys.executable, "-m", "vlm_uec.rollout.vllm.server", *SERVER]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "VLM_UEC_VLLM_KEY": "k"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "cannot run vLLM" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
