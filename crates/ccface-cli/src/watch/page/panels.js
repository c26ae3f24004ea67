// The panels: each draws itself from the state.
const byId = (id) => document.getElementById(id);
const ALONG = { step: "step", epoch: "epoch", time: "minutes" };
const TERMS = {
  loss: "Loss", classification_consistency: "Classification consistency", cross_resolution: "Cross-resolution contrast",
  embedding_consistency: "Embedding consistency", target_cosine: "Cosine with the own prototype",
  lr_accuracy: "Share recognised in the batch", margin_mean: "Mean margin", margin_spread: "Spread of the margins",
  push_share: "Share of LR–LR push", gradient_norm: "Gradient norm, before clipping", learning_rate: "Learning rate",
  images_per_second: "Images per second", seconds: "Seconds per step",
};
const words = (name) => TERMS[name] || name.replaceAll("_", " ").replace(/^./, (c) => c.toUpperCase());
const charts = new Map();

function chart(place, key, options) {
  if (!charts.has(key)) charts.set(key, new Chart(byId(place), options));
  return charts.get(key);
}

/** One chart of a column of the steps or the pace, a line for each selected run. */
function columnChart(place, part, name, options = {}) {
  const lines = chosen().map((run) => {
    const points = run.line(run.column(part, name));
    const soft = options.exact ? points : smoothed(points, state.smooth);
    return { name: run.name, tone: run.tone, dash: run.dash, points: soft, raw: options.exact || state.smooth === 0 ? null : points };
  });
  const key = `${part}/${name}`;
  if (!charts.has(key) && lines.every((line) => line.points.length === 0)) return;
  chart(place, key, { title: words(name), ...options }).show(lines, ALONG[state.along]);
}

function columns() {
  const names = [];
  for (const run of state.runs) for (const name of run.steps.names) if (!names.includes(name)) names.push(name);
  return names.filter((name) => name !== "epoch");
}

const ELSEWHERE = ["target_cosine", "lr_accuracy", "margin_mean", "margin_spread", "push_share", "gradient_norm", "learning_rate"];

function drawCurves() {
  for (const name of columns().filter((name) => !ELSEWHERE.includes(name))) columnChart("charts-loss", "steps", name, { order: name === "loss" ? 0 : 1 });
  columnChart("charts-loss", "steps", "target_cosine", { order: 2 });
  columnChart("charts-loss", "steps", "lr_accuracy", { order: 3 });
  columnChart("charts-pace", "pace", "images_per_second", { unit: "img/s", zero: true });
  columnChart("charts-pace", "steps", "learning_rate", { exact: true, zero: true });
  columnChart("charts-pace", "steps", "gradient_norm", { unit: "L2", zero: true });
}

function drawRecognition() {
  const sizes = new Set();
  for (const run of chosen()) for (const row of run.validations.rows) for (const name of run.sizes(row)) sizes.add(name);
  const names = [...sizes].sort((a, b) => sizeOf(a) - sizeOf(b));
  for (const [key, known] of charts) if (key.startsWith("eer_")) known.figure.hidden = !sizes.has(key);
  for (const name of names) {
    const lines = chosen().map((run) => ({ name: run.name, tone: run.tone, dash: run.dash,
      points: run.line(run.validations.rows.filter((row) => Number.isFinite(row[name])).map((row) => [row.step, row[name]])) }));
    const options = { title: name === "eer_hr" ? "Full size" : `${sizeOf(name)} px faces`, unit: "EER, %", zero: true, dots: true, order: Math.min(999, sizeOf(name)) };
    chart("charts-recognition", name, options).show(lines, ALONG[state.along]);
  }
  const table = byId("latest");
  const with_ = chosen().filter((run) => run.validations.rows.length > 0);
  if (with_.length === 0) {
    table.replaceChildren(make("p", { class: "empty" }, "No validation yet. It comes after every validation.every epochs, and at the end."));
    return;
  }
  const head = make("tr", {}, make("th", { scope: "col" }, "Latest EER, %"), ...names.map((name) => make("th", { scope: "col" }, sizeWords(name))), make("th", { scope: "col" }, "step"));
  const rows = with_.map((run) => {
    const row = lastOf(run);
    const cells = names.map((name) => make("td", {}, shown(row[name])));
    const name = nameCell(run);
    if ((run.facts.settings || {})["validation.identities"] === "seen") name.append(make("span", { class: "note" }, "on the people it trains on"));
    return make("tr", {}, name, ...cells, make("td", {}, String(row.step)));
  });
  table.replaceChildren(make("table", { class: "figures" }, make("thead", {}, head), make("tbody", {}, ...rows)));
}

