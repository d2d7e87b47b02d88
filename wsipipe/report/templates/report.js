// Filters the table, shows a slide's page when the address asks for it, and moves between slides. No network, no storage.
"use strict";
(() => {
  const one = (selector, within = document) => within.querySelector(selector);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const batch = one("#batch"), slide = one("#slide"), zoom = one("#zoom"), find = one("#find");
  const pages = new Map(all("script[data-key]").map((page) => [page.dataset.key, page]));
  const configs = new Map(all("template[data-config]").map((config) => [config.dataset.config, config]));
  const title = document.title, address = (key) => "#/slide/" + encodeURIComponent(key);
  let text = new WeakMap(), scrolled = 0, shown = null;

  // The table: sorting is done by sortable-tablesort, which puts the rows into a new body.
  const rows = () => all("#table tbody tr");
  const words = (row) => {
    if (!text.has(row)) text.set(row, row.textContent.toLowerCase());
    return text.get(row);
  };
  const filter = () => {
    const asked = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    const status = one("#status").value, category = one("#category").value;
    let count = 0;
    for (const row of rows()) {
      const fits = (!status || row.dataset.status === status) && (!category || row.dataset.category === category)
        && asked.every((word) => words(row).includes(word));
      row.hidden = !fits;
      count += fits;
    }
    const total = rows().length;
    one("#count").textContent = count === total ? `${total} slides` : `${count} of ${total} slides`;
  };
  for (const input of [find, one("#status"), one("#category")]) input.addEventListener("input", filter);

  // Pages: each waits as text, so that it costs no elements and its pictures are not read before it is asked for.
  const order = () => {
    const seen = rows().filter((row) => !row.hidden).map((row) => keyOf(one("th a", row).getAttribute("href")));
    return [...new Set(seen)].filter((key) => pages.has(key));
  };
  const keyOf = (hash) => {
    if (!hash.startsWith("#/slide/")) return null;
    try {
      return decodeURIComponent(hash.slice(8));
    } catch {
      return null;
    }
  };
  const link = (selector, key) => {
    const anchor = one(selector, slide);
    if (key === undefined) return;
    anchor.href = address(key);
    one("span", anchor).textContent = key;
    anchor.hidden = false;
  };
  const open = (key) => {
    if (shown === null) scrolled = window.scrollY;
    slide.innerHTML = pages.get(key).textContent;
    for (const place of all("[data-include]", slide)) {
      const config = configs.get(place.dataset.include);
      if (config) place.append(config.content.cloneNode(true));
    }
    const keys = order(), at = keys.indexOf(key);
    if (at >= 0) {
      link(".before", keys[at - 1]);
      link(".after", keys[at + 1]);
    }
    batch.hidden = true;
    slide.hidden = false;
    shown = key;
    document.title = `${key} · ${title}`;
    window.scrollTo(0, 0);
    one("h1", slide).focus({ preventScroll: true });
  };
  const close = () => {
    const last = shown;
    shown = null;
    slide.hidden = true;
    slide.replaceChildren();
    batch.hidden = false;
    document.title = title;
    if (last === null) return;
    window.scrollTo(0, scrolled);
    const row = rows().find((candidate) => keyOf(one("th a", candidate).getAttribute("href")) === last);
    if (row && !row.hidden) one("th a", row).focus({ preventScroll: true });
  };
  const route = () => {
    const key = keyOf(location.hash);
    if (zoom.open) zoom.close();
    if (key !== null && pages.has(key)) open(key);
    else if (location.hash !== "#main") close();
  };
  window.addEventListener("hashchange", route);

  // Controls of a slide's page.
  slide.addEventListener("input", (event) => {
    const control = event.target;
    if (control.matches(".heat-range")) slide.style.setProperty("--heat", control.value / 100);
    if (control.dataset.layer) one(".main", slide).classList.toggle(`no-${control.dataset.layer}`, !control.checked);
  });
  slide.addEventListener("click", (event) => {
    const button = event.target.closest("button.zoom");
    if (!button) return;
    const copy = one("svg", button).cloneNode(true);
    one("defs", copy).remove();  // the copy uses the picture of the original
    one("div", zoom).replaceChildren(copy);
    zoom.style.setProperty("--heat", slide.style.getPropertyValue("--heat") || 0.55);
    zoom.showModal();
  });
  zoom.addEventListener("close", () => one("div", zoom).replaceChildren());

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || zoom.open) return;
    const typing = event.target.matches("input, select, textarea");
    if (event.key === "Escape" && shown !== null) location.hash = "#/";
    else if (event.key === "/" && !typing && shown === null) {
      event.preventDefault();
      find.focus();
    } else if (!typing && shown !== null && (event.key === "ArrowLeft" || event.key === "ArrowRight")) {
      const anchor = one(event.key === "ArrowLeft" ? ".before" : ".after", slide);
      if (!anchor.hidden) location.hash = new URL(anchor.href).hash;
    }
  });
  route();
  document.documentElement.dataset.ready = "yes";
})();
