"""
The nginx of this machine, with the configuration of the deployment page in front of a server.
"""

import os
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from time import monotonic, sleep
from typing import Final

from attrs import frozen
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.documentation import sample

PROGRAM: Final = shutil.which("nginx", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin")
NAME: Final = "mission.example.com"
CERTIFICATES: Final = f"/etc/letsencrypt/live/{NAME}"
AROUND: Final = """
{user}
daemon off;
pid {folder}/nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    {temporary}
    include {folder}/mission-control.conf;
}}
"""


@frozen
class Nginx:
    """
    A running nginx, its ports, and the authority that signed its certificate.
    """

    http: int
    https: int
    authority: Path

    def connection(self, *, source: str = "127.0.0.1") -> HTTPConnection:
        """
        A connection over https from this address of the machine.
        """
        context = ssl.create_default_context(cafile=str(self.authority))
        plain = socket.create_connection(("127.0.0.1", self.https), timeout=30, source_address=(source, 0))
        connection = HTTPConnection(NAME, timeout=30)
        connection.sock = context.wrap_socket(plain, server_hostname=NAME)
        return connection


@contextmanager
def nginx(folder: Path, server: int) -> Iterator[Nginx]:
    """
    Run nginx with the sample of the deployment page in front of a server on this port.

    Of the sample, only ports and the folder of certificates are replaced.
    """
    http, https = _free_port(), _free_port()
    config = sample("docs/deployment.md", "## Behind nginx", "nginx")
    for documented, here in (
        ("127.0.0.1:8000;", f"127.0.0.1:{server};"),
        ("listen 80;", f"listen 127.0.0.1:{http};"),
        ("listen 443 ssl;", f"listen 127.0.0.1:{https} ssl;"),
        (CERTIFICATES, str(folder)),
    ):
        assert documented in config
        config = config.replace(documented, here)
    (folder / "mission-control.conf").write_text(config)
    (folder / "nginx.conf").write_text(around(folder))
    certify(folder)
    assert PROGRAM is not None
    with subprocess.Popen([PROGRAM, "-p", str(folder), "-c", str(folder / "nginx.conf")]) as process:
        try:
            _wait_for(https, process)
            yield Nginx(http, https, folder / "fullchain.pem")
        finally:
            process.terminate()


def around(folder: Path) -> str:
    """
    The main configuration of an nginx that keeps all its files in this folder and includes `mission-control.conf`.
    """
    temporary = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    return AROUND.format(
        folder=folder,
        user="user root;" if os.geteuid() == 0 else "",
        temporary=" ".join(f"{each}_temp_path {folder}/{each};" for each in temporary),
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    end = monotonic() + 30
    while process.poll() is None and monotonic() < end:
        with closing(socket.socket()) as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        sleep(0.02)
    raise AssertionError("nginx did not start")


def certify(folder: Path) -> None:
    """
    Write a certificate for the public name, signed by itself, and its key.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "fullchain.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "privkey.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
