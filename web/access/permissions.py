"""Who may do what: the one place where that is decided, for pages, API and command line alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from web.errors import NotFound, NotSignedIn, OperationNotAllowed

Role = Literal["viewer", "operator", "admin"]

#: From least to most; each role may do what the ones before it may.
ROLES: tuple[Role, ...] = ("viewer", "operator", "admin")

#: The project of a grant that holds for every project, and for what belongs to none.
EVERY_PROJECT = "*"

#: So many projects a hint names; the others are counted.
NAMED = 20

#: The least role that each permission needs. What is not listed here, nobody may.
PERMISSIONS: Mapping[str, Role] = {
    "view": "viewer",
    "observe": "viewer",
    "plan": "viewer",
    "register-build": "operator",
    "record-deployment": "operator",
    "backup": "operator",
    "verify": "operator",
    "migrate": "operator",
    "ignore": "operator",
    "cancel": "operator",
    "terminate": "operator",
    "approve": "operator",
    "reset": "admin",
    "restore": "admin",
    "repair": "admin",
    "stamp": "admin",
    "beside": "admin",
    "settle": "admin",
    "baseline": "admin",
    "pin": "admin",
    "download": "admin",
    "read-audit": "admin",
    "manage-users": "admin",
    "manage-tokens": "admin",
}

#: What a permission allows, to be read after "may".
PHRASES: Mapping[str, str] = {
    "view": "see it",
    "observe": "check databases",
    "plan": "rehearse migrations and plan reverts",
    "register-build": "register builds",
    "record-deployment": "record deployments",
    "backup": "back up databases",
    "verify": "verify backups",
    "migrate": "apply migrations",
    "ignore": "make ignore rules",
    "cancel": "cancel jobs",
    "terminate": "end sessions",
    "approve": "approve plans",
    "reset": "reset databases",
    "restore": "restore backups",
    "repair": "repair schemas",
    "stamp": "stamp databases",
    "beside": "make databases beside others",
    "settle": "settle what jobs left in doubt",
    "baseline": "create baselines",
    "pin": "pin databases",
    "download": "download backups",
    "read-audit": "read the audit trail",
    "manage-users": "manage users",
    "manage-tokens": "manage tokens",
}


@dataclass(frozen=True, slots=True)
class Principal:
    """Who acts: a signed-in user, an API token, or a person at the machine itself."""

    #: As the audit trail names them: `user:ada`, `token:ci`, `local:root`.
    actor: str
    name: str
    source: Literal["session", "token", "local"]
    #: Role by project; project `*` is every project.
    grants: Mapping[str, Role]
    user_id: int | None = None
    #: Digest of the session, id of the token: what is looked up again to see whether this still holds.
    session: str | None = None
    token_id: int | None = None

    def role_on(self, project: str | None) -> Role | None:
        """The role on a project; None asks about what belongs to no project (users, the audit trail)."""
        held = [
            self.grants[key] for key in (EVERY_PROJECT, project) if key is not None and key in self.grants
        ]
        return max(held, key=ROLES.index, default=None)


def local_admin(login: str) -> Principal:
    """A person at the machine that runs the dashboard: on its command line, or in local mode on loopback."""
    return Principal(f"local:{login}", login, "local", {EVERY_PROJECT: "admin"})


def may(principal: Principal, permission: str, project: str | None) -> bool:
    """Whether the principal may do this on the project (None: on what belongs to no project)."""
    needed = PERMISSIONS.get(permission)
    role = principal.role_on(project)
    return needed is not None and role is not None and ROLES.index(role) >= ROLES.index(needed)


def require(principal: Principal | None, permission: str, project: str | None) -> Principal:
    """Return the principal who may do this.

    Raises:
        NotSignedIn: nobody is signed in.
        OperationNotAllowed: somebody is, whose role does not suffice; the message names the role it takes.
    """
    if principal is None:
        raise NotSignedIn
    if may(principal, permission, project):
        return principal
    where = f"project “{project}”" if project is not None else "all projects"
    needed = PERMISSIONS.get(permission)
    if needed is None:
        raise OperationNotAllowed(f"Nobody may “{permission}”.")
    held = principal.role_on(project)
    article = "an" if needed[0] in "ao" else "a"
    raise OperationNotAllowed(
        f"Only {article} {needed} of {where} may {PHRASES[permission]}; "
        f"{principal.name} is {f'{held} there' if held else 'not one'}.",
        hint="Ask an administrator for the role.",
    )


def require_project(principal: Principal, project: str, projects: Iterable[str]) -> None:
    """Refuse a project for which nothing can be given: one that is not configured, or that they may not see.

    Raises NotFound, with the projects that they may see; `*` is always there.
    """
    visible = visible_projects(principal, projects)
    if project == EVERY_PROJECT or project in visible:
        return
    more = f" and {len(visible) - NAMED} more" if len(visible) > NAMED else ""
    raise NotFound(
        f"There is no project “{project}”.",
        hint=f"Known here: {', '.join(visible[:NAMED])}{more}." if visible else None,
    )


def visible_projects(principal: Principal, projects: Iterable[str]) -> tuple[str, ...]:
    """Those of the projects that the principal may see, in the order given."""
    return tuple(project for project in projects if may(principal, "view", project))
