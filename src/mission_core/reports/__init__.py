"""
Reports on tasks, agents and the event log: throughput, durations, workload and errors.
"""

from typing import TYPE_CHECKING

from mission_core.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from mission_core.reports.activity_feed import (
        ActivityFeedReads as ActivityFeedReads,
        FeedCount as FeedCount,
        FeedFilter as FeedFilter,
        FeedRow as FeedRow,
    )
    from mission_core.reports.agent_activity import (
        ActivityAlert as ActivityAlert,
        ActivityEntry as ActivityEntry,
        ActivityPeriod as ActivityPeriod,
        AgentActivityReads as AgentActivityReads,
        AgentComment as AgentComment,
        AgentDoneTask as AgentDoneTask,
        AgentTasks as AgentTasks,
        HourlyEventCount as HourlyEventCount,
    )
    from mission_core.reports.board_metrics import (
        BoardMetrics as BoardMetrics,
        MetricsPoint as MetricsPoint,
        MetricsRange as MetricsRange,
        MetricsSeries as MetricsSeries,
    )
    from mission_core.reports.overview import (
        OrganizationOverview as OrganizationOverview,
        organization_overview as organization_overview,
    )
    from mission_core.reports.queries import (
        AgentWorkload as AgentWorkload,
        BucketCount as BucketCount,
        DoneTaskGroup as DoneTaskGroup,
        DoneTaskGroups as DoneTaskGroups,
        DurationCount as DurationCount,
        FoundAgent as FoundAgent,
        FoundRows as FoundRows,
        FoundTask as FoundTask,
        HourRange as HourRange,
        MinuteCount as MinuteCount,
        MinuteRange as MinuteRange,
        PendingApproval as PendingApproval,
        PendingApprovals as PendingApprovals,
        ReportCounts as ReportCounts,
        ReportReads as ReportReads,
        ReportScope as ReportScope,
        StatusCount as StatusCount,
    )
    from mission_core.reports.report_refusals import MomentInFuture as MomentInFuture
    from mission_core.reports.task_outcomes import ResultCounts as ResultCounts, TaskOutcomes as TaskOutcomes
    from mission_core.reports.task_regression import (
        RegressionWindow as RegressionWindow,
        TaskRegression as TaskRegression,
    )
    from mission_core.reports.workload import (
        AgentCapacity as AgentCapacity,
        QueueState as QueueState,
        Throughput as Throughput,
        WorkloadAction as WorkloadAction,
        WorkloadRecommendation as WorkloadRecommendation,
        WorkloadReport as WorkloadReport,
        workload_report as workload_report,
    )
    from mission_core.reports.workload_thresholds import WorkloadThresholds as WorkloadThresholds
else:
    __getattr__, __dir__ = lazy_exports(__name__)
