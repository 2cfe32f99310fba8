"""The server loop: reads requests of the trainer's ranks, steps the engine, and replies."""

from __future__ import annotations

import itertools
import logging
import queue
import socket
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import torch

from vlm_uec.rollout.vllm.messages import Backend, Completion, SamplingJob
from vlm_uec.rollout.vllm.protocol import Connection, Message, ProtocolError
from vlm_uec.rollout.vllm.weights import BANNED, TensorAssembler, checksum_of_ids, weights_digest

HEARTBEAT_S = 1.0
MAX_QUEUED_MESSAGES = 8  # read ahead of the loop; with pieces of weights this is half a GiB

logger = logging.getLogger(__name__)


class Peer:
    """A rank of a trainer. A separate thread writes to it, so that a slow peer does not block the engine."""

    def __init__(self, connection: Connection, number: int) -> None:
        self._connection, self.number = connection, number
        self.pending: set[str] = set()  # job ids
        self.rejected = False
        self._replies: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        threading.Thread(target=self._write, daemon=True).start()

    def reply(self, head: dict[str, Any], tensors: dict[str, torch.Tensor] | None = None) -> None:
        self._replies.put(Message(head, tensors or {}))

    def close(self) -> None:
        """Closes the connection after all replies are written."""
        self._replies.put(None)

    def read(self, events: queue.Queue[tuple[Peer, Message | None]]) -> None:
        """Forwards every message to `events`, and None when the connection ends."""
        with suppress(ProtocolError):
            while (message := self._connection.receive()) is not None:
                events.put((self, message))
        events.put((self, None))

    def _write(self) -> None:
        with suppress(ProtocolError):
            while (message := self._replies.get()) is not None:
                self._connection.send(message.head, message.tensors)
        self._connection.close()


class WeightPush:
    """A weight update in progress. Weights are usable only after `finish`, which returns their checksums."""

    def __init__(self, peer: Peer, backend: Backend, banned: Sequence[int]) -> None:
        self.peer, self._backend = peer, backend
        self._name = ""
        self._assembler: TensorAssembler | None = None
        self.checksums = {BANNED: checksum_of_ids(banned)}
        backend.begin(banned)

    def add(self, message: Message) -> None:
        head = message.head
        if "name" in head:
            self._name = str(head["name"])
            self._assembler = TensorAssembler(str(head["dtype"]), tuple(map(int, head["shape"])))
        if self._assembler is None:
            raise ValueError("received a piece without the name of its weight")
        tensor = self._assembler.add(message.tensors["piece"])
        if tensor is not None:
            self._assembler = None
            self.checksums[self._name] = self._backend.load(self._name, tensor)

    def finish(self) -> dict[str, str]:
        if self._assembler is not None:
            raise ValueError(f"received only a part of {self._name}")
        self._backend.finish()
        return self.checksums


