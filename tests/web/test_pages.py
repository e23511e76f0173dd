"""Every page in every state: whole markup, one heading, a title, nothing that the CSP would stop, texts as texts."""

from __future__ import annotations

import re

import pytest
from markupsafe import escape

from tests.pages.test_templates import Markup, require_strict
from tests.web.filled import SECRET
from tests.web.routes import PAGES
from tests.web.site import SWAP, Site, said
from tests.web.stored_jobs import JOBS


def check_page(html: str) -> Markup:
    """What holds for every page, errors included."""
    markup = Markup(html)
    require_strict(markup)
    assert len(markup.all("h1")) == 1
    assert len(markup.all("title")) == 1
    assert "Clean Start" in html[html.index("<title>") : html.index("</title>")]
    assert len(markup.all("main")) == 1
    repeated = [value for value, times in markup.ids().items() if times > 1]
    assert not repeated, f"ids given twice: {repeated}"
    assert "<script>alert" not in html
    assert "49" not in re.findall(r"\{\{(.*?)\}\}", html)
    assert "Traceback" not in html
    assert "k4nari3n" not in html
    return markup


@pytest.mark.parametrize("who", ["admin", "viewer"])
async def test_every_page_in_every_state(site: Site, who: str) -> None:
    shown = 0
    for address in PAGES:
        if who == "viewer" and not await _may_see(address):
            continue
        response = await site.get(address, who)
        assert response.status_code == 200, f"{address}: {response.text[:300]}"
        markup = check_page(response.text)
        assert "x-evil" not in response.headers
        for form in (each for each in markup.all("form") if each.get("method") == "post"):
            assert (form.get("action") or "").startswith("/"), f"{address}: {form}"
        shown += 1
    assert shown > 100 or who == "viewer"


async def _may_see(address: str) -> bool:
    """A viewer's share of the pages, one of each sort."""
    return address in (
        "/",
        "/projects/clinic",
        "/projects/clinic/environments/production",
        "/projects/clinic/environments/production/migrations",
        "/projects/clinic/environments/dev/jobs/new/reset",
        "/projects/clinic/builds/48",
        "/jobs/2",
        "/settings",
    )


@pytest.mark.parametrize("who", ["admin", "viewer"])
async def test_links_and_forms_lead_somewhere(site: Site, who: str) -> None:
    """Whatever a page links to exists for the person who sees the link."""
    seen: dict[str, str] = {}
    pages = [
        "/",
        "/projects/clinic",
        "/projects/clinic/environments/dev",
        "/projects/clinic/environments/staging",
    ]
    pages += ["/projects/clinic/environments/staging/drift", "/projects/clinic/environments/dev/backups"]
    pages += ["/projects/clinic/builds/48", "/jobs", "/jobs/2", "/jobs/6", "/builds", "/settings"]
    for page in pages:
        markup = Markup((await site.get(page, who)).text)
        for name in ("href", "hx-get", "hx-sse:connect", "src"):
            for _, attributes in markup.elements:
                target = (attributes.get(name) or "").partition("#")[0]
                if target.startswith("/") and not target.startswith("/sign-in"):
                    seen.setdefault(target, page)
    for target, page in seen.items():
        if target.partition("?")[0].endswith("/stream"):
            continue
        response = await site.client(who).get(target)
        assert response.status_code == 200, f"{page} links to {target}: {response.status_code}"


async def test_a_dialog_over_the_page_is_a_dialog(site: Site) -> None:
    for kind in ("backup", "verify", "rehearse", "migrate", "reset"):
        response = await site.get(f"/projects/clinic/environments/idle/jobs/new/{kind}", headers=SWAP)
        assert response.status_code == 200
        markup = Markup(response.text)
        assert len(markup.all("dialog")) == 1
        assert not markup.all("html")


async def test_a_dialog_of_its_own_names_the_project_as_other_pages_do(site: Site) -> None:
    page = (await site.get("/projects/clinic/environments/dev/jobs/new/migrate")).text
    title = site.configuration.project("clinic").title
    assert title != "clinic"
    assert f'<a href="/projects/clinic">{escape(title)}</a>' in page
    assert re.search(r'type="number"[^>]*name="lock_timeout"', page)


async def test_a_job_was_started_with_what_its_form_said(site: Site) -> None:
    page = (await site.get(f"/jobs/{JOBS['failed']}")).text
    assert re.search(r'Lock timeout in seconds</dt>\s*<dd>\s*<span class="">5</span>', page)


async def test_evidence_is_told_in_words(site: Site) -> None:
    page = said(await site.get(f"/jobs/{JOBS['unknown']}"))
    assert "Part of what was done is not proven." in page
    assert "UPDATE t SET a = 1 (2 times)" in page
    assert "May or may not have taken effect" in page
    assert "'sql'" not in page
    assert "not valid" not in page


async def test_what_needs_no_sign_in_tells_nothing(site: Site) -> None:
    for address in ("/sign-in", "/healthz", "/readyz", "/nowhere", "/sign-in?next=/projects/ledger"):
        page = await site.get(address, None)
        for word in ("clinic", "db ", "7412000000000000001", "PostgreSQL 17", SECRET):
            assert word not in page.text.replace("clinic-", "")
    assert "ledger" not in (await site.get("/projects/ledger", None)).text
