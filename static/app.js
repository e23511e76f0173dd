// Clean Start: the few things HTML, CSS and htmx cannot do. No inline handlers, no eval: works under script-src 'self'.
(() => {
  const on = (type, act, options) => document.addEventListener(type, act, options);
  const all = (selector, root = document) => root.querySelectorAll(selector);
  const byId = (id) => document.getElementById(id);

  // Ages and clocks go on counting between two answers of the server; web/pages/words.py writes the same words.
  const span = (s) => s < 120 ? `${s | 0} s` : s < 7200 ? `${s / 60 | 0} min` : s < 172800 ? `${s / 3600 | 0} h` : `${s / 86400 | 0} d`;
  const two = (n) => String(n | 0).padStart(2, '0');
  const clock = (s) => s < 60 ? `${s | 0} s` : s < 3600 ? `${s / 60 | 0} min ${two(s % 60)} s` : s < 172800 ? `${s / 3600 | 0} h ${two(s % 3600 / 60)} min` : `${s / 86400 | 0} d ${s % 86400 / 3600 | 0} h`;
  const say = (element, words) => { if (element.textContent !== words) element.textContent = words; };
  const tick = () => {
    const now = Date.now();
    for (const time of all('time[data-since]')) say(time, clock(Math.max(0, now - Date.parse(time.dateTime)) / 1000));
    for (const time of all('time[data-ago][datetime]')) {
      const seconds = (now - Date.parse(time.dateTime)) / 1000;
      if (seconds >= 1209600 || Number.isNaN(seconds)) continue; // a date by now: the server's words stay
      say(time, seconds < -9 ? `in ${span(-seconds)}` : seconds < 10 ? 'just now' : `${span(seconds)} ago`);
    }
  };
  setInterval(() => document.hidden || tick(), 1000);
  on('visibilitychange', () => document.hidden || tick());

  // Theme: shown at once; the form's answer sets the cookie with which the server renders the next page.
  on('submit', (event) => {
    if (!event.target.matches('[data-theme-form]') || !event.submitter) return;
    const theme = event.submitter.value;
    if (theme) document.documentElement.dataset.theme = theme; else delete document.documentElement.dataset.theme;
    for (const button of all('[name="theme"]', event.target)) button.setAttribute('aria-pressed', String(button === event.submitter));
  });

  // Typed confirmation: the button lives only while the name matches. The server checks again.
  const gate = (form) => {
    const field = form.querySelector('[data-expected]');
    if (!field) return;
    const matches = field.value === field.dataset.expected;
    field.toggleAttribute('data-matches', matches);
    for (const button of all('[data-when-valid]', form)) button.disabled = !matches;
  };
  // Said as soon as it cannot become the name any more, and to who believes to be done with it.
  const mismatch = (field, done) => {
    const { expected } = field.dataset;
    const wrong = field.value !== '' && field.value !== expected && (done || !expected.startsWith(field.value));
    const said = field.form.querySelector('[data-mismatch]');
    if (said) said.hidden = !wrong;
    if (wrong) field.setAttribute('aria-invalid', 'true'); else field.removeAttribute('aria-invalid');
  };
  on('input', (event) => {
    if (!event.target.form?.matches('[data-gated]')) return;
    gate(event.target.form);
    if (event.target.matches('[data-expected]')) mismatch(event.target, false);
  });
  on('change', (event) => { if (event.target.matches('[data-expected]')) mismatch(event.target, true); });
  on('keydown', (event) => { if (event.key === 'Enter' && event.target.matches?.('[data-expected]')) mismatch(event.target, true); });

  // Log: stick to the end while the switch is on; scrolling up turns it off. Old lines leave, the download has them all.
  const KEPT_LINES = 5000;
  const follow = (lines) => { if (document.querySelector('[data-follow]')?.checked) lines.scrollTop = lines.scrollHeight; };
  const watchLog = (lines) => {
    if (lines.watched) return;
    lines.watched = true;
    const stop = () => { const toggle = document.querySelector('[data-follow]'); if (toggle) toggle.checked = false; };
    if (!document.querySelector('[data-ended]')) follow(lines); // a log that is complete is read from its beginning
    new MutationObserver(() => {
      while (lines.childElementCount > KEPT_LINES) lines.firstElementChild.remove();
      follow(lines);
    }).observe(lines, { childList: true });
    lines.addEventListener('wheel', (event) => { if (event.deltaY < 0) stop(); }, { passive: true });
    lines.addEventListener('touchmove', stop, { passive: true });
    lines.addEventListener('keydown', (event) => { if (['ArrowUp', 'PageUp', 'Home'].includes(event.key)) stop(); });
  };
  on('change', (event) => { if (event.target.matches('[data-follow]')) all('[data-log]').forEach(follow); });

  // Whatever came with the page or by a swap.
  const awaken = () => {
    all('form[data-gated]').forEach(gate);
    all('[data-log]').forEach(watchLog);
    if (navigator.clipboard) for (const button of all('[data-copy][hidden]')) button.hidden = false;
    for (const dialog of all('dialog[data-autoshow]')) {
      if (dialog.open) continue;
      dialog.showModal();
      // The field to type in has the focus and stands last; what is asked is read from its beginning.
      for (const body of all('.body', dialog)) body.scrollTop = 0;
    }
    for (const toast of all('[data-toast]:not([data-timed])')) {
      toast.dataset.timed = '';
      if (toast.dataset.status === 'ok' || 'brief' in toast.dataset) setTimeout(() => toast.remove(), 8000);
    }
  };
  // What was typed and not sent stays when the page asks for itself again, also where its field is away for a while.
  const typed = new Map();
  const changed = (field) => field.value !== field.defaultValue;
  on('htmx:before:swap', () => {
    for (const field of all('#content .input[id]')) if (changed(field)) typed.set(field.id, field.value); else typed.delete(field.id);
  });
  on('htmx:after:swap', () => {
    for (const [id, value] of typed) {
      const field = byId(id);
      if (!field || changed(field)) continue;
      field.value = value;
      for (let around = field.closest('details'); around; around = around.parentElement.closest('details')) around.open = true;
    }
  });
  on('htmx:after:swap', awaken);

  // A swapped dialog is one answer to one question: closing it removes it, so that the next opening resolves anew.
  on('close', (event) => { if (event.target.matches?.('dialog[data-swapped]')) event.target.remove(); }, true);

  on('click', async (event) => {
    const hit = (selector) => event.target.closest?.(selector);
    const close = hit('dialog [data-close]');
    if (close) { event.preventDefault(); close.closest('dialog').close(); return; }
    hit('[data-dismiss]')?.closest('[data-toast]')?.remove();
    if (hit('[data-print]')) print();
    const copy = hit('[data-copy]');
    if (!copy) return;
    try { await navigator.clipboard.writeText(byId(copy.dataset.copy).textContent); } catch { return; }
    copy.dataset.done = '';
    setTimeout(() => delete copy.dataset.done, 1600);
  });

  // What a form has changed is shown where the reader is.
  on('htmx:after:swap', (event) => {
    if (event.detail.ctx?.sourceElement?.matches('[data-stays]')) document.body.dispatchEvent(new CustomEvent('page-changed', { bubbles: true }));
  });

  // A button is closed while its request runs, which takes the focus from it; it gets it back.
  let pressed = null;
  on('htmx:before:request', (event) => {
    const active = document.activeElement;
    if (active !== document.body && event.target.contains(active)) pressed = active;
  });
  on('htmx:finally:request', () => setTimeout(() => {
    if (!pressed || document.activeElement !== document.body) return;
    const again = pressed.isConnected ? pressed : document.querySelector(`form[action="${CSS.escape(pressed.form?.getAttribute('action') ?? '')}"] button`);
    pressed = null;
    again?.focus({ preventScroll: true });
  }));

  // The stream: the pill says how it stands; after a gap the page asks for itself again, a job's log goes on by its ids.
  const PATIENCE = 3000; // a shorter gap is no news
  const live = (state) => { const pill = byId('live'); if (pill && pill.dataset.live !== state) pill.dataset.live = state; };
  let lost = false;
  let attempts = 0;
  const lose = (state) => {
    live(state);
    const note = byId('stale');
    if (note && state !== 'connecting') note.dataset.state = state;
    if (lost) return;
    lost = true;
    const since = new Date().toISOString();
    if (note) for (const time of all('time', note)) time.dateTime = since;
    setTimeout(() => {
      if (!lost) return;
      if (byId('live')?.dataset.live === 'connecting') live('offline');
      if (note) note.hidden = false;
    }, PATIENCE);
  };
  let out = false;
  const signedOut = () => { out = true; lose('signed-out'); };
  const refused = (status) => status === 401 || status === 403;
  on('htmx:sse:after:connection', () => {
    live('live');
    attempts = 0;
    if (!lost) return;
    lost = false;
    const note = byId('stale');
    if (note) note.hidden = true;
    for (const said of all('[data-unanswered]')) said.remove();
    document.body.dispatchEvent(new CustomEvent('page-changed', { bubbles: true }));
  });
  on('htmx:sse:error', (event) => refused(event.detail.status) ? signedOut() : lose('offline'));
  on('signed-out', signedOut);
  on('htmx:sse:before:connection', (event) => {
    const { attempt } = event.detail.connection;
    if (out) event.preventDefault(); // asking again would be refused again
    else if (attempt > 0 && !document.hidden) lose(attempt === 1 ? 'connecting' : 'offline'); // once failed, it is no mere gap
  });
  on('htmx:sse:close', (event) => { if (event.detail.reason === 'message') live('ended'); });
  // htmx reconnects a stream that was open once; one that never opened is tried again from here.
  const retry = (event) => {
    if (event.target.id !== 'stream') return;
    const status = event.detail.ctx?.response?.status;
    if (refused(status)) { signedOut(); return; }
    lose('offline');
    setTimeout(() => byId('stream')?.dispatchEvent(new CustomEvent('reconnect')), Math.min(30000, 500 * 2 ** attempts++));
  };
  on('htmx:response:error', retry);
  on('htmx:error', retry);
  // Whatever the reason: a page whose stream has not opened by now says so, and takes it back once it opens after all.
  const watch = () => {
    if (byId('live')?.dataset.live !== 'connecting' || lost) return;
    const note = byId('stale');
    lost = true;
    live('not-live');
    if (!note) return;
    for (const time of all('time', note)) time.dateTime = new Date(performance.timeOrigin).toISOString();
    note.dataset.state = 'not-live';
    note.hidden = false;
    tick();
  };
  // Who pressed something and got no answer is told where the refusal would have come.
  on('htmx:error', (event) => {
    if (!event.detail.ctx?.sourceEvent?.isTrusted || event.detail.ctx.response) return;
    const place = event.target.closest('dialog')?.querySelector('#refusal') ?? byId('refusals');
    place?.replaceChildren(byId('unanswered').content.cloneNode(true));
    place?.scrollIntoView({ block: 'nearest' });
  });

  // "/" goes to the filter of the page.
  on('keydown', (event) => {
    if (event.key !== '/' || event.ctrlKey || event.metaKey || event.altKey || event.target.closest('input, select, textarea, dialog')) return;
    const field = [...all('[data-filter]')].find((candidate) => candidate.checkVisibility());
    if (field) { event.preventDefault(); field.focus(); }
  });

  awaken();
  tick();
  if (byId('stream')) {
    live('connecting');
    setTimeout(watch, PATIENCE);
  }
  // On narrow screens bring the current tab into view.
  for (const tab of all('.tabs [aria-current]')) tab.parentElement.scrollLeft = tab.offsetLeft - 48;
})();
