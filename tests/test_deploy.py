from __future__ import annotations

import os
import re
import shutil
import socket
import ssl
import subprocess
import time
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.serving import PATIENCE, wait_until
from tests.test_cli_serving import address, running

import matinee as mt
from matinee.models.baselines import Bias
from matinee.service.auth import Policy

DEPLOY = Path(__file__).parents[1] / "deploy"
NAME = "films.example.org"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("deployed") / "store"
    mt.Recommender.fit(mt.load("sample"), rater=Bias(), ranker=None).publish(path)
    return path


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def certificate(folder: Path) -> tuple[Path, Path]:
    chain, key = folder / "fullchain.pem", folder / "privkey.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", f"/CN={NAME}"]
    names = ["-addext", f"subjectAltName=DNS:{NAME}", "-keyout", str(key), "-out", str(chain)]
    subprocess.run([*command, *names], check=True, capture_output=True)
    return chain, key


@pytest.fixture(scope="module")
def nginx(
    tmp_path_factory: pytest.TempPathFactory, store: Path
) -> Iterator[tuple[int, int, Path, mt.service.RunningServer]]:
    """The site as it is shipped, in a real nginx with a certificate and ports of ours, before a real service."""
    if not (program := shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")):
        pytest.skip("nginx is not installed (Debian: apt-get install nginx-light)")
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed (Debian: apt-get install openssl)")
    tmp_path = tmp_path_factory.mktemp("nginx")
    secure, plain = free_port(), free_port()
    chain, key = certificate(tmp_path)
    running = mt.serve(store, port=0, block=False, policy=Policy(no_auth=True, behind_proxy=1, allowed_hosts=(NAME,)))
    site = (DEPLOY / "nginx.conf").read_text()
    for shipped, ours in (
        ("127.0.0.1:8000", running.url.split("/")[2]),
        ("listen 443 ssl", f"listen 127.0.0.1:{secure} ssl"),
        ("listen 80", f"listen 127.0.0.1:{plain}"),
        (f"/etc/letsencrypt/live/{NAME}/fullchain.pem", str(chain)),
        (f"/etc/letsencrypt/live/{NAME}/privkey.pem", str(key)),
    ):
        assert site.count(shipped) == 1, shipped
        site = site.replace(shipped, ours)
    (tmp_path / "nginx.conf").write_text(
        f"pid {tmp_path}/pid; error_log stderr; daemon off; worker_processes 1; user root;\n"
        f"events {{}}\nhttp {{ access_log off; {_folders(tmp_path)}\n{site} }}\n"
    )
    process = subprocess.Popen([program, "-c", str(tmp_path / "nginx.conf"), "-p", str(tmp_path)])
    try:
        wait_for(secure)
        yield secure, plain, chain, running
    finally:
        process.terminate()
        process.wait(PATIENCE)
        running.stop()


def _folders(path: Path) -> str:
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    return " ".join(f"{kind}_temp_path {path}/{kind};" for kind in kinds)


def wait_for(port: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.05)


class Visitor:
    """Asks nginx as a browser would that knows the site's name."""

    def __init__(self, port: int, chain: Path) -> None:
        self.port = port
        self.context = ssl.create_default_context(cafile=str(chain))

    def connected(self, source: str = "127.0.0.1") -> ssl.SSLSocket:
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE, source_address=(source, 0))
        return self.context.wrap_socket(plain, server_hostname=NAME)

    def ask(
        self, path: str, host: str = NAME, also: str = "", source: str = "127.0.0.1"
    ) -> tuple[int, dict[str, str], bytes]:
        with self.connected(source) as secure:
            secure.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{also}\r\n".encode())
            answer = b"".join(iter(lambda: secure.recv(1 << 16), b""))
        head, _, body = answer.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        return int(first.split()[1]), headers, body


def test_site_behind_nginx__answers_by_its_name_alone(nginx: tuple[int, int, Path, mt.service.RunningServer]) -> None:
    secure, _, chain, _ = nginx
    visitor = Visitor(secure, chain)
    status, headers, body = visitor.ask("/")
    assert (status, b"Matinee" in body) == (200, True)
    assert re.fullmatch("[0-9a-f]{32}", headers["x-request-id"])
    assert visitor.ask("/ann/ratings/top/3")[0] == 200
    assert visitor.ask("/", host="evil.example.org")[0] == 400
    assert visitor.ask("/metrics")[0] == 403


def test_site_behind_nginx__takes_no_prefix_from_a_visitor(
    nginx: tuple[int, int, Path, mt.service.RunningServer],
) -> None:
    secure, _, chain, _ = nginx
    status, headers, body = Visitor(secure, chain).ask("/", also="X-Forwarded-Prefix: /elsewhere\r\n")
    assert (status, b"/elsewhere" in body, "/elsewhere" in str(headers)) == (200, False, False)


