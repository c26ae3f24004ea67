// The list of runs, the controls, and the stream that feeds everything.
const cards = [];

/** A piece of a run's line. */
function sampleOf(run) {
  const sample = draw("svg", { viewBox: "0 0 30 8", width: 30, height: 8, class: `sample ${run.tone}`, "aria-hidden": "true" });
  sample.append(draw("path", { class: "stroke", d: "M0 4H30", "stroke-dasharray": run.dash }));
  return sample;
}

function card(run) {
  const input = make("input", { type: "checkbox" });
  input.checked = run.selected;
  input.addEventListener("change", () => { run.selected = input.checked; faces.key = ""; redraw(); });
  const parts = { state: make("span", { class: "state" }), fill: make("div"), facts: make("div", { class: "facts-line" }), trouble: make("div", { class: "trouble" }) };
  parts.box = make("label", { class: `run ${run.tone}` },
    make("div", { class: "top" }, input, sampleOf(run), make("span", { class: "name", title: run.name }, run.name), parts.state),
    make("div", { class: "bar" }, parts.fill), parts.facts, parts.trouble);
  return parts;
}

function fact(label, value) {
  const item = make("span", {}, `${label} `, make("b", {}, value));
  return item;
}

function drawRuns() {
  const list = byId("run-list");
  while (cards.length < state.runs.length) {
    const parts = card(state.runs[cards.length]);
    cards.push(parts);
    list.append(parts.box);
  }
  if (state.runs.length === 0) {
    if (!list.querySelector(".empty")) list.append(make("p", { class: "empty" }, "No run is here yet. This page shows one as soon as it starts."));
    return;
  }
  list.querySelector(".empty")?.remove();
  state.runs.forEach((run, i) => {
    const parts = cards[i], phase = run.phase;
    parts.state.textContent = phase === "silent" ? `silent for ${clock(run.silence)}` : phase;
    parts.state.className = `state ${phase}`;
    const share = phase === "finished" ? 1 : run.total ? run.lastStep / run.total : 0;
    parts.fill.style.width = `${(100 * Math.min(1, share)).toFixed(1)}%`;
    const facts = [];
    const epoch = run.last("epoch");
    if (epoch) facts.push(fact("epoch", `${Math.ceil(epoch)}${run.start.epochs ? ` of ${run.start.epochs}` : ""}`));
    if (run.lastStep) facts.push(fact("step", `${run.lastStep}${run.total ? ` of ${run.total}` : ""}`));
    const rates = run.column("pace", "images_per_second").slice(-20).map(([, rate]) => rate);
    if (rates.length) facts.push(fact("images/s", shown(rates.reduce((a, b) => a + b, 0) / rates.length)));
    if (run.left !== null) facts.push(fact("left", clock(run.left)));
    const loss = run.last("loss");
    if (loss !== null) facts.push(fact("loss", shown(loss)));
    if (facts.length === 0) facts.push(make("span", {}, `${run.facts.task || "run"} on ${run.facts.device || "a device"}`));
    parts.facts.replaceChildren(...facts);
    parts.trouble.textContent = run.facts.error || "";
    parts.trouble.hidden = !run.facts.error;
  });
  const legend = chosen().length > 1 ? chosen() : [];
  for (const id of ["legend", "legend-phone"]) {
    const place = byId(id), key = legend.map((run) => run.number).join();
    if (place.dataset.key === key) continue;
    place.dataset.key = key;
    place.hidden = legend.length === 0;
    place.replaceChildren(...legend.map((run) => make("span", { class: run.tone, title: run.name }, sampleOf(run), make("b", {}, run.name))));
  }
  const remarks = chosen().flatMap((run) => run.remarks.rows.slice(-20).map((row) => make("li", { class: run.tone }, `${run.name}, step ${row.step}: ${row.kind}. ${row.text}`)));
  byId("remarks").hidden = remarks.length === 0;
  byId("remarks").replaceChildren(...remarks);
}

