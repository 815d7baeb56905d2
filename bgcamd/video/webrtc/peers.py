"""The browsers that are connected: how they get in, how many at most, and when they are forgotten."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from ipaddress import ip_address
from typing import Any, Protocol

from aiortc import RTCBundlePolicy, RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from bgcamd.errors import SinkError, UsageError

_log = logging.getLogger(__name__)
logging.getLogger("aioice.ice").setLevel(logging.WARNING)  # it tells of every step, and whose address it was
_CONNECTING_S = 10.0  # how long a browser may take from its offer to a connection
_SILENT_S = 5.0  # a browser reports every second; one that does not is gone
_LOOK_S = 1.0


class FullError(UsageError):
    """There are as many browsers as there may be."""


class Role(Protocol):
    """What a kind of browser is there for; called in the loop's thread."""

    def prepare(self, connection: Any) -> None:
        """Say what we send to it or take from it, before its offer is looked at."""

    def answered(self, connection: Any, sdp: str) -> None:
        """Our answer is this."""

    def gone(self, connection: Any) -> None:
        """It has left, or never came."""


class Peers:
    """Lives in an event loop's thread; only ``connected`` may be read by others.

    Parameters
    ----------
    role: what they are there for.
    most: how many may be there at a time. full: what one more is told.
    came, left: what is logged about one, as in "watches" and "watches no longer".

    Attributes
    ----------
    connected: how many there are.
    """

    def __init__(self, role: Role, *, most: int, full: str, came: str, left: str) -> None:
        self._role, self._most, self._full, self._came, self._left = role, most, full, came, left
        self._all: dict[Any, asyncio.Task[None] | None] = {}
        self.connected = 0

    async def answer(self, offer: str, *, host: str, client: str) -> dict[str, str]:
        """Let a browser in; return our answer to its offer.

        host: the address of this machine on which it found us, the only one that is used. client: its own, for the
        log. Raises FullError, UsageError for an offer that we don't understand, and SinkError.
        """
        if len(self._all) >= self._most:
            raise FullError(self._full)
        connection = RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
        self._all[connection] = None
        try:
            self._role.prepare(connection)
            _use_only(connection, host)
            answer = await _answer(connection, offer)
            _check_candidates(answer, host)
            self._role.answered(connection, answer)
        except BaseException:
            await self._forget(connection)
            raise
        self._all[connection] = asyncio.create_task(self._watch(connection, client))
        return {"type": "answer", "sdp": answer}

    async def close(self) -> None:
        """Send all away."""
        tasks = [task for task in self._all.values() if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch(self, connection: Any, client: str) -> None:
        """See to one from its offer until it has gone."""
        changed = asyncio.Event()
        connection.on("connectionstatechange", changed.set)
        connected = False
        try:
            async for _ in _signs_of_life(connection, changed):
                if not connected and connection.connectionState == "connected":
                    connected = True
                    self.connected += 1
                    _log.info("the browser at %s %s", client, self._came)
        finally:
            if connected:
                _log.info("the browser at %s %s", client, self._left)
            self.connected -= connected
            await self._forget(connection)

    async def _forget(self, connection: Any) -> None:
        del self._all[connection]
        self._role.gone(connection)
        await connection.close()


async def _signs_of_life(connection: Any, changed: asyncio.Event) -> Any:
    """Give a turn whenever the state may have changed, until the browser has left or is silent for too long."""
    now = asyncio.get_running_loop().time
    heard, heard_at = 0, now()
    while connection.connectionState not in ("failed", "closed"):
        yield
        with suppress(TimeoutError):
            await asyncio.wait_for(changed.wait(), _LOOK_S)
        changed.clear()
        found = await _packets_from(connection)
        if found != heard:
            heard, heard_at = found, now()
        patience = _SILENT_S if heard else _CONNECTING_S
        if now() - heard_at > patience:
            return


async def _packets_from(connection: Any) -> int:
    report = await connection.getStats()
    return sum(stats.packetsReceived for stats in report.values() if stats.type == "transport")


async def _answer(connection: Any, offer: str) -> str:
    """What the library answers to the offer. That was made by anybody, and the library raises anything."""
    try:
        await connection.setRemoteDescription(RTCSessionDescription(sdp=offer, type="offer"))
        await connection.setLocalDescription(await connection.createAnswer())
    except Exception as error:
        _log.debug("an offer", exc_info=True)
        raise UsageError(
            "the offer is not one that we understand", "a browser of these years makes a good one"
        ) from error
    answer: str = connection.localDescription.sdp
    return answer


def _use_only(connection: Any, host: str) -> None:
    """Use one interface. aioice would use all but the loopback's, and has no setting for it."""
    for transceiver in connection.getTransceivers():
        ice = transceiver.receiver.transport.transport.iceGatherer._connection
        gather = ice.get_component_candidates

        def only_here(component: int, addresses: object, gather: Callable[..., Any] = gather) -> Any:  # noqa: ARG001
            return gather(component=component, addresses=[host])

        ice.get_component_candidates = only_here


def _check_candidates(answer: str, host: str) -> None:
    """Raise SinkError where another interface than ``host``'s would be used, or none."""
    used = {line.split()[4] for line in answer.splitlines() if line.startswith("a=candidate:")}
    if {ip_address(address) for address in used} != {ip_address(host)}:
        raise SinkError(f"WebRTC would use {', '.join(used) or 'no interface'}, not {host}", "is aiortc too new?")
