"""Role × permission × project."""

from __future__ import annotations

import pytest

from web.access.permissions import (
    PERMISSIONS,
    PHRASES,
    ROLES,
    Principal,
    Role,
    local_admin,
    may,
    require,
    visible_projects,
)
from web.errors import NotSignedIn, OperationNotAllowed

#: What each role may do beyond the one before; the whole table, so that a change to it is a change here.
BY_ROLE: dict[Role, set[str]] = {
    "viewer": {"view", "observe", "plan"},
    "operator": {
        "register-build", "record-deployment", "backup", "verify", "migrate", "cancel", "terminate",
        "approve", "ignore",
    },
    "admin": {
        "reset", "restore", "repair", "stamp", "beside", "baseline", "pin", "download", "read-audit", "manage-users",
        "manage-tokens", "settle",
    },
}  # fmt: skip


def person(**grants: Role) -> Principal:
    by_project = {"*" if project == "every" else project: role for project, role in grants.items()}
    return Principal("user:ada", "Ada", "session", by_project)


def test_the_table_is_complete() -> None:
    assert set().union(*BY_ROLE.values()) == set(PERMISSIONS)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("permission", PERMISSIONS)
def test_matrix(role: Role, permission: str) -> None:
    allowed = any(permission in BY_ROLE[lesser] for lesser in ROLES[: ROLES.index(role) + 1])
    here, everywhere = person(clinic=role), person(every=role)
    assert may(here, permission, "clinic") is allowed
    assert may(here, permission, "shop") is False
    assert may(here, permission, None) is False
    assert may(everywhere, permission, "clinic") is allowed
    assert may(everywhere, permission, None) is allowed


@pytest.mark.parametrize("permission", PERMISSIONS)
def test_without_a_role_nothing(permission: str) -> None:
    assert not may(person(), permission, "clinic")
    assert not may(person(), permission, None)


def test_the_greater_of_two_roles_counts() -> None:
    assert may(person(every="viewer", clinic="admin"), "reset", "clinic")
    assert not may(person(every="viewer", clinic="admin"), "reset", "shop")
    assert may(person(every="admin", clinic="viewer"), "reset", "clinic")


def test_a_permission_that_does_not_exist_is_nobodys() -> None:
    assert not may(local_admin("root"), "fly", None)
    with pytest.raises(OperationNotAllowed, match="Nobody may “fly”"):
        require(local_admin("root"), "fly", None)


def test_refusals_say_what_it_takes() -> None:
    assert require(person(clinic="admin"), "reset", "clinic").name == "Ada"
    with pytest.raises(
        OperationNotAllowed,
        match="Only an admin of project “clinic” may reset databases; Ada is viewer there",
    ):
        require(person(clinic="viewer"), "reset", "clinic")
    with pytest.raises(
        OperationNotAllowed, match="Only an admin of all projects may read the audit trail; Ada is not one"
    ):
        require(person(clinic="admin"), "read-audit", None)
    with pytest.raises(NotSignedIn):
        require(None, "view", "clinic")


def test_visible_projects() -> None:
    projects = ("zoo", "clinic", "shop")
    assert visible_projects(person(shop="viewer", zoo="admin"), projects) == ("zoo", "shop")
    assert visible_projects(person(every="viewer"), projects) == projects
    assert visible_projects(person(), projects) == ()


def test_every_permission_can_be_told_in_words() -> None:
    assert set(PHRASES) == set(PERMISSIONS)
