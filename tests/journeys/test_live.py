"""Whether a page is live, it says: with a slow or a missing script, and when the dashboard is gone."""

from __future__ import annotations

import signal
import time

import pytest
from playwright.sync_api import Route, expect

from tests.journeys.conftest import Open

pytestmark = pytest.mark.xdist_group("journey live")

EXTENSION = "**/static/vendor/hx-sse.min.js*"


def test_a_late_stream_extension_does_not_keep_the_page_from_being_live(visit: Open) -> None:
    page = visit().page

    def late(route: Route) -> None:
        time.sleep(0.4)  # what is tested: the file is slow
        route.continue_()

    page.route(EXTENSION, late)
    for _ in range(3):
        page.reload()
        expect(page.locator("#live")).to_have_text("Live", use_inner_text=True, timeout=10_000)


def test_a_page_whose_stream_never_opens_says_so(visit: Open) -> None:
    page = visit().page
    page.route(EXTENSION, lambda route: route.abort())
    page.reload()
    expect(page.locator("#live")).to_have_text("Not live", use_inner_text=True, timeout=10_000)
    expect(page.locator("#stale")).to_contain_text("This page does not update by itself.")


def test_with_the_dashboard_gone_the_page_is_offline_and_a_click_is_answered(visit: Open) -> None:
    """The last of this module: it ends the demo."""
    visitor = visit()
    page = visitor.page
    visitor.go("/projects/clinic/environments/dev")
    expect(page.locator("#live")).to_have_text("Live", use_inner_text=True)
    visitor.demo.process.send_signal(signal.SIGINT)
    visitor.demo.process.wait(60)
    pill = page.locator("#live")
    expect(pill).to_have_text("Offline, retrying", use_inner_text=True)
    expect(page.locator("#stale")).to_contain_text("The connection to the dashboard is lost.")
    # It tries again, and says "Offline" all the while.
    page.evaluate(
        """() => { window.said = new Set();
        new MutationObserver(() => window.said.add(document.getElementById('live').dataset.live))
            .observe(document.getElementById('live'), { attributes: true }); }"""
    )
    with page.expect_request("**/stream*"):
        pass
    assert page.evaluate("[...window.said]") in ([], ["offline"])
    page.get_by_role("button", name="Check now").click()
    expect(page.get_by_role("alert")).to_contain_text("The dashboard does not answer.")