def test_site_behind_nginx__bounds_the_requests_of_one_address_at_a_time(
    nginx: tuple[int, int, Path, mt.service.RunningServer],
) -> None:
    secure, _, chain, _ = nginx
    visitor = Visitor(secure, chain)
    unfinished = f"POST /ann/ratings HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: 9\r\n\r\n16,".encode()
    with ExitStack() as opened:
        for _ in range(100):
            opened.enter_context(visitor.connected("127.0.0.2")).sendall(unfinished)
        wait_until(lambda: visitor.ask("/healthz", source="127.0.0.2")[0] == 429, "an address has more than 100")
        assert visitor.ask("/healthz")[0] == 200
    wait_until(lambda: visitor.ask("/healthz", source="127.0.0.2")[0] == 200, "an address is shut out for good")


def test_plain_http__leads_to_https(nginx: tuple[int, int, Path, mt.service.RunningServer]) -> None:
    _, plain, _, _ = nginx
    with socket.create_connection(("127.0.0.1", plain), timeout=PATIENCE) as visitor:
        visitor.sendall(f"GET /a?b=1 HTTP/1.0\r\nHost: {NAME}\r\n\r\n".encode())
        answer = visitor.recv(4096).decode()
    assert answer.startswith("HTTP/1.1 301")
    assert f"Location: https://{NAME}/a?b=1" in answer


def test_service_unit__is_one_that_systemd_takes(tmp_path: Path) -> None:
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed (Debian: apt-get install systemd)")
    unit = (DEPLOY / "matinee.service").read_text().replace("/opt/matinee/bin/matinee", "/bin/true")
    (tmp_path / "matinee.service").write_text(unit)
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / "matinee.service")], capture_output=True, text=True
    )
    assert (checked.returncode, "matinee.service" in checked.stderr) == (0, False), checked.stderr


def test_settings_that_are_shipped__are_options_of_serve(matinee) -> None:
    assert matinee("--settings", DEPLOY / "matinee.toml", "serve", "--help").exit_code == 0
    result = matinee("--settings", DEPLOY / "matinee.toml", "serve", "--store", "nowhere", "--json")
    assert "there is no snapshot" in result.stderr
    settings = tomllib.loads((DEPLOY / "matinee.toml").read_text())
    assert settings["serve"]["host"] == "127.0.0.1"
    assert f"StateDirectory={Path(settings['store']).parent.name}\n" in (DEPLOY / "matinee.service").read_text()


def test_settings_that_are_shipped__let_the_site_be_asked_by_its_name(matinee, store: Path, tmp_path: Path) -> None:
    assert matinee("key", "create", "--scope", "read", "--store", store).exit_code == 0
    options = ["--settings", DEPLOY / "matinee.toml", "serve", "--store", store, "--port", 0]
    with running(*options, folder=tmp_path) as (lines, _):
        port = int(address(lines).rstrip("/").rpartition(":")[2])
        assert [_status(port, name) for name in (NAME, "evil.example.org")] == [200, 400]


def _status(port: int, host: str) -> int:
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as asking:
        asking.sendall(f"GET / HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
        return int(asking.recv(64).split()[1])


def test_settings_that_are_shipped__name_a_database_for_every_command(matinee, tmp_path: Path) -> None:
    shipped = (DEPLOY / "matinee.toml").read_text()
    [database] = re.findall(r'^# (live = "postgresql\+psycopg://.*")$', shipped, re.MULTILINE)
    (tmp_path / "ours.toml").write_text(shipped.replace(f"# {database}", f'live = "{tmp_path}/said.sqlite3"'))
    made = matinee("--settings", tmp_path / "ours.toml", "key", "create", "--scope", "read")
    assert (made.exit_code, (tmp_path / "said.sqlite3").is_file()) == (0, True), made.output


def test_image__copies_what_is_there_and_starts_with_options_that_exist(matinee) -> None:
    dockerfile = (DEPLOY / "Dockerfile").read_text()
    for file in re.findall(r"-r (\S+)", dockerfile):
        assert (DEPLOY.parent / file).is_file()
    [options] = re.findall(r"^CMD \[(.*)\]$", dockerfile, re.MULTILINE)
    words = [word.strip(' "') for word in options.split(",")]
    assert "there is no snapshot" in matinee(*words, "--store", "nowhere", "--no-auth").stderr
    variables = re.findall(r"(MATINEE_[A-Z_]+):", (DEPLOY / "compose.yaml").read_text())
    shown = matinee("serve", "--help").stdout
    assert all(f"--{name.removeprefix('MATINEE_').lower().replace('_', '-')}" in shown for name in variables)
