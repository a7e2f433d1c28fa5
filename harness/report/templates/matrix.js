"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const dialog = document.getElementById("details");
  const body = document.getElementById("details-body");
  const table = document.querySelector(".matrix");
  const results = [...table.querySelectorAll(".result")];
  const lines = [...table.querySelectorAll("tbody tr")];
  const width = data.columns.length;

  const GLYPHS = Object.fromEntries([...document.querySelectorAll(".statuses .status")].map((each) => [each.dataset.status, each.querySelector(".glyph").textContent]));
  results.forEach((each, index) => {
    each.title = each.getAttribute("aria-label");
    each.setAttribute("aria-haspopup", "dialog");
    Object.assign(each.dataset, { row: Math.floor(index / width), column: index % width, status: each.classList[1] });
    each.tabIndex = index ? -1 : 0;
  });

  // A figure is its difference from the row's cell before, with the distances to low and high if attempts differ;
  // a text is the length of a run of zeros.
  const unpacked = (row) => {
    const last = [...row.base];
    const full = (list) => (list || []).flatMap((each) => (typeof each === "string" ? Array(Number(each)).fill(0) : [each]));
    return row.results.map((result) => full(result.figures).map((each, index) => {
      if (each === null) return null;
      const [added, below, above] = Array.isArray(each) ? each : [each, 0, 0];
      const value = last[index] = last[index] + added;
      return below || above ? [value, result.count, value - below, value + above] : result.count > 1 ? [value, result.count] : value;
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
  const median = (measured) => (Array.isArray(measured) ? measured[0] : measured);
  const spread = (measured, unit) => (!Array.isArray(measured) ? null
    : measured.length > 2 ? `${human(measured[2], unit)} – ${human(measured[3], unit)}, ${measured[1]} attempts` : `${measured[1]} attempts`);

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

  const against = (result, column) => {
    if (column.reference) return "this is the reference cell";
    if (!column.comparedWith) return "there is no reference cell";
    const other = data.columns.find((each) => each.id === column.comparedWith);
    return `${result.change || "not compared"} against ${other ? other.name : column.comparedWith}`;
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
  const figureRows = (result) => {
    const rows = [];
    const list = result.names.map((key, index) => ({ key, index })).filter((each) => result.figures[each.index] !== null)
      .map(({ key, index }) => {
        const [name, phase, unit] = data.figures[key];
        return { name, phase, unit, measured: result.figures[index], other: result.compared ? result.compared[index] : null, moved: (result.moved || []).includes(index) };
      });
    for (const phase of [...new Set(list.map((each) => each.phase))]) {
      const head = make("th", "", phase ? `Phase ${phase}` : "Recorded by the scenario");
      head.colSpan = 4;
      head.scope = "colgroup";
      rows.push(make("tr", "phase", head));
      for (const { name, unit, measured, other, moved } of list.filter((one) => one.phase === phase)) {
        const value = cell(human(median(measured), unit), exact(median(measured), unit));
        const range = spread(measured, unit);
        if (range) value.append(make("small", "", range));
        const known = other !== null && other !== undefined;
        rows.push(make("tr", "", make("td", "", name), value, known ? cell(human(median(other), unit), spread(other, unit)) : make("td", "", "–"),
          make("td", moved ? "moved" : "", known ? difference(median(measured), median(other), unit) : "–")));
      }
    }
    return rows;
  };
  const columnHeads = (...names) => make("thead", "", make("tr", "", ...names.map((name) => { const head = make("th", "", name); head.scope = "col"; return head; })));
  const figures = (result) => section("Memory, time and figures", make("table", "figures", columnHeads("", "here", "reference", "difference"), make("tbody", "", ...figureRows(result))));
  const notes = (list) => section("Notes of the scenario", make("table", "figures", make("tbody", "", ...list.map(([name, text]) => make("tr", "", make("td", "", name), make("td", "", text))))));
  const known = (entry) => {
    const text = { known: "Known issue.", gone: "Known issue not reproduced here: remove or narrow the entry.", changed: "Fails differently from the known issue." }[entry.state];
    return make("p", `standing ${entry.state}`, make("b", "", text), " ", link(entry.tracker, entry.trackerUrl), entry.note ? ` — ${entry.note}` : "",
      make("span", "under", ` (${entry.signature}; ${entry.versions}${entry.review_by ? `; review by ${entry.review_by}` : ""})`));
  };
  const pairs = (list) => make("table", "figures", make("tbody", "", ...list.map((texts) => make("tr", "", ...texts.map((text) => make("td", "", String(text)))))));
  const fold = (title, ...content) => make("details", "fold", make("summary", "", title), ...content);
  const ON = { cuda: "on a GPU", cpu: "on the CPU", simulated: "partly simulated" };
  const gpu = (one) => make("p", "fact", `${one.name}: ${bytes(one.free)} of ${bytes(one.total)} free before the attempt. `,
    one.others.length ? `Other processes on it: ${one.others.map(([name, used]) => `${name} (${used === null ? "memory unknown" : bytes(used)})`).join(", ")}.` : "No other process was listed.");
  const hardware = (result) => section("Where it ran",
    make("p", "fact", result.ranOn in ON ? `Ran ${ON[result.ranOn]}.` : "Where it ran is unknown.", result.simulated ? ` Simulated: ${result.simulated}` : ""),
    ...(result.hardware ? result.hardware.gpus.map(gpu) : []),
    result.hardware && result.hardware.allocator.length ? fold("Effective allocator settings", pairs(result.hardware.allocator)) : null,
    result.hardware && result.hardware.sources.length ? fold("Sources of the device figures", pairs(result.hardware.sources)) : null);
  const placement = (one) => [
    make("p", "under", make("b", "", `After ${one.stage}`)),
    one.bytes.length ? pairs(one.bytes.map(([device, dtype, size]) => [device, dtype, bytes(size)])) : null,
    one.unmatched.length ? make("p", "fact", `Keys without a module: ${one.unmatched.join(", ")}`) : null,
    one.device_map === null ? make("p", "fact", one.device_map_text ? `hf_device_map: ${one.device_map_text}` : "The model has no hf_device_map.")
      : fold(`hf_device_map: ${one.device_map.map(([device, count]) => `${count} on ${device}`).join(", ") || "empty"}`, ...one.device_map.map(([device, , names]) => make("p", "", `${device}: ${names}`))),
    one.largest.length ? fold("Largest parameters", pairs(one.largest.map((each) => [...each.slice(0, 3), bytes(each[3])]))) : null,
    make("p", "fact", one.hooks.length ? `Hooks: ${one.hooks.map(([name, count]) => `${count} ${name}`).join(", ")}` : "No hooks."),
  ];
  const placements = (list) => section("Model placement", ...list.flatMap(placement));
  const attempts = (list, column) => section("Attempts and their files", make("ul", "checks", ...list.map(([number, outcome, seconds, isolation, files]) =>
    make("li", "", number ? `${number}. ` : "", make("code", "", outcome), `  ${seconds}${isolation ? `, ${isolation}` : ""} `,
      make("span", "links", ...(files === null ? [] : data.shared[files][1]).map((name) => link(decodeURIComponent(name), `${column.folder}${data.shared[files][0]}/${name}`)))))));
  const versions = (list) => section("Versions that differ from the reference cell", make("table", "figures", columnHeads("", "here", "reference"),
    make("tbody", "", ...list.map(([name, here, there]) => make("tr", "", make("td", "", name), make("td", "", here || "not installed"), make("td", "", there || "not installed"))))));

  const APPLIES = { cell: "The cell is unavailable.", file: "The scenario's file could not be collected in this cell." };
  const details = (row, column, result) => {
    const title = make("h2", "", row.scenario);
    title.id = "details-title";
    return [
      title,
      make("p", "under", [row.row, row.title].filter(Boolean).join(" · ")),
      make("p", "under", column.name),
      make("p", `pill ${result.status}`, make("span", "", result.status in GLYPHS ? `${GLYPHS[result.status]} ${result.status}` : "not listed"), make("code", "", result.outcome)),
      make("div", "facts-line", make("span", "", against(result, column)), result.seconds ? make("span", "", result.seconds) : null,
        row.tracker ? make("span", "", "written for ", link(row.tracker, row.trackerUrl)) : null),
      result.known ? known(result.known) : null,
      APPLIES[result.appliesTo] ? make("p", "", APPLIES[result.appliesTo]) : null,
      result.detail ? make("p", "detail", result.detail) : null,
      result.attempts ? null : make("p", "", "No attempt is recorded. A missing result never counts as passed."),
      ...(result.signature ? signature(result.signature) : []),
      ...(result.frames ? frames(result.frames) : []),
      ...(result.checks ? checks(result.checks) : []),
      ...(result.figures ? figures(result) : []),
      ...(result.ranOn || result.hardware ? hardware(result) : []),
      ...(result.placements ? placements(result.placements) : []),
      ...(result.notes ? notes(result.notes) : []),
      ...(result.attempts ? attempts(result.attempts, column) : []),
      ...(column.versions.length ? versions(column.versions) : []),
      ...section("Rerun", ...data.commands.map(([before, between, after]) => command(`${before}${column.cell}${between}${row.test}${after}`))),
    ].filter(Boolean);
  };

  // Values that many cells share are stored once and referred to by their index.
  const SHARED = ["simulated", "known", "detail", "signature", "frames", "checks", "notes", "hardware"];
  const resolved = (result) => {
    const made = { outcome: "pass:check", ...result };
    for (const name of SHARED) if (name in made) made[name] = data.shared[made[name]];
    if (made.placements) made.placements = made.placements.map((index) => data.shared[index]).map(([stage, bytesBy, largest, unmatched, map, text, hooks]) => ({
      stage: data.shared[stage], bytes: bytesBy, largest: largest === null ? [] : data.shared[largest], unmatched,
      device_map: map === null ? null : data.shared[map][0], device_map_text: text, hooks: hooks === null ? [] : data.shared[hooks],
    }));
    return made;
  };

  let current = null;
  const focusResult = (button) => {
    for (const each of results) if (each.tabIndex === 0) each.tabIndex = -1;
    button.tabIndex = 0;
    button.focus();
  };
  const open = (button) => {
    current = button;
    const row = data.rows[button.dataset.row];
    const column = data.columns[button.dataset.column];
    const other = data.columns.findIndex((each) => each.id === column.comparedWith);
    const packed = row.results[button.dataset.column];
    const measured = unpacked(row);
    const result = { ...resolved(packed), status: button.dataset.status, names: row.figures, compared: other < 0 ? null : measured[other] };
    if (packed.figures) result.figures = measured[button.dataset.column];
    body.replaceChildren(...details(row, column, result));
    document.getElementById("previous").disabled = button.dataset.column === "0";
    document.getElementById("next").disabled = Number(button.dataset.column) === width - 1;
    if (!dialog.open) dialog.showModal();
    dialog.scrollTop = 0;
  };
  const at = (row, column) => results[row * width + column];
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
  dialog.addEventListener("close", () => { if (current) focusResult(current); });

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
    const button = event.target.closest(".result");
    if (!button || !(event.key in MOVES || event.key === "Home" || event.key === "End")) return;
    event.preventDefault();
    const next = target(button, event.key, event.ctrlKey);
    if (next) focusResult(next);
  });
  table.addEventListener("click", (event) => {
    const button = event.target.closest(".result");
    if (button) open(button);
  });

  const statuses = [...document.querySelectorAll(".status")];
  const search = document.getElementById("text");
  const changed = document.getElementById("changed");
  const unknown = document.getElementById("unknown");
  const texts = (packed) => { const result = resolved(packed); return [result.outcome, result.detail, result.signature && result.signature.id, result.signature && result.signature.rule, result.known && result.known.tracker]; };
  const haystacks = data.rows.map((row) => [row.scenario, row.row, row.title, row.tracker, ...row.results.flatMap(texts)].filter(Boolean).join("\n").toLowerCase());
  const filter = () => {
    const wanted = new Set(statuses.filter((each) => each.getAttribute("aria-pressed") === "true").map((each) => each.dataset.status));
    const needle = search.value.trim().toLowerCase();
    const quiet = unknown !== null && unknown.checked;
    const narrowed = wanted.size > 0 || changed.checked || quiet;
    let shown = 0;
    for (const line of lines) {
      const row = Number(line.dataset.row);
      let matching = 0;
      for (let column = 0; column < width; column += 1) {
        const result = at(row, column);
        const fits = (!wanted.size || wanted.has(result.dataset.status)) && (!changed.checked || "changed" in result.dataset) && !(quiet && result.classList.contains("known"));
        result.classList.toggle("dim", !fits);
        matching += fits;
      }
      line.hidden = (narrowed && !matching) || (needle !== "" && !haystacks[row].includes(needle));
      shown += !line.hidden;
    }
    document.getElementById("shown").textContent = `${shown} of ${lines.length} shown`;
    const stop = results.find((each) => each.tabIndex === 0);
    const first = lines.find((line) => !line.hidden);
    if (stop && first && stop.closest("tr").hidden) { stop.tabIndex = -1; at(Number(first.dataset.row), 0).tabIndex = 0; }
  };
  for (const button of statuses) {
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
