"""What is known as of the last look: `status`, `history`, `migrations`, `drift`, `timeline`, `backups`."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.text import Text

from web import words
from web.cli import exits
from web.cli.checking import MaxAge, duration, look
from web.cli.invocation import AnEnvironment, AProject, Invocation, Where, add, project_of, where_of
from web.cli.transport import Api, Json
from web.cli.writing import Writer, ago, coloured, write_doubts, write_gate

PANEL = "Questions"


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    add(app, "status", panel=PANEL)(status)
    add(app, "history", panel=PANEL)(history)
    add(app, "migrations", panel=PANEL)(migrations)
    add(app, "drift", panel=PANEL)(drift)
    add(app, "timeline", panel=PANEL)(timeline)
    add(app, "backups", panel=PANEL)(backups)


def status(
    call: Invocation,
    where: Annotated[
        str | None, typer.Argument(metavar="[PROJECT/ENVIRONMENT]", help="One environment; else all of them.")
    ] = None,
) -> None:
    """Show every environment as of its last look, and what needs attention."""
    if where is not None:
        environment = where_of(where)
        found = call.ask(lambda api: api.get(*environment.path))
        call.writer.document(found) if call.as_json else _environment(call.writer, environment, found)
        return
    found = call.ask(lambda api: api.get("projects"))
    call.writer.document(found) if call.as_json else _overview(call.writer, found)


def _overview(writer: Writer, found: Json) -> None:
    writer.table(
        ("environment", "tier", "state", "drift", "build", "last backup", "checked", "job"),
        [
            (
                each["label"],
                each["tier"],
                coloured(each["words"], each["status"]),
                _drift_words(each["observation"]),
                f"#{each['build']}" if each["build"] else "",
                ago(each["last_backup"]),
                ago((each["observation"] or {}).get("observed_at")),
                each["job"],
            )
            for project in found["projects"]
            for each in project["environments"]
        ],
        none="There is no environment that you may see.",
    )
    if found["attention"]:
        writer.say("\nNeeds attention", style="bold")
        for each in found["attention"]:
            name = f"{each['project']}/{each['environment']}" if each["environment"] else each["project"]
            writer.say(f"  {name} {each['sentence']}" + (f" ({each['detail']})" if each["detail"] else ""))
    if not found["live_workers"]:
        writer.note("No worker is alive: nothing is checked and no job runs. Start one: `cleanstart worker`.")


def _environment(writer: Writer, where: Where, found: Json) -> None:
    seen = found["observation"] or {}
    version = seen.get("server_version")
    facts = [
        ("state", coloured(found["words"], found["status"])),
        ("", found["sentence"]),
        ("also", ", ".join(found["also"])),
        ("revisions", ", ".join(found["revisions"])),
        ("drift", _drift_words(seen)),
        ("database", f"{seen['database']} on {seen['host']}" if seen.get("database") else ""),
        ("server", f"PostgreSQL {version // 10000}.{version % 10000}" if version else ""),
        ("identity", found["identity"]),
        ("build", f"#{found['build']}" if found["build"] else ""),
        ("last backup", ago(found["last_backup"])),
        ("running job", found["job"]),
        ("checked", ago(seen.get("observed_at"))),
        ("error", (seen.get("error") or {}).get("message")),
    ]
    writer.table((str(where), found["tier"]), [fact for fact in facts if fact[1]], none="")
    write_doubts(writer, found["doubts"])
    write_gate(writer, found["gate"])


def history(call: Invocation, project: AProject) -> None:
    """List a project's migrations, the newest first, as last read from its source."""
    name = project_of(project)
    found = call.ask(lambda api: api.get("projects", name, "history"))
    if call.as_json:
        return call.writer.document(found)
    content = found["history"] or {"migrations": [], "heads": [], "problems": []}
    call.writer.table(
        ("revision", "follows", "message", "file"),
        [
            (
                f"{each['revision']} (head)" if each["revision"] in content["heads"] else each["revision"],
                ", ".join((*each["down"], *each["depends_on"])),
                each["message"],
                each["path"],
            )
            for each in reversed(content["migrations"])
        ],
        none="No migrations were read.",
    )
    for problem in content["problems"]:
        call.writer.note(f"Problem: {problem}")
    if found["error"]:
        call.writer.note(f"The source could not be read: {found['error']['message']}")
    return None


def migrations(call: Invocation, environment: AnEnvironment) -> None:
    """List every migration with its mark on an environment: applied, pending, not followed or unknown."""
    where = where_of(environment)
    found = call.ask(lambda api: api.get(*where.path, "migrations"))
    if call.as_json:
        return call.writer.document(found)
    marks = {"applied": "ok", "pending": "pending", "unknown": "blocked"}
    call.writer.table(
        ("revision", "", "first seen", "message", "file"),
        [
            (
                each["revision"],
                coloured(each["mark"], marks.get(each["mark"], "")),
                ago(each["first_seen"]) if each.get("first_seen") else "",
                each.get("message"),
                each.get("path"),
            )
            for each in found["migrations"]
        ],
        none="No migrations were read.",
    )
    return call.writer.say(found["sentence"])


