"""The store's tables: what the dashboard remembers. Queries stand where their answer is used.

`migrations/` holds the history of this schema; Procrastinate's own tables live beside these.
Times are UTC. Sizes are bytes. JSON columns hold values that one module writes and reads whole.
"""

from web.store.tables.access import (
    ApiTokenRow,
    AuditEntryRow,
    RoleGrantRow,
    SessionRow,
    SignInFailureRow,
    SigningKeyRow,
    UserRow,
)
from web.store.tables.approvals import ApprovalRequestRow, ApprovalRow
from web.store.tables.backups import BackupRow
from web.store.tables.builds import BuildRow, DeploymentRow, PlanRow
from web.store.tables.clean_start import (
    AcceptanceRow,
    BaselineProofRow,
    BaselineRow,
    CleanStartRehearsalRow,
    CutOverScanRow,
    MergeRow,
    RunEventRow,
    RunRow,
    SurveyRow,
)
from web.store.tables.declarative import Base
from web.store.tables.drift import AdoptionRow, ComparisonRow, IgnoreRuleRow, RepairRow
from web.store.tables.environments import (
    AppliedRevisionRow,
    DriftRow,
    EnvironmentRow,
    EnvironmentStateRow,
    ExpectedSchemaRow,
    HistoryRow,
    KeptSchemaRow,
    ObservationRow,
    SchemaChangeRow,
    SchemaSnapshotRow,
)
from web.store.tables.jobs import (
    FENCE,
    UNFINISHED,
    DoubtRow,
    IntentRow,
    JobAttemptRow,
    JobEventRow,
    JobRow,
    JobSchemaRow,
    JobStepRow,
    JobTargetRow,
    ReceiptRow,
    WorkerRow,
)

__all__ = [
    "FENCE",
    "UNFINISHED",
    "AcceptanceRow",
    "AdoptionRow",
    "ApiTokenRow",
    "AppliedRevisionRow",
    "ApprovalRequestRow",
    "ApprovalRow",
    "AuditEntryRow",
    "BackupRow",
    "Base",
    "BaselineProofRow",
    "BaselineRow",
    "BuildRow",
    "CleanStartRehearsalRow",
    "ComparisonRow",
    "CutOverScanRow",
    "DeploymentRow",
    "DoubtRow",
    "DriftRow",
    "EnvironmentRow",
    "EnvironmentStateRow",
    "ExpectedSchemaRow",
    "HistoryRow",
    "IgnoreRuleRow",
    "IntentRow",
    "JobAttemptRow",
    "JobEventRow",
    "JobRow",
    "JobSchemaRow",
    "JobStepRow",
    "JobTargetRow",
    "KeptSchemaRow",
    "MergeRow",
    "ObservationRow",
    "PlanRow",
    "ReceiptRow",
    "RepairRow",
    "RoleGrantRow",
    "RunEventRow",
    "RunRow",
    "SchemaChangeRow",
    "SchemaSnapshotRow",
    "SessionRow",
    "SignInFailureRow",
    "SigningKeyRow",
    "SurveyRow",
    "UserRow",
    "WorkerRow",
]
