"""Whether the application's role could change the schema: what it owns, where it may create, whose member it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.resources import files
from typing import Any, Literal

from web.postgres.connections import Connection

#: What speaks against a role. `missing`: there is none of that name.
Sort = Literal["missing", "superuser", "may create roles", "owns", "may create"]


@dataclass(frozen=True, slots=True)
class Right:
    """One thing that a role should not have."""

    sort: Sort
    #: The role that has it: the application's, or one that it is a member of.
    role: str
    #: “table public.users”, “in the schema public”; empty where the role itself is the matter.
    object: str
    #: How many of this sort the role has; some of them are named.
    number: int = 1


@dataclass(frozen=True, slots=True)
class CheckedRole:
    """The application's role on one environment, as a check found it."""

    environment: str
    role: str
    #: What it should not have; none: it can change no schema.
    rights: tuple[Right, ...] = ()
    #: Why nothing is known; None: it was looked at.
    refusal: str | None = None

    @property
    def state(self) -> Literal["met", "not met", "not known"]:
        """Whether the role can change no schema."""
        if self.refusal is not None:
            return "not known"
        return "not met" if self.rights else "met"

    @property
    def account(self) -> tuple[str, ...]:
        """What was found, in sentences."""
        if self.refusal is not None:
            return (self.refusal,)
        if not self.rights:
            return (
                f"{self.role} owns nothing and may create nothing, nor may any role that it is a member of.",
            )
        return tuple(dict.fromkeys(self._sentence(each) for each in self.rights))

    def _sentence(self, right: Right) -> str:
        through = "" if right.role == self.role else f", of which {self.role} is a member,"
        match right.sort:
            case "missing":
                return f"There is no role {self.role}."
            case "superuser":
                return f"{right.role}{through} is a superuser: it may do everything."
            case "may create roles":
                return f"{right.role}{through} may create roles, and so give itself what others may."
            case "owns" | "may create" as does:
                listed = [each.object for each in self.rights if (each.sort, each.role) == (does, right.role)]
                more = right.number - len(listed)
                return (
                    f"{right.role}{through} {does} {', '.join(listed)}{f' and {more} more' if more else ''}."
                )

    def to_json(self) -> dict[str, Any]:
        """JSON of API, CLI and store."""
        return {**asdict(self), "state": self.state, "account": list(self.account)}

    @staticmethod
    def from_json(content: Mapping[str, Any]) -> CheckedRole:
        """Read `to_json` back."""
        rights = tuple(Right(**each) for each in content["rights"])
        return CheckedRole(content["environment"], content["role"], rights, content["refusal"])


async def check_role(connection: Connection, environment: str, role: str) -> CheckedRole:
    """Ask the database of this connection; one look into its catalogs, and nothing is changed."""
    query = files("web.cutover").joinpath("queries", "application_role.sql").read_bytes()
    rows = await (await connection.execute(query, {"role": role})).fetchall()
    if not any(sort == "found" for sort, *_ in rows):
        return CheckedRole(environment, role, (Right("missing", role, ""),))
    rights = tuple(Right(sort, who, what, number) for sort, who, what, number in rows if sort != "found")
    return CheckedRole(environment, role, rights)
