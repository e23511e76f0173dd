"""Templates to HTML: the Jinja environment with its filters, and the addresses of static files.

Pages render whole templates, streams render partials of the same values; both end here.
"""

from __future__ import annotations

import hashlib
import sys
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from web import addresses, words
from web.pages import code
from web.pages.sides import side_by_side
from web.pages.views import marks
from web.paths import STATIC, TEMPLATES

if TYPE_CHECKING:
    from web.pages.views.shell import Shell


@lru_cache(maxsize=64)
def _content_hash(name: str, changed: int) -> str:
    return hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]


def static(name: str) -> str:
    """The address of a static file; it changes with the content, so browsers may keep it for good."""
    return f"/static/{name}?v={_content_hash(name, (STATIC / name).stat().st_mtime_ns)}"


def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        cache_size=-1,
        # Otherwise every include of every row looks whether its file has changed; `python -X dev` still does.
        auto_reload=sys.flags.dev_mode,
    )
    made.filters.update(
        ago=words.ago,
        age=words.age,
        exact=words.exact,
        day=words.day,
        clock=words.clock,
        iso=words.iso,
        duration=words.duration,
        size=words.size,
        count=words.count,
        estimate=words.estimate,
        plural=words.plural,
        short=words.short,
        sql=code.sql,
        python=code.python,
        prose=code.prose,
    )
    made.globals.update(
        to=addresses,
        static=static,
        sprite=static("icons.svg"),
        percent=words.percent,
        side_by_side=side_by_side,
        element_id=addresses.element_id,
        step_marks=marks.STEP_MARKS,
    )
    return made


TEMPLATE_ENVIRONMENT = _environment()


def page(template: str, view: object, shell: Shell, *, now: datetime | None = None) -> str:
    """Render a whole page: `view` is what its module under `web.pages.views` describes."""
    return TEMPLATE_ENVIRONMENT.get_template(template).render(
        page=view, shell=shell, csrf_token=shell.csrf_token, now=now or datetime.now(UTC), full=True
    )


def partial(template: str, *, now: datetime | None = None, **values: object) -> str:
    """Render a partial; its first lines say which values it expects."""
    return TEMPLATE_ENVIRONMENT.get_template(template).render(
        now=now or datetime.now(UTC), full=False, **values
    )


def swapped(
    target: str, template: str, *, swap: str = "outerMorph", now: datetime | None = None, **values: object
) -> str:
    """Render a partial as an `<hx-partial>` for the element with the id `target`, as streams send them."""
    content = partial(template, now=now, **values)
    return f'<hx-partial hx-target="#{target}" hx-swap="{swap}">{content}</hx-partial>'