const lastOf = (run) => run.validations.rows[run.validations.rows.length - 1];

function nameCell(run) {
  return make("th", { scope: "row", class: run.tone }, make("span", { class: "swatch" }), make("span", { class: "who", title: run.name }, run.name));
}

function drawMargins() {
  const runs = chosen().filter((run) => run.steps.bins && run.steps.bins.rows.length > 0);
  const lines = [];
  for (const run of runs) {
    const { low, high, rows } = run.steps.bins;
    const part = Math.max(1, Math.round(rows.length / 10));
    if (rows.length > 4 * part) {
      lines.push({ name: `${run.name}, first steps`, tone: run.tone, dash: "", style: "thin", points: outline(rows.slice(0, part), low, high) });
    }
    lines.push({ name: run.name, tone: run.tone, dash: run.dash, points: outline(rows.slice(-part), low, high) });
  }
  chart("charts-margins", "margins", { title: "Latest distribution", unit: "% of samples", zero: true }).show(lines, "margin, radians");
  columnChart("charts-margins", "steps", "margin_mean", { unit: "rad" });
  columnChart("charts-margins", "steps", "margin_spread", { unit: "rad", zero: true });
  for (const [key, known] of charts) if (key.startsWith("heat/")) known.figure.hidden = true;
  for (const run of runs) {
    const key = `heat/${run.number}`;
    if (!charts.has(key)) charts.set(key, new Heat(byId("charts-margins")));
    charts.get(key).show(run);
  }
  columnChart("charts-margins", "steps", "push_share", { order: 1 });
  byId("margins").hidden = byId("charts-margins").querySelector("figure:not([hidden])") === null;
}

/** Share of each bin in percent, as steps. */
function outline(rows, low, high) {
  const sums = added(rows), total = sums.reduce((a, b) => a + b, 0) || 1;
  const width = (high - low) / sums.length;
  return sums.flatMap((n, i) => [[low + i * width, 100 * n / total], [low + (i + 1) * width, 100 * n / total]]);
}

function added(rows) {
  const sums = [];
  for (const row of rows) row.forEach((n, i) => { sums[i] = (sums[i] || 0) + n; });
  return sums;
}

/** How the distribution of margins changes: time to the right, margin upwards, darker where more samples are. */
class Heat {
  constructor(parent) {
    this.svg = draw("svg", { role: "img" });
    this.title = make("span");
    this.figure = make("figure", {}, make("h3", {}, this.title, make("span", { class: "unit" }, "rad")), this.svg);
    this.figure.style.order = 2;
    parent.append(this.figure);
    new ResizeObserver(() => this.run && this.show(this.run)).observe(this.figure);
  }

