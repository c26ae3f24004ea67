"use strict";
// A line chart: axes, lines, tips. Drawn at the size it has on the screen, so that its text keeps its size.
const SVG = "http://www.w3.org/2000/svg";

function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "class") element.className = value;
    else element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

function draw(name, attributes = {}, text) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

/** A number as people write it: enough digits, no more. */
function shown(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size >= 10000) return Math.round(value).toLocaleString("en");
  if (size < 0.001) return value.toExponential(1).replace("e-", "e\u2212");
  const digits = size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : size >= 0.1 ? 3 : 4;
  return value.toFixed(digits).replace("-", "\u2212");
}

/** A place on an axis: whole numbers without a fraction. */
const placed = (value) => (Number.isInteger(value) ? value.toLocaleString("en") : shown(value));

/** Round places between two ends. */
function ticks(low, high, most) {
  const raw = (high - low) / Math.max(1, most);
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((m) => m * power).find((s) => s >= raw * 0.999) || raw;
  const places = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i += 1) places.push(i * step + 0);
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9) + (Math.abs(step / power - 2.5) < 0.01 ? 1 : 0));
  return places.map((value) => {
    const small = Math.abs(step) < 1e-4 && value !== 0;
    const label = small ? value.toExponential(0).replace("e-", "e\u2212")
      : value.toLocaleString("en", { minimumFractionDigits: Math.min(digits, 6), maximumFractionDigits: Math.min(digits, 6) });
    return { value, label: label.replace("-", "\u2212") };
  });
}

const tip = make("div", { class: "tip" });
tip.hidden = true;
addEventListener("scroll", () => { tip.hidden = true; }, { passive: true });

class Chart {
  /** `options`: title, unit, zero (the axis starts at 0), dots (points are marked). */
  constructor(parent, options) {
    this.options = options;
    this.lines = [];
    this.svg = draw("svg", { role: "img" });
    this.unit = make("span", { class: "unit" }, options.unit || "");
    const title = make("h3", {}, make("span", {}, options.title), this.unit);
    this.figure = make("figure", {}, title, this.svg);
    this.figure.style.order = options.order || 0;
    this.figure.hidden = true;
    parent.append(this.figure);
    new ResizeObserver(() => this.redraw()).observe(this.figure);
    this.svg.addEventListener("pointermove", (event) => this.point(event));
    this.svg.addEventListener("pointerdown", (event) => this.point(event));
    // A finger that is lifted leaves the tip to be read; the next touch elsewhere takes it away.
    this.svg.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") this.leave(); });
    addEventListener("pointerdown", (event) => { if (!this.svg.contains(event.target)) this.leave(); }, { capture: true });
  }

  /** `lines`: name, tone, dash, points [[x, y]…], and optionally raw (faint) and style; `along`: what the x axis counts. */
  show(lines, along) {
    this.lines = lines.filter((line) => line.points.length > 0);
    this.along = along;
    this.figure.hidden = this.lines.length === 0;
    this.redraw();
  }

  redraw() {
    const width = Math.round(this.svg.clientWidth || this.figure.clientWidth - 30);
    if (this.figure.hidden || width < 80) return;
    const height = this.options.height || Math.round(Math.max(190, Math.min(250, width * 0.62)));
    const all = this.lines.flatMap((line) => line.points.concat(line.raw || []));
    const finite = all.filter((p) => Number.isFinite(p[1]));
    if (finite.length === 0) { this.figure.hidden = true; return; }
    let [x0, x1] = ends(finite.map((p) => p[0]));
    let [y0, y1] = robust(this.lines);
    if (x1 === x0) { x0 -= 0.5; x1 += 0.5; }
    if (this.options.dots) { const room = (x1 - x0) * 0.03; x0 -= room; x1 += room; }
    if (this.options.zero) { y0 = Math.min(0, y0); y1 = Math.max(y1, this.options.least || 0); }
    // What differs by rounding alone is a level line.
    if (y1 - y0 <= Math.abs(y1) * 1e-6) { const half = Math.abs(y1) * 0.1 || 0.5; y1 += half; if (!(this.options.zero && y0 === 0)) y0 -= half; }
    const pad = (y1 - y0) * 0.06;
    if (!(this.options.zero && y0 === 0)) y0 -= pad;
    y1 += pad;
    const marks = ticks(y0, y1, height / 48);
    const left = 12 + 7.2 * Math.max(...marks.map((t) => t.label.length), 2);
    const box = { left, right: width - 8, top: 8, bottom: height - 38 };
    const across = (x) => box.left + (x - x0) / (x1 - x0) * (box.right - box.left);
    const down = (y) => box.bottom - (y - y0) / (y1 - y0) * (box.bottom - box.top);
    this.frame = { x0, x1, box, across, down };
    const axis = draw("g", { class: "axis" });
    for (const mark of marks) {
      const y = down(mark.value).toFixed(1);
      axis.append(draw("path", { class: "major", d: `M${box.left} ${y}H${box.right}` }));
      axis.append(draw("text", { x: box.left - 7, y: +y + 4, "text-anchor": "end" }, mark.label));
    }
    for (const mark of ticks(x0, x1, (box.right - box.left) / 78)) {
      const x = across(mark.value);
      axis.append(draw("path", { class: "major", d: `M${x.toFixed(1)} ${box.bottom}v4` }));
      const half = mark.label.length * 3.6;
      const anchor = x + half > width ? "end" : "middle";
      axis.append(draw("text", { x: anchor === "end" ? width : x, y: box.bottom + 17, "text-anchor": anchor }, mark.label));
    }
    axis.append(draw("path", { class: "base", d: `M${box.left} ${box.bottom}H${box.right}` }));
    axis.append(draw("text", { class: "title", x: (box.left + box.right) / 2, y: height - 5, "text-anchor": "middle" }, this.along));
    const inside = draw("svg", { x: box.left, y: box.top - 3, width: box.right - box.left + 3, height: box.bottom - box.top + 6,
      viewBox: `${box.left} ${box.top - 3} ${box.right - box.left + 3} ${box.bottom - box.top + 6}` });
    for (const line of this.lines) {
      if (line.raw) inside.append(draw("path", { class: `raw ${line.tone}`, d: path(line.raw, across, down) }));
    }
    for (const line of this.lines) {
      const kind = line.style || "stroke";
      inside.append(draw("path", { class: `${kind} ${line.tone}`, d: path(line.points, across, down), "stroke-dasharray": kind === "thin" ? "" : line.dash }));
      if ((this.options.dots && line.points.length <= 40) || line.points.length === 1) {
        for (const [x, y] of line.points) {
          if (Number.isFinite(y)) inside.append(draw("circle", { class: `dot ${line.tone}`, cx: across(x).toFixed(1), cy: down(y).toFixed(1), r: 4 }));
        }
      }
    }
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.svg.setAttribute("aria-label", this.words());
    this.cross = draw("path", { class: "cross" });
    this.svg.replaceChildren(axis, inside, this.cross);
  }

