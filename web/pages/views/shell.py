"""What surrounds every page: navigation, person, theme, live stream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from web.config import Tier
from web.pages.views.errors import ErrorView
from web.pages.views.marks import EnvironmentRef, Link, Mark

#: The entry of the main navigation that the page belongs to.
Section = Literal["overview", "builds", "jobs", "approvals", "audit", "settings", "project", "none"]
Theme = Literal["", "light", "dark"]


@dataclass(frozen=True, slots=True)
class Person:
    """Who is signed in."""

    name: str
    #: `admin`, or `operator of clinic, lab`.
    role: str
    #: False where no users are configured and everybody on this machine is in: then there is no signing out.
    can_sign_out: bool = True
    reads_audit: bool = True


@dataclass(frozen=True, slots=True)
class RailEnvironment:
    """An environment in the navigation."""

    environment: EnvironmentRef
    mark: Mark
    here: bool = False


@dataclass(frozen=True, slots=True)
class RailProject:
    """A project in the navigation; its environments are listed when `open`, else the worst mark stands for all."""

    name: str
    title: str
    mark: Mark
    environments: tuple[RailEnvironment, ...] = ()
    open: bool = False
    here: bool = False


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that holds for the whole dashboard: no live worker, nobody needs to sign in."""

    mark: Mark
    account: str
    link: Link | None = None


@dataclass(frozen=True, slots=True)
class Shell:
    """The surroundings of one page for one person."""

    csrf_token: str
    #: Path and query of this page: what a refresh asks for and where the theme's form returns to.
    address: str
    person: Person | None = None
    theme: Theme = ""
    section: Section = "none"
    projects: tuple[RailProject, ...] = ()
    #: From the outermost inwards, without this page itself.
    crumbs: tuple[Link, ...] = ()
    #: This page in the breadcrumb.
    here: str = ""
    #: Tier of the environment that the page can change; draws the rule along the top of the window.
    tier: Tier | None = None
    #: Where live changes come from; None: the page has none.
    stream: str | None = None
    #: The named event after which the stream is complete.
    stream_ends_on: str | None = None
    running_jobs: int = 0
    #: Requests for approval that wait for somebody.
    waiting_requests: int = 0
    notices: tuple[Notice, ...] = ()
    #: A refusal of a form that was sent from this page without script.
    refusal: ErrorView | None = None
