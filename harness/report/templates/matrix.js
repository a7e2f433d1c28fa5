"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const dialog = document.getElementById("details");
  const body = document.getElementById("details-body");
  const table = document.querySelector(".matrix");
  const boxes = [...table.querySelectorAll(".box")];
  const lines = [...table.querySelectorAll("tbody tr")];
  const width = data.columns.length;

  const GLYPHS = Object.fromEntries([...document.querySelectorAll(".words .word")].map((each) => [each.dataset.word, each.querySelector(".glyph").textContent]));
  boxes.forEach((each, index) => {
    each.title = each.getAttribute("aria-label");
    each.setAttribute("aria-haspopup", "dialog");
    Object.assign(each.dataset, { row: Math.floor(index / width), column: index % width, word: each.classList[1] });
    each.tabIndex = index ? -1 : 0;
  });

  // A figure is its difference from the row's cell before, with the distances to low and high if attempts differ;
  // a text is the length of a run of zeros.
  const unpacked = (row) => {
    const last = [...row.base];
    const full = (list) => (list || []).flatMap((each) => (typeof each === "string" ? Array(Number(each)).fill(0) : [each]));
    return row.boxes.map((box) => full(box.figures).map((each, index) => {
      if (each === null) return null;
      const [added, below, above] = Array.isArray(each) ? each : [each, 0, 0];
      const value = last[index] = last[index] + added;
      return below || above ? [value, box.count, value - below, value + above] : box.count > 1 ? [value, box.count] : value;
    }));
  };
  const KIB = 1024;
  const bytes = (value) => {
    const sign = value < 0 ? "-" : "";
    let size = Math.abs(value);
    if (size < KIB) return `${sign}${size.toFixed(0)} B`;
    for (const [unit, digits] of [["KiB", 1], ["MiB", 1], ["GiB", 2]]) {
      size /= KIB;
      if (Number(size.toFixed(digits)) < KIB || unit === "GiB") return `${sign}${size.toFixed(digits)} ${unit}`;
    }
    return "";
  };
  const human = (value, unit) => {
    if (unit === "bytes") return bytes(value);
    if (unit === "s") return `${value.toFixed(2)} s`;
    return Number.isInteger(value) ? value.toLocaleString("en-US") : value.toLocaleString("en-US", { maximumSignificantDigits: 4 });
  };
  const exact = (value, unit) => `${value.toLocaleString("en-US", { maximumFractionDigits: 6 })} ${unit}`.trim();
  const difference = (value, reference, unit) => {
    if (value === reference) return "=";
    const by = value - reference;
    const percent = reference ? Math.round((100 * by) / reference) : 0;
    const share = reference ? ` (${percent > 0 ? "+" : ""}${percent === 0 ? `${by > 0 ? "+" : "-"}0` : percent}%)` : "";
    return `${by > 0 ? "+" : ""}${human(by, unit)}${share}`.replaceAll("-", "−");
  };
  const median = (told) => (Array.isArray(told) ? told[0] : told);
  const spread = (told, unit) => (!Array.isArray(told) ? null
    : told.length > 2 ? `${human(told[2], unit)} – ${human(told[3], unit)}, ${told[1]} attempts` : `${told[1]} attempts`);

  // Texts of scenarios are inserted as text, never as markup.
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
  const figureRows = (box) => {
    const rows = [];
    const list = box.names.map((place, index) => ({ place, index })).filter((each) => box.figures[each.index] !== null)
      .map(({ place, index }) => {
        const [name, phase, unit] = data.figures[place];
        return { name, phase, unit, told: box.figures[index], other: box.compared ? box.compared[index] : null, moved: (box.moved || []).includes(index) };
      });
    for (const phase of [...new Set(list.map((each) => each.phase))]) {
      const head = make("th", "", phase ? `Phase ${phase}` : "Recorded by the scenario");
      head.colSpan = 4;
      head.scope = "colgroup";
      rows.push(make("tr", "phase", head));
      for (const { name, unit, told, other, moved } of list.filter((one) => one.phase === phase)) {
        const value = cell(human(median(told), unit), exact(median(told), unit));
        const range = spread(told, unit);
        if (range) value.append(make("small", "", range));
        const known = other !== null && other !== undefined;
        rows.push(make("tr", "", make("td", "", name), value, known ? cell(human(median(other), unit), spread(other, unit)) : make("td", "", "–"),
          make("td", moved ? "moved" : "", known ? difference(median(told), median(other), unit) : "–")));
      }
    }
    return rows;
  };
  const columnHeads = (...names) => make("thead", "", make("tr", "", ...names.map((name) => { const head = make("th", "", name); head.scope = "col"; return head; })));
  const figures = (box) => section("Memory, time and figures", make("table", "figures", columnHeads("", "here", "reference", "difference"), make("tbody", "", ...figureRows(box))));
  const notes = (list) => section("Notes of the scenario", make("table", "figures", make("tbody", "", ...list.map(([name, text]) => make("tr", "", make("td", "", name), make("td", "", text))))));
  const known = (entry) => {
    const said = { known: "Known issue.", gone: "Known issue not reproduced here: remove or narrow the entry.", changed: "Fails differently from the known issue." }[entry.state];
    return make("p", `standing ${entry.state}`, make("b", "", said), " ", link(entry.tracker, entry.trackerUrl), entry.note ? ` — ${entry.note}` : "",
      make("span", "under", ` (${entry.signature}; ${entry.versions}${entry.review_by ? `; review by ${entry.review_by}` : ""})`));
  };
  const pairs = (list) => make("table", "figures", make("tbody", "", ...list.map((texts) => make("tr", "", ...texts.map((text) => make("td", "", String(text)))))));
  const fold = (title, ...content) => make("details", "fold", make("summary", "", title), ...content);
  const ON = { cuda: "on a GPU", cpu: "on the CPU", simulated: "partly simulated" };
  const card = (one) => make("p", "fact", `${one.name}: ${bytes(one.free)} of ${bytes(one.total)} free before the attempt. `,
    one.others.length ? `Other processes on it: ${one.others.map(([name, used]) => `${name} (${used === null ? "memory unknown" : bytes(used)})`).join(", ")}.` : "No other process was listed.");
  const where = (box) => section("Where it ran",
    make("p", "fact", box.ranOn in ON ? `Ran ${ON[box.ranOn]}.` : "Where it ran is unknown.", box.simulated ? ` Simulated: ${box.simulated}` : ""),
    ...(box.where ? box.where.cards.map(card) : []),
    box.where && box.where.allocator.length ? fold("Effective allocator settings", pairs(box.where.allocator)) : null,
    box.where && box.where.sources.length ? fold("Sources of the device figures", pairs(box.where.sources)) : null);
  const placed = (one) => [
    make("p", "under", make("b", "", `After ${one.stage}`)),
    one.bytes.length ? pairs(one.bytes.map(([device, dtype, size]) => [device, dtype, bytes(size)])) : null,
    one.unmatched.length ? make("p", "fact", `Keys without a module: ${one.unmatched.join(", ")}`) : null,
    one.device_map === null ? make("p", "fact", one.device_map_text ? `hf_device_map: ${one.device_map_text}` : "The model has no hf_device_map.")
      : fold(`hf_device_map: ${one.device_map.map(([place, count]) => `${count} on ${place}`).join(", ") || "empty"}`, ...one.device_map.map(([place, , names]) => make("p", "", `${place}: ${names}`))),
    one.largest.length ? fold("Largest parameters", pairs(one.largest.map((each) => [...each.slice(0, 3), bytes(each[3])]))) : null,
    make("p", "fact", one.hooks.length ? `Hooks: ${one.hooks.map(([name, count]) => `${count} ${name}`).join(", ")}` : "No hooks."),
  ];
  const placements = (list) => section("Model placement", ...list.flatMap(placed));
  const tries = (list, column) => section("Attempts and their files", make("ul", "checks", ...list.map(([number, outcome, seconds, isolation, files]) =>
    make("li", "", number ? `${number}. ` : "", make("code", "", outcome), `  ${seconds}${isolation ? `, ${isolation}` : ""} `,
      make("span", "links", ...(files === null ? [] : data.shared[files][1]).map((name) => link(decodeURIComponent(name), `${column.folder}${data.shared[files][0]}/${name}`)))))));
  const versions = (list) => section("Versions that differ from the reference cell", make("table", "figures", columnHeads("", "here", "reference"),
    make("tbody", "", ...list.map(([name, here, there]) => make("tr", "", make("td", "", name), make("td", "", here || "not installed"), make("td", "", there || "not installed"))))));

  const APPLIES = { cell: "The cell is unavailable.", file: "The scenario's file could not be collected in this cell." };
  const details = (row, column, box) => {
    const title = make("h2", "", row.scenario);
    title.id = "details-title";
    return [
      title,
      make("p", "under", [row.row, row.title].filter(Boolean).join(" · ")),
      make("p", "under", column.name),
      make("p", `pill ${box.word}`, make("span", "", box.word in GLYPHS ? `${GLYPHS[box.word]} ${box.word}` : "not listed"), make("code", "", box.outcome)),
      make("div", "facts-line", make("span", "", against(box, column)), box.seconds ? make("span", "", box.seconds) : null,
        row.tracker ? make("span", "", "written for ", link(row.tracker, row.trackerUrl)) : null),
      box.known ? known(box.known) : null,
      APPLIES[box.appliesTo] ? make("p", "", APPLIES[box.appliesTo]) : null,
      box.detail ? make("p", "said-by", box.detail) : null,
      box.tries ? null : make("p", "", "No attempt is recorded. A missing result never counts as passed."),
      ...(box.signature ? signature(box.signature) : []),
      ...(box.frames ? frames(box.frames) : []),
      ...(box.checks ? checks(box.checks) : []),
      ...(box.figures ? figures(box) : []),
      ...(box.ranOn || box.where ? where(box) : []),
      ...(box.placements ? placements(box.placements) : []),
      ...(box.notes ? notes(box.notes) : []),
      ...(box.tries ? tries(box.tries, column) : []),
      ...(column.versions.length ? versions(column.versions) : []),
      ...section("Rerun", ...data.commands.map(([before, between, after]) => command(`${before}${column.cell}${between}${row.test}${after}`))),
    ].filter(Boolean);
  };

  // Values that many cells share are stored once and referred to by their index.
  const SHARED = ["simulated", "known", "detail", "signature", "frames", "checks", "notes", "where"];
  const resolved = (box) => {
    const made = { outcome: "pass:check", ...box };
    for (const name of SHARED) if (name in made) made[name] = data.shared[made[name]];
    if (made.placements) made.placements = made.placements.map((place) => data.shared[place]).map(([stage, bytesBy, largest, unmatched, map, text, hooks]) => ({
      stage: data.shared[stage], bytes: bytesBy, largest: largest === null ? [] : data.shared[largest], unmatched,
      device_map: map === null ? null : data.shared[map][0], device_map_text: text, hooks: hooks === null ? [] : data.shared[hooks],
    }));
    return made;
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
    const column = data.columns[button.dataset.column];
    const other = data.columns.findIndex((each) => each.id === column.comparedWith);
    const packed = row.boxes[button.dataset.column];
    const told = unpacked(row);
    const box = { ...resolved(packed), word: button.dataset.word, names: row.figures, compared: other < 0 ? null : told[other] };
    if (packed.figures) box.figures = told[button.dataset.column];
    body.replaceChildren(...details(row, column, box));
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

  // The table is one stop of the Tab key; arrows move inside it, over the visible rows.
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
  const unknown = document.getElementById("unknown");
  const said = (packed) => { const box = resolved(packed); return [box.outcome, box.detail, box.signature && box.signature.id, box.signature && box.signature.rule, box.known && box.known.tracker]; };
  const haystacks = data.rows.map((row) => [row.scenario, row.row, row.title, row.tracker, ...row.boxes.flatMap(said)].filter(Boolean).join("\n").toLowerCase());
  const filter = () => {
    const wanted = new Set(words.filter((each) => each.getAttribute("aria-pressed") === "true").map((each) => each.dataset.word));
    const needle = search.value.trim().toLowerCase();
    const quiet = unknown !== null && unknown.checked;
    const narrowed = wanted.size > 0 || changed.checked || quiet;
    let shown = 0;
    for (const line of lines) {
      const row = Number(line.dataset.row);
      let matching = 0;
      for (let column = 0; column < width; column += 1) {
        const box = at(row, column);
        const fits = (!wanted.size || wanted.has(box.dataset.word)) && (!changed.checked || "changed" in box.dataset) && !(quiet && box.classList.contains("known"));
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
  if (unknown) unknown.addEventListener("change", filter);

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
