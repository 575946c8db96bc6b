"""
The contract of each port, as a class of pytest tests. A subclass that provides the port by a fixture inherits its
tests; the docstring of each class names the fixture.

Async tests run with the pytest plugin of anyio.
"""

from mission_core.extras import missing_extra_named

with missing_extra_named():
    import anyio as anyio

    from mission_adapters.testing.contracts.base import StoreContract
    from mission_adapters.testing.contracts.budgets import BudgetsContract
    from mission_adapters.testing.contracts.clock import ClockContract
    from mission_adapters.testing.contracts.concurrent_decisions import ConcurrentDecisionsContract
    from mission_adapters.testing.contracts.credential_store import CredentialStoreContract
    from mission_adapters.testing.contracts.encryption import SecretEncryptionContract
    from mission_adapters.testing.contracts.entity_kinds import EntityKindsContract
    from mission_adapters.testing.contracts.entity_round_trips import EntityRoundTripContract
    from mission_adapters.testing.contracts.event_log import EventLogContract
    from mission_adapters.testing.contracts.housekeeping import HousekeepingContract
    from mission_adapters.testing.contracts.id_factory import IdFactoryContract
    from mission_adapters.testing.contracts.idempotency import IdempotencyContract
    from mission_adapters.testing.contracts.leases import LeaseContract
    from mission_adapters.testing.contracts.password_hasher import PasswordHasherContract
    from mission_adapters.testing.contracts.rate_limiter import LimiterUnderTest, RateLimiterContract
    from mission_adapters.testing.contracts.reported_runs import ReportedRunContract
    from mission_adapters.testing.contracts.secrets import SecretsContract
    from mission_adapters.testing.contracts.task_queue import TaskQueueContract
    from mission_adapters.testing.contracts.token_ledger import TokenLedgerContract
    from mission_adapters.testing.contracts.unit_of_work import UnitOfWorkContract

__all__ = [
    "BudgetsContract",
    "ClockContract",
    "ConcurrentDecisionsContract",
    "CredentialStoreContract",
    "EntityKindsContract",
    "EntityRoundTripContract",
    "EventLogContract",
    "HousekeepingContract",
    "IdFactoryContract",
    "IdempotencyContract",
    "LeaseContract",
    "LimiterUnderTest",
    "PasswordHasherContract",
    "RateLimiterContract",
    "ReportedRunContract",
    "SecretEncryptionContract",
    "SecretsContract",
    "StoreContract",
    "TaskQueueContract",
    "TokenLedgerContract",
    "UnitOfWorkContract",
]
