"""Every template over sample views: it renders, its markup is whole, and nothing in it needs a weaker CSP.

Names from `samples.HOSTILE` are put into every free text of every view: they come out as text, whole, and nowhere else.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections import Counter
from html.parser import HTMLParser
from typing import Any, get_args, get_type_hints

import pytest

from tests.pages import samples
from web import addresses
from web.pages import render
from web.pages.views.marks import Mark
from web.paths import STATIC, TEMPLATES

VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
#: SVG shapes close themselves; the parser reports them as empty elements.
NAMES = sorted(path.relative_to(TEMPLATES).as_posix() for path in TEMPLATES.rglob("*.html"))
PAGES = samples.pages()
#: Words that HTML and our templates give a meaning: they choose a picture or an address and never come from people.
CHOSEN = {"path", "icon", "csrf_token", "address", "stream", "stream_ends_on", "newer", "older"}


class Markup(HTMLParser):
    """Reads markup strictly: what is opened is closed, in order."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert not self._open, f"left open: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"<{tag}> repeats an attribute: {names}"
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open[-1:] == [tag], f"</{tag}> closes {self._open[-3:]} at {self.getpos()}"
        self._open.pop()

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of every element of that name."""
        return [attributes for name, attributes in self.elements if name == tag]

    def ids(self) -> Counter[str]:
        """How often each id is given."""
        return Counter(value for _, attributes in self.elements if (value := attributes.get("id")))

    def words(self) -> str:
        """All text and every attribute's value, as a reader meets them."""
        values = [value for _, attributes in self.elements for value in attributes.values() if value]
        return "\n".join(["".join(self.text), *values])


def rendered(sample: samples.Sample) -> str:
    return render.page(sample.template, sample.view, sample.shell, now=samples.NOW)


def require_strict(markup: Markup) -> None:
    """Nothing that a policy without unsafe-inline and unsafe-eval would stop."""
    for tag, attributes in markup.elements:
        assert tag != "style", "inline style sheet"
        if tag == "script":
            assert attributes.get("src"), "inline script"
        for name, value in attributes.items():
            assert name != "style", f"inline style on <{tag}>"
            assert not name.startswith(("on", "hx-on")), f"handler {name} on <{tag}>"
            assert not (value or "").strip().lower().startswith(("javascript:", "js:")), f"script in {name}"
        assert "[" not in (attributes.get("hx-trigger") or ""), "a trigger filter needs eval"


@pytest.mark.parametrize("name", NAMES)
def test_template_loads_and_says_what_it_expects(name: str) -> None:
    render.TEMPLATE_ENVIRONMENT.get_template(name)
    first = (TEMPLATES / name).read_text(encoding="utf-8")
    assert first.startswith("{#"), "a template opens with what it expects"
    if "/_" in name:
        assert "wap" in first[: first.index("#}")] or "art of" in first or "xpects" in first


def test_every_page_template_has_a_sample() -> None:
    frames = {"layout.html", "plain.html", "marks.html", "environments/layout.html", "overview/cells.html"}
    pages = {name for name in NAMES if "/_" not in name} - frames
    assert pages == {sample.template for sample in PAGES.values()}


@pytest.mark.parametrize("name", PAGES)
def test_page(name: str) -> None:
    markup = Markup(rendered(PAGES[name]))
    require_strict(markup)
    assert len(markup.all("h1")) == 1
    assert len(markup.all("title")) == 1
    assert len(markup.all("main")) == 1
    assert not re.search(r'\w="|">', "".join(markup.text)), "markup that came out as text"
    repeated = [value for value, times in markup.ids().items() if times > 1]
    assert not repeated, f"ids given twice: {repeated}"
    ids = set(markup.ids())
    for tag, attributes in markup.elements:
        for reference in ("aria-labelledby", "aria-describedby", "for", "popovertarget", "data-copy"):
            for wanted in (attributes.get(reference) or "").split():
                assert wanted in ids, f"<{tag} {reference}={wanted}> refers to nothing"
        for reference in ("hx-target", "hx-select"):
            target = attributes.get(reference) or ""
            assert not target.startswith("#") or target[1:] in ids, f"<{tag} {reference}={target}>"


@pytest.mark.parametrize("name", PAGES)
def test_forms_carry_the_token_and_buttons_their_type(name: str) -> None:
    html = rendered(PAGES[name])
    for form in re.findall(r"<form\b.*?</form>", html, re.DOTALL):
        if 'method="post"' in form:
            assert 'name="csrf_token" value="csrf-sample"' in form, form[:200]
    for button in Markup(html).all("button"):
        assert button.get("type") in ("button", "submit"), button
        if "disabled" in button and "data-when-valid" not in button:
            assert button.get("aria-describedby"), f"closed without a reason: {button}"


@pytest.mark.parametrize("name", PAGES)
def test_every_picture_is_in_the_sprite(name: str) -> None:
    drawn = set(re.findall(r'id="([\w-]+)"', (STATIC / "icons.svg").read_text(encoding="utf-8")))
    for use in Markup(rendered(PAGES[name])).all("use"):
        assert (use["href"] or "").partition("#")[2] in drawn, use


