"""The command that starts VisualDL, with the real server: who can reach it, what it answers, and how it ends."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from browser import CHROMIUM, Browser
from conftest import ROOT
from visualdl import LogWriter

from paddle_gan.system.web import guarded

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes and sockets in /proc")
CANARY = b"canary-5b1f"
# Runs in every Python process that is started. It writes a line for each use of the network, each start of a program
# and each import of Paddle or VisualDL.
RECORDER = """
import os, sys
file = open(os.environ["RECORD"], "a", buffering=1)
def record(event, arguments):
    network = ("connect", "getaddrinfo", "gethostbyname", "gethostbyaddr", "sendto")
    if event in [f"socket.{name}" for name in network] or event in ("subprocess.Popen", "os.system", "os.posix_spawn"):
        print(event, arguments[1] if event == "socket.connect" else arguments[0], file=file)
    elif event == "import" and arguments[0] in ("paddle", "visualdl"):
        print(event, arguments[0], file=file)
sys.addaudithook(record)
"""


@dataclass
class Board:
    """A running server, and the record of what it did so far."""

    process: subprocess.Popen
    port: int
    record: Path


@pytest.fixture(scope="module")
def logs(tmp_path_factory) -> Path:
    """A folder of one run; beside it and in it are files that are not logs."""
    folder = tmp_path_factory.mktemp("board") / "runs"
    with LogWriter(str(folder / "one" / "visualdl"), file_name="vdlrecords.paddle_gan.log") as writer:
        for step in range(3):
            writer.add_scalar("loss/generator", 1.5 * step, step)
    for path in (folder.parent / "canary.txt", folder / "canary.txt", folder / "one" / "visualdl" / "canary.txt"):
        path.write_bytes(CANARY)
    return folder


def start(folder: Path, tmp_path: Path, *options: object, **environment: str) -> subprocess.Popen:
    (tmp_path / "sitecustomize.py").write_text(RECORDER)
    return subprocess.Popen(
        [sys.executable, ROOT / "tools" / "board.py", folder, *map(str, options)],
        env=os.environ | {"PYTHONPATH": str(tmp_path), "RECORD": str(tmp_path / "record")} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def port_of(process: subprocess.Popen) -> int:
    """Its port, as soon as it prints its address."""
    line = process.stdout.readline()
    assert "VisualDL: http://" in line, line or process.stderr.read()
    return int(re.search(r":(\d+)  ", line)[1])


@pytest.fixture(scope="module")
def board(logs, tmp_path_factory) -> Iterator[Board]:
    folder = tmp_path_factory.mktemp("recorder")
    process = start(logs, folder, "--port", 0, LC_ALL="zh_CN.UTF-8", PADDLE_GAN_LANGUAGE="")
    yield Board(process, port_of(process), folder / "record")
    process.kill()
    process.communicate()


def ask(port: int, target: bytes, host: str | None = "127.0.0.1", method: str = "GET") -> tuple[int, bytes]:
    """Status and whole answer for a target that no client library has changed."""
    head = f"\r\nHost: {host}" if host is not None else ""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(method.encode() + b" " + target + f" HTTP/1.1{head}\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(2**16), b""))
    return int(answer.split()[1]), answer


# --- Who can reach it -----------------------------------------------------------------------------


def processes_of(session: int) -> list[int]:
    """The processes of a session that are still running; `start` makes a session for each server."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, own = stat.read_text().rpartition(")")[2].split()[:4]
        except OSError:  # gone meanwhile
            continue
        if int(own) == session and state != "Z":
            found.append(int(stat.parent.name))
    return found


def listening(session: int) -> list[tuple[str, int]]:
    """Address, in the kernel's hexadecimal form, and port of each listening TCP socket of a session."""
    inodes = set()
    for process in processes_of(session):
        for link in Path(f"/proc/{process}/fd").iterdir():
            inodes |= set(re.findall(r"socket:\[(\d+)\]", os.readlink(link)))
    rows = [row.split() for name in ("tcp", "tcp6") for row in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    places = [row[1].split(":") for row in rows if row[3] == "0A" and row[9] in inodes]
    return [(address, int(port, 16)) for address, port in places]


def test_it_listens_at_the_loopback_address_and_nowhere_else(board):
    assert listening(board.process.pid) == [("0100007F", board.port)]


def test_any_other_address_is_said_to_be_open_to_others(logs, tmp_path):
    process = start(logs, tmp_path, "--port", 0, "--host", "0.0.0.0")
    notice = process.stdout.readline()
    port = port_of(process)
    assert "no password" in notice and f"ssh -L {port}:127.0.0.1:{port}" in notice
    assert listening(process.pid) == [("00000000", port)]
    assert ask(port, b"/alive", "this-machine.example")[0] == 204
    process.kill()
    process.communicate()


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "[", "", None])
def test_a_name_that_was_made_to_point_here_is_refused(board, host):
    for target in (b"/app/index", b"/app/api/runs"):
        status, answer = ask(board.port, target, host)
        assert status == 403 and b"runs" not in answer


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "localhost:9000", "[::1]:8040", "LOCALHOST"])
def test_the_machine_s_own_names_are_answered_also_through_a_tunnel_from_another_port(board, host):
    assert ask(board.port, b"/app/api/runs", host)[0] == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_it_is_for_reading_only(board, method):
    assert ask(board.port, b"/app/api/graph/upload", method=method)[0] == 405


