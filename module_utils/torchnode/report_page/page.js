"use strict";
// Draws the report from the JSON in this page. Texts come from nodes and other programs, so they
// only ever become text nodes: nothing here parses markup.
(() => {
  const VERDICTS = ["FAILED", "UNKNOWN", "DEGRADED", "PLANNED", "READY"];  // worst first
  const RESULTS = ["fail", "incomplete", "warn", "pass", "skipped"];  // worst first
  const COLUMNS = [
    ["name", "Node"], ["verdict", "Verdict"], ["backend", "Backend"], ["accelerators", "Accelerators"],
    ["torch", "torch"], ["driver", "Driver"], ["trouble", "First trouble"], ["seconds", "Time"],
  ];
  const PLOTS = {
    tflops: ["Throughput", "TFLOP/s"], power: ["Power", "W"],
    temperature: ["Temperature", "°C"], clock: ["Clock", "MHz"],
  };
  const DASHES = ["", "6 3", "2 3"];  // with eight colours: 24 devices told apart
  const SVG = "http://www.w3.org/2000/svg";
  const collator = new Intl.Collator("en", { numeric: true });
  const fleet = JSON.parse(document.getElementById("fleet-data").textContent);
  const byId = (id) => document.getElementById(id);

  /** An element: attributes by name, children as elements or text; null children are left out. */
  function el(tag, attributes, ...children) {
    return filled(document.createElement(tag), attributes, children);
  }
  function svg(tag, attributes, ...children) {
    return filled(document.createElementNS(SVG, tag), attributes, children);
  }
  function filled(made, attributes, children) {
    for (const [key, value] of Object.entries(attributes || {})) made.setAttribute(key, value);
    made.append(...children.flat().filter((child) => child !== null && child !== undefined));
    return made;
  }

  // ---- the table ------------------------------------------------------------------------------

  const state = { verdicts: new Set(), text: "", backend: "", key: "verdict", down: false };
  const rows = fleet.nodes.map((node, number) => nodeRow(node, number));

  function nodeRow(node, number) {
    const link = el("a", { class: "name", href: "#node-" + slug(node.name), "aria-expanded": "false" }, node.name);
    const verdict = el("td", {}, el("span", { class: "verdict " + node.verdict }, node.verdict),
      el("div", { class: "soft" }, node.scope));
    const line = el("tr", { class: "node" }, el("td", {}, link), verdict, el("td", {}, node.backend || "?"),
      el("td", {}, node.accelerators), el("td", { class: "torch" }, node.torch), el("td", { class: "driver" }, node.driver),
      el("td", {}, node.trouble), el("td", { class: "number" }, duration(node.seconds)));
    // On a narrow screen a cell stands below the other, far from its heading: it brings the word along.
    COLUMNS.forEach(([, title], column) => { line.cells[column].dataset.title = title; });
    line.id = "node-" + node.name;
    const row = { node, number, link, line, detail: null, words: words(node) };
    link.addEventListener("click", (event) => {
      event.preventDefault();
      const open = !isOpen(row);
      show(row, open);
      history.replaceState(null, "", open ? link.getAttribute("href") : "#");
    });
    return row;
  }

  function words(node) {
    return COLUMNS.map(([key]) => node[key]).concat(node.scope).join("\n").toLowerCase();
  }

  function isOpen(row) {
    return row.link.getAttribute("aria-expanded") === "true";
  }

  /** Open or close a node's section. It is drawn when it is opened first, and kept. */
  function show(row, open) {
    if (open && row.detail === null) {
      const data = JSON.parse(byId("node-data-" + row.number).textContent);
      row.detail = el("tr", { class: "detail" }, el("td", { colspan: COLUMNS.length }, panel(data)));
      row.line.after(row.detail);
    }
    row.link.setAttribute("aria-expanded", String(open));
    if (row.detail) row.detail.hidden = !open || row.line.hidden;
  }

  function heading([key, title]) {
    const button = el("button", { type: "button" }, title);
    button.addEventListener("click", () => {
      state.down = state.key === key && !state.down;
      state.key = key;
      sort();
    });
    return el("th", { scope: "col", "aria-sort": "none", "data-key": key }, button);
  }

  function compare(a, b) {
    const key = state.key;
    if (key === "seconds") return a.node.seconds - b.node.seconds;
    if (key === "verdict") return VERDICTS.indexOf(a.node.verdict) - VERDICTS.indexOf(b.node.verdict);
    return collator.compare(a.node[key] || "", b.node[key] || "");
  }

  function sort() {
    const sign = state.down ? -1 : 1;
    rows.sort((a, b) => sign * compare(a, b) || collator.compare(a.node.name, b.node.name));
    const body = el("tbody", {}, rows.flatMap((row) => [row.line, row.detail]));
    const table = byId("fleet");
    if (table.tBodies.length) table.tBodies[0].replaceWith(body);
    else table.append(body);
    for (const head of table.tHead.rows[0].cells) {
      const on = head.dataset.key === state.key;
      head.setAttribute("aria-sort", on ? (state.down ? "descending" : "ascending") : "none");
    }
  }

  function filter() {
    const wanted = state.text.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const fits = (!state.verdicts.size || state.verdicts.has(row.node.verdict))
        && (!state.backend || row.node.backend === state.backend)
        && wanted.every((word) => row.words.includes(word));
      row.line.hidden = !fits;
      if (row.detail) row.detail.hidden = !fits || !isOpen(row);
      shown += fits;
    }
    byId("count").textContent = shown === rows.length ? plural(shown, "node") : shown + " of " + plural(rows.length, "node");
  }

  function controls() {
    for (const name of VERDICTS.filter((v) => fleet.summary[v])) {
      const button = el("button", { type: "button", class: "verdict " + name, "aria-pressed": "false" },
        name + " " + fleet.summary[name]);
      button.addEventListener("click", () => {
        state.verdicts.has(name) ? state.verdicts.delete(name) : state.verdicts.add(name);
        button.setAttribute("aria-pressed", String(state.verdicts.has(name)));
        filter();
      });
      byId("verdicts").append(button);
    }
    const backends = new Set(fleet.nodes.map((node) => node.backend).filter(Boolean));
    byId("backend").append(...[...backends].sort().map((name) => el("option", { value: name }, name)));
    byId("backend").addEventListener("change", (event) => { state.backend = event.target.value; filter(); });
    byId("text").addEventListener("input", (event) => { state.text = event.target.value; filter(); });
    document.addEventListener("keydown", (event) => {
      if (event.key !== "/" || event.target.matches("input, select")) return;
      event.preventDefault();
      byId("text").focus();
    });
  }

  /** Show everything again: a link to a node that a filter hides must still lead there. */
  function unfiltered() {
    Object.assign(state, { text: "", backend: "" });
    state.verdicts.clear();
    byId("text").value = byId("backend").value = "";
    for (const button of byId("verdicts").children) button.setAttribute("aria-pressed", "false");
    filter();
  }

  function follow() {
    const row = rows.find(({ link, node }) =>
      location.hash === link.getAttribute("href") || location.hash === "#node-" + node.name);
    if (!row) return;
    if (row.line.hidden) unfiltered();
    show(row, true);
    row.line.scrollIntoView();
    row.link.focus({ preventScroll: true });
  }

  function about() {
    const run = fleet.run;
    const lasted = (Date.parse(run.ended) - Date.parse(run.started)) / 1000;
    const told = [run.playbook + (run.check ? " --check" : ""), "run " + run.id,
      run.started.replace("T", " ").replace("Z", " UTC"), "took " + duration(lasted)];
    if (fleet.status !== "complete") told.push(fleet.status + ": what was not proven is UNKNOWN");
    byId("run").textContent = told.join(" \u00b7 ");
  }

  // ---- a node ---------------------------------------------------------------------------------

  function panel(node) {
    return el("div", { class: "panel" }, outcomes(node.outcomes), burnIn(node.burn_in),
      el("div", { class: "columns" }, stack(node.stack), plan(node.plan), machine(node), timings(node.timings)));
  }

  function section(title, ...children) {
    return el("section", {}, el("h2", {}, title), ...children);
  }

  function outcomes(all) {
    const sorted = [...all].sort((a, b) => RESULTS.indexOf(a.result) - RESULTS.indexOf(b.result));
    const bad = sorted.filter((o) => RESULTS.indexOf(o.result) < RESULTS.indexOf("pass"));
    const good = sorted.filter((o) => !bad.includes(o));
    const passed = good.filter((o) => o.result === "pass").length;
    const title = passed + " passed" + (good.length > passed ? ", " + (good.length - passed) + " skipped" : "");
    return section("Outcomes", bad.map(outcome),
      good.length ? el("details", {}, el("summary", {}, title),
        grid(["result", "check", "found"], good.map((o) => [o.result, o.id, o.observed]))) : null,
      all.length ? null : el("p", { class: "soft" }, "The run learnt nothing about this node."));
  }

  function outcome(one) {
    const told = [["found", one.observed], ["expected", one.expected], ["cause", one.cause], ["next", one.remedy]];
    const terms = told.filter(([, text]) => text).flatMap(([name, text]) =>
      [el("dt", {}, name), el("dd", { class: name }, text)]);
    return el("div", { class: "outcome" }, el("span", { class: "word " + one.result }, one.result),
      el("b", { class: "mono" }, one.id), one.required ? null : el("span", { class: "soft" }, " (not required)"),
      el("dl", {}, terms));
  }

  function stack(chosen) {
    if (!chosen) return section("Stack", el("p", { class: "soft" }, "None was resolved."));
    const told = [["profile", chosen.profile + ", " + chosen.workload], ["lock", chosen.lock || (chosen.adopted ? "none: adopted" : "none")],
      ["digest", chosen.digest], ["prefix", chosen.prefix]];
    const reasons = chosen.reasons.map((r) => [r.choice, r.value, r.why]);
    return section("Stack", facts(told), grid(["choice", "value", "why"], reasons),
      chosen.packages.length ? el("details", {}, el("summary", {}, plural(chosen.packages.length, "package")),
        grid(["package", "version"], chosen.packages)) : null);
  }

  function plan(steps) {
    if (!steps.length) return section("Plan", el("p", { class: "soft" }, "Nothing to change."));
    const lines = steps.map((s) => [s.action + " " + s.component, s.before + " → " + s.after,
      s.why + (s.reboot ? "; needs a reboot" : "") + (s.operator ? "; for the operator" : "")]);
    return section("Plan", grid(["step", "change", "why"], lines));
  }

  function machine(node) {
    const system = node.system || {};
    const told = [["system", [system.os_name, system.kernel, system.machine].filter(Boolean).join(", ")],
      ["cpu", system.cpu_model], ["memory", size(system.memory_bytes)]];
    const parts = node.accelerators.map((a) => [String(a.index), a.model, a.architecture || "?", size(a.memory_bytes), a.bus || ""]);
    return section("Machine", facts(told),
      parts.length ? grid(["#", "accelerator", "architecture", "memory", "bus"], parts) : null);
  }

  function timings(seconds) {
    const lines = Object.entries(seconds).map(([stage, t]) => [stage, duration(t)]);
    return section("Timings", lines.length ? grid(["stage", "time"], lines) : el("p", { class: "soft" }, "No stage began."));
  }

  function facts(pairs) {
    return el("dl", { class: "facts" }, pairs.filter(([, text]) => text).flatMap(([name, text]) =>
      [el("dt", {}, name), el("dd", {}, text)]));
  }

  function grid(heads, lines) {
    const head = el("thead", {}, el("tr", {}, heads.map((h) => el("th", { scope: "col" }, h))));
    const body = el("tbody", {}, lines.map((line) => el("tr", {}, line.map((text) => el("td", {}, text)))));
    return el("div", { class: "wide" }, el("table", {}, head, body));
  }

  // ---- the burn-in ----------------------------------------------------------------------------

  function burnIn(record) {
    if (!record) return null;
    const told = [["began", record.at.replace("T", " ").replace("Z", " UTC") + ", " + duration(record.seconds)],
      ["interrupted", record.interrupted], ["injected fault", record.injected]];
    const time = timeline(record);
    const plots = Object.keys(PLOTS).filter((name) => record.columns.includes(name))
      .map((name) => plot(name, record, time)).filter(Boolean);
    const drawn = el("div", { class: "plots" }, plots);
    return section("Burn-in", facts(told), key(record.devices, drawn), drawn, totals(record));
  }

  /** What all plots of a burn-in share: the column of time, its begin and end, and the stages as bands. */
  function timeline(record) {
    const at = record.columns.indexOf("t");
    const times = record.devices.flatMap((device) => device.samples.map((row) => row[at]));
    const begin = Math.min(0, ...times), last = Math.max(0, ...times);
    const bands = stages(record.devices, last);
    const after = bands.length ? bands[bands.length - 1].end : last;
    // The links between devices are burned when each device has done its own stages.
    if (bands.length && last - after > 1 && (record.stages || []).includes("links")) {
      bands.push({ name: "links", begin: after, end: last });
    }
    return { at, begin, end: Math.max(last, after), bands };
  }

  /** The devices go through the stages together: a band is from the first that begins to the last that ends. */
  function stages(devices, last) {
    const all = devices.map((device) => device.spans || []);
    const most = all.reduce((a, b) => (b.length > a.length ? b : a), []);
    return most.map(([name], i) => {
      const same = all.map((spans) => spans[i]).filter((span) => span && span[0] === name);
      const ends = same.map(([, , end]) => end ?? last);
      return { name, begin: Math.min(...same.map((span) => span[1])), end: Math.max(...ends) };
    });
  }

  function mark(number) {
    return { class: "series s" + number % 8, "stroke-dasharray": DASHES[Math.floor(number / 8) % DASHES.length] };
  }

  /** The devices' names: pointing at one, or choosing it, dims the lines of the others in ``plots``. */
  function key(devices, plots) {
    let chosen = null;
    const dim = (number) => plots.querySelectorAll(".series").forEach((line) =>
      line.classList.toggle("dim", number !== null && line.dataset.device !== String(number)));
    const buttons = devices.map((device, number) => el("button", { type: "button", "aria-pressed": "false" },
      svg("svg", { viewBox: "0 0 32 8", "aria-hidden": "true" }, svg("path", { ...mark(number), d: "M0 4H32" })),
      device.name + (device.ending && device.ending !== "finished" ? " (" + device.ending + ")" : "")));
    buttons.forEach((button, number) => {
      button.addEventListener("pointerenter", () => dim(number));
      button.addEventListener("pointerleave", () => dim(chosen));
      button.addEventListener("click", () => {
        chosen = chosen === number ? null : number;
        buttons.forEach((other, i) => other.setAttribute("aria-pressed", String(i === chosen)));
        dim(chosen);
      });
    });
    return el("ul", { class: "key" }, buttons.map((button) => el("li", {}, button)));
  }

  /** A line for each device over time; a gap where nothing was measured. Null without any value. */
  function plot(name, record, time) {
    const at = time.at;
    const column = record.columns.indexOf(name), [title, unit] = PLOTS[name];
    const lines = record.devices.map((device) => device.samples.map((row) => [row[at], row[column]]));
    const measured = lines.flat().filter(([, y]) => y !== null);
    if (!measured.length) return null;
    const ys = measured.map(([, y]) => y);
    const frame = scales(time.begin, time.end, ticks(Math.min(...ys), Math.max(...ys)));
    const label = title + " in " + unit + " of " + plural(record.devices.length, "device");
    const drawn = lines.map((points, number) => svg("path", { ...mark(number), "data-device": number, d: path(points, frame) },
      svg("title", {}, record.devices[number].name)));
    return el("figure", {}, el("figcaption", {}, title + ", " + unit),
      svg("svg", { class: "plot", viewBox: "0 0 560 206", role: "img", "aria-label": label },
        bands(time.bands, frame), axes(frame), drawn));
  }

  /** The stages behind the lines, each second one shaded; its name where there is room for it. */
  function bands(all, { x }) {
    return all.map(({ name, begin, end }, i) => {
      const left = x(begin), width = Math.max(0, x(end) - left);
      return svg("g", {}, svg("title", {}, name + ", " + duration(begin) + " to " + duration(end)),
        svg("rect", { class: "band b" + i % 2, x: left, y: 0, width, height: 176 }),
        width > 6.2 * name.length ? svg("text", { x: left + width / 2, y: 12, "text-anchor": "middle" }, name) : null);
    });
  }

  /** Round values that span from below ``low`` to above ``high``; never closer than 2 % of them. */
  function ticks(low, high) {
    const span = Math.max(high - low, Math.abs(high) * 0.02, 1e-6);
    const rough = span / 3, power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 2.5, 5, 10].find((f) => f * power >= rough) * power;
    const first = Math.floor(low / step) * step;
    const found = [first];
    while (found[found.length - 1] < high || found.length < 2) found.push(first + step * found.length);
    return found;
  }

  function scales(begin, end, marks) {
    const low = marks[0], high = marks[marks.length - 1], width = Math.max(end - begin, 1e-6);
    return { begin, end, marks, x: (t) => 52 + 500 * (t - begin) / width, y: (v) => 176 - 154 * (v - low) / (high - low) };
  }

  function axes({ begin, end, marks, x, y }) {
    const lines = marks.flatMap((v) => [svg("line", { class: "grid", x1: 52, x2: 552, y1: y(v), y2: y(v) }),
      svg("text", { x: 46, y: y(v) + 4, "text-anchor": "end" }, number(v))]);
    const times = [0, 0.5, 1].map((share) => begin + share * (end - begin)).map((t, i) =>
      svg("text", { x: x(t), y: 196, "text-anchor": ["start", "middle", "end"][i] }, duration(t)));
    return [...lines, ...times];
  }

  function path(points, { x, y }) {
    let pen = "M";
    return points.map(([t, v]) => {
      if (v === null) { pen = "M"; return ""; }
      const step = pen + x(t).toFixed(1) + " " + y(v).toFixed(1);
      pen = "L";
      return step;
    }).join("");
  }

  /** The same in figures, for whoever cannot tell the lines apart. */
  function totals(record) {
    const names = Object.keys(PLOTS).filter((name) => record.columns.includes(name));
    const lines = record.devices.map((device) => [device.name, device.model || "", ...names.map((name) =>
      range(device.samples.map((row) => row[record.columns.indexOf(name)]).filter((v) => v !== null))),
      String(device.totals.errors ?? "?")]);
    return grid(["device", "model", ...names.map((n) => PLOTS[n].join(", ")), "errors"], lines);
  }

  function range(values) {
    return values.length ? number(Math.min(...values)) + " to " + number(Math.max(...values)) : "not measured";
  }

  // ---- words ----------------------------------------------------------------------------------

  function number(value) {
    return String(Number(value.toPrecision(4)));
  }
  /** A name as part of an address; half a surrogate pair, which has no address, is replaced. */
  function slug(name) {
    return encodeURIComponent(new TextDecoder().decode(new TextEncoder().encode(name)));
  }
  function plural(count, noun) {
    return count + " " + noun + (count === 1 ? "" : "s");
  }
  function size(bytes) {
    return bytes ? (bytes / 2 ** 30).toFixed(bytes < 2 ** 33 ? 1 : 0) + " GiB" : "";
  }
  function duration(seconds) {
    if (seconds < 59.5) return Number(seconds.toPrecision(2)) + " s";
    const rounded = Math.round(seconds), minutes = Math.floor(rounded / 60);
    return minutes < 60 ? minutes + " min " + rounded % 60 + " s" : Math.floor(minutes / 60) + " h " + minutes % 60 + " min";
  }

  byId("fleet").tHead.rows[0].append(...COLUMNS.map(heading));
  about();
  controls();
  sort();
  filter();
  follow();
  addEventListener("hashchange", follow);
})();
