"""
What passwords are kept as.
"""

import pytest
from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import VerifyMismatchError

from mission_adapters.password_hashing import Argon2PasswordHasher
from mission_adapters.testing import weak_argon2_hasher, weak_scrypt_hasher
from mission_adapters.testing.contracts import PasswordHasherContract
from mission_core.accounts.ports import PasswordHasher as PasswordHasherPort


@pytest.mark.parametrize("passwords", [Argon2PasswordHasher.strong(), weak_argon2_hasher()], ids=["strong", "quick"])
async def test_where_nothing_is_kept_a_password_is_held_against_a_hash_of_the_same_cost(passwords):
    """
    One that is well formed, or it would be refused before any work is done.
    """
    made = await passwords.hash("a password")

    with pytest.raises(VerifyMismatchError):
        PasswordHasher().verify(passwords.dummy_hash, "a password")
    assert extract_parameters(made) == extract_parameters(passwords.dummy_hash)
    assert not await passwords.verify("a password", None)
    assert await passwords.verify("a password", made)


@pytest.fixture(params=[weak_argon2_hasher, weak_scrypt_hasher], ids=["argon2", "scrypt"])
def passwords(request: pytest.FixtureRequest) -> PasswordHasherPort:
    """
    Each of our hashers.
    """
    return request.param()


class TestPasswordHashers(PasswordHasherContract):
    """
    With Argon2 and scrypt.
    """
