"""Reading pages: nothing is squeezed, and what cannot be pressed looks so."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.journeys.conftest import Open

pytestmark = pytest.mark.xdist_group("journey reading")


@pytest.mark.parametrize(
    ("width", "path"),
    [
        (1440, "/projects/clinic/builds/46?environment=dev"),
        (390, "/projects/clinic/builds/46?environment=dev"),
        (390, "/projects/clinic/environments/dev/jobs/new/reset"),
    ],
)
def test_checks_keep_their_words_whole(visit: Open, width: int, path: str) -> None:
    visitor = visit()
    visitor.page.set_viewport_size({"width": width, "height": 900})
    visitor.go(path)
    titles = visitor.page.locator(".checks > li > b")
    expect(titles.first).to_be_visible()
    squeezed = titles.evaluate_all("all => all.filter((b) => b.getBoundingClientRect().width < 110).length")
    assert squeezed == 0


def test_a_closed_button_looks_closed_in_production_too(visit: Open) -> None:
    visitor = visit(signed_in=False)
    visitor.sign_in("vera")
    visitor.page.wait_for_url(f"{visitor.demo.address}/")
    looks = []
    for environment in ("production", "staging"):
        visitor.go(f"/projects/clinic/environments/{environment}")
        buttons = visitor.page.locator(".env-head .btn:disabled")
        expect(buttons.filter(has_text="Apply")).to_be_disabled()
        looks.append(set(buttons.evaluate_all("all => all.map((b) => getComputedStyle(b).backgroundColor)")))
    assert [len(each) for each in looks] == [1, 1], looks


def test_a_builds_card_names_the_differences_and_a_dialog_opens_at_its_beginning(visit: Open) -> None:
    visitor = visit()
    page = visitor.page
    visitor.go("/projects/clinic/builds/48?environment=staging")
    expect(page.locator(".verdicts li", has_text="staging")).to_contain_text("2 differences")
    page.set_viewport_size({"width": 1440, "height": 500})
    visitor.go("/projects/clinic/environments/dev")
    page.get_by_role("link", name="Reset").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator(".body").first).to_be_visible()
    assert dialog.locator(".body").first.evaluate(
        "body => [body.scrollTop, body.scrollHeight > body.clientHeight]"
    ) == [
        0,
        True,
    ]
