"""
What passwords are kept as.
"""

import pytest
from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import VerifyMismatchError

from mission_adapters.passwords import Argon2Passwords


@pytest.mark.parametrize("passwords", [Argon2Passwords.strong(), Argon2Passwords.quick()], ids=["strong", "quick"])
async def test_where_nothing_is_kept_a_password_is_held_against_a_hash_of_the_same_cost(passwords):
    """
    One that is well formed, or it would be refused before any work is done.
    """
    made = await passwords.hashed("a password")

    with pytest.raises(VerifyMismatchError):
        PasswordHasher().verify(passwords.nobodys, "a password")
    assert extract_parameters(made) == extract_parameters(passwords.nobodys)
    assert not await passwords.fits("a password", None)
    assert await passwords.fits("a password", made)