def poisoned(value: Any, word: str, kind: Any = str, name: str = "") -> Any:
    """The same view with `word` in every text that may come from people."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        hints = get_type_hints(type(value))
        changes = {
            field.name: poisoned(getattr(value, field.name), word, hints[field.name], field.name)
            for field in dataclasses.fields(value)
        }
        return dataclasses.replace(value, **changes)
    if isinstance(value, tuple):
        inner = get_args(kind)[:1] or (str,)
        for option in get_args(kind):
            if get_args(option):
                inner = get_args(option)[:1]
        return tuple(poisoned(item, word, inner[0], name) for item in value)
    free = kind is str or str in get_args(kind)
    return word if isinstance(value, str) and value and free and name not in CHOSEN else value


@pytest.mark.parametrize("word", samples.HOSTILE, ids=range(len(samples.HOSTILE)))
@pytest.mark.parametrize("name", sorted(set(PAGES) - {"overview-large"}))
def test_hostile_names_come_out_as_text(name: str, word: str) -> None:
    sample = PAGES[name]
    view = poisoned(sample.view, word)
    shell = poisoned(sample.shell, word)
    markup = Markup(rendered(samples.Sample(sample.template, view, shell)))
    require_strict(markup)
    assert len(markup.all("script")) == 3
    assert len(markup.all("img")) <= 1
    assert word.replace("\r", "") in markup.words()
    for link in markup.all("a"):
        assert re.match(r"/(?!/)|#", link.get("href") or ""), f"leads away: {link}"


def test_poison_reaches_names_and_spares_choices() -> None:
    cell = poisoned(samples.cell("clinic", "dev", "development"), "evil")
    assert cell.environment.project == "evil"
    assert cell.environment.tier == "development"
    assert cell.mark.status == "ok"
    assert cell.revisions == ("evil",)


PARTIALS: dict[str, tuple[str, dict[str, Any]]] = {
    "overview/_cell.html": (
        samples.migrating().id,
        {"cell": samples.migrating(), "dense": False, "named": True},
    ),
    "overview/_attention.html": ("attention", {"items": samples.attention()}),
    "overview/_summary.html": (
        "summary",
        {"projects": 2, "databases": 5, "observed_at": samples.before(minutes=2)},
    ),
    "overview/_answer.html": ("answer", {"answer": samples.question().answer}),
    "shell/_running.html": ("rail-running", {"running": 2}),
    "shell/_rail_mark.html": ("rail-x", {"id": "rail-x", "mark": Mark("ok", "in sync")}),
    "shell/_notices.html": ("notices", {"notices": (samples.NO_WORKER,)}),
    "environments/_facts.html": ("env-facts", {"head": samples.staging_head()}),
    "jobs/_head.html": ("job-head", {"head": samples.job_head()}),
    "jobs/_steps.html": ("job-steps", {"steps": samples.steps()}),
    "jobs/_statement.html": ("job-statement", {"statement": None, "number": 1042}),
    "jobs/_lock_wait.html": ("job-wait", {"wait": samples.lock_wait()}),
    "jobs/_outcome.html": ("job-head", {"outcome": samples.outcomes()["half"]}),
}


@pytest.mark.parametrize("template", PARTIALS)
def test_streamed_partial_is_one_element_that_replaces_itself(template: str) -> None:
    target, values = PARTIALS[template]
    html = render.swapped(target, template, now=samples.NOW, **values)
    markup = Markup(html)
    require_strict(markup)
    assert markup.elements[0] == ("hx-partial", {"hx-target": f"#{target}", "hx-swap": "outerMorph"})
    assert markup.elements[1][1]["id"] == target
    assert "csrf" not in html, "the stream sends one rendering to every reader"


def test_streamed_partials_are_those_of_the_first_paint() -> None:
    ids = set(Markup(rendered(PAGES["job"])).ids())
    assert {"job-head", "job-steps", "job-statement", "job-wait", "log", "rail-running", "notices"} <= ids
    page = Markup(rendered(PAGES["overview"])).ids()
    assert samples.migrating().id in page
    assert addresses.element_id("rail", "clinic", "dev") in page


def test_log_lines_keep_their_words() -> None:
    html = render.partial("jobs/_log_lines.html", now=samples.NOW, lines=samples.log())
    markup = Markup(html)
    assert [attributes["data-seq"] for attributes in markup.all("li")] == [str(n) for n in range(1, 15)]
    assert "<b>not markup</b>\nsecond line of the same message\n\tDETAIL: kept as it is" in "".join(
        markup.text
    )


def test_a_refused_name_is_kept_and_explained() -> None:
    dialog = samples.reset_dialog(refused=True)
    html = render.partial("dialogs/_dialog.html", now=samples.NOW, dialog=dialog, csrf_token="t")
    field = next(one for one in Markup(html).all("input") if one.get("name") == "confirmation")
    assert field["value"] == "clinic_prod"
    assert field["aria-invalid"] == "true"


def test_a_closed_dialog_cannot_be_sent_and_says_why() -> None:
    html = render.partial(
        "dialogs/_dialog.html", now=samples.NOW, dialog=samples.reset_dialog(closed=True), csrf_token="t"
    )
    submit = next(button for button in Markup(html).all("button") if button["type"] == "submit")
    assert "disabled" in submit
    assert "Back up and verify first." in html


def test_no_dialog_is_sent_without_script_being_needed() -> None:
    html = rendered(PAGES["dialog-reset"])
    submit = next(
        button
        for button in Markup(html).all("button")
        if "Reset" not in str(button) and "data-when-valid" in button
    )
    assert "disabled" not in submit, (
        "app.js closes it until the name matches; without script the server checks"
    )


def test_vendored_files_are_the_ones_that_were_published() -> None:
    for package in json.loads((STATIC / "vendor/vendor.json").read_text(encoding="utf-8")).values():
        assert (STATIC / "vendor" / package["licence_file"]).is_file()
        for name, facts in package["files"].items():
            assert hashlib.sha256((STATIC / "vendor" / name).read_bytes()).hexdigest() == facts["sha256"]


def test_static_addresses_follow_the_content() -> None:
    digest = hashlib.sha256((STATIC / "app.css").read_bytes()).hexdigest()[:12]
    assert render.static("app.css") == f"/static/app.css?v={digest}"