def drift(call: Invocation, environment: AnEnvironment, max_age: MaxAge = None) -> int:
    """Compare an environment with what its migrations give. Exits 0: none, 1: drift, 3: could not compare.

    It is the last look's answer; with --max-age a look that is older is taken again first.
    """
    where, oldest = where_of(environment), duration(max_age)

    async def ask(api: Api) -> Json:
        if oldest is not None:
            await look(api, where, max_age=oldest)
        return await api.get(*where.path, "drift")

    found = call.ask(ask)
    if call.as_json:
        call.writer.document(found)
    else:
        _drift(call.writer, found)
    return {"none": exits.YES, "drifted": exits.NO}.get(found["state"], exits.CANNOT_TELL)


def _drift(writer: Writer, found: Json) -> None:
    writer.table(
        ("object", "change", "severity", "migrations give", "is there"),
        [
            (
                each["object"] + (f" {each['attribute']}" if each["attribute"] else ""),
                f"{each['kind']} {each['change']}",
                each["severity"],
                _one_line(each["a"]),
                _one_line(each["b"]),
            )
            for each in found["differences"]
        ],
        none="No difference."
        if found["state"] == "none"
        else f"Could not compare: {found['reason'] or found['state']}",
    )
    if found["differences"]:
        writer.say(words.plural(len(found["differences"]), "difference"))
    if found["ignored"]:
        writer.note(
            f"{words.plural(len(found['ignored']), 'difference')} more: ignored by rules of the project."
        )
    writer.note(f"Checked {ago(found['observed_at'])}.")


def timeline(
    call: Invocation,
    environment: AnEnvironment,
    limit: Annotated[int, typer.Option(min=1, max=100)] = 25,
    before: Annotated[
        int | None, typer.Option(metavar="NUMBER", help="Only older entries than this one.")
    ] = None,
) -> None:
    """List when an environment's schema changed, by which job, or by nobody we know; the newest first."""
    where = where_of(environment)
    found = call.ask(lambda api: api.get(*where.path, "timeline", limit=limit, before=before))
    if call.as_json:
        return call.writer.document(found)
    call.writer.table(
        ("when", "by", "what", "revisions", "snapshots"),
        [
            (
                _moments(each),
                _by(each),
                _changed(each),
                _from_to(each["revisions_before"], each["revisions_after"]),
                " ".join(each[side][:21] for side in ("a", "b") if each[side]),
            )
            for each in found["entries"]
        ],
        none="Nothing was seen yet. Check the environment once.",
    )
    if found["older"] is not None:
        call.writer.note(f"Older ones: --before {found['older']}")
    return None


def _moments(entry: Json) -> str:
    at = entry["at"][:19].replace("T", " ")
    between = entry["since"] and entry["cause"] in ("nobody", "not known")
    return f"{entry['since'][:19].replace('T', ' ')} … {at}" if between else at


def _by(entry: Json) -> Text:
    jobs = ", ".join(f"job {each['id']} ({each['kind']}, {each['requested_by']})" for each in entry["jobs"])
    match entry["cause"]:
        case "nobody":
            return coloured("nobody we know", "drift")
        case "not known":
            return coloured(f"not known: nobody, or {jobs}", "warn")
        case "first seen":
            return Text("first seen")
    return Text(jobs)


def _changed(entry: Json) -> str:
    if entry["count"] is None:
        return entry["reason"] or ("not compared yet" if entry["a"] else "")
    kinds = ", ".join(f"{each['count']} {each['kind']} {each['change']}" for each in entry["kinds"])
    return kinds or "no difference"


def _from_to(before: list[str] | None, after: list[str] | None) -> str:
    if after is None or before == after:
        return ", ".join(after or ())
    now = ", ".join(after) or "none"
    return now if before is None else f"{', '.join(before) or 'none'} → {now}"


def backups(call: Invocation, environment: AnEnvironment) -> None:
    """List an environment's backups, the newest first."""
    where = where_of(environment)
    found = call.ask(lambda api: api.get(*where.path, "backups"))
    if call.as_json:
        return call.writer.document(found)
    return call.writer.table(
        ("backup", "taken", "size", "state", "verified", "job"),
        [
            (
                each["id"],
                ago(each["created_at"]),
                words.size(each["bytes"]),
                coloured(each["state"], "ok" if each["state"] == "verified" else "warn"),
                ago(each["verified_at"]) if each["verified_at"] else "",
                each["job"],
            )
            for each in found["backups"]
        ],
        none="There is no backup.",
    )


def _drift_words(seen: dict[str, Any] | None) -> Text:
    if not seen:
        return Text("")
    state, count = seen["drift"]["state"], seen["drift"]["count"]
    if state == "drifted":
        return coloured(words.plural(count or 0, "difference"), "drift")
    return coloured({"none": "none"}.get(state, state), "ok" if state == "none" else "")


def _one_line(definition: str | None) -> str:
    text = " ".join((definition or "").split())
    return text if len(text) <= 60 else text[:59] + "…"
