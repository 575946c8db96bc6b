"""
Password hashes: scrypt from the standard library, and Argon2id with `argon2-cffi`, which also takes scrypt's.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
from asyncio import to_thread
from base64 import b64encode
from typing import TYPE_CHECKING, Final

from attrs import define, field, frozen

if TYPE_CHECKING:
    from argon2 import PasswordHasher

AT_ONCE: Final = 2
"""How many hashes are made at a time: each takes tens of megabytes."""
COST: Final = 65536
WEAKER_COST: Final = 16384
"""What hashes were once made with. They still fit."""
KEY_LENGTH: Final = 32
NOBODYS: Final = f"{'0' * 32}:{'0' * 64}"


@frozen
class ScryptPasswords:
    """
    scrypt (RFC 7914) with r=8 and p=1: `salt:hash`, both hexadecimal, of which the salt is used as it is written.
    """

    cost: int = COST

    async def hashed(self, password: str) -> str:
        """
        A hash to keep.
        """
        salt = os.urandom(16).hex()
        return f"{salt}:{await to_thread(_scrypt, password, salt, self.cost)}"

    async def fits(self, password: str, kept: str | None) -> bool:
        """
        Whether the password has this hash.
        """
        salt, _, digest = (kept or NOBODYS).partition(":")
        costs = dict.fromkeys((self.cost, WEAKER_COST)) if kept else (self.cost,)
        for cost in costs:
            if hmac.compare_digest(await to_thread(_scrypt, password, salt, cost), digest):
                return kept is not None
        return False

    def outdated(self, kept: str) -> bool:
        """
        No: which cost a hash was made with cannot be seen.
        """
        return False


def _scrypt(password: str, salt: str, cost: int) -> str:
    memory = 128 * 8 * cost + 1024 * 1024
    return hashlib.scrypt(
        password.encode(), salt=salt.encode(), n=cost, r=8, p=1, dklen=KEY_LENGTH, maxmem=memory
    ).hex()


@define(eq=False)
class Argon2Passwords:
    """
    Argon2id (RFC 9106) for new hashes; hashes by scrypt fit, and are outdated.
    """

    hasher: PasswordHasher
    scrypt: ScryptPasswords = field(factory=ScryptPasswords)
    nobodys: str = field(init=False, repr=False)
    """What a password is held against where nothing is kept: none fits it, and it costs what others cost."""
    _room: asyncio.Semaphore = field(factory=lambda: asyncio.Semaphore(AT_ONCE), init=False)

    @nobodys.default
    def _of_nothing(self) -> str:
        # Random where a hash would be: making a real one would cost every start a tenth of a second.
        by = self.hasher
        salt, digest = (b64encode(os.urandom(size)).decode().rstrip("=") for size in (by.salt_len, by.hash_len))
        return f"$argon2id$v=19$m={by.memory_cost},t={by.time_cost},p={by.parallelism}${salt}${digest}"

    @classmethod
    def strong(cls) -> Argon2Passwords:
        """
        With the library's own parameters, which follow RFC 9106.
        """
        from argon2 import PasswordHasher

        return cls(PasswordHasher())

    @classmethod
    def quick(cls) -> Argon2Passwords:
        """
        With parameters that are worth nothing. For tests.
        """
        from argon2 import PasswordHasher

        return cls(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1), ScryptPasswords(cost=16))

    async def hashed(self, password: str) -> str:
        """
        A hash to keep.
        """
        async with self._room:
            return await to_thread(self.hasher.hash, password)

    async def fits(self, password: str, kept: str | None) -> bool:
        """
        Whether the password has this hash. Where nothing is kept, the answer is no and takes as long.
        """
        async with self._room:
            if kept is not None and not kept.startswith("$argon2"):
                return await self.scrypt.fits(password, kept)
            return await to_thread(self._verified, kept or self.nobodys, password) and kept is not None

    def outdated(self, kept: str) -> bool:
        """
        Whether it was made by another method, or with weaker parameters.
        """
        return not kept.startswith("$argon2") or self.hasher.check_needs_rehash(kept)

    def _verified(self, kept: str, password: str) -> bool:
        from argon2.exceptions import InvalidHashError, VerificationError

        try:
            return self.hasher.verify(kept, password)
        except (VerificationError, InvalidHashError):
            return False