def test_an_idle_connection_keeps_nobody_waiting(board):
    """Browsers open connections in advance, and VisualDL's own server serves one connection at a time."""
    with socket.create_connection(("127.0.0.1", board.port)):
        begin = time.monotonic()
        assert ask(board.port, b"/app/scalar")[0] == 200
        assert time.monotonic() - begin < 5


# --- What it answers ----------------------------------------------------------------------------------


def test_logs_are_served_under_short_names_in_the_user_s_language(board):
    status, answer = ask(board.port, b"/app/api/scalar/list?run=runs/one/visualdl&tag=loss%2Fgenerator")
    assert status == 200 and b", 2, 3.0]" in answer
    assert b"vdl_lng=zh" in ask(board.port, b"/app/scalar")[1]


@pytest.mark.parametrize("target", [b"/", b"/app", b"/app/", b"/app/index", b"/?a=1", b"/app/index?a=1"])
def test_the_front_page_is_that_of_the_curves(board, target):
    """VisualDL's own would be any page, as the order of a set is."""
    status, answer = ask(board.port, target)
    place = re.search(rb"Location: (\S+)", answer)[1]
    assert (status, place) == (302, b"/app/scalar" + (b"?a=1" if b"?" in target else b""))


@pytest.mark.skipif(not CHROMIUM, reason="needs Chromium")
def test_its_address_shows_the_curves_right_after_the_start(logs, tmp_path):
    browser, process = Browser(tmp_path / "profile"), start(logs, tmp_path, "--port", 0)
    try:
        browser.open(f"http://127.0.0.1:{port_of(process)}", "en")
        shown = " && ".join(f"document.body?.innerText.includes('{text}')" for text in ("runs/one/visualdl", "loss"))
        browser.wait_for(f"location.pathname == '/app/scalar' && {shown}", seconds=180)
        assert "upload" not in browser.evaluate("document.body.innerText").lower()
    finally:
        browser.close()
        process.kill()
        process.communicate()


CLIMBING = [
    b"/../canary.txt",
    b"/app/../canary.txt",
    b"/app/" + b"../" * 300 + b"etc/passwd",
    b"/app/./../../canary.txt",
    b"/app/%2e%2e/%2e%2e/canary.txt",
    b"/app/%2E./canary.txt",
    b"/app/..%2f..%2fcanary.txt",
    b"/app/%252e%252e/canary.txt",
    b"/app/..%252f..%252fcanary.txt",
    b"/app/..\\..\\canary.txt",
    b"/app/..%5c..%5ccanary.txt",
    b"/app/%5c%5chost%5cshare",
    b"/canary.txt%00.html",
    b"/app/..%00/canary.txt",
    b"/app/canary.txt\0",
    b"/app/index%00.js",
    b"/app/api/../../canary.txt",
    b"/app/api/scalar/../../../canary.txt",
    b"http://127.0.0.1/app/../canary.txt",
    b"/app/api/scalar/list?run=..&tag=canary.txt",
    b"/app/api/scalar/data?run=../runs&tag=canary.txt&type=tsv",
    b"/app/api/image/image?run=..%2f..&tag=canary.txt&index=0",
    b"/app/api/text/text?run=runs/../..&tag=x&index=0",
    b"/app/api/text/text?run=runs/one&tag=..%2fcanary.txt",
    b"/app/api/audio/audio?run=runs&tag=..%255ccanary.txt",
    b"/app/api/embedding/metadata?name=../canary.txt",
    b"/app/api/embedding/tensor?name=canary.txt%00",
    b"/app/api/hparams/data?type=../../canary.txt",
    b"/app/api/graph/graph?run=..",
    b"/app/api/profiler/views?run=..",
]
# Targets that look like logs, or that the server does not know: they are answered, but never with a file.
OUTSIDE = [
    b"/{}",
    b"//{}",
    b"/app{}",
    b"/app//{}",
    b"/app/%2f{}",
    b"/app/file:{}",
    b"/canary.txt",
    b"/app/canary.txt",
    b"/app/runs/canary.txt",
    b"/app/one/visualdl/canary.txt",
    b"/app/api{}",
    b"/app/" + b"a" * 70_000,
    b"/app/api/graph/graph?run={}",
    b"/app/api/scalar/data?run={}&tag=canary.txt&type=tsv",
]


