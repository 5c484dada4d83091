// Puts newer HTML from the server into place; everything that is said is rendered there.
"use strict";
(() => {
  const SOONEST_MS = 1000, LATEST_MS = 5000, PATIENCE_MS = 10000;
  const now = document.getElementById("now");
  const pill = document.getElementById("live");
  const word = document.getElementById("live-word");
  const url = "/fragments/now?lang=" + document.documentElement.lang;
  let isOpen = false, isLost = false, isAsking = false, isWanted = false, askedAt = Date.now();

  function show() {
    const state = isLost ? "lost" : isOpen ? "live" : "polling";
    if (pill.dataset.state === state) return;
    pill.dataset.state = state;
    word.textContent = pill.dataset[state];
    now.classList.toggle("stale", isLost);
  }

  // Changes only what differs, so that focus, selection and scroll positions stay.
  function morph(old, fresh) {
    if (old.isEqualNode(fresh)) return;
    if (old.nodeName !== fresh.nodeName) { old.replaceWith(fresh); return; }
    if (old.nodeType === Node.TEXT_NODE) { old.data = fresh.data; return; }
    for (const name of old.getAttributeNames()) {
      if (!fresh.hasAttribute(name)) old.removeAttribute(name);
    }
    for (const name of fresh.getAttributeNames()) {
      if (old.getAttribute(name) !== fresh.getAttribute(name)) {
        old.setAttribute(name, fresh.getAttribute(name));
      }
    }
    const olds = [...old.childNodes], news = [...fresh.childNodes];
    news.forEach((node, at) => at < olds.length ? morph(olds[at], node) : old.append(node));
    olds.slice(news.length).forEach((node) => node.remove());
  }

  async function refresh() {
    isAsking = true; isWanted = false; askedAt = Date.now();
    try {
      const answer = await fetch(url, { signal: AbortSignal.timeout(PATIENCE_MS) });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.getElementById("now");
      if (fresh.dataset.version !== now.dataset.version) { location.reload(); return; }
      isLost = false;
      document.title = fresh.dataset.title;
      morph(now, fresh);
    } catch { isLost = true; }
    isAsking = false;
    show();
  }

  function listen() {
    const stream = new EventSource("/v1/stream");
    const want = () => { isWanted = true; };
    for (const kind of ["signal", "alert", "switch", "takeover"]) stream.addEventListener(kind, want);
    stream.onopen = () => { isOpen = true; isWanted = true; show(); };
    stream.onerror = () => {
      isOpen = false; show();
      if (stream.readyState === EventSource.CLOSED) setTimeout(listen, PATIENCE_MS);
    };
  }

  setInterval(() => {
    const since = Date.now() - askedAt;
    if (!isAsking && (since >= LATEST_MS || (isWanted && since >= SOONEST_MS))) refresh();
  }, 200);
  show();
  listen();
})();
