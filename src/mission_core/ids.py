"""
The types of all ids.

An id is a version 7 UUID from the `IdFactory` port. Things that people refer to also have a short number, unique in
their organization and kind, from the `Numbers` port.
"""

from __future__ import annotations

from typing import NewType
from uuid import UUID

OrganizationId = NewType("OrganizationId", UUID)
ApiKeyId = NewType("ApiKeyId", UUID)
UserId = NewType("UserId", UUID)
PersonId = NewType("PersonId", UUID)
MemberId = NewType("MemberId", UUID)
GrantId = NewType("GrantId", UUID)
InviteId = NewType("InviteId", UUID)
SessionId = NewType("SessionId", UUID)
ServerKeyId = NewType("ServerKeyId", UUID)
AccessRequestId = NewType("AccessRequestId", UUID)
BoardId = NewType("BoardId", UUID)
GroupId = NewType("GroupId", UUID)
AgentId = NewType("AgentId", UUID)
TaskId = NewType("TaskId", UUID)
RunId = NewType("RunId", UUID)
LateResultId = NewType("LateResultId", UUID)
OrderId = NewType("OrderId", UUID)
OnboardingId = NewType("OnboardingId", UUID)
CommentId = NewType("CommentId", UUID)
TagId = NewType("TagId", UUID)
FieldId = NewType("FieldId", UUID)
AssignmentId = NewType("AssignmentId", UUID)
SettingId = NewType("SettingId", UUID)
ConnectionId = NewType("ConnectionId", UUID)
MemoryId = NewType("MemoryId", UUID)
WebhookId = NewType("WebhookId", UUID)
PayloadId = NewType("PayloadId", UUID)
ApprovalId = NewType("ApprovalId", UUID)
ApprovalLinkId = NewType("ApprovalLinkId", UUID)
UsageId = NewType("UsageId", UUID)
TelemetrySourceId = NewType("TelemetrySourceId", UUID)
BudgetId = NewType("BudgetId", UUID)
PriceOverrideId = NewType("PriceOverrideId", UUID)
ReportedRunId = NewType("ReportedRunId", UUID)
ChatMessageId = NewType("ChatMessageId", UUID)
NotificationId = NewType("NotificationId", UUID)

ApiKeyNumber = NewType("ApiKeyNumber", int)
UserNumber = NewType("UserNumber", int)
BoardNumber = NewType("BoardNumber", int)
GroupNumber = NewType("GroupNumber", int)
AgentNumber = NewType("AgentNumber", int)
TaskNumber = NewType("TaskNumber", int)
CommentNumber = NewType("CommentNumber", int)
AssignmentNumber = NewType("AssignmentNumber", int)
ConnectionNumber = NewType("ConnectionNumber", int)
MemoryNumber = NewType("MemoryNumber", int)
WebhookNumber = NewType("WebhookNumber", int)
PayloadNumber = NewType("PayloadNumber", int)
ApprovalNumber = NewType("ApprovalNumber", int)
BudgetNumber = NewType("BudgetNumber", int)
PriceOverrideNumber = NewType("PriceOverrideNumber", int)
ReportedRunNumber = NewType("ReportedRunNumber", int)
ChatMessageNumber = NewType("ChatMessageNumber", int)
NotificationNumber = NewType("NotificationNumber", int)
