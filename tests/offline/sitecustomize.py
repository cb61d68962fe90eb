"""Cuts this Python process off from every network but the machine's own loopback.

Python imports a module of this name by itself at start, wherever it finds one: conftest.py puts this folder on
PYTHONPATH, so that the tests' child processes and the notebooks' kernels are cut off like the tests themselves.
"""

import ipaddress
import os
import runpy
import sys

# What Python reports before it lets anything out, and which argument holds the host or address.
EVENTS = {
    "socket.connect": 1,
    "socket.sendto": 1,
    "socket.sendmsg": 1,
    "socket.getaddrinfo": 0,
    "socket.gethostbyname": 0,
    "socket.gethostbyaddr": 0,
}


def is_local(address) -> bool:
    """Return whether an address, or a host's name, stays on this machine."""
    if not isinstance(address, tuple | str | bytes | None):
        return False
    host = address[0] if isinstance(address, tuple) else address
    host = host.decode("utf-8", "replace") if isinstance(host, bytes) else host
    if not host or host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host.split("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def refuse(event: str, arguments: tuple) -> None:
    """Raise OSError for whatever would reach beyond this machine."""
    if event not in EVENTS:
        return
    address = arguments[EVENTS[event]]
    is_path = event in ("socket.connect", "socket.sendto", "socket.sendmsg") and not isinstance(
        address, tuple
    )
    if not (is_path or is_local(address)):  # a Unix socket's address is a path, without a host
        raise OSError(
            f"the tests run without a network, got {event} to {address!r}; give them what they need on disk"
        )


def cut_off() -> None:
    """Cut this process off, once and for all."""
    if not hasattr(sys, "digitlib_offline"):
        sys.digitlib_offline = True
        sys.addaudithook(refuse)


if __name__ == "sitecustomize":
    cut_off()
    # The machine's own sitecustomize, which this one hides, has its turn.
    here = os.path.dirname(os.path.abspath(__file__))
    for folder in sys.path:
        hidden = os.path.join(folder, "sitecustomize.py")
        if os.path.abspath(folder or ".") != here and os.path.isfile(hidden):
            runpy.run_path(hidden)
            break
