"""The tests run without a network: in this process, in its children and in the notebooks' kernels."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell, new_notebook

from tools.notebooks import execute

NUMBERS, NAME = ("192.0.2.1", 80), ("example.org", 80)  # addresses that are set aside for documentation


@pytest.mark.parametrize("address", [NUMBERS, NAME, ("2001:db8::1", 80)])
def test_a_connection_is_refused(address):
    with pytest.raises(OSError, match="without a network"):
        socket.create_connection(address, timeout=2)


@pytest.mark.parametrize("method", ["connect", "connect_ex"])
def test_a_bare_socket_is_refused(method):
    with socket.socket() as plain, pytest.raises(OSError, match="without a network"):
        getattr(plain, method)(NUMBERS)


def test_a_datagram_is_refused():
    with socket.socket(type=socket.SOCK_DGRAM) as plain, pytest.raises(OSError, match="without a network"):
        plain.sendto(b"hello", NUMBERS)


def test_a_name_is_not_looked_up():
    for look_up in (socket.gethostbyname, socket.gethostbyaddr, lambda name: socket.getaddrinfo(name, 80)):
        with pytest.raises(OSError, match=r"without a network.*example\.org"):
            look_up("example.org")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_this_machine_is_within_reach(host):
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
    ):
        assert client.getpeername() == server.getsockname()
    assert socket.getaddrinfo(host, 80)


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="this system has no Unix sockets")
def test_a_unix_socket_is_within_reach(tmp_path):
    path = os.path.relpath(tmp_path / "s")  # a Unix socket's path is at most about 100 characters
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(path)
        server.listen()
        client.connect(path)


CONNECT = """
import socket
try:
    socket.create_connection(("192.0.2.1", 80), timeout=2)
except OSError as error:
    print(error)
"""


def test_a_child_process_is_cut_off():
    child = subprocess.run([sys.executable, "-c", CONNECT], capture_output=True, text=True, check=True)
    assert "without a network" in child.stdout


def test_a_notebook_is_cut_off(tmp_path):
    notebook = new_notebook(cells=[new_code_cell(CONNECT)])
    execute(notebook, tmp_path / "made_up.ipynb")
    assert "without a network" in notebook.cells[0].outputs[0].text


def test_the_sitecustomize_of_the_machine_has_its_turn(tmp_path):
    (tmp_path / "sitecustomize.py").write_text("print('the other one')")
    path = os.pathsep.join([str(Path(__file__).parent / "offline"), str(tmp_path)])
    child = subprocess.run(
        [sys.executable, "-c", CONNECT],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert child.stdout.startswith("the other one") and "without a network" in child.stdout
