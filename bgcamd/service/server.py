"""The control server: a thread for each client of the Unix socket. It never touches pixels."""

from __future__ import annotations

import contextlib
import logging
import os
import select
import socket
import struct
import threading
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from bgcamd.errors import ControlError
from bgcamd.service import faults
from bgcamd.service.dispatch import Call, Reply, Service
from bgcamd.service.listen import Listener
from bgcamd.service.places import MAX_CLIENTS, Guest, Places
from bgcamd.service.rates import Rates
from bgcamd.service.varlink import MAX_REQUEST, Channel, Descriptors, Message, WireError

_IDLE_S = 60.0
"""So long may a client be silent, or take over one message, before it is let go: places are few."""
_LATE_S = 2.0
"""The same of one who came when all places were taken."""
_HIDE = "org.bgcam.Pause"
"""What is always answered, and at once: whoever pauses is in a hurry."""
_SEND_S = 5.0
"""A client that does not read what it asked for is let go."""
_GRACE_S = 2.0
"""At the end, so long may calls in progress take to finish."""

_log = logging.getLogger(__name__)


class Server:
    """Serves ``service`` on ``listener`` from entering the block until leaving it.

    A client that breaks the protocol loses its connection, nothing else happens.
    """

    def __init__(self, listener: Listener, service: Service, *, idle_s: float = _IDLE_S) -> None:
        self._listener = listener
        self._service = service
        self._idle_s = idle_s
        self._closing = threading.Event()
        self._places, self._rates = Places(), Rates()
        self._accepting = threading.Thread(target=self._accept, name="control", daemon=True)
        self._wake = -1

    def __enter__(self) -> Self:
        self._wake = os.eventfd(0)
        self._listener.sock.setblocking(False)
        self._accepting.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        os.eventfd_write(self._wake, 1)
        self._accepting.join()
        os.close(self._wake)
        self._part()

    def _part(self) -> None:
        """Let calls in progress finish, then take the connections away."""
        guests = self._places.guests()
        for guest in guests:
            guest.channel.stop_reading()
        deadline = time.monotonic() + _GRACE_S
        for guest in guests:
            if guest.thread is not None:
                guest.thread.join(max(deadline - time.monotonic(), 0))
            guest.channel.stop_reading(writing=True)

    def _accept(self) -> None:
        poller = select.poll()
        poller.register(self._listener.sock, select.POLLIN)
        poller.register(self._wake, select.POLLIN)
        while not self._closing.is_set():
            poller.poll()
            try:
                sock, _ = self._listener.sock.accept()
            except (BlockingIOError, ConnectionAbortedError):
                continue
            except OSError as error:  # out of descriptors: wait for some to come back
                _log.warning("a client can't be accepted: %s", error)
                self._closing.wait(0.2)
                continue
            self._admit(sock)

    def _admit(self, sock: socket.socket) -> None:
        guest = Guest(Channel(sock, most=MAX_REQUEST), _peer_uid(sock))
        refusal = None
        if not self._listener.anyone and guest.uid not in {os.getuid(), 0}:
            refusal = Reply(error="org.varlink.service.PermissionDenied")
        elif not self._places.enter(guest):
            refusal = _busy()
        if refusal is not None:
            with guest.channel, contextlib.suppress(OSError):
                guest.channel.send(_body(refusal), timeout_s=0.1)
            return
        guest.thread = threading.Thread(target=self._talk, args=(guest,), name="control-client", daemon=True)
        guest.thread.start()

    def _talk(self, guest: Guest) -> None:
        """One client, until it leaves, breaks the protocol, or the server closes."""
        idle_s = min(self._idle_s, _LATE_S) if guest.late else self._idle_s
        try:
            with guest.channel as channel:
                while not self._closing.is_set() and (message := channel.receive(idle_s)) is not None:
                    guest.resting_since = None
                    with message.fds:
                        self._in_turn(guest, message)
                    if guest.late:
                        break
                    guest.resting_since = time.monotonic()
        except (WireError, OSError) as error:
            _log.debug("a client is let go: %s", error)
        finally:
            self._places.leave(guest)

    def _in_turn(self, guest: Guest, message: Message) -> None:
        """Answer, as soon as it is this user's turn."""
        if message.body.get("method") != _HIDE:
            if guest.late:
                guest.channel.send(_body(_busy()), timeout_s=0.1)
                return
            self._closing.wait(self._rates.wait_s(guest.uid))
        self._answer(guest.channel, message)

    def _answer(self, channel: Channel, message: Message) -> None:
        oneway = message.body.get("oneway") is True
        call = _call(message, more=message.body.get("more") is True and not oneway, channel=channel)
        with contextlib.closing(self._service.answer(call)) as replies:
            for reply in replies:
                with Descriptors(reply.fds):
                    if not oneway:
                        channel.send(_body(reply), reply.fds, timeout_s=_SEND_S)


def _busy() -> Reply:
    busy = ControlError(f"{MAX_CLIENTS} clients are connected already", "close one: a `bgcam watch`, for instance")
    return Reply(faults.parameters_of(busy), error="org.bgcam.Busy")


def _call(message: Message, *, more: bool, channel: Channel) -> Call:
    method, parameters = message.body.get("method"), message.body.get("parameters") or {}
    if not isinstance(method, str) or not isinstance(parameters, dict):
        raise WireError("a message that is no call")
    return Call(method, parameters, message.fds, more, channel.hung_up)


def _body(reply: Reply) -> Mapping[str, object]:
    body: dict[str, object] = {"parameters": reply.parameters}
    if reply.continues:
        body["continues"] = True
    if reply.error:
        body["error"] = reply.error
    return body


def _peer_uid(sock: socket.socket) -> int:
    """Who called connect(), as the kernel knows it (struct ucred)."""
    raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    uid: int = struct.unpack("3i", raw)[1]
    return uid
