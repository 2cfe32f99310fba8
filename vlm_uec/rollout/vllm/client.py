"""The trainer's client of the vLLM server: sends requests and receives results; errors take one line."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import torch

from vlm_uec.errors import RunFailed
from vlm_uec.escape import escape
from vlm_uec.rollout.engine import Sampling
from vlm_uec.rollout.vllm.protocol import HANDSHAKE_TIMEOUT_S, Connection, Message, ProtocolError
from vlm_uec.rollout.vllm.weights import split_into_pieces
from vlm_uec.types import EncodedPrompt


@dataclass(frozen=True)
class Address:
    """Where a server listens."""

    host: str
    port: int
    key: bytes = field(repr=False)
    log: str  # where to find the server's output, for error messages

    def failure(self, reason: str) -> RunFailed:
        return RunFailed(f"vLLM server {self.host}:{self.port}: {escape(reason, 300)}; see {self.log}")


@dataclass(frozen=True)
class ServerFacts:
    """What a server reports about itself."""

    dtype: str
    max_length: int  # tokens of prompt and response
    checksums: Mapping[str, str]  # of its weights, by name; empty if it has none or they are not trusted


@dataclass(frozen=True)
class JobResult:
    """The responses to one sampling job, not validated yet."""

    number: int
    tokens: tuple[torch.Tensor, ...]  # [R] int64 each
    logprobs: tuple[torch.Tensor, ...]  # [R] float32 each, of the distribution sampled from


@contextmanager
def connect(address: Address, stall_timeout: float) -> Iterator[VllmClient]:
    """Opens a connection; when it closes, the server aborts the jobs that are still pending on it.

    `stall_timeout`: seconds without progress after which the server counts as lost. Raises `RunFailed`.
    """
    try:
        stream = socket.create_connection((address.host, address.port), timeout=HANDSHAKE_TIMEOUT_S)
        connection = Connection(stream, address.key, server=False)
    except (OSError, ProtocolError) as error:
        raise address.failure(f"no connection ({error})") from error
    try:
        yield VllmClient(address, connection, stall_timeout)
    finally:
        connection.close()


class VllmClient:
    """One rank's connection to the server. Every method raises `RunFailed` if the server is lost."""

    def __init__(self, address: Address, connection: Connection, stall_timeout: float) -> None:
        self._address, self._connection, self._stall_timeout = address, connection, stall_timeout
        self._heartbeat: Any = None  # the last value received; a new value means that tokens were sampled
        self._last_progress = time.monotonic()

    def facts(self) -> ServerFacts:
        self._send({"do": "facts"})
        head = self._reply().head
        try:
            facts = head["facts"]
            return ServerFacts(str(facts["dtype"]), int(facts["max_length"]), dict(head["weights"]))
        except (KeyError, TypeError, ValueError) as error:
            raise self._address.failure(f"reports invalid facts ({error!r})") from error

    def push(self, weights: Iterable[tuple[str, torch.Tensor]], banned: Sequence[int]) -> None:
        """Sends these weights in pieces, and the ids that must never be sampled."""
        self._send({"do": "begin", "banned": list(banned)})
        for name, weight in weights:
            start: dict[str, Any] = {
                "name": name,
                "dtype": str(weight.dtype).removeprefix("torch."),
                "shape": list(weight.shape),
            }
            for piece in split_into_pieces(weight):
                self._send({"do": "piece", **start}, {"piece": piece})
                start = {}
        self._send({"do": "finish"})
        self._reply()

    def submit(
        self,
        number: int,
        prompt: EncodedPrompt,
        features: torch.Tensor,
        sampling: Sampling,
        *,
        n: int,
        seed: int,
        end_ids: Iterable[int],
        weights: str,
    ) -> None:
        """Requests `n` responses with the seeds `seed`, `seed + 1`, ..., sampled from these weights only."""
        head = {
            "do": "sample",
            "number": number,
            "n": n,
            "seed": seed,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "max_tokens": sampling.max_tokens,
            "ends": sorted(end_ids),
            "weights": weights,
        }
        self._send(head, {"prompt": prompt.input_ids, "features": features, "grid": prompt.image_grid_thw})

    def next_result(self, seconds: float) -> JobResult | None:
        """The next completed job; None if none completes within `seconds`."""
        message = self._next(seconds)
        if message is None:
            return None
        try:
            lengths = [int(length) for length in message.head["lengths"]]
            tokens = message.tensors["tokens"].to(torch.int64).split(lengths)
            logprobs = message.tensors["logprobs"].float().split(lengths)
            return JobResult(int(message.head["number"]), tuple(tokens), tuple(logprobs))
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise self._address.failure(f"sends an invalid result ({error!r})") from error

    def reject(self, reason: str) -> RunFailed:
        """The error to raise if the server does not sample from the weights it was sent.

        The server discards its checksums, so that the next run sends all weights again instead of failing in
        the same way.
        """
        with suppress(ProtocolError):
            self._connection.send({"do": "forget"})
        return self._address.failure(reason)

    def _reply(self) -> Message:
        while (message := self._next(1.0)) is None:
            pass
        return message

    def _next(self, seconds: float) -> Message | None:
        """The message that arrives within `seconds`; heartbeats are handled here."""
        try:
            message = self._connection.receive(seconds)
        except ProtocolError as error:
            raise self._address.failure(f"lost ({error})") from error
        if message is None or "alive" in message.head:
            self._check_progress(self._heartbeat if message is None else message.head["alive"])
            return None
        self._last_progress = time.monotonic()
        if "error" in message.head:
            raise self._address.failure(str(message.head["error"]))
        return message

    def _check_progress(self, heartbeat: Any) -> None:
        """A server that responds but samples nothing counts as lost, like a silent one."""
        if heartbeat != self._heartbeat:
            self._heartbeat, self._last_progress = heartbeat, time.monotonic()
        elif time.monotonic() - self._last_progress > self._stall_timeout:
            raise self._address.failure(
                f"made no progress for {self._stall_timeout:g} s (guard.stall_timeout)"
            )

    def _send(self, head: Mapping[str, Any], tensors: Mapping[str, torch.Tensor] | None = None) -> None:
        self._last_progress = time.monotonic()  # the server may have been idle until this request
        try:
            self._connection.send(head, tensors)
        except ProtocolError as error:
            raise self._address.failure(f"lost ({error})") from error
