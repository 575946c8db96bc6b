"""
Password hashing: scrypt from the standard library, and Argon2id from `argon2-cffi`, which also verifies scrypt hashes.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from base64 import b64encode
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

from attrs import field

from mission_core.lazy_attrs import define, frozen

if TYPE_CHECKING:
    from asyncio import Semaphore

    from argon2 import PasswordHasher

MAX_CONCURRENT_HASHES: Final = 2
"""The number of hashes computed at a time: each takes tens of megabytes."""
SCRYPT_COST: Final = 65536
OLD_SCRYPT_COST: Final = 16384
"""The cost of old hashes, which are still verified."""
KEY_LENGTH: Final = 32
DUMMY_HASH: Final = f"{'0' * 32}:{'0' * 64}"
"""A hash that no password matches, for users without one: verifying it takes as long as verifying a real one."""

P = ParamSpec("P")
T = TypeVar("T")


@frozen
class ScryptPasswordHasher:
    """
    scrypt (RFC 7914) with r=8 and p=1. A hash is `salt:hash`, both hexadecimal; the salt is used as that text.
    """

    cost: int = SCRYPT_COST

    async def hash(self, password: str) -> str:
        """
        A new hash of the password.
        """
        salt = os.urandom(16).hex()
        return f"{salt}:{await _in_thread(_scrypt_digest, password, salt, self.cost)}"

    async def verify(self, password: str, kept: str | None) -> bool:
        """
        Whether the password matches the hash.
        """
        salt, _, digest = (kept or DUMMY_HASH).partition(":")
        costs = dict.fromkeys((self.cost, OLD_SCRYPT_COST)) if kept else (self.cost,)
        for cost in costs:
            if hmac.compare_digest(await _in_thread(_scrypt_digest, password, salt, cost), digest):
                return kept is not None
        return False

    def needs_rehash(self, kept: str) -> bool:
        """
        False: a hash does not say which cost it was made with.
        """
        return False


async def _in_thread(hash: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    from asyncio import to_thread  # asyncio takes longer to import than all of the memory store

    return await to_thread(hash, *arguments, **named)


def _scrypt_digest(password: str, salt: str, cost: int) -> str:
    memory = 128 * 8 * cost + 1024 * 1024
    return hashlib.scrypt(
        password.encode(), salt=salt.encode(), n=cost, r=8, p=1, dklen=KEY_LENGTH, maxmem=memory
    ).hex()


def _strong_hasher() -> PasswordHasher:
    from argon2 import PasswordHasher

    return PasswordHasher()


@define(eq=False)
class Argon2PasswordHasher:
    """
    Argon2id (RFC 9106) for new hashes. scrypt hashes are verified, too, and count as outdated.
    """

    make_hasher: Callable[[], PasswordHasher]
    """Makes the hasher when the first password is hashed or verified: the library takes time to load."""
    scrypt: ScryptPasswordHasher = field(factory=ScryptPasswordHasher)
    _slots: Semaphore = field(init=False)

    @_slots.default
    def _make_slots(self) -> Semaphore:
        from asyncio import Semaphore

        return Semaphore(MAX_CONCURRENT_HASHES)

    @cached_property
    def hasher(self) -> PasswordHasher:
        return self.make_hasher()

    @cached_property
    def dummy_hash(self) -> str:
        """
        A hash that no password matches, for users without one: verifying it takes as long as verifying a real one.
        """
        # The digest is random: computing a real one would take a tenth of a second.
        by = self.hasher
        salt, digest = (b64encode(os.urandom(size)).decode().rstrip("=") for size in (by.salt_len, by.hash_len))
        return f"$argon2id$v=19$m={by.memory_cost},t={by.time_cost},p={by.parallelism}${salt}${digest}"

    @classmethod
    def strong(cls) -> Argon2PasswordHasher:
        """
        A hasher with the library's default parameters, which follow RFC 9106.
        """
        return cls(_strong_hasher)

    async def hash(self, password: str) -> str:
        """
        A new hash of the password.
        """
        async with self._slots:
            return await _in_thread(self.hasher.hash, password)

    async def verify(self, password: str, kept: str | None) -> bool:
        """
        Whether the password matches the hash. If there is no hash, the answer is False and takes as long.
        """
        async with self._slots:
            if kept is not None and not kept.startswith("$argon2"):
                return await self.scrypt.verify(password, kept)
            return await _in_thread(self._verified, kept or self.dummy_hash, password) and kept is not None

    def needs_rehash(self, kept: str) -> bool:
        """
        Whether the hash was made with another algorithm or with weaker parameters.
        """
        return not kept.startswith("$argon2") or self.hasher.check_needs_rehash(kept)

    def _verified(self, kept: str, password: str) -> bool:
        from argon2.exceptions import InvalidHashError, VerificationError

        try:
            return self.hasher.verify(kept, password)
        except (VerificationError, InvalidHashError):
            return False
