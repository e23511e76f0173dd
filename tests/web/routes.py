"""Every route of the application with what it answers to whom: the one declared table."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.web.filled import BACKUP
from tests.web.stored_jobs import JOBS, LEDGER_JOB
from web.tools.history import Migration, make_history

#: In the order of the columns below. `stranger` may see another project only.
EVERYBODY = (None, "stranger", "viewer", "operator", "admin", "token")

Statuses = tuple[int, int, int, int, int, int]

#                        nobody stranger viewer operator admin token
OPEN: Statuses = (200, 200, 200, 200, 200, 200)
SIGNED_IN: Statuses = (303, 200, 200, 200, 200, 200)
SEEN: Statuses = (303, 404, 200, 200, 200, 200)
ADMIN: Statuses = (303, 403, 403, 403, 200, 403)
API_SIGNED_IN: Statuses = (401, 200, 200, 200, 200, 200)
API_SEEN: Statuses = (401, 404, 200, 200, 200, 200)
API_ADMIN: Statuses = (401, 403, 403, 403, 200, 403)


@dataclass(frozen=True)
class Route:
    """One route with a request that it takes, and the status for each of EVERYBODY."""

    method: str
    path: str
    statuses: Statuses
    #: What takes the place of the path's parameters.
    names: dict[str, object] = field(default_factory=dict)
    form: dict[str, str] | None = None
    body: Any = None
    query: str = ""
    #: A stream goes on until somebody ends it.
    stream: bool = False

    @property
    def address(self) -> str:
        usual: dict[str, object] = {
            "project": "clinic",
            "environment": "idle",
            "number": 48,
            "kind": "backup",
            "job": JOBS["failed"],
            "name": "viewer",
            "request_number": 1,
            "step": "back-up",
        }
        return self.path.replace(":path}", "}").format(**{**usual, **self.names}) + self.query

    @property
    def key(self) -> tuple[str, str]:
        return self.method, self.path

    def __str__(self) -> str:
        return f"{self.method} {self.address}"


_P = "/projects/{project}"
_E = "/projects/{project}/environments/{environment}"
_API = "/api/v1"
_MANIFEST = make_history([Migration("r1", digest="1" * 64)]).to_json()
#: A rule that lasts a month from whenever the tests run.
_RULE = {
    "object": "public.tmp_*",
    "reason": "Gone in March.",
    "until": (datetime.now(UTC).date() + timedelta(days=30)).isoformat(),
}

ROUTES = (
    Route("GET", "/", SIGNED_IN),
    Route("GET", "/stream", SIGNED_IN, stream=True),
    Route("POST", "/observations", (401, 303, 303, 303, 303, 303), form={}),
    Route("GET", "/question", SEEN, query="?project=clinic&build=48&environment=production"),
    Route("GET", "/projects/{project}", SEEN),
    Route("GET", _E, SEEN, query="?table=t&sort=-rows"),
    Route("GET", _E + "/migrations", SEEN, {"environment": "staging"}),
    Route("GET", _E + "/drift", SEEN, {"environment": "staging"}),
    Route("GET", _E + "/timeline", SEEN, query="?before=9"),
    Route("GET", _E + "/backups", SEEN),
    Route("GET", _E + "/jobs", SEEN),
    Route("GET", _E + "/stream", SEEN, stream=True),
    Route("GET", _E + "/jobs/new/{kind}", SEEN, {"kind": "reset"}),
    Route("POST", _E + "/jobs/{kind}", (401, 404, 403, 303, 303, 303), form={}),
    Route("GET", _P + "/jobs/new/{kind}", SEEN, {"kind": "count"}),
    Route("POST", _P + "/jobs/{kind}", (401, 404, 303, 303, 303, 303), {"kind": "count"}, form={}),
    Route(
        "GET",
        _E + "/doubts/{job}/settlement",
        (303, 404, 403, 403, 200, 403),
        {"environment": "dev", "job": JOBS["unknown"]},
    ),
    Route(
        "POST",
        _E + "/doubts/{job}/settlement",
        (401, 404, 403, 403, 303, 403),
        {"environment": "dev", "job": JOBS["unknown"]},
        form={"reason": "The index is valid and no row is there twice."},
    ),
    Route("GET", "/projects/{project}/comparison", SEEN, query="?a=clinic@head&b=clinic/idle"),
    Route(
        "POST",
        "/projects/{project}/comparison",
        (401, 404, 303, 303, 303, 303),
        form={"a": "clinic@head", "b": "clinic/idle"},
    ),
    Route("GET", "/projects/{project}/ignore-rules", SEEN),
    Route("GET", "/projects/{project}/ignore-rules/new", (303, 404, 403, 200, 200, 200)),
    Route("POST", "/projects/{project}/ignore-rules", (401, 404, 403, 303, 303, 303), form=_RULE),
    Route(
        "POST",
        "/projects/{project}/ignore-rules/{number}/removal",
        (401, 404, 403, 404, 404, 404),
        {"number": 999_999},
        form={},
    ),
    Route("GET", "/builds", SIGNED_IN),
    Route("GET", "/projects/{project}/builds", SEEN),
    Route("GET", "/projects/{project}/builds/{number}", SEEN),
    Route("GET", "/projects/{project}/builds/{number}/stream", SEEN, stream=True),
    Route("GET", "/projects/{project}/builds/{number}/environments/{environment}/badge.svg", SEEN),
    Route("GET", "/jobs", SIGNED_IN),
    Route("GET", "/jobs/stream", SIGNED_IN, stream=True),
    Route("GET", "/jobs/{job}", SEEN),
    Route("GET", "/jobs/{job}/toast", SEEN),
    Route("GET", "/jobs/{job}/stream", SEEN, stream=True),
    Route("GET", "/jobs/{job}/log", SEEN),
    Route("GET", "/jobs/{job}/migration", (303, 404, 404, 404, 404, 404)),
    Route("GET", "/jobs/{job}/migration/file", (303, 404, 404, 404, 404, 404)),
    Route("GET", "/jobs/{job}/survey", (303, 404, 404, 404, 404, 404)),
    Route("GET", "/jobs/{job}/cut-over", (303, 404, 404, 404, 404, 404)),
    Route("GET", "/jobs/{job}/cut-over/tasks/{form}", (303, 404, 404, 404, 404, 404), {"form": "manual"}),
    Route("GET", "/jobs/{job}/baseline", (303, 404, 404, 404, 404, 404)),
    Route("GET", "/jobs/{job}/merge", (303, 404, 404, 404, 404, 404)),
    Route("GET", "/jobs/{job}/proof", (303, 404, 404, 404, 404, 404)),
    Route("GET", "/jobs/{job}/rehearsal", (303, 404, 404, 404, 404, 404)),
    Route("GET", _P + "/clean-start", SEEN),
    Route("GET", _P + "/clean-start/new", SEEN),
    Route("GET", _P + "/clean-start/stream", SEEN, stream=True),
    # Nobody has surveyed the project, so that none can begin.
    Route("GET", _P + "/clean-start/report", (303, 404, 404, 404, 404, 404)),
    Route("POST", _P + "/clean-start", (401, 404, 403, 403, 409, 403), form={"strategy-dev": "reset"}),
    Route(
        "POST",
        _P + "/clean-start/strategies",
        (401, 404, 403, 403, 404, 403),
        form={"environment": "dev", "strategy": "stamp"},
    ),
    Route(
        "POST",
        _P + "/clean-start/acceptances",
        (401, 404, 403, 403, 404, 403),
        form={"about": "models:1", "reason": "It is known."},
    ),
    Route("POST", _P + "/clean-start/steps/{step}", (401, 404, 403, 404, 404, 404), form={}),
    Route("POST", _P + "/clean-start/end", (401, 404, 403, 403, 404, 403), form={"how": "stopped"}),
    Route("GET", _API + "/jobs/{job}/proof", (401, 404, 404, 404, 404, 404)),
    Route("GET", _API + "/jobs/{job}/rehearsal", (401, 404, 404, 404, 404, 404)),
    Route("GET", _API + _P + "/clean-start", (401, 404, 404, 404, 404, 404)),
    Route("GET", _API + _P + "/clean-start/report", (401, 404, 404, 404, 404, 404)),
    Route("POST", _API + _P + "/clean-start", (401, 404, 403, 403, 409, 403), body={"strategies": {}}),
    Route(
        "POST",
        _API + _P + "/clean-start/strategies",
        (401, 404, 403, 403, 404, 403),
        body={"environment": "dev", "strategy": "stamp"},
    ),
    Route(
        "POST",
        _API + _P + "/clean-start/acceptances",
        (401, 404, 403, 403, 404, 403),
        body={"difference": "models:1", "reason": "It is known."},
    ),
    Route("POST", _API + _P + "/clean-start/end", (401, 404, 403, 403, 404, 403), body={"how": "stopped"}),
    Route("GET", "/jobs/{job}/change-set/{form}", (303, 404, 404, 404, 404, 404), {"form": "patch"}),
    Route("GET", "/jobs/{job}/cancellation", (303, 404, 403, 200, 200, 200), {"job": JOBS["running"]}),
    Route(
        "POST",
        "/jobs/{job}/cancellation",
        (401, 404, 403, 303, 303, 303),
        {"job": JOBS["running"]},
        form={},
    ),
    Route("GET", _API + "/jobs/{job}/survey", (401, 404, 404, 404, 404, 404)),
    Route("GET", _API + "/jobs/{job}/cut-over", (401, 404, 404, 404, 404, 404)),
    Route(
        "GET",
        _API + "/projects/{project}/cut-over-tasks/{form}",
        (401, 404, 409, 409, 409, 409),
        {"form": "ecs"},
    ),
    Route("GET", _API + "/jobs/{job}/baseline", (401, 404, 404, 404, 404, 404)),
    Route("GET", _API + "/jobs/{job}/merge", (401, 404, 404, 404, 404, 404)),
    Route("GET", _API + "/jobs/{job}/change-set", (401, 404, 404, 404, 404, 404)),
    Route("GET", "/approvals", SIGNED_IN),
    Route("GET", "/approvals/{request_number}", SEEN),
    Route("GET", _E + "/approvals/new/{kind}", SEEN, {"environment": "production", "kind": "migrate"}),
    Route(
        "POST",
        _E + "/approvals/{kind}",
        # Asked for already.
        (401, 404, 403, 409, 409, 409),
        {"environment": "production", "kind": "migrate"},
        form={"reason": "Release 48."},
    ),
    Route(
        "POST",
        "/approvals/{request_number}/decisions",
        (401, 404, 403, 303, 303, 403),
        form={"decision": "approve"},
    ),
    Route("GET", _API + "/approvals", API_SIGNED_IN),
    Route("GET", _API + "/approvals/{request_number}", API_SEEN),
    Route(
        "POST",
        _API + _E + "/approvals/{kind}",
        (401, 404, 403, 409, 409, 409),
        {"environment": "production", "kind": "migrate"},
        body={"reason": "Release 48."},
    ),
    Route(
        "POST",
        _API + "/approvals/{request_number}/decisions",
        # Decided by the page's form before.
        (401, 404, 403, 409, 409, 403),
        body={"decision": "approve"},
    ),
    Route(
        "POST",
        _API + "/approvals/{request_number}/withdrawal",
        (401, 404, 403, 403, 201, 403),
    ),
    Route("POST", "/approvals/{request_number}/withdrawal", (401, 404, 403, 403, 409, 403), form={}),
    Route("GET", "/audit", ADMIN),
    Route("GET", "/settings", SIGNED_IN),
    Route("GET", "/sign-in", (200, 303, 303, 303, 303, 303)),
    Route("POST", "/sign-in", (401, 401, 401, 401, 401, 401), form={"name": "ada", "password": "wrong"}),
    Route("POST", "/sign-out", (303, 303, 303, 303, 303, 303), form={}),
    Route("POST", "/theme", (303, 303, 303, 303, 303, 303), form={"theme": "dark"}),
    Route("GET", "/healthz", OPEN),
    Route("GET", "/readyz", OPEN),
    Route("GET", _API + "/projects", API_SIGNED_IN),
    Route("GET", _API + "/projects/{project}", API_SEEN),
    Route("GET", _API + "/projects/{project}/history", API_SEEN),
    Route("GET", _API + _E, API_SEEN),
    Route("GET", _API + _E + "/migrations", API_SEEN, {"environment": "staging"}),
    Route("GET", _API + _E + "/drift", API_SEEN, {"environment": "staging"}),
    Route("GET", _API + _E + "/timeline", API_SEEN, query="?differences=true"),
    Route("GET", _API + _E + "/backups", API_SEEN),
    Route("GET", _API + _E + "/doubts", API_SEEN),
    Route(
        "POST",
        _API + _E + "/doubts/{job}/settlement",
        # Settled by the page's form before.
        (401, 404, 403, 403, 404, 403),
        {"environment": "dev", "job": JOBS["unknown"]},
        body={"reason": "The index is valid."},
    ),
    Route(
        "GET",
        _API + "/projects/{project}/comparison",
        (401, 404, 404, 404, 404, 404),
        query="?a=clinic@head&b=clinic/dev",
    ),
    Route("GET", _API + "/projects/{project}/ignore-rules", API_SEEN),
    Route(
        "POST",
        _API + "/projects/{project}/ignore-rules",
        (401, 404, 403, 201, 201, 201),
        body={"object": "public.tmp_*", "reason": "Gone in March.", "until": _RULE["until"]},
    ),
    Route(
        "DELETE",
        _API + "/projects/{project}/ignore-rules/{number}",
        (401, 404, 403, 404, 404, 404),
        {"number": 999_999},
    ),
    Route(
        "POST",
        _API + "/projects/{project}/builds",
        (401, 404, 403, 201, 201, 201),
        body={"number": 1, "manifest": _MANIFEST},
    ),
    Route("GET", _API + "/projects/{project}/builds", API_SEEN),
    Route("GET", _API + "/projects/{project}/builds/{number}", API_SEEN),
    Route("GET", _API + "/projects/{project}/builds/{number}/environments/{environment}", API_SEEN),
    Route("GET", _API + _E + "/verdict", API_SEEN),
    Route("POST", _API + _E + "/deployments", (401, 404, 403, 201, 201, 201), body={"build": 48}),
    Route("GET", _API + _E + "/jobs/new/{kind}", API_SEEN, {"kind": "reset"}),
    Route(
        "POST",
        _API + _E + "/jobs/{kind}",
        (401, 404, 403, 201, 201, 201),
        # Another database than the page's: one job that changes something at a time.
        {"environment": "empty"},
        body={},
    ),
    Route("POST", _API + _E + "/observations", (401, 404, 201, 201, 201, 201), body={}),
    Route("GET", _API + _P + "/jobs/new/{kind}", API_SEEN, {"kind": "count"}),
    Route("POST", _API + _P + "/jobs/{kind}", (401, 404, 201, 201, 201, 201), {"kind": "count"}, body={}),
    Route("GET", _API + "/jobs", API_SIGNED_IN),
    Route("GET", _API + "/jobs/{job}", API_SEEN),
    Route("GET", _API + "/jobs/{job}/migration", (401, 404, 404, 404, 404, 404)),
    Route("GET", _API + "/jobs/{job}/events", API_SEEN, query="?after=3"),
    Route(
        "POST",
        _API + "/jobs/{job}/cancellation",
        (401, 404, 403, 202, 202, 202),
        {"job": JOBS["running"]},
        body={},
    ),
    Route("GET", _API + "/users", API_ADMIN),
    Route(
        "POST",
        _API + "/users",
        (401, 403, 403, 403, 201, 403),
        body={"name": "ada", "password": "correct horse battery"},
    ),
    Route("PATCH", _API + "/users/{name}", API_ADMIN, body={"grants": {"clinic": "operator"}}),
    Route("GET", _API + "/tokens", API_SIGNED_IN),
    Route(
        "POST",
        _API + "/tokens",
        (401, 404, 403, 403, 201, 403),
        body={"name": "ci", "project": "clinic", "role": "viewer"},
    ),
    Route("DELETE", _API + "/tokens/{name:path}", (401, 403, 403, 403, 200, 403), {"name": "ledger"}),
    Route("GET", _API + "/audit", API_ADMIN),
    Route("GET", _API + "/audit/chain", API_ADMIN),
)

#: The same requests for what belongs to the project that only the stranger and the admin may see, and what
#: is nowhere: both are answered alike to the clinic's people.
HIDDEN = {"project": "ledger", "environment": "dev", "number": 1, "job": LEDGER_JOB}
NOWHERE = {"project": "nowhere", "environment": "dev", "number": 1, "job": 999_999}

#: Kinds whose dialog every environment has.
DIALOGS = (
    *("observe", "backup", "verify", "rehearse", "migrate"),
    *("plan-revert", "revert", "compare", "adopt", "stamp", "beside"),
)
#: Every page in every state that an environment, a job or a build can be in.
ENVIRONMENTS = ("dev", "idle", "staging", "production", "down", "lost", "fresh", "empty", "long-" + "x" * 58)
PAGES = (
    "/",
    "/?q=dev",
    "/?q=<script>&only=attention",
    "/?only=attention",
    "/question",
    *(f"/question?project=clinic&build={number}&environment=lost" for number in (47, 48, 49)),
    *(f"/projects/{name}" for name in ("clinic", "ledger", "broken", "forked")),
    *(
        f"/projects/{project}/environments/{name}{tab}"
        for project, names in (
            ("clinic", ENVIRONMENTS),
            ("broken", ("dev",)),
            ("forked", ("dev",)),
            ("ledger", ("dev",)),
        )
        for name in names
        for tab in ("", "/migrations", "/drift", "/timeline", "/backups", "/jobs")
    ),
    "/projects/clinic/environments/dev?table=<b>&sort=nonsense",
    "/projects/clinic/environments/dev?sort=-vacuum",
    "/projects/clinic/environments/dev/jobs?before=5",
    *(
        f"/projects/clinic/environments/{name}/jobs/new/{kind}"
        for name in ENVIRONMENTS
        for kind in (
            "observe",
            "backup",
            "verify",
            "rehearse",
            "migrate",
            "plan-revert",
            "revert",
            "compare",
            "adopt",
            "stamp",
            "beside",
        )
    ),
    *(f"/projects/clinic/environments/{name}/jobs/new/reset" for name in ("dev", "idle")),
    f"/projects/clinic/environments/dev/jobs/new/verify?backup={BACKUP}",
    *(f"/projects/{name}/comparison" for name in ("clinic", "ledger", "broken")),
    "/projects/clinic/comparison?a=clinic@head&b=clinic/dev",
    f"/projects/clinic/comparison?a=clinic/production&b=backup:{BACKUP}",
    *(f"/projects/{name}/ignore-rules" for name in ("clinic", "ledger")),
    "/projects/clinic/ignore-rules/new",
    "/projects/clinic/ignore-rules/new?environment=dev&kind=<b>&object=public.%22x%22&attribute=type",
    "/builds",
    *(f"/projects/{name}/builds" for name in ("clinic", "ledger", "broken")),
    *(f"/projects/clinic/builds/{number}" for number in (47, 48, 49)),
    *(f"/projects/clinic/builds/48?environment={name}" for name in ENVIRONMENTS),
    "/jobs",
    "/jobs?project=clinic&kind=observe&state=open",
    "/jobs?state=bad",
    "/jobs?q=%23" + str(JOBS["failed"]),
    "/jobs?kind=*&q=operator",
    "/jobs?project=nowhere&kind=nothing&state=odd",
    "/jobs?before=3",
    *(f"/jobs/{number}" for number in (*JOBS.values(), LEDGER_JOB)),
    *(f"/jobs/{JOBS[state]}/cancellation" for state in ("queued", "running", "interrupted", "failed")),
    "/audit",
    "/audit?q=<script>&project=clinic&only=refused",
    "/audit?before=2",
    "/settings",
)