  show(run) {
    this.run = run;
    this.figure.hidden = false;
    const width = Math.round(this.svg.clientWidth || this.figure.clientWidth - 30);
    if (width < 80) return;
    const { low, high, rows } = run.steps.bins;
    const height = Math.round(Math.max(190, Math.min(250, width * 0.62))), left = 38, bottom = height - 38, top = 8;
    this.title.textContent = `Margins of ${run.name}`;
    const groups = Math.min(60, rows.length), bins = rows[0].length || 1;
    const cells = draw("g", { class: run.tone });
    const w = (width - 8 - left) / groups, h = (bottom - top) / bins;
    for (let g = 0; g < groups; g += 1) {
      const part = rows.slice(Math.floor(g * rows.length / groups), Math.floor((g + 1) * rows.length / groups));
      const sums = added(part), total = sums.reduce((a, b) => a + b, 0) || 1;
      sums.forEach((n, i) => {
        if (n === 0) return;
        cells.append(draw("rect", { class: "cell", x: (left + g * w).toFixed(1), y: (bottom - (i + 1) * h).toFixed(1), width: (w + 0.3).toFixed(1), height: (h + 0.3).toFixed(1), opacity: Math.min(1, 0.06 + 2.4 * n / total).toFixed(2) }));
      });
    }
    const axis = draw("g", { class: "axis" });
    for (const mark of ticks(low, high, 5)) {
      const y = bottom - (mark.value - low) / (high - low) * (bottom - top);
      axis.append(draw("text", { x: left - 7, y: y + 4, "text-anchor": "end" }, mark.label));
    }
    const [first, last] = [run.place(run.steps.rows[0][0]), run.place(run.lastStep)];
    axis.append(draw("text", { x: left, y: bottom + 17 }, placed(Math.round(100 * first) / 100)), draw("text", { x: width - 8, y: bottom + 17, "text-anchor": "end" }, placed(Math.round(100 * last) / 100)));
    axis.append(draw("path", { class: "base", d: `M${left} ${bottom}H${width - 8}` }));
    axis.append(draw("text", { class: "title", x: (left + width) / 2, y: height - 5, "text-anchor": "middle" }, ALONG[state.along]));
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.svg.setAttribute("aria-label", `How the margins of ${run.name} are spread over time`);
    this.svg.replaceChildren(axis, cells);
  }
}

// Sample faces of one run at one validation.
const faces = { run: null, follow: true, place: 0, key: "" };

function drawFaces() {
  const runs = chosen().filter((run) => run.samples.rows.length > 0);
  byId("faces").hidden = runs.length === 0;
  if (runs.length === 0) return;
  if (!runs.includes(faces.run)) { faces.run = runs.find((run) => run.phase === "running") || runs[runs.length - 1]; faces.follow = true; }
  const choice = byId("faces-run");
  const key = runs.map((run) => run.number).join();
  if (choice.dataset.key !== key) {
    choice.dataset.key = key;
    choice.replaceChildren(make("legend", {}, "Run"), ...runs.map((run) => {
      const input = make("input", { type: "radio", name: "faces-run" });
      input.checked = run === faces.run;
      input.addEventListener("change", () => { faces.run = run; faces.follow = true; drawFaces(); });
      return make("label", { class: run.tone }, input, make("span", { title: run.name }, run.name));
    }));
    choice.hidden = runs.length < 2;
  }
  const rows = faces.run.samples.rows;
  const slider = byId("faces-place");
  slider.max = rows.length - 1;
  if (faces.follow) faces.place = rows.length - 1;
  faces.place = Math.min(faces.place, rows.length - 1);
  slider.value = faces.place;
  byId("faces-when").hidden = rows.length < 2;
  const row = rows[faces.place];
  byId("faces-step").textContent = `epoch ${row.epoch}`;
  const seen = `${faces.run.number}/${faces.place}/${rows.length}/${state.pictures}`;
  if (faces.key === seen) return;
  faces.key = seen;
  const people = row.people || [];
  const sizes = people.length ? people[0].views.map((view) => `${view.size} px`) : [];
  const head = make("tr", {}, make("th"), make("th", { scope: "col" }, "compared with"), ...sizes.map((size) => make("th", { scope: "col" }, size)));
  const body = people.map((person) => make("tr", {},
    make("th", { scope: "row" }, make("span", { class: "who", title: person.name }, person.name)),
    make("td", {}, picture(person.gallery, `${person.name}, full size`)),
    ...person.views.map((view) => make("td", {}, picture(view.picture, `${person.name} at ${view.size} px`), verdict(view)))));
  byId("faces-sheet").replaceChildren(make("table", { class: "faces" }, make("thead", {}, head), make("tbody", {}, ...body)));
  const key_ = "Cosine with the same person (●) and with the next person of the list (○), from \u22120.2 to 1. A solid line: the same person scores higher; a broken one: somebody else does.";
  byId("faces-key").textContent = `${key_} Epoch ${row.epoch}, step ${row.step}.`;
}

