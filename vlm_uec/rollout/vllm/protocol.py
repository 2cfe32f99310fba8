"""Messages between trainer and server: JSON and tensors (safetensors), so that parsing one runs no code.

Client and server prove to each other that they know the shared key (HMAC-SHA256 over fresh random bytes of
both). Nothing is encrypted: use it on a private network only.
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
HANDSHAKE_TIMEOUT_S = 10.0
MESSAGE_TIMEOUT_S = 120.0  # between two reads of one message
_SIZES = struct.Struct(">QQ")
_NONCE = 32


class ProtocolError(Exception):
    """The peer closed the connection or sent invalid data."""


@dataclass(frozen=True)
class Message:
    """A JSON object, and named tensors on the CPU."""

    head: Mapping[str, Any]
    tensors: Mapping[str, torch.Tensor] = field(default_factory=dict)


class Connection:
    """One end of an authenticated connection. Any thread may send; only one may receive."""

    def __init__(self, stream: socket.socket, key: bytes, *, server: bool) -> None:
        """Raises `ProtocolError` if the peer does not prove the key within `HANDSHAKE_TIMEOUT_S` seconds."""
        self._socket = stream
        self._send_lock = threading.Lock()
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        try:
            stream.settimeout(HANDSHAKE_TIMEOUT_S)
            self._handshake(key, server=server)
            stream.settimeout(MESSAGE_TIMEOUT_S)
        except (OSError, ProtocolError) as error:
            self.close()
            raise ProtocolError(str(error)) from error

    def send(self, head: Mapping[str, Any], tensors: Mapping[str, torch.Tensor] | None = None) -> None:
        """Raises `ProtocolError` if the connection is lost."""
        header = json.dumps(head, allow_nan=False).encode()
        packed = save({name: tensor.contiguous() for name, tensor in tensors.items()}) if tensors else b""
        try:
            with self._send_lock:
                self._socket.sendall(_SIZES.pack(len(header), len(packed)) + header)
                self._socket.sendall(packed)
        except OSError as error:
            raise ProtocolError(str(error)) from error

    def receive(self, seconds: float | None = None) -> Message | None:
        """The next message; None if none begins within `seconds` (None: no limit).

        Raises `ProtocolError` if the connection is lost or the data is not a valid message.
        """
        try:
            if not select.select([self._socket], [], [], seconds)[0]:
                return None
            head_bytes, tensor_bytes = _SIZES.unpack(self._receive_exactly(_SIZES.size))
            if head_bytes > MAX_HEAD_BYTES or tensor_bytes > MAX_TENSOR_BYTES:
                raise ProtocolError(f"a message of {head_bytes + tensor_bytes} bytes is too long")
            head = json.loads(self._receive_exactly(head_bytes))
            tensors = load(self._receive_exactly(tensor_bytes)) if tensor_bytes else {}
        except (OSError, ValueError, RecursionError, SafetensorError) as error:
            raise ProtocolError(str(error)) from error
        if not isinstance(head, dict):
            raise ProtocolError("a message's head is not a JSON object")
        return Message(head, tensors)

    def close(self) -> None:
        """Ends the connection; the peer and a thread blocked in `receive` return at once."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _handshake(self, key: bytes, *, server: bool) -> None:
        ours, theirs = (b"server", b"client") if server else (b"client", b"server")
        nonce = secrets.token_bytes(_NONCE)
        self._socket.sendall(GREETING + nonce)
        if not hmac.compare_digest(self._receive_exactly(len(GREETING)), GREETING):
            raise ProtocolError("the peer uses another protocol, or another version of this one")
        other = self._receive_exactly(_NONCE)
        self._socket.sendall(_proof(key, ours, nonce, other))
        if not hmac.compare_digest(
            self._receive_exactly(hashlib.sha256().digest_size), _proof(key, theirs, other, nonce)
        ):
            raise ProtocolError("client and server have different keys")

    def _receive_exactly(self, count: int) -> bytes:
        received = bytearray(count)
        view = memoryview(received)
        while view:
            count = self._socket.recv_into(view)
            if not count:
                raise ProtocolError("the peer closed the connection")
            view = view[count:]
        return bytes(received)


def _proof(key: bytes, role: bytes, own: bytes, other: bytes) -> bytes:
    return hmac.digest(key, role + own + other, "sha256")
