"""Messages between trainer and server: JSON and tensors (safetensors), so that reading one runs no code.

Whoever connects proves that it knows the shared key, and so does the server (HMAC-SHA256 over fresh random
bytes of both). Nothing is encrypted: a network that others listen on is no place for it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import select
import socket
import struct
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

GREETING = b"vlm-uec rollout 1\n"
MAX_HEAD_BYTES = 16 << 20
MAX_TENSOR_BYTES = 1 << 30
GREETING_S = 10.0
STALLED_S = 120.0  # of a peer in the middle of a message
_SIZES = struct.Struct(">QQ")
_NONCE = 32


class WireError(Exception):
    """The other end is gone, or does not speak as agreed."""


@dataclass(frozen=True)
class Message:
    """One message: what JSON can say, and named tensors on the CPU."""

    head: Mapping[str, Any]
    tensors: Mapping[str, torch.Tensor] = field(default_factory=dict)


class Wire:
    """One end of a connection. Any thread may send; one receives."""

    def __init__(self, connection: socket.socket, key: bytes, *, server: bool) -> None:
        """Raises `WireError` where the other end does not know the key within `GREETING_S` seconds."""
        self._socket = connection
        self._sending = threading.Lock()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        try:
            connection.settimeout(GREETING_S)
            self._greet(key, server=server)
            connection.settimeout(STALLED_S)
        except (OSError, WireError) as error:
            self.close()
            raise WireError(str(error)) from error

    def send(self, head: Mapping[str, Any], tensors: Mapping[str, torch.Tensor] | None = None) -> None:
        """Raises `WireError` where the other end is gone."""
        told = json.dumps(head, allow_nan=False).encode()
        packed = save({name: tensor.contiguous() for name, tensor in tensors.items()}) if tensors else b""
        try:
            with self._sending:
                self._socket.sendall(_SIZES.pack(len(told), len(packed)) + told)
                self._socket.sendall(packed)
        except OSError as error:
            raise WireError(str(error)) from error

    def receive(self, seconds: float | None = None) -> Message | None:
        """The next message; None where none began within `seconds` (None: waits for ever).

        Raises `WireError` where the other end is gone, or sent something else.
        """
        try:
            if not select.select([self._socket], [], [], seconds)[0]:
                return None
            head, packed = _SIZES.unpack(self._exactly(_SIZES.size))
            if head > MAX_HEAD_BYTES or packed > MAX_TENSOR_BYTES:
                raise WireError(f"a message of {head + packed} bytes is too long")
            told = json.loads(self._exactly(head))
            tensors = load(self._exactly(packed)) if packed else {}
        except (OSError, ValueError, RecursionError, SafetensorError) as error:
            raise WireError(str(error)) from error
        if not isinstance(told, dict):
            raise WireError("a message that is no JSON object")
        return Message(told, tensors)

    def close(self) -> None:
        """The other end, and a thread that waits here for a message, hear of it at once."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _greet(self, key: bytes, *, server: bool) -> None:
        ours, theirs = (b"server", b"client") if server else (b"client", b"server")
        nonce = secrets.token_bytes(_NONCE)
        self._socket.sendall(GREETING + nonce)
        if not hmac.compare_digest(self._exactly(len(GREETING)), GREETING):
            raise WireError("the other end speaks another protocol, or another version of this one")
        other = self._exactly(_NONCE)
        self._socket.sendall(_proof(key, ours, nonce, other))
        if not hmac.compare_digest(
            self._exactly(hashlib.sha256().digest_size), _proof(key, theirs, other, nonce)
        ):
            raise WireError("the two ends have different keys")

    def _exactly(self, count: int) -> bytes:
        received = bytearray(count)
        view = memoryview(received)
        while view:
            got = self._socket.recv_into(view)
            if not got:
                raise WireError("the other end closed the connection")
            view = view[got:]
        return bytes(received)


def _proof(key: bytes, role: bytes, own: bytes, other: bytes) -> bytes:
    return hmac.digest(key, role + own + other, "sha256")
