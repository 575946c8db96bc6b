"""
Chat messages, and the memory of boards and board groups: entries that they keep, some of which are chat.
"""

from typing import TYPE_CHECKING

from mission_core.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from mission_core.conversations.chat_messages import (
        ChatMessage as ChatMessage,
        ChatMessageDeleted as ChatMessageDeleted,
        ChatMessageNotFound as ChatMessageNotFound,
        ChatMessageRead as ChatMessageRead,
        ChatMessageSent as ChatMessageSent,
        NotYourMessage as NotYourMessage,
    )
    from mission_core.conversations.chat_queries import (
        ChatEdge as ChatEdge,
        ChatFilter as ChatFilter,
        ChatReads as ChatReads,
        ConversationRow as ConversationRow,
    )
    from mission_core.conversations.chat_use_cases import (
        DeleteChatMessage as DeleteChatMessage,
        MarkChatMessageRead as MarkChatMessageRead,
        SendChatMessage as SendChatMessage,
        delete_chat_message as delete_chat_message,
        mark_chat_message_read as mark_chat_message_read,
        read_chat_message as read_chat_message,
        send_chat_message as send_chat_message,
    )
    from mission_core.conversations.memory_entries import (
        BoardMemoryEntry as BoardMemoryEntry,
        BoardMemoryWritten as BoardMemoryWritten,
        GroupMemoryEntry as GroupMemoryEntry,
        GroupMemoryWritten as GroupMemoryWritten,
        MemoryEntryNotFound as MemoryEntryNotFound,
    )
    from mission_core.conversations.notification_queries import (
        NotificationReads as NotificationReads,
        PendingNotifications as PendingNotifications,
    )
    from mission_core.conversations.notification_use_cases import (
        DeleteNotifications as DeleteNotifications,
        DeliveryCounts as DeliveryCounts,
        DismissNotification as DismissNotification,
        MarkNotificationsRead as MarkNotificationsRead,
        NotificationDeleted as NotificationDeleted,
        NotificationPage as NotificationPage,
        NotificationRead as NotificationRead,
        SendNotification as SendNotification,
        count_deliveries as count_deliveries,
        delete_notifications as delete_notifications,
        dismiss_notification as dismiss_notification,
        list_notifications as list_notifications,
        mark_notifications_read as mark_notifications_read,
        send_notification as send_notification,
        undelivered_notifications as undelivered_notifications,
        unread_notifications as unread_notifications,
    )
    from mission_core.conversations.notifications import (
        Notification as Notification,
        NotificationCreated as NotificationCreated,
        NotificationNotFound as NotificationNotFound,
        NotificationRepeated as NotificationRepeated,
        NotYourNotifications as NotYourNotifications,
        make_notifications as make_notifications,
    )
    from mission_core.conversations.session_preferences import (
        SessionColorInvalid as SessionColorInvalid,
        SessionKeyInvalid as SessionKeyInvalid,
        SessionNameTooLong as SessionNameTooLong,
        SetSessionPreference as SetSessionPreference,
        list_session_preferences as list_session_preferences,
        set_session_preference as set_session_preference,
    )
    from mission_core.conversations.use_cases import (
        BoardNotInGroup as BoardNotInGroup,
        GroupOfBoard as GroupOfBoard,
        WriteBoardMemory as WriteBoardMemory,
        WriteGroupMemory as WriteGroupMemory,
        group_memory_of_board as group_memory_of_board,
        write_board_memory as write_board_memory,
        write_group_memory as write_group_memory,
    )
else:
    __getattr__, __dir__ = lazy_exports(__name__)