def test_paths_that_climb_out_are_not_found(board):
    assert len(CLIMBING) >= 20
    for target in CLIMBING:
        status, answer = ask(board.port, target)
        assert status == 404 and CANARY not in answer and b"root:" not in answer, target


def test_no_file_of_another_place_is_served(board, logs):
    place = str(logs.parent / "canary.txt").encode()
    for target in OUTSIDE:
        status, answer = ask(board.port, target.replace(b"{}", place))
        assert status in (200, 308, 404, 414) and CANARY not in answer, target


def test_nothing_is_sent(board):
    """Neither by the server, in which VisualDL's telemetry is off, nor by its page."""
    _, page = ask(board.port, b"/app/scalar")
    assert b"Content-Security-Policy: default-src 'self' " in page
    assert b'SNOWPACK_PUBLIC_TELEMETRY_ID=""' in ask(board.port, b"/app/__snowpack__/env.local.js")[1]
    time.sleep(1)  # VisualDL's telemetry starts with its server
    # `file` is started by Python's own platform.architecture, which a dependency calls.
    assert set(board.record.read_text().splitlines()) <= {
        "import visualdl",
        "socket.getaddrinfo 127.0.0.1",
        "subprocess.Popen file",
    }


def test_the_recorder_sees_what_it_is_for(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(RECORDER)
    code = "import socket, subprocess\nsubprocess.run(['true'])\nsocket.create_connection(('localhost', 1))"
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "RECORD": str(tmp_path / "record")}
    subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True)
    lines = (tmp_path / "record").read_text()
    for event in ("subprocess.Popen true", "socket.getaddrinfo localhost", "socket.connect"):
        assert event in lines


def test_only_what_was_asked_reaches_the_application():
    """The guard alone, with and without a list of accepted hosts."""
    asked = []

    def application(environ, start_response):
        asked.append(environ["PATH_INFO"])
        start_response("200 OK", [])
        return [b"here"]

    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/a..b/...",
        "QUERY_STRING": "tag=v1..v2",
        "HTTP_HOST": "any.example",
    }
    answers = []
    for hosts in ({"localhost"}, None):
        guarded(application, hosts)(environ, lambda status, headers, *error: answers.append(status))
    assert answers == ["403 Forbidden", "200 OK"] and asked == ["/a..b/..."]


# --- How it starts and ends -----------------------------------------------------------------------


def test_a_busy_port_is_said_at_once_with_one_that_is_free(board, logs, tmp_path):
    begin = time.monotonic()
    process = start(logs, tmp_path, "--port", board.port)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 2 and time.monotonic() - begin < 2
    assert stderr.count("\n") == 1 and f"port {board.port} is in use" in stderr
    socket.create_server(("127.0.0.1", int(re.search(r"--port (\d+) is free", stderr)[1]))).close()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--host", "192.0.2.1"), "error: --host 192.0.2.1 --port 8040: Cannot assign requested address\n"),  # RFC 5737
        (("--host", "somewhere.example"), "an address of this machine"),
        (("--port", "65536"), "--port 65536: 0 to 65535"),
        (("--language", "fr"), "one of en, zh"),
    ],
)
def test_wrong_options_are_one_line(logs, tmp_path, options, message):
    process = start(logs, tmp_path, *options)
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout, stderr.count("\n")) == (2, "", 1) and message in stderr
    assert (tmp_path / "record").read_text() == ""


@pytest.mark.parametrize("name", ["canary.txt", "empty", "missing"])
def test_a_folder_without_logs_is_said(logs, tmp_path, name):
    (tmp_path / "empty").mkdir()
    folder = logs / name if name == "canary.txt" else tmp_path / name
    process = start(folder, tmp_path)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 2 and stderr.count("\n") == 1 and f"{folder}: no logs" in stderr
    assert (tmp_path / "record").read_text() == ""  # neither Paddle nor VisualDL was imported


def test_help_imports_neither_paddle_nor_visualdl(logs, tmp_path):
    process = start(logs, tmp_path, "--help")
    stdout, _ = process.communicate(timeout=60)
    assert process.returncode == 0 and "--language" in stdout and "[RUN ...]" in stdout
    assert (tmp_path / "record").read_text() == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("moment", ["while it starts", "while it serves"])
def test_a_signal_ends_it_without_a_traceback_and_leaves_nothing(logs, tmp_path, number, moment):
    process = start(logs, tmp_path, "--port", 0)
    if moment == "while it serves":
        ask(port_of(process), b"/app/index")
    else:
        record = tmp_path / "record"
        while not (record.exists() and record.read_text()):  # the import of VisualDL has begun
            time.sleep(0.01)
    os.killpg(process.pid, number)  # as the terminal does
    _, stderr = process.communicate(timeout=20)
    status = process.returncode if process.returncode >= 0 else 128 - process.returncode
    assert status == 128 + number and stderr in ("", "interrupted\n")
    assert processes_of(process.pid) == []
