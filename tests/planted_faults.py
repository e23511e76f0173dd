"""Plants faults in a copy of the product, one at a time, and says which of them the tests let pass.

`python -m tests.planted_faults [WORD …]` takes those whose names have one of the words, or all; each runs the tests
that ought to catch it. Exits 1 where one slipped through. Run it whenever tests are merged, moved or made faster.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COPIED = ("web", "templates", "static", "migrations", "demo", "tests", "docs")
CASES = ("tests/schema/test_cases.py", "-k", "17-")


@dataclass(frozen=True, slots=True)
class Fault:
    """A line of the product, what stands there instead, and the tests that shall say so."""

    name: str
    file: str
    right: str
    wrong: str
    tests: tuple[str, ...]


def _schema(name: str, file: str, right: str, wrong: str, *tests: str) -> Fault:
    return Fault(name, f"web/schema/{file}", right, wrong, tests or CASES)


READING = (
    _schema(
        "reading: an invalid index passes for a valid one",
        "queries/indexes.sql",
        "       i.indisvalid,\n",
        "       true,\n",
    ),
    _schema(
        "reading: a constraint that is not validated passes for one that is",
        "queries/constraints.sql",
        "con.convalidated and coalesce(i.indisvalid, true)",
        "true",
    ),
    _schema(
        "reading: DEFERRABLE is lost",
        "queries/constraints.sql",
        "when con.condeferrable then 'DEFERRABLE' end",
        "end",
    ),
    _schema(
        "reading: constraint triggers that are switched off pass for live ones",
        "queries/constraints.sql",
        "case checks.enabled when 'D' then 'disabled'",
        "case checks.enabled",
    ),
    _schema(
        "reading: a policy's WITH CHECK is lost",
        "queries/policies.sql",
        "pg_get_expr(p.polwithcheck, p.polrelid)",
        "null::text",
    ),
    _schema(
        "reading: a policy's roles are lost",
        "queries/policies.sql",
        "where r.oid = any (p.polroles)",
        "where false",
    ),
    _schema(
        "reading: a disabled trigger passes for a live one",
        "queries/triggers.sql",
        "when 'D' then 'disabled'",
        "when 'D' then 'origin'",
    ),
    _schema(
        "reading: a column's collation is lost",
        "queries/columns.sql",
        "case when a.attcollation <> t.typcollation",
        "case when false",
    ),
    _schema(
        "reading: a generated column passes for a default",
        "queries/columns.sql",
        "case when a.attgenerated = '' then pg_get_expr",
        "case when true then pg_get_expr",
    ),
    _schema(
        "reading: comments of columns are lost", "parts.py", 'comments.of("pg_class", oid, number),', "None,"
    ),
)

COMPARING = (
    _schema(
        "comparing: what is gone is not told", "compare.py", 'self._add_whole("removed", item, place)', "pass"
    ),
    _schema(
        "comparing: what came is not told", "compare.py", 'self._add_whole("added", item, place)', "pass"
    ),
    _schema(
        "comparing: the order of columns does not count",
        "compare.py",
        "            self._compare_order(a, b, place)",
        "            pass",
    ),
    _schema(
        "comparing: any two schemas are renamed ones",
        "renames.py",
        "if content_a.get(old) and content_a.get(old) == content_b.get(name):",
        "if content_a.get(old):",
    ),
    _schema(
        "comparing: attributes are compared by their first letters",
        "compare.py",
        "if old_value != new_value and",
        "if str(old_value)[:12] != str(new_value)[:12] and",
    ),
    Fault(
        "comparing: a backup twice as old as the rule opens the gate",
        "web/answers/gate.py",
        "    if age > limit:\n",
        "    if age > 2 * limit:\n",
        ("tests/answers", "-k", "gate or backup"),
    ),
    Fault(
        "comparing: diverged is lost beside several heads",
        "web/answers/verdict.py",
        "    if beyond and pending:\n        holds",
        "    if beyond and pending and len(history.heads) == 1:\n        holds",
        ("tests/answers/test_verdict.py",),
    ),
    Fault(
        "comparing: an edited file is no difference",
        "web/answers/verdict.py",
        "        elif first_seen != step.digest:",
        "        elif False:",
        ("tests/answers/test_verdict.py",),
    ),
    Fault(
        "comparing: an unreadable history is in sync",
        "web/answers/verdict.py",
        "edited or history.problems) and rows",
        "edited) and rows",
        ("tests/answers/test_verdict.py",),
    ),
    Fault(
        "comparing: several heads are none",
        "web/answers/verdict.py",
        "if history.is_ambiguous:",
        "if history.is_ambiguous and len(history.heads) > 2:",
        ("tests/answers/test_verdict.py",),
    ),
)

WRITING = (
    _schema(
        "writing: NOT VALID is left out",
        "ddl/constraints.py",
        '        parts.append("NOT VALID")',
        "        pass",
    ),
    _schema(
        "writing: NO INHERIT is left out",
        "ddl/constraints.py",
        '        parts.append("NO INHERIT")',
        "        pass",
    ),
    _schema(
        "writing: a table's options are left out",
        "ddl/tables.py",
        "    if item.options:\n",
        "    if False:\n",
    ),
    _schema(
        "writing: an unlogged table is logged",
        "ddl/tables.py",
        'return "UNLOGGED TABLE" if item.persistence == "unlogged" else "TABLE"',
        'return "TABLE"',
    ),
    _schema(
        "writing: row security goes the wrong way",
        "ddl/tables.py",
        "{'ENABLE' if a.row_security else 'DISABLE'}",
        "{'DISABLE' if a.row_security else 'ENABLE'}",
    ),
    _schema(
        "writing: a sequence that cycles does not",
        "ddl/sequences.py",
        '"cycle": "CYCLE" if item.cycle else "NO CYCLE"',
        '"cycle": "NO CYCLE"',
    ),
    _schema(
        "writing: the drop of a column loses nothing",
        "ddl/drop.py",
        "            return item.generated is None",
        "            return False",
        "tests/schema/test_statements.py",
        "-k",
        "loses",
    ),
    _schema(
        "writing: what is dropped in a window is committed in between",
        "ddl/windows.py",
        "        opened = {circles[number] for number, each in enumerate(actions) if each.window is not None}",
        "        opened = set()",
        "tests/schema/test_half_done.py",
        "-k",
        "17-",
    ),
)

JOBS = (
    Fault(
        "jobs: an attempt with a newer one beside it may write",
        "web/jobs/attempt.py",
        "newer.c.fence > self.fence)",
        "newer.c.fence < 0)",
        ("tests/jobs/test_crash.py",),
    ),
    Fault(
        "jobs: a change closes no gate",
        "web/jobs/start.py",
        "                if kind.mutating:\n                    await _close",
        "                if False:\n                    await _close",
        ("tests/jobs/test_start.py",),
    ),
    Fault(
        "jobs: a kind that is not there may be started",
        "web/jobs/start.py",
        "if (reason := kind.available(environment)) is not None:",
        "if (reason := kind.available(environment)) == 1:",
        (
            "tests/operations/test_reset.py",
            "tests/jobs/test_start.py",
            "-k",
            "production or available or not_offered",
        ),
    ),
    Fault(
        "jobs: whoever waits for a dead worker waits for ever",
        "web/jobs/heartbeat.py",
        "DEAD_AFTER: Final = 15",
        "DEAD_AFTER: Final = 100000",
        ("tests/jobs/test_crash.py", "-k", "dies_at_a_point"),
    ),
    Fault(
        "jobs: a queued job that was cancelled runs",
        "web/jobs/cancel.py",
        "        await withdraw(connection, job_id)\n",
        "",
        ("tests/jobs", "-k", "cancel"),
    ),
    Fault(
        "jobs: what the person saw does not bind",
        "web/acts/seen.py",
        "if job.seen_revisions is not None and set(job.seen_revisions) != set(applied):",
        "if False:",
        ("tests/operations/test_migrate.py",),
    ),
    Fault(
        "jobs: a backup that was cut short is whole",
        "web/backups/parts.py",
        "    if size != expected.size:\n",
        "    if size > expected.size:\n",
        ("tests/backups/test_verify.py",),
    ),
    Fault(
        "jobs: an altered backup is whole",
        "web/backups/parts.py",
        "    if digest.hexdigest() != expected.sha256:\n",
        "    if False:\n",
        ("tests/backups/test_verify.py",),
    ),
)

ACCESS = (
    Fault(
        "access: a viewer may do what an operator may",
        "web/access/permissions.py",
        "ROLES.index(role) >= ROLES.index(needed)",
        "True",
        ("tests/access",),
    ),
    Fault(
        "access: any form token will do",
        "web/access/csrf.py",
        "    if not hmac.compare_digest(token_for(secret).encode()",
        "    if False and not hmac.compare_digest(token_for(secret).encode()",
        ("tests/access",),
    ),
    Fault(
        "access: pages of other sites may press buttons",
        "web/access/csrf.py",
        'if site is not None and site not in ("same-origin", "none"):',
        "if False:",
        ("tests/access",),
    ),
    Fault(
        "access: a revoked token goes on",
        "web/access/tokens.py",
        "                ApiTokenRow.revoked_at.is_(None),\n",
        "",
        ("tests/access",),
    ),
    Fault(
        "access: an idle session goes on",
        "web/access/sessions.py",
        "                SessionRow.last_seen_at > func.now() - IDLE",
        "                SessionRow.last_seen_at.is_not(None)",
        ("tests/access",),
    ),
    Fault(
        "access: mistakes cost nothing",
        "web/access/limiter.py",
        "        if failures < self.free:\n",
        "        if failures < 10**9:\n",
        ("tests/access",),
    ),
    Fault(
        "access: who asked may approve",
        "web/access/approvals.py",
        "    if request.asked_by.casefold() in mine:",
        "    if False:",
        ("tests/operations/test_approved.py", "-k", "somebody_else"),
    ),
    Fault(
        "access: an approval is used again and again",
        "web/starting/start.py",
        "            await spend(connection, request.id, job_id)",
        "            pass",
        ("tests/operations/test_approved.py", "-k", "somebody_else or once"),
    ),
    Fault(
        "access: an approval of one plan holds for another",
        "web/access/approval_requests.py",
        "            ApprovalRequestRow.shown_hash == shown_hash,\n            _LIVING,",
        "            _LIVING,",
        ("tests/operations/test_approved.py", "-k", "void or somebody_else"),
    ),
)

FAULTS = (*READING, *COMPARING, *WRITING, *JOBS, *ACCESS)


def main(words: list[str]) -> int:
    """Plant the faults that the words name, and print what became of each."""
    slipped = []
    with tempfile.TemporaryDirectory(prefix="planted-") as place:
        copy = Path(place)
        for name in COPIED:
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("pyproject.toml", "README.md", "ARCHITECTURE.md", "CHANGELOG.md"):
            shutil.copy2(ROOT / name, copy / name)
        (copy / ".cache").symlink_to(ROOT / ".cache")
        for fault in FAULTS:
            if words and not any(word in fault.name for word in words):
                continue
            caught = _is_caught(fault, copy)
            sys.stdout.write(f"{'caught ' if caught else 'SLIPPED'}  {fault.name}\n")
            sys.stdout.flush()
            if not caught:
                slipped.append(fault)
    return 1 if slipped else 0


def _is_caught(fault: Fault, copy: Path) -> bool:
    file = copy / fault.file
    right = file.read_text(encoding="utf-8")
    if right.count(fault.right) != 1:
        raise SystemExit(
            f"{fault.name}: {fault.file} has its line {right.count(fault.right)} times, not once."
        )
    file.write_text(right.replace(fault.right, fault.wrong), encoding="utf-8")
    try:
        run = subprocess.run(
            [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *fault.tests],
            cwd=copy,
            # Of a kind that compiled files are not mistaken for: the same second, the same size.
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(copy)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        file.write_text(right, encoding="utf-8")
    if run.returncode not in (0, 1):
        raise SystemExit(f"{fault.name}: the tests did not run.\n{run.stdout[-2000:]}{run.stderr[-2000:]}")
    return run.returncode == 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
