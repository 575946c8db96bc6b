"""
The archive of a backup: an uncompressed tar file. Its first member is the manifest, with the size and SHA-256 of all
other members; the second is an HMAC of the manifest under a key derived from `AUTH_SECRET`.
"""

from __future__ import annotations

import hashlib
import hmac
import io
import json
import os
import tarfile
from collections.abc import Mapping
from pathlib import Path
from secrets import token_bytes
from typing import Any, Final

from attrs import field
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from mission_adapters.atomic_files import write_atomically
from mission_core.lazy_attrs import frozen

FORMAT: Final = "mission-control-backup"
VERSION: Final = 1
MANIFEST, SIGNATURE = "manifest.json", "manifest.hmac"
DATABASE, SECRETS, FILES = "database.sqlite", "secrets.encrypted", "files/"
MAX_MANIFEST_BYTES: Final = 16 * 1024 * 1024
"""The largest size of the manifest, which is read into memory."""
CHUNK_BYTES: Final = 1024 * 1024
SECRETS_FORMAT: Final = b"\x01"
"""The first byte of encrypted secrets. The scrypt salt and the AES-256-GCM nonce follow, then the text."""
SALT, NONCE = 16, 12


class InvalidArchive(Exception):
    """
    The file is no backup archive, is incomplete, or was changed.
    """


class WrongPassphrase(Exception):
    """
    The passphrase does not decrypt the secrets of an archive.
    """


@frozen(kw_only=True)
class Manifest:
    """
    The description of an archive's contents.

    Args:
        made_by: The version of Mission Control that made the archive.
        revision: The migration revision of the database.
        fingerprint: The fingerprint of the `AUTH_SECRET` of the database.
        members: The size and the SHA-256 of each other member.
    """

    made_at: str
    made_by: str
    revision: str
    fingerprint: bytes
    members: dict[str, tuple[int, str]]

    def encoded(self) -> bytes:
        """
        The manifest as JSON.
        """
        plain = {
            "format": FORMAT,
            "version": VERSION,
            "made_at": self.made_at,
            "made_by": self.made_by,
            "revision": self.revision,
            "fingerprint": self.fingerprint.hex(),
            "members": {name: {"size": size, "sha256": digest} for name, (size, digest) in self.members.items()},
        }
        return json.dumps(plain, indent=2).encode()

    @classmethod
    def decoded(cls, text: bytes) -> Manifest:
        """
        Parse a manifest.

        Raises:
            InvalidArchive: If it is not a valid manifest of this version.
        """
        try:
            plain = json.loads(text)
            if plain["format"] != FORMAT:
                raise InvalidArchive("this is no backup of Mission Control")
            if plain["version"] != VERSION:
                raise InvalidArchive(f"its format version {plain['version']!r} is unknown; update Mission Control")
            members = {str(name): (int(each["size"]), str(each["sha256"])) for name, each in plain["members"].items()}
            if DATABASE not in members or not all(map(_is_valid_member_name, members)):
                raise InvalidArchive("its manifest names files that no backup has")
            return cls(
                made_at=str(plain["made_at"]), made_by=str(plain["made_by"]), revision=str(plain["revision"]),
                fingerprint=bytes.fromhex(plain["fingerprint"]), members=members,
            )  # fmt: skip
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as e:
            raise InvalidArchive("its manifest cannot be read") from e


def _is_valid_member_name(name: str) -> bool:
    parts = name.removeprefix(FILES).split("/")
    plain = all(part not in ("", ".", "..") and not set(part) & set("\\\0:") for part in parts)
    return name in (DATABASE, SECRETS) or (name.startswith(FILES) and plain)


@frozen
class ExtractedArchive:
    """
    A verified archive whose members were extracted into a private folder, under their names in the archive.
    """

    manifest: Manifest
    folder: Path
    text: bytes = field(repr=False)
    signature: bytes = field(repr=False)

    def is_signed_by(self, key: bytes) -> bool:
        """
        Whether the manifest was signed with this key.
        """
        return hmac.compare_digest(_signature(self.text, key), self.signature)

    def secrets(self, passphrase: str) -> bytes:
        """
        The decrypted secrets of the archive.

        Raises:
            WrongPassphrase: If this passphrase does not decrypt them.
        """
        return decrypt_secrets((self.folder / SECRETS).read_bytes(), passphrase, about=self.manifest.fingerprint)


