"""A server without vLLM: the real protocol and service loop around a policy that samples token by token."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import torch

from tests.support.tiny import IMAGE_PAD, VISION, tiny_model
from vlm_uec.data.positions import mrope_positions
from vlm_uec.errors import Stopped
from vlm_uec.model.attention import attention_over
from vlm_uec.model.packing import Row, pack
from vlm_uec.model.policy import Policy
from vlm_uec.rollout.sampling import Sampled, sample_tokens, uniform_stream
from vlm_uec.rollout.vllm.client import Address, Link
from vlm_uec.rollout.vllm.engine import VllmEngine
from vlm_uec.rollout.vllm.messages import Drawn, Order
from vlm_uec.rollout.vllm.protocol import Wire, WireError
from vlm_uec.rollout.vllm.service import Service
from vlm_uec.rollout.vllm.weight_names import language_weights
from vlm_uec.rollout.vllm.weights import checksum
from vlm_uec.types import EncodedPrompt

KEY = b"a secret"


class TinyBackend:
    """Stands in for vLLM and finishes one order a step. `faults`: names of the faults to inject."""

    def __init__(self, *, tied: bool = True, faults: Sequence[str] = (), max_length: int = 4096) -> None:
        model = tiny_model(
            tied=tied, seed=99
        )  # differs from the trainer's: a missing weight changes log-probs
        self.policy = Policy(model, torch.zeros(model.lm_head.out_features, dtype=torch.bool), VISION)
        self.policy.eval()
        self.faults, self.max_length = set(faults), max_length
        self.orders: dict[str, Order] = {}
        self.received: list[Order] = []
        self.aborted: list[str] = []
        self.pushes = 0

    @property
    def facts(self) -> dict[str, Any]:
        return {"dtype": "float32", "max_length": self.max_length}

    @property
    def busy(self) -> bool:
        return bool(self.orders)

    def begin(self, banned: Sequence[int]) -> None:
        self.policy.head.banned.zero_()
        if "forgets what is banned" not in self.faults:
            self.policy.head.banned[list(banned)] = True
        self.pushes += 1

    def load(self, name: str, tensor: torch.Tensor) -> str:
        ours = f"model.language_model.{name.removeprefix('model.')}" if name.startswith("model.") else name
        weight = self.policy.model.get_parameter(ours)
        if f"keeps {name}" in self.faults:
            return checksum(weight)
        if f"says it has {name}" not in self.faults:
            weight.data.copy_(tensor)
        return checksum(tensor)

    def finish(self) -> None: ...

    def add(self, ticket: str, order: Order) -> None:
        self.orders[ticket] = order
        self.received.append(order)

    def abort(self, tickets: Sequence[str]) -> None:
        self.aborted += tickets
        for ticket in tickets:
            del self.orders[ticket]

    @torch.no_grad()
    def step(self) -> Iterator[tuple[str, Sequence[Drawn]]]:
        # Newest first: the client must accept answers in any order.
        ticket, order = self.orders.popitem()
        yield ticket, [self._drawn(order, place) for place in range(order.n)]

    def _drawn(self, order: Order, place: int) -> Drawn:
        positions = mrope_positions(order.prompt, order.grid, IMAGE_PAD, 2)
        nothing = torch.zeros(0, 3 * 2 * 14 * 14)
        prompt = EncodedPrompt("", order.prompt, nothing, order.grid, positions)
        uniforms = uniform_stream(order.seed + place, 0, "", 0, order.max_tokens)
        tokens, logprobs = list[int](), list[float]()
        while len(tokens) < order.max_tokens and not (tokens and tokens[-1] in order.ends):
            drawn = self._next(prompt, tokens, order, uniforms[len(tokens)])
            tokens.append(int(drawn.tokens))
            logprobs.append(float(drawn.behaviour_logprobs))
        return Drawn(tokens, logprobs)

    def _next(
        self, prompt: EncodedPrompt, tokens: Sequence[int], order: Order, uniform: torch.Tensor
    ) -> Sampled:
        batch = pack([Row(prompt, (torch.tensor([*tokens, 0]),))])
        embeddings = self.policy.embed(batch.input_ids, order.features)
        hidden = self.policy.hidden_states(embeddings, batch.position_ids, attention_over(batch))
        logits = self.policy.logits(hidden[batch.predictors[-1:]])
        temperature, top_p = torch.tensor([order.temperature]), torch.tensor([order.top_p])
        return sample_tokens(logits, self.policy.head.banned, uniform[None], temperature, top_p)


def serve(backend: TinyBackend, key: bytes = KEY) -> Address:
    """Starts a service around `backend` in daemon threads; returns its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    service = Service(backend, key)
    service.listen(listener)
    threading.Thread(target=service.run, daemon=True).start()
    return Address("127.0.0.1", listener.getsockname()[1], KEY, "its log")


class ScriptedServer:
    """Answers requests with prepared messages, then closes the connection."""

    def __init__(self, replies: dict[str, list[tuple[dict[str, Any], dict[str, torch.Tensor]]]]) -> None:
        """`replies`: messages by request ("facts", "sample"); other requests close the connection."""
        self._replies = replies
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = Address("127.0.0.1", self._listener.getsockname()[1], KEY, "its log")
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            wire = Wire(connection, KEY, server=True)
            with suppress(WireError):
                while (message := wire.receive()) is not None:
                    if message.head["do"] not in self._replies:
                        break
                    for head, tensors in self._replies[message.head["do"]]:
                        wire.send(head, tensors)
            wire.close()


def interrupted_push(engine: VllmEngine, link: Link, banned: Sequence[int]) -> None:
    """Replaces `VllmEngine._push`: the trainer stops between two weights that vLLM loads as one layer."""

    def first_weights() -> Iterator[tuple[str, torch.Tensor]]:
        for name, weight in language_weights(engine.policy.model):
            yield name, weight
            if name == "model.layers.1.self_attn.q_proj.weight":
                raise Stopped(15)

    link.push(first_weights(), banned)
