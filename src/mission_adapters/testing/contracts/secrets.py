"""
The contract of the port `Secrets`.
"""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from mission_adapters.testing import strategies as some
from mission_adapters.testing.contracts.base import contract_settings
from mission_core.accounts.ports import Secrets
from mission_core.ids import InviteId, RunId

fences = st.integers(1, 2**31)


class SecretsContract:
    """
    The contract of the port `Secrets`. A subclass, its module or its `conftest.py` provides a fixture `secrets`.
    """

    def test_tokens_and_keys_have_their_formats(self, secrets: Secrets) -> None:
        """
        A token has 43 URL-safe characters; a key has the prefix `mca_`, a server key `mc_`, and both 48 hexadecimal
        digits.
        """
        assert re.fullmatch(r"[\w-]{43}", secrets.token(), re.ASCII)
        assert re.fullmatch(r"mca_[0-9a-f]{48}", secrets.key())
        assert re.fullmatch(r"mc_[0-9a-f]{48}", secrets.server_key())

    def test_tokens_and_keys_do_not_repeat(self, secrets: Secrets) -> None:
        """
        Tokens, keys and server keys do not repeat.
        """
        made = [make() for _ in range(1000) for make in (secrets.token, secrets.key, secrets.server_key)]

        assert 3000 == len(set(made))

    @contract_settings(100)
    @given(run=some.ids, fence=fences)
    def test_a_lease_yields_the_id_of_its_run(self, secrets: Secrets, run: RunId, fence: int) -> None:
        """
        A lease is URL-safe, yields the id of its run, and is the same each time, so a repeated claim can return it
        again.
        """
        lease = secrets.lease(run, fence)

        assert lease == secrets.lease(run, fence)
        assert run == secrets.run_of_lease(lease)
        assert re.fullmatch(r"[\w-]+", lease, re.ASCII)

    @contract_settings(100)
    @given(run=some.ids, fence=fences, other=some.ids, another=fences)
    def test_leases_differ_by_run_and_fence(
        self, secrets: Secrets, run: RunId, fence: int, other: RunId, another: int
    ) -> None:
        """
        Two leases are equal only if both run and fence are equal.
        """
        assert ((run, fence) == (other, another)) is (secrets.lease(run, fence) == secrets.lease(other, another))

    @contract_settings(100)
    @given(text=st.text(max_size=60))
    def test_run_of_lease_accepts_any_text(self, secrets: Secrets, text: str) -> None:
        """
        `run_of_lease` accepts any text without raising, and returns None for text that is not ASCII.
        """
        run = secrets.run_of_lease(text)

        assert run is None or text.isascii()

    @contract_settings(100)
    @given(invite=some.ids, other=some.ids)
    def test_an_invite_token_yields_the_id_of_its_invite(
        self, secrets: Secrets, invite: InviteId, other: InviteId
    ) -> None:
        """
        An invite token has 32 URL-safe characters, yields the id of its invite, and is the same each time.
        """
        token = secrets.invite_token(invite)

        assert re.fullmatch(r"[\w-]{32}", token, re.ASCII)
        assert invite == secrets.invite_of_token(token)
        assert (invite == other) is (token == secrets.invite_token(other))

    @contract_settings(100)
    @given(invite=some.ids, place=st.integers(0, 31))
    def test_a_changed_invite_token_yields_none(self, secrets: Secrets, invite: InviteId, place: int) -> None:
        """
        An invite token with any one character changed yields None.
        """
        token = secrets.invite_token(invite)
        changed = token[:place] + ("B" if token[place] == "A" else "A") + token[place + 1 :]

        assert secrets.invite_of_token(changed) is None
