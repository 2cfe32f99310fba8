"""The trainer's end of the connection: what it asks, what comes back, one clear line where nothing does."""

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
from vlm_uec.rollout.vllm.protocol import GREETING_S, Message, Wire, WireError
from vlm_uec.rollout.vllm.weights import pieces
from vlm_uec.types import EncodedPrompt


@dataclass(frozen=True)
class Address:
    """Where a server listens."""

    host: str
    port: int
    key: bytes = field(repr=False)
    hint: str  # where it says what it suffers from

    def failed(self, why: str) -> RunFailed:
        return RunFailed(f"vLLM server {self.host}:{self.port}: {escape(why, 300)}; see {self.hint}")


@dataclass(frozen=True)
class Facts:
    """What a server tells of itself."""

    dtype: str
    max_length: int  # tokens of prompt and response
    checksums: Mapping[str, str]  # of its weights, by name; empty: those of no trainer, or not to be trusted


@dataclass(frozen=True)
class Answer:
    """The responses to one order, as they came: nothing in it is checked yet."""

    number: int
    tokens: tuple[torch.Tensor, ...]  # [R] int64 each
    logprobs: tuple[torch.Tensor, ...]  # [R] float32 each, of the distribution sampled from


@contextmanager
def connected(address: Address, patience: float) -> Iterator[Link]:
    """A connection; when it closes, the server forgets what it still owes on it.

    `patience`: seconds after which a server that does not get on counts as lost. Raises `RunFailed`.
    """
    try:
        connection = socket.create_connection((address.host, address.port), timeout=GREETING_S)
        wire = Wire(connection, address.key, server=False)
    except (OSError, WireError) as error:
        raise address.failed(f"no connection ({error})") from error
    try:
        yield Link(address, wire, patience)
    finally:
        wire.close()


class Link:
    """One rank's conversation with the server. Every method raises `RunFailed` where the server is lost."""

    def __init__(self, address: Address, wire: Wire, patience: float) -> None:
        self._address, self._wire, self._patience = address, wire, patience
        self._beat: Any = None  # the latest: another one says that tokens were drawn
        self._got_on = time.monotonic()

    def facts(self) -> Facts:
        self._send({"do": "facts"})
        head = self._reply().head
        try:
            facts = head["facts"]
            return Facts(str(facts["dtype"]), int(facts["max_length"]), dict(head["weights"]))
        except (KeyError, TypeError, ValueError) as error:
            raise self._address.failed(f"tells nonsense of itself ({error!r})") from error

    def push(self, weights: Iterable[tuple[str, torch.Tensor]], banned: Sequence[int]) -> None:
        """Gives the server these weights, piece by piece, and ids never to be drawn."""
        self._send({"do": "begin", "banned": list(banned)})
        for name, weight in weights:
            start: dict[str, Any] = {
                "name": name,
                "dtype": str(weight.dtype).removeprefix("torch."),
                "shape": list(weight.shape),
            }
            for piece in pieces(weight):
                self._send({"do": "piece", **start}, {"piece": piece})
                start = {}
        self._send({"do": "finish"})
        self._reply()

    def order(
        self,
        number: int,
        prompt: EncodedPrompt,
        features: torch.Tensor,
        sampling: Sampling,
        *,
        n: int,
        seed: int,
        ends: Iterable[int],
        weights: str,
    ) -> None:
        """Asks for `n` responses, drawn with the seeds `seed`, `seed + 1`, ..., from those weights alone."""
        head = {
            "do": "sample",
            "number": number,
            "n": n,
            "seed": seed,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "max_tokens": sampling.max_tokens,
            "ends": sorted(ends),
            "weights": weights,
        }
        self._send(head, {"prompt": prompt.input_ids, "features": features, "grid": prompt.image_grid_thw})

    def answer(self, seconds: float) -> Answer | None:
        """The next order that is done; None where none is within `seconds`."""
        message = self._next(seconds)
        if message is None:
            return None
        try:
            lengths = [int(length) for length in message.head["lengths"]]
            tokens = message.tensors["tokens"].to(torch.int64).split(lengths)
            logprobs = message.tensors["logprobs"].float().split(lengths)
            return Answer(int(message.head["number"]), tuple(tokens), tuple(logprobs))
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise self._address.failed(f"answers nonsense ({error!r})") from error

    def distrusted(self, why: str) -> RunFailed:
        """The error to raise where the server does not sample from what it was sent. It forgets whose weights
        it has, so that the next start sends them all anew and does not fail in the same way."""
        with suppress(WireError):
            self._wire.send({"do": "forget"})
        return self._address.failed(why)

    def _reply(self) -> Message:
        while (message := self._next(1.0)) is None:
            pass
        return message

    def _next(self, seconds: float) -> Message | None:
        """What comes within `seconds`, but for beats."""
        try:
            message = self._wire.receive(seconds)
        except WireError as error:
            raise self._address.failed(f"lost ({error})") from error
        if message is None or "alive" in message.head:
            self._see(self._beat if message is None else message.head["alive"])
            return None
        self._got_on = time.monotonic()
        if "error" in message.head:
            raise self._address.failed(str(message.head["error"]))
        return message

    def _see(self, beat: Any) -> None:
        """A server that lives and draws nothing is as lost as a silent one."""
        if beat != self._beat:
            self._beat, self._got_on = beat, time.monotonic()
        elif time.monotonic() - self._got_on > self._patience:
            raise self._address.failed(f"did not get on for {self._patience:g} s (guard.stall_timeout)")

    def _send(self, head: Mapping[str, Any], tensors: Mapping[str, torch.Tensor] | None = None) -> None:
        self._got_on = time.monotonic()  # with what it is asked now, it could not before
        try:
            self._wire.send(head, tensors)
        except WireError as error:
            raise self._address.failed(f"lost ({error})") from error
