"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const dialog = document.getElementById("details");
  const body = document.getElementById("details-body");
  const table = document.querySelector(".matrix");
  const boxes = [...table.querySelectorAll(".box")];
  const lines = [...table.querySelectorAll("tbody tr")];
  const width = data.columns.length;

  // Everything that comes from a scenario is put in as text, never as markup.
  const make = (tag, className, ...content) => {
    const element = document.createElement(tag);
    if (className) element.className = className;
    element.append(...content.filter((each) => each !== null && each !== undefined && each !== ""));
    return element;
  };
  const link = (text, url) => {
    if (!url) return text;
    const anchor = make("a", "", text);
    anchor.href = url;
    anchor.rel = "noreferrer";
    return anchor;
  };
  const section = (title, ...content) => [make("h3", "", title), ...content];
  const command = (text) => {
    const button = make("button", "copy", "Copy");
    button.type = "button";
    button.dataset.copy = text;
    return make("div", "again", make("code", "", text), button);
  };

  const against = (box, column) => {
    if (column.reference) return "this is the reference cell";
    if (!column.comparedWith) return "there is no reference cell";
    const other = data.columns.find((each) => each.id === column.comparedWith);
    return `${box.change || "not compared"} against ${other ? other.name : column.comparedWith}`;
  };
  const signature = (known) => section("Signature",
    known.rule ? make("p", "", make("b", "", known.rule), known.summary ? ` — ${known.summary}` : "") : null,
    make("p", "under", make("code", "", known.id)),
    known.tracker ? make("p", "under", "tracker ", link(known.tracker, known.trackerUrl)) : null);
  const frames = (list) => section("Last frames, innermost at the end", make("ol", "frames", ...list.map((each) => make("li", "", each))));
  const checks = (list) => section("Expectations", make("ul", "checks", ...list.map(([held, text, detail]) =>
    make("li", "", make("span", `sign ${held ? "held" : "broken"}`, held ? "✔" : "✘"), held ? "" : make("span", "hidden", "does not hold: "), text,
      detail ? make("span", "more", ` (${detail})`) : null))));
  const cell = (text, exact, className) => {
    const made = make("td", className, text);
    if (exact) made.title = exact;
    return made;
  };
  const figureRows = (list) => {
    const rows = [];
    for (const phase of [...new Set(list.map((each) => each.phase))]) {
      const head = make("th", "", phase ? `Phase ${phase}` : "Recorded by the scenario");
      head.colSpan = 4;
      head.scope = "colgroup";
      rows.push(make("tr", "phase", head));
      for (const each of list.filter((one) => one.phase === phase)) {
        rows.push(make("tr", "", make("td", "", each.name), cell(each.text, each.exact), make("td", "", each.reference || "–"),
          make("td", each.changed ? "moved" : "", each.delta || (each.reference ? "=" : "–"))));
      }
    }
    return rows;
  };
  const columnHeads = (...names) => make("thead", "", make("tr", "", ...names.map((name) => { const head = make("th", "", name); head.scope = "col"; return head; })));
  const figures = (list) => section("Memory, time and figures", make("table", "figures", columnHeads("", "here", "reference", "difference"), make("tbody", "", ...figureRows(list))));
  const notes = (list) => section("Notes of the scenario", make("table", "figures", make("tbody", "", ...list.map(([name, text]) => make("tr", "", make("td", "", name), make("td", "", text))))));
  const tries = (list) => section("Attempts and their files", make("ul", "checks", ...list.map(([number, outcome, seconds, isolation, links]) =>
    make("li", "", number ? `${number}. ` : "", make("code", "", outcome), `  ${seconds}${isolation ? `, ${isolation}` : ""} `,
      make("span", "links", ...(links || []).map((path) => link(decodeURIComponent(path.split("/").pop()), path)))))));
  const versions = (list) => section("Versions that differ from the reference cell", make("table", "figures", columnHeads("", "here", "reference"),
    make("tbody", "", ...list.map(([name, here, there]) => make("tr", "", make("td", "", name), make("td", "", here || "not installed"), make("td", "", there || "not installed"))))));

  const APPLIES = { cell: "Nothing could be started in this cell.", file: "The scenario's file could not be collected in this cell." };
  const details = (row, column, box) => {
    const title = make("h2", "", row.scenario);
    title.id = "details-title";
    return [
      title,
      make("p", "under", [row.row, row.title].filter(Boolean).join(" · ")),
      make("p", "under", column.name),
      make("p", `pill ${box.word}`, make("span", "", `${box.glyph} ${box.word}`), make("code", "", box.outcome)),
      make("div", "facts-line", make("span", "", against(box, column)), box.seconds ? make("span", "", box.seconds) : null,
        row.tracker ? make("span", "", "written for ", link(row.tracker, row.trackerUrl)) : null),
      box.simulated ? make("p", "under", `Simulated: ${box.simulated}`) : null,
      APPLIES[box.appliesTo] ? make("p", "", APPLIES[box.appliesTo]) : null,
      box.detail ? make("p", "said-by", box.detail) : null,
      box.tries ? null : make("p", "", "There is no attempt on record: what is missing is never counted as passed."),
      ...(box.signature ? signature(box.signature) : []),
      ...(box.frames ? frames(box.frames) : []),
      ...(box.checks ? checks(box.checks) : []),
      ...(box.figures ? figures(box.figures) : []),
      ...(box.notes ? notes(box.notes) : []),
      ...(box.tries ? tries(box.tries) : []),
      ...(column.versions.length ? versions(column.versions) : []),
      ...section("Run it again", ...box.commands.map(command)),
    ].filter(Boolean);
  };

  let current = null;
  const focusBox = (button) => {
    for (const each of boxes) if (each.tabIndex === 0) each.tabIndex = -1;
    button.tabIndex = 0;
    button.focus();
  };
  const open = (button) => {
    current = button;
    const row = data.rows[button.dataset.row];
    const box = { checks: null, ...row.boxes[button.dataset.column] };
    for (const name of Object.keys(box)) if (Array.isArray(box[name]) && !box[name].length) box[name] = null;
    body.replaceChildren(...details(row, data.columns[button.dataset.column], { ...box, commands: box.commands || [] }));
    document.getElementById("previous").disabled = button.dataset.column === "0";
    document.getElementById("next").disabled = Number(button.dataset.column) === width - 1;
    if (!dialog.open) dialog.showModal();
    dialog.scrollTop = 0;
  };
  const at = (row, column) => boxes[row * width + column];
  const step = (by) => {
    const column = Number(current.dataset.column) + by;
    if (column >= 0 && column < width) open(at(Number(current.dataset.row), column));
  };
  document.getElementById("previous").addEventListener("click", () => step(-1));
  document.getElementById("next").addEventListener("click", () => step(1));
  document.getElementById("close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft") step(-1);
    if (event.key === "ArrowRight") step(1);
  });
  dialog.addEventListener("close", () => { if (current) focusBox(current); });

  // One stop of the Tab key for the whole table; arrows move inside it, over the rows that are shown.
  const MOVES = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
  const target = (button, key, whole) => {
    const rows = lines.filter((line) => !line.hidden).map((line) => Number(line.dataset.row));
    let row = rows.indexOf(Number(button.dataset.row));
    let column = Number(button.dataset.column);
    if (key === "Home") { column = 0; if (whole) row = 0; }
    else if (key === "End") { column = width - 1; if (whole) row = rows.length - 1; }
    else { row += MOVES[key][0]; column += MOVES[key][1]; }
    return rows[row] === undefined ? undefined : column >= 0 && column < width ? at(rows[row], column) : undefined;
  };
  table.addEventListener("keydown", (event) => {
    const button = event.target.closest(".box");
    if (!button || !(event.key in MOVES || event.key === "Home" || event.key === "End")) return;
    event.preventDefault();
    const next = target(button, event.key, event.ctrlKey);
    if (next) focusBox(next);
  });
  table.addEventListener("click", (event) => {
    const button = event.target.closest(".box");
    if (button) open(button);
  });

  const words = [...document.querySelectorAll(".word")];
  const search = document.getElementById("text");
  const changed = document.getElementById("changed");
  const said = (box) => [box.outcome, box.detail, box.signature && box.signature.id, box.signature && box.signature.rule];
  const haystacks = data.rows.map((row) => [row.scenario, row.row, row.title, row.tracker, ...row.boxes.flatMap(said)].filter(Boolean).join("\n").toLowerCase());
  const filter = () => {
    const wanted = new Set(words.filter((each) => each.getAttribute("aria-pressed") === "true").map((each) => each.dataset.word));
    const needle = search.value.trim().toLowerCase();
    const narrowed = wanted.size > 0 || changed.checked;
    let shown = 0;
    for (const line of lines) {
      const row = Number(line.dataset.row);
      let matching = 0;
      for (let column = 0; column < width; column += 1) {
        const box = at(row, column);
        const fits = (!wanted.size || wanted.has(box.dataset.word)) && (!changed.checked || "changed" in box.dataset);
        box.classList.toggle("dim", !fits);
        matching += fits;
      }
      line.hidden = (narrowed && !matching) || (needle !== "" && !haystacks[row].includes(needle));
      shown += !line.hidden;
    }
    document.getElementById("shown").textContent = `${shown} of ${lines.length} shown`;
    const stop = boxes.find((each) => each.tabIndex === 0);
    const first = lines.find((line) => !line.hidden);
    if (stop && first && stop.closest("tr").hidden) { stop.tabIndex = -1; at(Number(first.dataset.row), 0).tabIndex = 0; }
  };
  for (const button of words) {
    button.addEventListener("click", () => {
      button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
      filter();
    });
  }
  search.addEventListener("input", filter);
  changed.addEventListener("change", filter);

  const tabs = [...document.querySelectorAll("[role=tab]")];
  const select = (tab) => {
    for (const each of tabs) {
      each.setAttribute("aria-selected", String(each === tab));
      each.tabIndex = each === tab ? 0 : -1;
      document.getElementById(each.getAttribute("aria-controls")).hidden = each !== tab;
    }
  };
  tabs.forEach((tab, index) => {
    tab.addEventListener("click", () => select(tab));
    tab.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!by) return;
      const next = tabs[(index + by + tabs.length) % tabs.length];
      select(next);
      next.focus();
    });
  });

  document.addEventListener("click", async (event) => {
    const copy = event.target.closest("[data-copy]");
    const find = event.target.closest("[data-find]");
    if (copy) {
      try { await navigator.clipboard.writeText(copy.dataset.copy); copy.textContent = "Copied"; }
      catch { getSelection().selectAllChildren(copy.previousElementSibling); copy.textContent = "Selected"; }
      setTimeout(() => { copy.textContent = "Copy"; }, 1500);
    }
    if (find) {
      search.value = find.dataset.find;
      filter();
      select(tabs[0]);
      search.focus();
    }
  });
  filter();
})();