def _signature(text: bytes, key: bytes) -> bytes:
    return hmac.digest(key, text, "sha256").hex().encode()


def encrypt_secrets(secret: bytes, passphrase: str, *, about: bytes) -> bytes:
    """
    The secret, encrypted under a passphrase. *about* is authenticated with it.
    """
    salt, nonce = token_bytes(SALT), token_bytes(NONCE)
    return (
        SECRETS_FORMAT
        + salt
        + nonce
        + AESGCM(_key_from(passphrase, salt)).encrypt(nonce, secret, SECRETS_FORMAT + about)
    )


def decrypt_secrets(sealed: bytes, passphrase: str, *, about: bytes) -> bytes:
    """
    Decrypt a secret that `encrypt_secrets` encrypted.

    Raises:
        WrongPassphrase: If this passphrase does not decrypt it.
    """
    salt, nonce, text = sealed[1 : 1 + SALT], sealed[1 + SALT : 1 + SALT + NONCE], sealed[1 + SALT + NONCE :]
    try:
        return AESGCM(_key_from(passphrase, salt)).decrypt(nonce, text, sealed[:1] + about)
    except (InvalidTag, ValueError) as e:
        raise WrongPassphrase from e


def _key_from(passphrase: str, salt: bytes) -> bytes:
    return Scrypt(salt=salt, length=32, n=2**16, r=8, p=1).derive(passphrase.encode())


def size_and_digest_of(path: Path) -> tuple[int, str]:
    """
    The size and the SHA-256 of a file.
    """
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return file.tell(), digest


def write_archive(target: Path, manifest: Manifest, members: Mapping[str, Path], key: bytes, *, replace: bool) -> None:
    """
    Write an archive, as `write_atomically` does.

    Raises:
        FileExistsError: If the target exists and must not be replaced.
    """
    text = manifest.encoded()
    with write_atomically(target, replace=replace) as file, tarfile.open(fileobj=file, mode="w") as tar:
        for name, content in ((MANIFEST, text), (SIGNATURE, _signature(text, key))):
            tar.addfile(_member(name, len(content)), io.BytesIO(content))
        for name, path in members.items():
            with path.open("rb") as source:
                tar.addfile(_member(name, manifest.members[name][0]), source)


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o600
    return member


def extract_archive(archive: Path, folder: Path) -> ExtractedArchive:
    """
    Extract an archive into an empty folder, and verify it on the way.

    Raises:
        InvalidArchive: If any member is not as it was written.
        OSError: If the archive cannot be read or the folder cannot be written to.
    """
    try:
        with tarfile.open(archive, "r:") as tar:
            members = iter(tar)
            text, signature = (_read_text_member(tar, next(members, None), name) for name in (MANIFEST, SIGNATURE))
            manifest = Manifest.decoded(text)
            missing = dict(manifest.members)
            for member in members:
                if member.name not in missing:
                    raise InvalidArchive(f"it has {member.name!r} twice, or its manifest does not name it")
                _extract_member(tar, member, folder, *missing.pop(member.name))
    except (tarfile.TarError, EOFError, ValueError, OverflowError) as e:
        raise InvalidArchive("it is not a complete tar archive") from e
    if missing:
        raise InvalidArchive(f"it lacks {', '.join(sorted(missing))}")
    return ExtractedArchive(manifest, folder, text, signature)


def _read_text_member(tar: tarfile.TarFile, member: tarfile.TarInfo | None, name: str) -> bytes:
    if member is None or member.name != name or member.type != tarfile.REGTYPE or member.size > MAX_MANIFEST_BYTES:
        raise InvalidArchive("this is no backup of Mission Control")
    source: Any = tar.extractfile(member)
    content: bytes = source.read()
    if len(content) != member.size:
        raise InvalidArchive("it is not a complete tar archive")
    return content


def _extract_member(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path, size: int, digest: str) -> None:
    if member.type != tarfile.REGTYPE or member.issparse() or member.size != size:
        raise InvalidArchive(f"{member.name} in it is not what its manifest says")
    target, seen, source = folder / member.name, hashlib.sha256(), tar.extractfile(member)
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    assert source is not None
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        while chunk := source.read(CHUNK_BYTES):
            seen.update(chunk)
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    if not hmac.compare_digest(seen.hexdigest(), digest):
        raise InvalidArchive(f"{member.name} in it is not what its manifest says")