class Service:
    """Serves any number of peers from one engine."""

    def __init__(self, backend: Backend, key: bytes) -> None:
        self._backend, self._key = backend, key
        self._events: queue.Queue[tuple[Peer, Message | None]] = queue.Queue(MAX_QUEUED_MESSAGES)
        self._jobs: dict[str, tuple[Peer, int]] = {}
        self._push: WeightPush | None = None
        self._digest: str | None = None  # of the weights that jobs may be sampled from
        # As reported in the facts; empty before the first push, during one, and after a peer rejected them.
        self._checksums: dict[str, str] = {}
        self._progress = 0  # number of times that tokens were sampled
        self._numbers = itertools.count()
        self._last_heartbeat = time.monotonic()

    def listen(self, listener: socket.socket) -> None:
        """Accepts peers from now on, in a separate thread."""
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def run(self) -> None:
        """Handles messages, steps the engine and replies, forever. An exception of the engine ends it."""
        while True:
            self._handle_events()
            if self._backend.busy:
                for completed in self._backend.step():
                    self._progress += 1
                    if completed is not None:
                        self._complete(*completed)
            self._send_heartbeats()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            connection, address = listener.accept()
            threading.Thread(target=self._serve_peer, args=(connection, address), daemon=True).start()

    def _serve_peer(self, stream: socket.socket, address: tuple[str, int]) -> None:
        try:
            connection = Connection(stream, self._key, server=True)
        except ProtocolError as error:
            logger.warning("connection from %s rejected: %s", address[0], error)
            return
        Peer(connection, next(self._numbers)).read(self._events)

    def _handle_events(self) -> None:
        """Handles all queued messages; an idle engine waits up to `HEARTBEAT_S` for the first."""
        with suppress(queue.Empty):
            if not self._backend.busy:
                self._handle(*self._events.get(timeout=HEARTBEAT_S))
            while True:
                self._handle(*self._events.get_nowait())

    def _handle(self, peer: Peer, message: Message | None) -> None:
        if message is None:
            self._disconnect(peer)
        elif not peer.rejected:
            try:
                self._dispatch(peer, message)
            except Exception as error:
                # Sent to the peer that caused it, whose run ends; the server stays up for the next run.
                logger.exception("request of peer %d failed", peer.number)
                peer.rejected = True
                peer.reply({"error": f"{type(error).__name__}: {error}"})

    def _dispatch(self, peer: Peer, message: Message) -> None:
        match message.head.get("do"):
            case "facts":
                peer.reply({"facts": self._backend.facts, "weights": self._checksums})
            case "begin":
                self._begin(peer, message)
            case "piece":
                self._push_of(peer).add(message)
            case "finish":
                self._finish(peer)
            case "forget":
                # The digest stays valid: other ranks may have submitted jobs with it, and their own checks
                # should report the fault, not stale weights.
                self._checksums = {}
            case "sample":
                self._sample(peer, message)
            case other:
                raise ValueError(f"unknown request {other!r}")

    def _begin(self, peer: Peer, message: Message) -> None:
        if self._jobs:
            raise ValueError("another trainer is sampling from this server: one trainer at a time")
        # No weights are valid until the push is complete, even if it fails.
        self._push, self._digest, self._checksums = None, None, {}
        self._push = WeightPush(peer, self._backend, [int(one) for one in message.head["banned"]])

    def _push_of(self, peer: Peer) -> WeightPush:
        if self._push is None or self._push.peer is not peer:
            raise ValueError("the weight update was not started, or another trainer's update replaced it")
        return self._push

    def _finish(self, peer: Peer) -> None:
        self._checksums = self._push_of(peer).finish()
        self._digest, self._push = weights_digest(self._checksums), None
        peer.reply({"weights": self._checksums})

    def _sample(self, peer: Peer, message: Message) -> None:
        head, tensors = message.head, message.tensors
        if self._digest is None or head["weights"] != self._digest:
            raise ValueError("its weights are not the policy's: stale, or another trainer's")
        job = SamplingJob(
            prompt=tensors["prompt"],
            features=tensors["features"],
            grid=tensors["grid"],
            n=int(head["n"]),
            seed=int(head["seed"]),
            temperature=float(head["temperature"]),
            top_p=float(head["top_p"]),
            max_tokens=int(head["max_tokens"]),
            end_ids=tuple(map(int, head["ends"])),
        )
        number = int(head["number"])
        job_id = f"{peer.number}-{number}"
        self._backend.add(job_id, job)
        self._jobs[job_id] = peer, number
        peer.pending.add(job_id)

    def _complete(self, job_id: str, completions: Sequence[Completion]) -> None:
        peer, number = self._jobs.pop(job_id)
        peer.pending.discard(job_id)
        peer.reply(
            {"number": number, "lengths": [len(completion.tokens) for completion in completions]},
            {
                "tokens": torch.tensor([token for one in completions for token in one.tokens]),
                "logprobs": torch.tensor([value for one in completions for value in one.logprobs]),
            },
        )

    def _disconnect(self, peer: Peer) -> None:
        """Aborts the jobs and the weight update of a peer whose connection ended."""
        if self._push is not None and self._push.peer is peer:
            self._push = None
        if peer.pending:
            self._backend.abort(sorted(peer.pending))
        for job_id in peer.pending:
            del self._jobs[job_id]
        peer.pending.clear()
        peer.close()

    def _send_heartbeats(self) -> None:
        """Sends the progress counter to peers with pending jobs, which detects an engine that is stuck."""
        now = time.monotonic()
        if now - self._last_heartbeat >= HEARTBEAT_S:
            self._last_heartbeat = now
            for peer in {peer for peer, _ in self._jobs.values()}:
                peer.reply({"alive": self._progress})
