"""An error as a page, as a note inside a page, and as what a dialog says when it is refused."""

from __future__ import annotations

from dataclasses import dataclass

from web.pages.views.marks import Link, Mark


@dataclass(frozen=True, slots=True)
class ErrorView:
    """What happened and what to do next. A reference id only where a log holds more than the page may say."""

    status: int
    title: str
    message: str
    hint: str = ""
    reference: str | None = None
    #: Where to go on: the running job, the sign-in page, the same page again. The first is the main one.
    links: tuple[Link, ...] = ()

    @property
    def mark(self) -> Mark:
        """Red only where something broke; a refusal, a conflict and "could not tell" have marks of their own."""
        if self.status in (401, 403, 429):
            return Mark("blocked", self.title)
        if self.status == 404:
            return Mark("unknown", self.title)
        if self.status in (409, 422):
            return Mark("warn", self.title)
        return Mark("down" if self.status == 503 else "failed", self.title)