  words() {
    const last = this.lines.filter((line) => line.style !== "thin").map((line) => `${line.name} ${shown(line.points[line.points.length - 1][1])}`);
    return `${this.options.title}, latest: ${last.join(", ")}`;
  }

  point(event) {
    if (!this.frame) return;
    const { x0, x1, box, across } = this.frame;
    const at = event.clientX - this.svg.getBoundingClientRect().left;
    if (at < box.left - 8 || at > box.right + 8) { this.leave(); return; }
    const x = x0 + (at - box.left) / (box.right - box.left) * (x1 - x0);
    const rows = [];
    let nearest = null;
    for (const line of this.lines) {
      const point = closest(line.points, x);
      // A run that was shorter has nothing to say here.
      if (!point || Math.abs(point[0] - x) > (x1 - x0) * 0.04 && (x > line.points[line.points.length - 1][0] || x < line.points[0][0])) continue;
      if (nearest === null || Math.abs(point[0] - x) < Math.abs(nearest - x)) nearest = point[0];
      rows.push(make("div", { class: line.tone }, make("i"), make("span", { class: "who" }, line.name), make("b", {}, shown(point[1]))));
    }
    if (nearest === null) { this.leave(); return; }
    const place = across(nearest).toFixed(1);
    this.cross.setAttribute("d", `M${place} ${box.top}V${box.bottom}`);
    tip.replaceChildren(make("div", {}, `${this.along} ${placed(nearest)}`), ...rows);
    tip.hidden = false;
    const left = Math.max(8, Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8));
    const above = event.clientY - tip.offsetHeight - 14;
    tip.style.left = `${left}px`;
    tip.style.top = `${above > 4 ? above : event.clientY + 18}px`;
  }

  leave() {
    tip.hidden = true;
    if (this.cross) this.cross.removeAttribute("d");
  }
}

function ends(values) {
  let low = Infinity, high = -Infinity;
  for (const value of values) { if (value < low) low = value; if (value > high) high = value; }
  return [low, high];
}

/** The range of the bold lines; of the faint ones all but a few outliers. */
function robust(lines) {
  const bold = lines.flatMap((line) => line.points.map((p) => p[1])).filter(Number.isFinite);
  const faint = lines.flatMap((line) => (line.raw || []).map((p) => p[1])).filter(Number.isFinite).sort((a, b) => a - b);
  let [low, high] = ends(bold);
  if (faint.length > 0) {
    const cut = Math.floor(faint.length * 0.01);
    low = Math.min(low, faint[cut]);
    high = Math.max(high, faint[faint.length - 1 - cut]);
  }
  return [low, high];
}

function path(points, across, down) {
  let text = "", pen = "M";
  for (const [x, y] of points) {
    if (!Number.isFinite(y)) { pen = "M"; continue; }
    text += `${pen}${across(x).toFixed(1)} ${down(y).toFixed(1)}`;
    pen = "L";
  }
  return text;
}

function closest(points, x) {
  let low = 0, high = points.length - 1;
  if (high < 0) return null;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (points[middle][0] < x) low = middle; else high = middle;
  }
  return Math.abs(points[low][0] - x) <= Math.abs(points[high][0] - x) ? points[low] : points[high];
}
