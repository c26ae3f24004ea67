// What is known of the runs, from the stream of events, and what follows from it.
const TONES = ["t0", "t1", "t2", "t3", "t4"];
const DASHES = ["", "7 4", "2 4", "9 3 2 3"];
const state = { runs: [], pictures: false, along: "step", smooth: 0.6, ahead: 0 };

class Run {
  constructor(number, name) {
    this.number = number;
    this.name = name;
    this.tone = TONES[number % TONES.length];
    this.dash = DASHES[Math.floor(number / TONES.length) % DASHES.length];
    this.selected = true;
    this.facts = {};
    for (const part of ["steps", "pace", "validations", "samples", "remarks"]) this[part] = { names: [], rows: [], bins: null };
  }

  /** Takes in rows from a place on; earlier ones stay. */
  take(part, data) {
    const mine = this[part];
    mine.rows.length = Math.min(mine.rows.length, data.from);
    mine.rows.push(...data.rows);
    if (data.names) mine.names = data.names;
    if (data.bins) {
      const before = mine.bins ? mine.bins.rows.slice(0, data.from) : [];
      mine.bins = { low: data.bins.low, high: data.bins.high, rows: before.concat(data.bins.rows) };
    }
    this.clock = null;
  }

  get lastStep() {
    const rows = this.steps.rows;
    return rows.length ? rows[rows.length - 1][0] : 0;
  }

  get start() { return this.facts.start || {}; }
  get total() { return (this.start.epochs || 0) * (this.start.steps_per_epoch || 0); }

  /** Column `name` of the steps or the pace: [step, value] pairs. */
  column(part, name) {
    const place = this[part].names.indexOf(name) + 1;
    if (place === 0) return [];
    return this[part].rows.filter((row) => Number.isFinite(row[place])).map((row) => [row[0], row[place]]);
  }

  last(name) {
    const place = this.steps.names.indexOf(name) + 1;
    const rows = this.steps.rows;
    return place > 0 && rows.length ? rows[rows.length - 1][place] : null;
  }

  /** Wall time by step, seconds since 1970. */
  times() {
    if (!this.clock) this.clock = this.column("pace", "unix_time");
    return this.clock;
  }

  /** Where a step stands on the axis that is chosen. */
  place(step) {
    if (state.along === "epoch") return this.start.steps_per_epoch ? step / this.start.steps_per_epoch : step;
    if (state.along === "time") {
      const times = this.times();
      if (times.length === 0) return step;
      return (at(times, step) - times[0][1]) / 60;
    }
    return step;
  }

  line(pairs) { return pairs.map(([step, value]) => [this.place(step), value]); }

  /** Seconds a step takes, pauses for validation included, since the last start. */
  get secondsPerStep() {
    const times = this.times().filter(([, time]) => time >= (this.start.unix_time || 0));
    if (times.length < 2) return null;
    const [first, last] = [times[Math.max(0, times.length - 400)], times[times.length - 1]];
    return last[0] > first[0] ? (last[1] - first[1]) / (last[0] - first[0]) : null;
  }

  get silence() {
    const times = this.times();
    const last = times.length ? times[times.length - 1][1] : this.start.unix_time;
    return last ? now() - last : 0;
  }

  get phase() {
    const said = this.facts.state || "reading";
    if (said !== "running") return said;
    if (this.silence > Math.max(60, 20 * (this.secondsPerStep || 0))) return "silent";
    return this.steps.rows.length === 0 ? "starting" : "running";
  }

  get left() {
    const each = this.secondsPerStep;
    if (!each || !this.total || this.phase !== "running") return null;
    return Math.max(0, (this.total - this.lastStep) * each - this.silence);
  }

  /** Names and values of a validation's error rates, small faces first. */
  sizes(row) {
    return Object.keys(row).filter((name) => name.startsWith("eer_")).sort((a, b) => sizeOf(a) - sizeOf(b));
  }
}

const now = () => Date.now() / 1000 + state.ahead;
const chosen = () => state.runs.filter((run) => run.selected);
const sizeOf = (name) => (name === "eer_hr" ? Infinity : parseInt(name.slice(4), 10) || 0);
const sizeWords = (name) => (name === "eer_hr" ? "full size" : `${sizeOf(name)} px`);

/** The value at a step between known ones. */
function at(pairs, step) {
  let low = 0, high = pairs.length - 1;
  if (step <= pairs[low][0]) return pairs[low][1];
  if (step >= pairs[high][0]) return pairs[high][1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (pairs[middle][0] <= step) low = middle; else high = middle;
  }
  const share = (step - pairs[low][0]) / (pairs[high][0] - pairs[low][0]);
  return pairs[low][1] + share * (pairs[high][1] - pairs[low][1]);
}

/** Exponential mean that starts without bias. */
function smoothed(points, weight) {
  let sum = 0, total = 0;
  return points.map(([x, y]) => {
    sum = weight * sum + (1 - weight) * y;
    total = weight * total + (1 - weight);
    return [x, sum / total];
  });
}

function clock(seconds) {
  const whole = Math.round(seconds);
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  if (h >= 48) return `${Math.round(h / 24)} days`;
  if (h > 0) return `${h} h ${m} min`;
  return m > 0 ? `${m}:${String(s).padStart(2, "0")} min` : `${s} s`;
}
