"""One file per job kind, which says everything about itself, and `KINDS`, which lists them.

To add one: a file here, a test file, an entry in `KINDS`.
What kinds share is in `web.acts`; what is due by itself in `web.upkeep`.
"""

from __future__ import annotations

from web.operations.adopt import ADOPT
from web.operations.backup import BACKUP
from web.operations.baseline import BASELINE
from web.operations.beside import BESIDE
from web.operations.compare import COMPARE
from web.operations.cut_over import CUT_OVER
from web.operations.merge_heads import MERGE_HEADS
from web.operations.migrate import MIGRATE
from web.operations.observe import OBSERVE
from web.operations.pin import PIN
from web.operations.plan_revert import PLAN_REVERT
from web.operations.prove_baseline import PROVE_BASELINE
from web.operations.rehearse import REHEARSE
from web.operations.rehearse_clean_start import REHEARSE_CLEAN_START
from web.operations.reset import RESET
from web.operations.restamp import RESTAMP
from web.operations.restamp_back import RESTAMP_BACK
from web.operations.revert import REVERT
from web.operations.smoke_check import SMOKE_CHECK
from web.operations.stamp import STAMP
from web.operations.survey import SURVEY
from web.operations.take_back_baseline import TAKE_BACK_BASELINE
from web.operations.verify import VERIFY
from web.operations.write_baseline import WRITE_BASELINE
from web.starting.operation import AnyOperation

#: In the order in which buttons are shown.
KINDS: tuple[AnyOperation, ...] = (
    OBSERVE,
    BACKUP,
    VERIFY,
    REHEARSE,
    MIGRATE,
    SMOKE_CHECK,
    PLAN_REVERT,
    ADOPT,
    STAMP,
    RESTAMP,
    RESTAMP_BACK,
    REVERT,
    RESET,
    BESIDE,
    PIN,
    COMPARE,
    SURVEY,
    MERGE_HEADS,
    BASELINE,
    PROVE_BASELINE,
    REHEARSE_CLEAN_START,
    WRITE_BASELINE,
    TAKE_BACK_BASELINE,
    CUT_OVER,
)
