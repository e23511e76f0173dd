"""The report of a run: what was, what is, every proof with its time, what was accepted, what can still be undone.

It is plain values, kept with the run when it ends, and shown as a page or as Markdown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from web import words
from web.answers.strategy import Strategy, strategies_of
from web.clean_start.evidence import Evidence
from web.clean_start.step import Step
from web.config import Environment
from web.operations import KINDS
from web.operations.migrate import MIGRATE

#: What Markdown would read as its own.
_MARKDOWN = str.maketrans({each: f"\\{each}" for each in "\\`*_{}[]<>()#+-!|~"})


def report_of(evidence: Evidence, steps: Sequence[Step]) -> dict[str, Any]:
    """The report as it is now."""
    run, made, proof, survey = evidence.run, evidence.baseline, evidence.proof, evidence.survey
    return {
        "run": run.id,
        "project": evidence.project.name,
        "way": run.way,
        "title": evidence.project.title,
        "state": run.ended or "open",
        "begun_at": run.begun_at.isoformat(),
        "begun_by": run.begun_by,
        "ended_at": run.ended_at.isoformat() if run.ended_at else None,
        "ended_by": run.ended_by,
        "why": run.why,
        "before": {
            "migrations": survey.history.migrations if survey else None,
            "heads": list(survey.history.heads) if survey else [],
            "seconds": proof.old_seconds if proof else survey.history.seconds if survey else None,
            "environments": [
                {
                    "environment": each.environment,
                    "revisions": list(each.revisions),
                    "words": each.words,
                    "differences": each.differences,
                }
                for each in (survey.environments if survey else ())
            ],
        },
        "after": {
            "migrations": len(evidence.source.history)
            if evidence.source is not None and evidence.source.history is not None
            else None,
            "baseline": made.baseline.revision if made else None,
            "path": made.baseline.path if made else None,
            "archive": str(made.manifest["folder"]) if made and made.manifest["folder"] else None,
            "seconds": proof.seconds if proof else None,
            "rows": dict(made.baseline.rows) if made else {},
        },
        "environments": [
            {
                "environment": name,
                "tier": view.environment.tier,
                "strategy": run.strategies.get(name, "leave-out"),
                "now": view.verdict.sentence,
                "undo": undo_of(run.strategies.get(name, "leave-out"), view.environment, evidence),
            }
            for name, view in evidence.views.items()
        ],
        "steps": [
            {
                "step": step.name,
                "title": step.title,
                "state": step.state,
                "proofs": [{**each.to_json(), "about": each.about} for each in step.proofs],
            }
            for step in steps
            if step.name != "report"
        ],
        "accepted": [
            {
                "what": each.what,
                "reason": each.reason,
                "by": each.by,
                "at": each.at.isoformat(),
                "environment": each.environment,
            }
            for each in run.acceptances.values()
        ],
        "done": [
            {
                "what": each.sort,
                "step": each.step,
                "environment": each.environment,
                "kind": each.detail.get("kind"),
                "job": each.job_id,
                "by": each.by,
                "at": each.at.isoformat(),
            }
            for each in run.happenings
            if each.sort in ("begun", "strategy", "started", "ended")
        ],
        "keeps": list(evidence.project.keeps),
    }


def undo_of(strategy: Strategy, environment: Environment, evidence: Evidence) -> str:
    """How far what Apply does to an environment can be undone, said before it is done."""
    backup = evidence.backups.get(environment.name)
    saved = (
        f"The backup of {words.exact(backup.created_at)} holds what was there then."
        if backup is not None and backup.state == "verified"
        else "There is no verified backup of this clean start."
    )
    old = "what the missing old migrations change" if _catches_up(environment.name, evidence) else ""
    match strategy:
        case "stamp":
            if old:
                return f"`cleanstart restamp-back` writes the old rows; {old} is undone by the backup alone. {saved}"
            return "Nothing but the version rows is changed: `cleanstart restamp-back` writes the old ones again."
        case "repair":
            lost = " and ".join(filter(None, (old, "what the repair drops")))
            return f"`cleanstart restamp-back` writes the old rows; {lost} is undone by the backup alone. {saved}"
        case "reset":
            return f"{saved} It has to be restored by hand."
        case "beside":
            return "The old database stays as it is: lead the secret back to it."
        case _:
            return "Nothing is done to it."


def _catches_up(name: str, evidence: Evidence) -> bool:
    """Whether an environment gets old migrations before its version row is exchanged, or got them in this run."""
    verdict = evidence.views[name].verdict
    if verdict.pending or (verdict.archive is not None and not verdict.is_at_the_old_head):
        return True
    return evidence.last(MIGRATE.name, name) is not None or any(
        each.sort == "started" and each.environment == name and each.detail.get("kind") == MIGRATE.name
        for each in evidence.run.happenings
    )


def as_markdown(report: Mapping[str, Any]) -> str:
    """The report as a file that can be read anywhere."""
    return "\n".join(_lines(report)).rstrip() + "\n"


def _lines(report: Mapping[str, Any]) -> Iterator[str]:
    before, after = report["before"], report["after"]
    kept = report["way"] == "keep"
    yield f"# {'Repair of' if kept else 'Clean start of'} {_plain(report['title'])}"
    yield ""
    state = {"done": "Done", "stopped": "Stopped", "open": "Not ended yet"}[report["state"]]
    by = f" by {_plain(report['ended_by'])}, {_time(report['ended_at'])}" if report["ended_at"] else ""
    yield f"{state}{by}. Begun by {_plain(report['begun_by'])}, {_time(report['begun_at'])}."
    if report["why"]:
        yield ""
        yield _plain(report["why"])
    yield ""
    yield "| | before | after |"
    yield "| --- | --- | --- |"
    yield f"| migrations | {_known(before['migrations'])} | {_known(after['migrations'])} |"
    ends = ", ".join(f"`{_code(each)}`" for each in before["heads"]) or "not known"
    yield f"| ends at | {ends} | {'`' + _code(after['baseline']) + '`' if after['baseline'] else 'not known'} |"
    yield f"| from empty to head | {_took(before['seconds'])} | {_took(after['seconds'])} |"
    if after["archive"]:
        yield ""
        yield f"The old migrations lie in `{_code(after['archive'])}`, the baseline is `{_code(after['path'])}`."
    yield ""
    yield "## Environments"
    yield ""
    for each in report["environments"]:
        strategy = strategies_of(report["way"])[each["strategy"]]
        yield f"- **{_plain(each['environment'])}** ({each['tier']}): {_plain(strategy)}. {_plain(each['now'])}"
        yield f"  Undo: {each['undo']}"
    for step in report["steps"]:
        yield ""
        yield f"## {_plain(step['title'])}"
        yield ""
        for proof in step["proofs"]:
            mark = {"met": "proven", "accepted": "accepted", "running": "running"}.get(
                proof["state"], "missing"
            )
            job = (
                f" (job {proof['job']}{', ' + _time(proof['at']) if proof['at'] else ''})"
                if proof["job"]
                else ""
            )
            detail = f" {_plain(proof['detail'])}" if proof["detail"] else ""
            strong = "**" if proof["risky"] else ""
            yield f"- {strong}{mark}: {_plain(proof['title'])}.{strong}{detail}{job}"
    if report["accepted"]:
        yield ""
        yield "## Accepted"
        yield ""
        for each in report["accepted"]:
            who = f"{_plain(each['by'])}, {_time(each['at'])}"
            yield f"- {_plain(each['what'])} Because: {_plain(each['reason'])} ({who})"
    yield ""
    yield "## What was done"
    yield ""
    for each in report["done"]:
        where = f" on {_plain(each['environment'])}" if each["environment"] else ""
        job = f", job {each['job']}" if each["job"] else ""
        yield f"- {_time(each['at'])} {_plain(each['by'])}: {_plain(done_in_words(each))}{where}{job}"
    if report["keeps"]:
        yield ""
        yield "## What a clean start does not reach"
        yield ""
        for each in report["keeps"]:
            yield f"- {_plain(each)}"
    if after["baseline"] and after["archive"]:
        yield ""
        yield "## Everybody else's databases"
        yield ""
        yield "Laptops and previews are brought over from a checkout that has the baseline:"
        yield ""
        yield "```console"
        yield "$ export DATABASE_URL=postgresql:///my_database"
        yield "$ cleanstart bring-over env:DATABASE_URL"
        yield "```"
        yield ""
        yield (
            f"Without Clean Start, a database that has all of the old migrations takes `{_code(after['archive'])}"
            "/bring-over.sql`. It exchanges the version row and compares no schema."
        )


def done_in_words(done: Mapping[str, Any]) -> str:
    """What was done, as people call it."""
    if done["kind"]:
        return next((kind.title for kind in KINDS if kind.name == done["kind"]), str(done["kind"]))
    what = str(done["what"])
    return {"begun": "Begun", "strategy": "Another strategy", "ended": "Ended"}.get(what, what)


def _plain(text: object) -> str:
    return " ".join(str(text).split()).translate(_MARKDOWN)


def _code(text: object) -> str:
    return str(text).replace("`", "'").replace("|", "\\|")


def _known(number: int | None) -> str:
    return "not known" if number is None else str(number)


def _took(seconds: float | None) -> str:
    return "not known" if seconds is None else words.duration(seconds)


def _time(text: str) -> str:
    """A stored time to the minute, in UTC."""
    return f"{text[:16].replace('T', ' ')} UTC"
