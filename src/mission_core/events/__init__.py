"""
The event log: events, their positions, and the hash chain that proves them.
"""

from typing import TYPE_CHECKING

from mission_core.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from mission_core.events.checkpoints import Checkpoint as Checkpoint
    from mission_core.events.live_readers import (
        LiveLogs as LiveLogs,
        PositionGone as PositionGone,
        ReaderTooSlow as ReaderTooSlow,
    )
    from mission_core.events.model import (
        Actor as Actor,
        ChainBreak as ChainBreak,
        ChainHead as ChainHead,
        Entry as Entry,
        Event as Event,
    )
    from mission_core.events.ports import EventLog as EventLog
    from mission_core.events.readers import (
        Reader as Reader,
        follow_log as follow_log,
        handle_new_entries as handle_new_entries,
    )
    from mission_core.events.use_cases import verify_log as verify_log
else:
    __getattr__, __dir__ = lazy_exports(__name__)
