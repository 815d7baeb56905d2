"""Calls to methods: finds the method, checks the parameters by its signature, turns exceptions into error replies.

A method is a Python function with a keyword-only argument for each parameter, whose annotation is its type; ``None`` as
default makes it optional. With an argument ``call`` it gets the ``Call`` too. It returns one ``Reply``, or an iterator.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import get_args, get_type_hints

from bgcamd import __version__
from bgcamd.errors import BgcamError
from bgcamd.service import faults
from bgcamd.service.varlink import Descriptors

_log = logging.getLogger(__name__)
_SERVICE = "org.varlink.service"


@dataclass(frozen=True)
class Call:
    """One call.

    fds: the descriptors that came along; closed when the call is answered, but for those taken.
    more: the caller wants a stream of replies.
    left: waits so many seconds; True as soon as the caller has left or the server is closing.
    """

    method: str
    parameters: Mapping[str, object] = field(default_factory=dict)
    fds: Descriptors = field(default_factory=Descriptors)
    more: bool = False
    left: Callable[[float], bool] = lambda _: True


@dataclass(frozen=True)
class Reply:
    """One reply. fds: sent along, then closed. continues: more replies to the same call follow."""

    parameters: Mapping[str, object] = field(default_factory=dict)
    fds: tuple[int, ...] = ()
    continues: bool = False
    error: str = ""


Method = Callable[..., Reply | Iterator[Reply]]


@dataclass(frozen=True)
class Interface:
    """Methods by name, and the text that describes them (the .varlink file of the interface's name)."""

    name: str
    methods: Mapping[str, Method]

    @property
    def description(self) -> str:
        """The interface definition, as it ships with the package."""
        return (files("bgcamd.service") / f"{self.name}.varlink").read_text("utf-8")


class Service:
    """All the interfaces that one socket serves; org.varlink.service is added here."""

    def __init__(self, interfaces: Sequence[Interface]) -> None:
        own = Interface(_SERVICE, {"GetInfo": self._info, "GetInterfaceDescription": self._describe})
        self.interfaces = {each.name: each for each in (own, *interfaces)}

    def answer(self, call: Call) -> Generator[Reply, None, None]:
        """Yield the replies to ``call``; never raises for what the caller did. Close it when the caller leaves."""
        try:
            result = self._method(call.method)(call)
            if isinstance(result, Reply):
                yield result
            else:
                yield from result
        except _Refused as refused:
            yield refused.reply
        except BgcamError as error:
            yield Reply(faults.parameters_of(error), error=faults.name_of(error))
        except Exception:
            _log.exception("%s failed", call.method)
            failure = BgcamError(f"an internal error in {call.method}", "the daemon's log has the traceback")
            yield Reply(faults.parameters_of(failure), error=faults.name_of(failure))

    def _method(self, full_name: str) -> Callable[[Call], Reply | Iterator[Reply]]:
        interface_name, _, name = full_name.rpartition(".")
        interface = self.interfaces.get(interface_name)
        if interface is None:
            raise _Refused("InterfaceNotFound", interface=interface_name)
        method = interface.methods.get(name)
        if method is None:
            raise _Refused("MethodNotFound", method=full_name)
        return lambda call: _called(method, call)

    def _info(self) -> Reply:
        return Reply(
            {
                "vendor": "bgcamd",
                "product": "bgcamd",
                "version": __version__,
                "url": "",
                "interfaces": list(self.interfaces),
            }
        )

    def _describe(self, *, interface: str) -> Reply:
        found = self.interfaces.get(interface)
        if found is None:
            raise _Refused("InterfaceNotFound", interface=interface)
        return Reply({"description": found.description})


def parameters_of(method: Method) -> dict[str, tuple[type, bool]]:
    """The parameters that a method takes: name -> (type, may be left out)."""
    hints = get_type_hints(method)
    found = {}
    for parameter in inspect.signature(method).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY:
            hint = hints[parameter.name]
            kind = next((each for each in get_args(hint) if each is not type(None)), hint)
            found[parameter.name] = (kind, parameter.default is None)
    return found


class _Refused(Exception):  # noqa: N818 - an answer, not an error of ours
    """A call that org.varlink.service's own errors answer."""

    def __init__(self, error: str, **parameters: object) -> None:
        super().__init__(error)
        self.reply = Reply(parameters, error=f"{_SERVICE}.{error}")


def _called(method: Method, call: Call) -> Reply | Iterator[Reply]:
    arguments = _checked(method, call.parameters)
    if "call" in inspect.signature(method).parameters:
        return method(call, **arguments)
    return method(**arguments)


def _checked(method: Method, given: Mapping[str, object]) -> dict[str, object]:
    """The arguments for ``method``; null counts as left out. A bool is no int here: the types must be the same."""
    known = parameters_of(method)
    arguments = {name: value for name, value in given.items() if value is not None}
    for name, value in arguments.items():
        if name not in known or type(value) is not known[name][0]:
            raise _Refused("InvalidParameter", parameter=name)
    for name, (_, optional) in known.items():
        if not optional and name not in arguments:
            raise _Refused("InvalidParameter", parameter=name)
    return arguments
