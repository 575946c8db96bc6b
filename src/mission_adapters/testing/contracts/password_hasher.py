"""
The contract of the port `PasswordHasher`.
"""

from __future__ import annotations

import pytest

from mission_adapters.testing.contracts.base import AsyncContract
from mission_core.accounts.ports import PasswordHasher


class PasswordHasherContract(AsyncContract):
    """
    The contract of the port `PasswordHasher`. A subclass, its module or its `conftest.py` provides a fixture
    `passwords`. Give the hasher weak parameters, or the tests are slow.
    """

    @pytest.mark.parametrize("password", ["a password", "", "Grüße 👩‍🚀", "x" * 1000])
    async def test_a_hash_verifies_its_own_password_only(self, passwords: PasswordHasher, password: str) -> None:
        """
        A hash verifies its own password only, whatever the characters and length, and does not contain it.
        """
        kept = await passwords.hash(password)

        assert await passwords.verify(password, kept)
        assert not await passwords.verify(password + "x", kept)
        assert password not in kept or not password

    async def test_each_hash_has_its_own_salt(self, passwords: PasswordHasher) -> None:
        """
        Each hash has its own salt, so two hashes of the same password differ.
        """
        assert await passwords.hash("a password") != await passwords.hash("a password")

    @pytest.mark.parametrize("kept", [None, "no hash", ""])
    async def test_verify_is_false_for_a_missing_or_malformed_hash(
        self, passwords: PasswordHasher, kept: str | None
    ) -> None:
        """
        `verify` returns False for a missing or malformed hash and does not raise.
        """
        assert not await passwords.verify("a password", kept)

    async def test_a_new_hash_needs_no_rehash(self, passwords: PasswordHasher) -> None:
        """
        A new hash has the current parameters, so `needs_rehash` is False.
        """
        assert not passwords.needs_rehash(await passwords.hash("a password"))