function drawHeadline() {
  const runs = state.runs;
  const busy = runs.filter((run) => ["running", "starting"].includes(run.phase));
  const run = busy[0] || runs[runs.length - 1];
  let text = "No run yet", title = "CCFace";
  if (runs.length > 0 && runs.every((run) => run.phase === "reading")) {
    text = "Reading the runs";
  } else if (busy.length > 1) {
    const left = busy.map((r) => r.left).filter((l) => l !== null);
    text = `${busy.length} of ${runs.length} runs are training${left.length ? `; the last is done in about ${clock(Math.max(...left))}` : ""}`;
    title = `${busy.length} runs`;
  } else if (run) {
    const row = run.validations.rows.length ? lastOf(run) : null;
    const size = row ? run.sizes(row).filter((name) => Number.isFinite(row[name]))[0] : null;
    const rate = size ? `, EER ${shown(row[size])} % at ${sizeWords(size)}` : "";
    if (run.phase === "running") {
      const epoch = run.last("epoch");
      text = `${run.name} is in epoch ${Math.ceil(epoch || 1)}${run.start.epochs ? ` of ${run.start.epochs}` : ""}${rate}${run.left !== null ? `, about ${clock(run.left)} left` : ""}`;
      title = `${run.total ? Math.floor(100 * run.lastStep / run.total) : 0} % ${run.name}`;
    } else if (run.phase === "silent") {
      text = `${run.name} says nothing since ${clock(run.silence)}: it may have been cut off`;
      title = `silent: ${run.name}`;
    } else if (runs.length > 1) {
      text = `${runs.length} runs, none is training`;
      title = `${runs.length} runs`;
    } else {
      text = `${run.name} is ${run.phase}${rate}`;
      title = `${run.phase}: ${run.name}`;
    }
  }
  const headline = byId("headline");
  if (headline.textContent !== text) headline.textContent = text;
  document.title = title;
}

let waiting = false;
function redraw() {
  if (waiting) return;
  waiting = true;
  // A page that is not looked at draws nothing; it catches up when it is.
  requestAnimationFrame(() => {
    waiting = false;
    drawRuns();
    drawHeadline();
    drawRecognition();
    drawCurves();
    drawFaces();
    drawMargins();
    drawSettings();
    for (const part of ["loss", "pace"]) byId(part).hidden = byId(`charts-${part}`).querySelector("figure:not([hidden])") === null;
    for (const link of document.querySelectorAll("nav a")) link.hidden = byId(link.hash.slice(1)).hidden;
  });
}

function listen() {
  const link = byId("link");
  const say = (words_, kind) => { link.textContent = words_; link.className = `link ${kind}`; };
  const source = new EventSource("/events");
  const on = (name, act) => source.addEventListener(name, (event) => { act(JSON.parse(event.data)); redraw(); });
  source.addEventListener("open", () => say("connected", "live"));
  source.addEventListener("error", () => say(source.readyState === EventSource.CLOSED ? "refused; reload the page" : "connection lost, trying again", "lost"));
  on("now", (data) => { state.ahead = data.time - Date.now() / 1000; });
  on("runs", (data) => {
    state.pictures = data.pictures;
    data.names.forEach((name, i) => {
      if (!state.runs[i]) state.runs[i] = new Run(i, name);
    });
    // The server was started anew on other runs.
    if (state.runs.length > data.names.length || data.names.some((name, i) => state.runs[i].name !== name)) {
      state.runs = data.names.map((name, i) => new Run(i, name));
      faces.run = null;
      cards.length = 0;
      byId("run-list").replaceChildren();
    }
  });
  on("facts", (data) => { state.runs[data.run].facts = data; });
  for (const part of ["steps", "pace", "validations", "samples", "remarks"]) {
    on(part, (data) => { state.runs[data.run].take(part, data); if (part === "samples") faces.key = ""; });
  }
}

document.body.append(tip);
for (const input of document.querySelectorAll("input[name=along]")) {
  input.addEventListener("change", () => { state.along = input.value; redraw(); });
}
byId("smooth").addEventListener("input", (event) => {
  state.smooth = Number(event.target.value);
  byId("smooth-value").textContent = state.smooth.toFixed(2);
  redraw();
});
byId("faces-place").addEventListener("input", (event) => {
  faces.place = Number(event.target.value);
  faces.follow = faces.place === Number(event.target.max);
  drawFaces();
});
listen();
redraw();
