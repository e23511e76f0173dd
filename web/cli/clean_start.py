"""`clean-start`: the guided clean start of a project, step by step."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from web import words
from web.cli import exits
from web.cli.following import display_for, watch
from web.cli.invocation import AProject, Invocation, Where, WholeProject, add, project_of
from web.cli.operations import start
from web.cli.transport import Api, Json
from web.cli.writing import ago
from web.errors import Invalid
from web.starting.operation import AnyOperation

PANEL = "Operations"

Number = Annotated[int | None, typer.Option("--run", metavar="N", min=1, help="One that has ended.")]
Reason = Annotated[str, typer.Option(metavar="TEXT", help="For who comes after you.")]


def add_to(app: typer.Typer, kinds: tuple[AnyOperation, ...]) -> None:
    """Add the commands."""
    commands = typer.Typer(
        help="Replace a project's old migrations by one proven baseline, step by step.", no_args_is_help=True
    )
    add(commands, "survey", acts=True)(survey_with(kinds))
    add(commands, "begin", acts=True)(begin)
    add(commands, "show")(show)
    add(commands, "step", acts=True)(step_with(kinds))
    add(commands, "accept", acts=True)(accept)
    add(commands, "stop", acts=True)(stop)
    add(commands, "report")(report)
    app.add_typer(commands, name="clean-start", rich_help_panel=PANEL)


def survey_with(kinds: tuple[AnyOperation, ...]) -> Callable[..., int]:
    """The command that surveys, of these kinds."""
    kind = next(each for each in kinds if any(offer.place == "clean start" for offer in each.offers))

    def survey(call: Invocation, project: AProject) -> int:
        """Look at everything and recommend a strategy for each environment; nothing is changed."""
        where = WholeProject(project_of(project))

        async def surveyed(api: Api) -> tuple[Json, Json | None]:
            job = await api.post(*where.path, "jobs", kind.name, body={})
            ended = await watch(api, call.writer, job["id"], display_for(call.writer))
            found = await api.get("jobs", job["id"], "survey") if ended["state"] == "succeeded" else None
            return ended, found

        ended, found = call.ask(surveyed)
        if found is None:
            outcome = ended["outcome"] or {}
            if call.as_json:
                call.writer.document(ended)
            else:
                call.writer.say(outcome.get("account") or f"Job {ended['id']} is {ended['state']}.")
            return exits.NO
        if call.as_json:
            call.writer.document(found)
            return exits.YES
        call.writer.say(
            f"{found['recommended']['way'].capitalize()}: {' '.join(found['recommended']['reasons'])}"
        )
        call.writer.table(
            ("environment", "strategy", "why"),
            [
                (each["environment"], each["strategy"], " ".join(each["reasons"]))
                for each in found["environments"]
            ],
            none="It has no environments.",
        )
        return exits.YES

    return survey


def begin(
    call: Invocation,
    project: AProject,
    strategy: Annotated[
        list[str] | None,
        typer.Option(
            "--strategy",
            metavar="ENVIRONMENT=STRATEGY",
            help="reset, beside, stamp, repair or leave-out, with --keep repair, adopt or leave-out; else as surveyed.",
        ),
    ] = None,
    keep: Annotated[
        bool,
        typer.Option(
            "--keep", help="Keep the history: repair or adopt what differs instead of replacing it."
        ),
    ] = False,
) -> int:
    """Begin a clean start; nothing is changed by it."""
    chosen = dict(_pair(each) for each in strategy or ())
    where = WholeProject(project_of(project))
    body = {"strategies": chosen, "way": "keep" if keep else "clean start"}
    found = call.ask(lambda api: api.post(*where.path, "clean-start", body=body))
    _write(call, found)
    return exits.YES


def show(call: Invocation, project: AProject, run: Number = None) -> int:
    """Show the steps of a clean start, what is proven, and what is missing."""
    where = WholeProject(project_of(project))
    found = call.ask(lambda api: api.get(*where.path, "clean-start", **({"run": run} if run else {})))
    _write(call, found)
    passed = all(each["state"] == "proven" for each in found["steps"] if each["step"] != "report")
    return exits.YES if passed or found["state"] == "done" else exits.NO


def step_with(kinds: tuple[AnyOperation, ...]) -> Callable[..., int]:
    """The command that starts what a step wants, of these kinds."""
    known = {each.name: each for each in kinds}

    def step(
        call: Invocation,
        project: AProject,
        step: Annotated[
            str,
            typer.Argument(
                metavar="STEP", help="survey, back-up, baseline, proof, rehearsal, apply, cut-over, report"
            ),
        ],
        environment: Annotated[
            str | None, typer.Option("--environment", metavar="NAME", help="Only what this one wants.")
        ] = None,
        confirm: Annotated[
            str | None,
            typer.Option(
                "--confirm", metavar="NAME", help="The environment's name, where it has to be typed."
            ),
        ] = None,
        wait: Annotated[
            bool, typer.Option("--wait", help="Stay until it has ended. Exits 0: proven, 1: not yet.")
        ] = False,
    ) -> int:
        """Start what a step wants now: its jobs, in turn. The last one, report, ends the clean start as done."""
        where = WholeProject(project_of(project))

        async def taken(api: Api) -> int:
            if step == "report":
                told = await api.post(*where.path, "clean-start", "end", body={"how": "done"})
                if call.as_json:
                    call.writer.document(told)
                else:
                    call.writer.say(told["markdown"])
                return exits.YES
            found = _step(await api.get(*where.path, "clean-start"), step)
            acts = [each for each in found["acts"] if environment in (None, each["environment"])]
            # One of an environment's acts at a time: the next one depends on how this one ends.
            firsts = {
                (each["environment"], each["kind"] if each["environment"] is None else ""): each
                for each in reversed(acts)
            }
            worst = exits.YES
            for act in reversed(list(firsts.values())):
                place = Where(where.project, act["environment"]) if act["environment"] else where
                worst = max(
                    worst,
                    await start(
                        api,
                        call.writer,
                        known[act["kind"]],
                        place,
                        act["parameters"],
                        wait,
                        confirm,
                        step=step,
                    ),
                )
            if acts and not wait:
                return worst
            now = _step(await api.get(*where.path, "clean-start"), step)
            if not call.as_json:
                _write_step(call, now)
            wanted = [each for each in now["proofs"] if environment in (None, each["environment"])]
            proven = bool(wanted) and all(each["state"] in ("met", "accepted") for each in wanted)
            if worst != exits.YES:
                return worst
            if not proven and not acts and not call.as_json:
                call.writer.note(now["closed"] or "Nothing can be started for it now.")
            return exits.YES if proven else exits.NO

        return call.ask(taken)

    return step


def accept(
    call: Invocation,
    project: AProject,
    difference: Annotated[str, typer.Argument(metavar="DIFFERENCE", help="As `show` names it.")],
    reason: Reason,
) -> int:
    """Answer for a difference, or for something else that is not as it should be."""
    where = WholeProject(project_of(project))
    body = {"difference": difference, "reason": reason}
    found = call.ask(lambda api: api.post(*where.path, "clean-start", "acceptances", body=body))
    if call.as_json:
        call.writer.document(found)
    else:
        call.writer.say("Accepted.")
    return exits.YES


def stop(call: Invocation, project: AProject, reason: Reason = "") -> int:
    """Stop a clean start where it is: what is done stays done."""
    where = WholeProject(project_of(project))
    body = {"how": "stopped", "reason": reason}
    told = call.ask(lambda api: api.post(*where.path, "clean-start", "end", body=body))
    if call.as_json:
        call.writer.document(told)
    else:
        call.writer.say("Stopped. What is done stays done; the report is kept.")
    return exits.YES


def report(
    call: Invocation,
    project: AProject,
    run: Number = None,
    output: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", help="Write the Markdown there.")
    ] = None,
) -> int:
    """Print the report: what was, what is, every proof, and what everybody else has to do."""
    where = WholeProject(project_of(project))
    told = call.ask(
        lambda api: api.get(*where.path, "clean-start", "report", **({"run": run} if run else {}))
    )
    if output is not None:
        try:
            output.write_text(told["markdown"], encoding="utf-8")
        except OSError as error:
            raise Invalid(f"{output} cannot be written: {error.strerror}.") from error
    if call.as_json:
        call.writer.document(told)
    elif output is None:
        call.writer.say(told["markdown"])
    else:
        call.writer.note(f"Written to {output}.")
    return exits.YES


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise Invalid(f"“{text}” is no strategy of an environment.", hint="Write ENVIRONMENT=STRATEGY.")
    return name, value


def _step(found: Json, name: str) -> Json:
    steps: dict[str, Json] = {each["step"]: each for each in found["steps"]}
    if name not in steps:
        raise Invalid(f"“{name}” is no step of a clean start.", hint=f"There is {', '.join(steps)}.")
    return steps[name]


def _write(call: Invocation, found: Json) -> None:
    if call.as_json:
        call.writer.document(found)
        return
    ended = f", {found['state']} by {found['ended_by']}" if found["ended_by"] else ""
    begun = f"begun by {found['begun_by']} {ago(found['begun_at'])}"
    call.writer.say(f"Clean start {found['run']} of {found['project']}, {begun}{ended}")
    for name, strategy in found["strategies"].items():
        call.writer.say(f"  {name}: {strategy}")
    for each in found["steps"]:
        _write_step(call, each)
    if found["since"]:
        _write_since(call, found["since"])


def _write_since(call: Invocation, since: Json) -> None:
    call.writer.say("Since then")
    if since["migrations"] is not None:
        call.writer.say(f"  {words.plural(since['migrations'], 'migration')} after the baseline")
    took = [
        f"{words.duration(since[name])} {when}"
        for name, when in (
            ("seconds_before", "before"),
            ("seconds_then", "with the baseline"),
            ("seconds_now", "now"),
        )
        if since[name] is not None
    ]
    if took:
        call.writer.say(f"  from an empty database to the head: {', '.join(took)}")
    for each in since["environments"]:
        calm = each["without_drift_since"]
        drift = f"without drift since {calm[:10]}" if calm else f"drift: {each['drift'] or 'never checked'}"
        call.writer.say(f"  {each['environment']}: {drift}; {_by_whom(each['revision_change'])}")


def _by_whom(change: Json | None) -> str:
    if change is None:
        return "its revision has not changed since"
    jobs = ", ".join(f"job {each['id']} ({each['kind']}, {each['requested_by']})" for each in change["jobs"])
    by = {
        "job": f"by {jobs}",
        "nobody": "by nobody we know",
        "not known": f"not known by whom, perhaps {jobs}",
        "pinned": "as another database was pinned",
    }
    to = ", ".join(change["after"]) or "no revision"
    return f"led to {to} {ago(change['at'])}, {by[change['cause']]}"


def _write_step(call: Invocation, step: Json) -> None:
    held = sum(each["state"] in ("met", "accepted") for each in step["proofs"])
    count = f", {held} of {len(step['proofs'])} proven" if step["proofs"] and step["step"] != "report" else ""
    call.writer.say(f"{step['number']}. {step['title']}: {step['state']}{count}")
    if step["step"] == "report" or step["state"] == "waiting":
        return
    for each in step["proofs"]:
        detail = f" {each['detail']}" if each["detail"] else ""
        job = f" (job {each['job']})" if each["job"] else ""
        call.writer.say(f"   {each['state']}: {each['title']}.{detail}{job}")
        if each["accept"]:
            call.writer.note(
                f"     To answer for it: `cleanstart clean-start accept PROJECT {each['accept']} --reason …`"
            )
    for act in step["acts"]:
        where = f" on {act['environment']}" if act["environment"] else ""
        call.writer.note(f"   next: {act['kind']}{where}")
