"""
The token ledger: reports of used tokens with their cost, prices of models, and sums.
"""

from typing import TYPE_CHECKING

from mission_core.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from mission_core.usage.model import (
        ReportIdReused as ReportIdReused,
        ReportRaced as ReportRaced,
        UsageCorrected as UsageCorrected,
        UsageEntry as UsageEntry,
        UsageIsCarryOver as UsageIsCarryOver,
        UsageIsReversal as UsageIsReversal,
        UsageNotFound as UsageNotFound,
        UsageOfAnotherAgent as UsageOfAnotherAgent,
        UsageOfAnotherBoard as UsageOfAnotherBoard,
        UsageOfAnotherTask as UsageOfAnotherTask,
        UsageRebuildSuperseded as UsageRebuildSuperseded,
        UsageVoided as UsageVoided,
    )
    from mission_core.usage.budget_accounts import BudgetAccount as BudgetAccount
    from mission_core.usage.budget_use_cases import (
        CreateBudget as CreateBudget,
        DeleteBudget as DeleteBudget,
        UpdateBudget as UpdateBudget,
        create_budget as create_budget,
        delete_budget as delete_budget,
        get_budget as get_budget,
        list_budgets as list_budgets,
        update_budget as update_budget,
    )
    from mission_core.usage.budgets import (
        Budget as Budget,
        BudgetMeasure as BudgetMeasure,
        BudgetNotFound as BudgetNotFound,
        BudgetPeriod as BudgetPeriod,
        BudgetScope as BudgetScope,
        BudgetThresholdReached as BudgetThresholdReached,
        UnknownPrices as UnknownPrices,
    )
    from mission_core.usage.amounts import PriceBasis as PriceBasis
    from mission_core.usage.price_overrides import (
        CreatePriceOverride as CreatePriceOverride,
        DeletePriceOverride as DeletePriceOverride,
        PriceOverride as PriceOverride,
        PriceOverrideCreated as PriceOverrideCreated,
        PriceOverrideDeleted as PriceOverrideDeleted,
        PriceOverrideNotFound as PriceOverrideNotFound,
        PriceOverrides as PriceOverrides,
        PriceOverrideUpdated as PriceOverrideUpdated,
        TooManyPriceOverrides as TooManyPriceOverrides,
        UpdatePriceOverride as UpdatePriceOverride,
        create_price_override as create_price_override,
        delete_price_override as delete_price_override,
        get_price_override as get_price_override,
        list_price_overrides as list_price_overrides,
        update_price_override as update_price_override,
    )
    from mission_core.usage.prices import (
        LayeredPrices as LayeredPrices,
        ModelPrice as ModelPrice,
        NoPrices as NoPrices,
        PriceBook as PriceBook,
        PriceList as PriceList,
        PriceQuery as PriceQuery,
        Quote as Quote,
        TokenCounts as TokenCounts,
    )
    from mission_core.usage.queries import (
        UsageFilter as UsageFilter,
        UsageReads as UsageReads,
        UsageRebuild as UsageRebuild,
        UsageSum as UsageSum,
        UsageTotals as UsageTotals,
        UsageWindow as UsageWindow,
        window_of_last as window_of_last,
    )
    from mission_core.usage.reported_run_queries import (
        EvaluatedRuns as EvaluatedRuns,
        ReportedRunFilter as ReportedRunFilter,
        ReportedRunReads as ReportedRunReads,
    )
    from mission_core.usage.reported_run_use_cases import (
        EvaluateReportedRun as EvaluateReportedRun,
        ReportRun as ReportRun,
        UpdateReportedRun as UpdateReportedRun,
        evaluate_reported_run as evaluate_reported_run,
        report_run as report_run,
        update_reported_run as update_reported_run,
    )
    from mission_core.usage.reported_runs import (
        ReportedRun as ReportedRun,
        ReportedRunCreated as ReportedRunCreated,
        ReportedRunEvaluated as ReportedRunEvaluated,
        ReportedRunIdTaken as ReportedRunIdTaken,
        ReportedRunNotFound as ReportedRunNotFound,
        ReportedRunUpdated as ReportedRunUpdated,
        RunEvaluation as RunEvaluation,
        RunOfAnotherReporter as RunOfAnotherReporter,
        RunProvenance as RunProvenance,
        TokensOfRun as TokensOfRun,
        run_hash_of as run_hash_of,
    )
    from mission_core.usage.telemetry import (
        CounterReading as CounterReading,
        MalformedTelemetry as MalformedTelemetry,
        RecordTelemetry as RecordTelemetry,
        RejectedTelemetry as RejectedTelemetry,
        TelemetryBatch as TelemetryBatch,
        TelemetryDecoder as TelemetryDecoder,
        TelemetryEncodingMissing as TelemetryEncodingMissing,
        TelemetryKind as TelemetryKind,
        TelemetryRecord as TelemetryRecord,
        TelemetrySignal as TelemetrySignal,
        record_telemetry as record_telemetry,
    )
    from mission_core.usage.telemetry_sources import TelemetrySource as TelemetrySource
    from mission_core.usage.use_cases import (
        CorrectUsage as CorrectUsage,
        RecordUsage as RecordUsage,
        RecordUsageBatch as RecordUsageBatch,
        UsageOutcome as UsageOutcome,
        UsageReport as UsageReport,
        correct_usage as correct_usage,
        record_usage as record_usage,
        record_usage_batch as record_usage_batch,
    )
else:
    __getattr__, __dir__ = lazy_exports(__name__)
