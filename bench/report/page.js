// What a reader can do with the page: sort and filter tables, look at the run behind a cell of the heatmap. Without it the page
// is whole: cells are links to their runs. It loads nothing, stores nothing, and writes text, never markup.
(() => {
  "use strict";

  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const bodyRows = (table) => [...table.tBodies[0].rows];
  const headings = (table) => [...table.tHead.rows[0].cells];
  const shown = (cell) => cell.textContent.trim();
  const make = (tag, text, parts = []) => {
    const element = document.createElement(tag);
    element.textContent = text;
    element.append(...parts);
    return element;
  };

  // "86,567,656", "85.6%", "22.9 EFLOPs" and "+2.0 [+0.4, +3.6] on 5 tasks" are numbers; "" and "reference" are none.
  const PREFIXES = "kMGTPEZY";
  const number = (text) => {
    const prefix = / (.)FLOPs$/.exec(text)?.[1] ?? "";
    return Number.parseFloat(text.replaceAll(",", "")) * (prefix ? 1e3 ** (1 + PREFIXES.indexOf(prefix)) : 1);
  };

  // Sorting. A cell without a value stays below those with one, whatever the direction; equal values keep their order.
  const alphabet = new Intl.Collator("en", { numeric: true });
  const sort = (table, column, descending) => {
    const numeric = headings(table)[column].classList.contains("number");
    const value = (row) => (numeric ? number(shown(row.cells[column])) : shown(row.cells[column]));
    const empty = (v) => (numeric ? Number.isNaN(v) : v === "");
    const compare = (a, b) => (numeric ? a - b : alphabet.compare(a, b));
    const keyed = bodyRows(table).map((row) => [value(row), row]);
    keyed.sort(([a], [b]) => empty(a) - empty(b) || (empty(a) ? 0 : descending ? compare(b, a) : compare(a, b)));
    table.tBodies[0].append(...keyed.map(([, row]) => row));
    headings(table).forEach((heading, i) => {
      if (i === column) heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
      else heading.removeAttribute("aria-sort");
    });
  };
  for (const table of all("table.sortable")) {
    headings(table).forEach((heading, column) => {
      const button = make("button", shown(heading));
      button.type = "button";
      button.addEventListener("click", () => {
        const before = heading.getAttribute("aria-sort");
        // The highest number first, the alphabet from its beginning.
        sort(table, column, before ? before === "ascending" : heading.classList.contains("number"));
      });
      heading.replaceChildren(button);
    });
  }

  // Filters. Each control says which column it is about and what it asks; a row that has no number keeps no limit.
  const FACTORS = { "": 1, k: 1e3, m: 1e6, b: 1e9 };
  const amount = (text) => {
    const found = /^\s*([\d.,]+(?:e\d+)?)\s*([kmb]?)\s*$/i.exec(text);
    return found ? Number(found[1].replaceAll(",", "")) * FACTORS[found[2].toLowerCase()] : Number.NaN;
  };
  const ASKS = {
    most: (cell, wanted) => number(cell) <= amount(wanted),
    least: (cell, wanted) => number(cell) >= amount(wanted),
    is: (cell, wanted) => cell === wanted,
    has: (cell, wanted) => wanted.toLowerCase().split(/\s+/).every((word) => cell.toLowerCase().includes(word)),
  };
  const LIMITS = new Set(["most", "least"]);
  const wrong = ({ value, dataset }) => LIMITS.has(dataset.ask) && value.trim() !== "" && !(amount(value) > 0);
  for (const filters of all(".filters")) {
    const [first, ...others] = filters.dataset.tables.split(" ").map((id) => document.getElementById(id));
    const controls = all("[data-ask]", filters);
    const names = headings(first).map(shown);
    const texts = new Map(bodyRows(first).map((row) => [row, [...row.cells].map(shown)]));
    const apply = () => {
      controls.forEach((control) => control.setAttribute("aria-invalid", String(wrong(control))));
      const asking = controls.filter((control) => control.value.trim() !== "" && !wrong(control));
      const keeps = (cells) =>
        asking.every(({ value, dataset }) =>
          ASKS[dataset.ask](dataset.column ? cells[names.indexOf(dataset.column)] : cells.join(" "), value.trim()),
        );
      const hidden = new Set();
      for (const [row, cells] of texts) {
        row.hidden = !keeps(cells);
        if (row.hidden) hidden.add(row.dataset.key);
      }
      for (const table of others) for (const row of bodyRows(table)) row.hidden = hidden.has(row.dataset.key);
      const kept = bodyRows(first).filter((row) => !row.hidden).length;
      const mistake = controls.some(wrong) ? " A limit is a positive number such as 5000 or 25M." : "";
      filters.querySelector("output").textContent = `${kept} of ${texts.size} rows.${mistake}`;
    };
    filters.addEventListener("input", apply);
    filters.querySelector("button").addEventListener("click", () => {
      controls.forEach((control) => (control.value = ""));
      apply();
    });
    filters.hidden = false;
    apply();
  }

  // The heatmap: one stop of the Tab key a panel, arrows inside. The focus shows the run behind a cell, the pointer that of
  // another for as long as it is there, a click keeps what it shows.
  const detail = document.querySelector(".detail");
  const cellsOf = (table) => bodyRows(table).map((row) => [...row.cells].map((cell) => cell.querySelector("a")));
  let at = null;
  let focused = null;
  let pinned = false;
  let quiet = false;
  const runOf = (link) => document.getElementById(link.hash.slice(1));
  const fact = (row, name) => {
    const column = headings(row.closest("table")).map(shown).indexOf(name);
    return column < 0 ? null : row.cells[column];
  };
  // Back to a cell whose details are about to go.
  const focusQuietly = (link) => {
    quiet = true;
    link.focus({ preventScroll: true });
    quiet = false;
  };
  const hide = () => {
    at?.classList.remove("shown");
    if (detail.contains(document.activeElement)) focusQuietly(at);
    at = focused = null;
    pinned = false;
    detail.hidden = true;
  };
  // At the lower edge of the window, or at the upper one where that would cover the cell, until the cell is scrolled away.
  const place = () => {
    if (!at) return;
    const { top, bottom } = at.getBoundingClientRect();
    if (bottom < 0 || top > innerHeight) hide();
    else detail.classList.toggle("above", bottom > innerHeight - detail.offsetHeight);
  };
  addEventListener("scroll", place, { passive: true });
  addEventListener("resize", place);
  const show = (link) => {
    const row = runOf(link);
    const commands = fact(row, "commands");
    const facts = ["wd", "do", "sd", "lr", "epochs", "seed", "final_test"]
      .map((name) => [name, fact(row, name)])
      .filter(([, cell]) => cell && shown(cell));
    const label = `${shown(fact(row, "name"))} on ${shown(fact(row, "ds"))}, ${link.dataset.cell}: ${shown(fact(row, "final_val"))}`;
    const jump = make("a", "Show in the list of runs");
    jump.href = link.hash;
    jump.addEventListener("click", () => {
      for (const filters of all(".filters")) if (row.hidden) filters.querySelector("button").click();
      // The browser focuses what it jumps to, if that can have the focus.
      row.tabIndex = -1;
      hide();
    });
    const close = make("button", "Close");
    close.type = "button";
    close.addEventListener("click", hide);
    const does = make("div", "", [jump, close]);
    does.className = "does";
    at?.classList.remove("shown");
    at = link;
    at.classList.add("shown");
    detail.replaceChildren(
      make("p", "", [make("strong", label)]),
      make("p", "", [make("code", shown(fact(row, "filename")))]),
      make("p", facts.map(([name, cell]) => `${name} ${shown(cell)}`).join(" \u00b7 ")),
      ...(commands ? all("code", commands).map((code) => make("code", code.textContent)) : []),
      does,
    );
    detail.hidden = false;
    place();
  };
  detail.addEventListener("focusin", () => (pinned = true));
  const KEYS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
  // The next cell in a direction that has a run; for Home and End the first and the last of the row.
  const next = (grid, link, key) => {
    const y = grid.findIndex((row) => row.includes(link));
    const there = grid[y].filter((cell) => cell);
    if (key === "Home") return there[0];
    if (key === "End") return there.at(-1);
    const [down, right] = KEYS[key];
    for (let at = [y + down, grid[y].indexOf(link) + right]; grid[at[0]] && at[1] in grid[at[0]]; at = [at[0] + down, at[1] + right]) {
      if (grid[at[0]][at[1]]) return grid[at[0]][at[1]];
    }
    return link;
  };
  for (const table of all("table.heat")) {
    const grid = cellsOf(table);
    const links = grid.flat().filter((link) => link);
    table.setAttribute("role", "grid");
    links.forEach((link, i) => (link.tabIndex = i ? -1 : 0));
    table.addEventListener("focusin", ({ target }) => {
      if (quiet || !links.includes(target)) return;
      links.forEach((link) => (link.tabIndex = link === target ? 0 : -1));
      focused = target;
      pinned = false;
      // At once, as the box is placed by where the cell is; not under a pointer, whose click would miss.
      if (target.matches(":focus-visible")) target.scrollIntoView({ block: "nearest", inline: "nearest", behavior: "instant" });
      show(target);
    });
    // Not `pointerover`, which also comes when the page scrolls under a pointer at rest.
    table.addEventListener("pointermove", ({ target, pointerType }) => {
      const link = target.closest("a");
      if (link && link !== at && !pinned && pointerType !== "touch") show(link);
    });
    table.addEventListener("pointerleave", () => {
      if (pinned) return;
      if (focused) show(focused);
      else hide();
    });
    table.addEventListener("click", (event) => {
      const link = event.target.closest("a");
      if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      show(link);
      focused = link;
      pinned = true;
      // By the keyboard: on to what can be done with it. Escape and Close lead back.
      if (event.detail === 0) detail.querySelector("a").focus({ preventScroll: true });
    });
    table.addEventListener("keydown", (event) => {
      if (!(event.key in KEYS || event.key === "Home" || event.key === "End") || !links.includes(event.target)) return;
      event.preventDefault();
      next(grid, event.target, event.key).focus();
    });
  }
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !detail.hidden) hide();
  });
})();
