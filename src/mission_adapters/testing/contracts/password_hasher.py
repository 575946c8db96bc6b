"""
The contract of a password hasher.
"""

from __future__ import annotations

import pytest

from mission_adapters.testing.contracts.base import AsyncContract
from mission_core.accounts.ports import PasswordHasher


class PasswordHasherContract(AsyncContract):
    """
    What a `PasswordHasher` must do. A subclass, its module or its `conftest.py` has a fixture `passwords`. Give it weak
    parameters, or the tests take long.
    """

    @pytest.mark.parametrize("password", ["a password", "", "Grüße 👩‍🚀", "x" * 1000])
    async def test_a_password_matches_its_own_hash_only(self, passwords: PasswordHasher, password: str) -> None:
        """
        Whatever its characters and length.
        """
        kept = await passwords.hash(password)

        assert await passwords.verify(password, kept)
        assert not await passwords.verify(password + "x", kept)
        assert password not in kept or not password

    async def test_the_same_password_has_another_hash_each_time(self, passwords: PasswordHasher) -> None:
        """
        Each has a salt of its own.
        """
        assert await passwords.hash("a password") != await passwords.hash("a password")

    @pytest.mark.parametrize("kept", [None, "no hash", ""])
    async def test_without_a_hash_no_password_matches(self, passwords: PasswordHasher, kept: str | None) -> None:
        """
        And nothing fails.
        """
        assert not await passwords.verify("a password", kept)

    async def test_a_new_hash_needs_no_other(self, passwords: PasswordHasher) -> None:
        """
        It has the present parameters.
        """
        assert not passwords.needs_rehash(await passwords.hash("a password"))