function picture(name, words_) {
  if (!state.pictures || !/^[0-9a-z_]{1,64}\.png$/.test(name)) return make("span", { class: "note" }, "picture not shown here");
  const image = make("img", { alt: words_, width: 112, height: 112 });
  image.src = `/runs/${faces.run.number}/samples/${name}?start=${Math.round(faces.run.start.unix_time || 0)}`;
  return image;
}

const hundredth = (value) => (Math.round(value * 100) / 100 + 0).toFixed(2).replace("-", "\u2212");

function verdict(view) {
  const box = make("div", { class: "verdict" });
  for (const who of ["teacher", "student"]) {
    const score = view[who];
    if (!score) continue;
    const place = (value) => 5 + 142 * Math.max(0, Math.min(1, (value + 0.2) / 1.2));
    const svg = draw("svg", { viewBox: "0 0 152 12", role: "img" });
    svg.setAttribute("aria-label", `${who}: same person ${shown(score.same)}, somebody else ${shown(score.other)}`);
    svg.append(draw("path", { class: "track", d: "M2 6H150" }));
    svg.append(draw("path", { class: score.same > score.other ? "apart" : "mixed", d: `M${place(score.other)} 6H${place(score.same)}` }));
    svg.append(draw("circle", { class: "other", cx: place(score.other), cy: 6, r: 4 }));
    svg.append(draw("circle", { class: "same", cx: place(score.same), cy: 6, r: 4.4 }));
    const numbers = make("span", { class: "numbers" }, `●\u202f${hundredth(score.same)} ○\u202f${hundredth(score.other)}`);
    box.append(make("div", { class: "line" }, make("span", {}, who), numbers), svg);
  }
  return box;
}

function drawSettings() {
  const runs = chosen().filter((run) => Object.keys(run.facts.settings || {}).length > 0);
  byId("settings").hidden = runs.length === 0;
  if (runs.length === 0) return;
  const keys = [];
  for (const run of runs) for (const key of Object.keys(run.facts.settings)) if (!keys.includes(key)) keys.push(key);
  const differs = keys.filter((key) => runs.some((run) => run.facts.settings[key] !== runs[0].facts.settings[key]));
  const rows = runs.length > 1 ? differs : keys;
  byId("settings-lead").textContent = runs.length === 1 ? "The resolved configuration."
    : differs.length ? `The ${runs.length} selected runs differ in ${differs.length} of ${keys.length} settings.` : "The selected runs have the same settings.";
  const key = JSON.stringify([runs.map((run) => run.number), rows.map((name) => runs.map((run) => run.facts.settings[name]))]);
  const table = byId("settings-table");
  table.hidden = rows.length === 0;
  if (table.dataset.key === key) return;
  table.dataset.key = key;
  const head = make("tr", {}, make("th", { scope: "col" }, "setting"), ...runs.map((run) => make("th", { scope: "col", class: run.tone }, make("span", { class: "swatch" }), make("span", { class: "who", title: run.name }, run.name))));
  const body = rows.map((name) => make("tr", {}, make("th", { scope: "row" }, name), ...runs.map((run) => make("td", { class: "value" }, run.facts.settings[name] ?? "–"))));
  table.replaceChildren(make("table", { class: "figures" }, make("thead", {}, head), make("tbody", {}, ...body)));
}
