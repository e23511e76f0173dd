"""`/projects/{p}/clean-start/report`: what was and what is, as a page to be read and printed, or as Markdown."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response

from web import addresses, words
from web.answers.strategy import strategies_of
from web.clean_start.evidence import read_evidence
from web.clean_start.report import as_markdown, done_in_words, report_of
from web.clean_start.runs import newest_run, read_run
from web.clean_start.steps import steps_of
from web.dashboard import Board, Id, InProject, Store, Text, in_project
from web.errors import NotFound
from web.pages.clean_start_steps import PROOF_MARKS, PROOF_STATES, accepted_by
from web.pages.shell import Framed
from web.pages.views.clean_start import (
    ReportPage,
    ShownProof,
)
from web.pages.views.marks import Fact, Link, Mark

router = APIRouter(prefix="/projects/{project}/clean-start")


@router.get("/report", dependencies=[in_project("view")])
async def report(
    board: Board, store: Store, frame: Framed, project: InProject, run: Id | None = None, form: Text = ""
) -> Response:
    """The report of the run that goes on, or of one that has ended: a page, or Markdown."""
    found = await (newest_run(store, project.name) if run is None else read_run(store, project.name, run))
    if found is None:
        raise NotFound(f"There was no clean start of {project.name} yet.")
    told = found.report
    if told is None:
        evidence = await read_evidence(store, board.configuration, found, histories=board.histories)
        told = report_of(evidence, steps_of(evidence))
    if form == "markdown":
        return Response(
            as_markdown(told),
            media_type="text/markdown; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="clean-start-{found.id}.md"'},
        )
    return frame.show(
        "clean_start/report.html",
        _report(told),
        here="Report",
        section="project",
        crumbs=(
            Link("Overview", addresses.overview()),
            Link(project.title, addresses.project(project.name)),
            Link("Clean start", addresses.clean_start(project.name, found.id)),
        ),
        project=project.name,
    )


def _report(told: Any) -> ReportPage:
    before, after = told["before"], told["after"]
    state: dict[str, Mark] = {
        "done": Mark("ok", "Done"),
        "stopped": Mark("cancelled", "Stopped"),
        "open": Mark("running", "Not ended yet"),
    }
    facts = [
        Fact(
            "Migrations",
            f"{before['migrations'] or 'not known'} before, {after['migrations'] or 'not known'} now",
        ),
        Fact("Baseline", after["baseline"] or "none yet", mono=True),
        Fact("From empty to head", f"{_took(before['seconds'])} before, {_took(after['seconds'])} now"),
        Fact("Begun", f"by {told['begun_by']}", moment=datetime.fromisoformat(told["begun_at"])),
    ]
    if told["ended_at"]:
        facts.append(Fact("Ended", f"by {told['ended_by']}", moment=datetime.fromisoformat(told["ended_at"])))
    return ReportPage(
        project=told["project"],
        title=told["title"],
        run=told["run"],
        mark=state[told["state"]],
        facts=tuple(facts),
        environments=tuple(
            (
                each["environment"],
                strategies_of(told["way"])[each["strategy"]],
                each["now"],
                each["undo"] if told["way"] == "clean start" else "",
            )
            for each in told["environments"]
        ),
        steps=tuple(
            (
                each["title"],
                tuple(
                    ShownProof(
                        Mark(
                            "failed" if one["risky"] and one["state"] != "met" else PROOF_MARKS[one["state"]],
                            one["title"],
                        ),
                        one["detail"],
                        one["job"],
                        datetime.fromisoformat(one["at"]) if one["at"] else None,
                        accepted=accepted_by(one["accepted_by"], one["reason"]),
                        state=PROOF_STATES[one["state"]],
                    )
                    for one in each["proofs"]
                ),
            )
            for each in told["steps"]
        ),
        accepted=tuple(
            (each["what"], each["reason"], f"{each['by']}, {each['at'][:16].replace('T', ' ')} UTC")
            for each in told["accepted"]
        ),
        done=tuple(
            (
                datetime.fromisoformat(each["at"]),
                each["by"],
                " on ".join(part for part in (done_in_words(each), each["environment"]) if part),
                each["job"],
            )
            for each in told["done"]
        ),
        keeps=tuple(told["keeps"]),
        archive=after["archive"] or "",
    )


def _took(seconds: float | None) -> str:
    return "not known" if seconds is None else words.duration(seconds)
