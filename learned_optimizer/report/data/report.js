"use strict";
// Plots to zoom into: drag along the axis; a double click shows all again. The first picture is there without this
// script: learned_optimizer/report/plot.py draws it as `shapes` does here.

const WIDTH = 640, HEIGHT = 320, LEFT = 64, RIGHT = 12, TOP = 10, BOTTOM = 40;
const COLORS = ["#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22", "#17becf"];

function pixel(value) {
  return String(Math.floor(Math.max(-9999, Math.min(9999, value)) * 10 + 0.5) / 10);
}

function number(value) {
  if (value && !(Math.abs(value) >= 1e-3 && Math.abs(value) < 1e5)) {
    const [mantissa, power] = value.toExponential(5).split("e");
    return `${Number(mantissa)}e${Number(power)}`;
  }
  return String(Number(value.toPrecision(6)));
}

function domain(values, log) {
  const kept = values.filter((value) => value !== null && (value > 0 || !log));
  if (!kept.length) return log ? [1, 10] : [0, 1];
  const low = Math.min(...kept), high = Math.max(...kept);
  if (log) {
    const factor = 10 ** (low === high ? 0.3 : (Math.log10(high) - Math.log10(low)) * 0.04);
    return [low / factor, high * factor];
  }
  const margin = low === high ? Math.abs(low) * 0.1 || 1 : (high - low) * 0.04;
  return [low - margin, high + margin];
}

function ticks(low, high, log, whole) {
  if (log) {
    const first = Math.ceil(Math.log10(low)), last = Math.floor(Math.log10(high)), powers = [];
    if (last - first >= 2) {
      const stride = Math.ceil((last - first + 1) / 7);
      for (let power = first; power <= last; power += stride) powers.push(Number(`1e${power}`));
    } else {
      for (let power = first - 1; power <= last; power++) {
        for (const factor of [1, 2, 5]) powers.push(Number(`${factor}e${power}`));
      }
    }
    const found = powers.filter((power) => low <= power && power <= high);
    if (found.length >= 2) return found;
  }
  const size = (high - low) / 6, power = Math.floor(Math.log10(size));
  const step = [1, 2, 5, 10].find((factor) => Number(`${factor}e${power}`) >= size);
  const width = Math.max(Number(`${step}e${power}`), whole ? 1 : 0);
  const found = [];
  for (let i = Math.ceil(low / width); i <= Math.floor(high / width); i++) found.push(i * width);
  return found;
}

function places(xs, first, last) {
  const known = [...xs.keys()].filter((i) => xs[i] !== null);
  return known.filter(
    (i, k) => (xs[i] >= first || xs[known[k + 1]] > first) && (xs[i] <= last || xs[known[k - 1]] < last),
  );
}

function runs(xs, series, log, isBand) {
  const found = [];
  let there = [], back = [];
  const end = () => {
    if (there.length) found.push(there.concat(back.reverse()));
    there = [], back = [];
  };
  xs.forEach((x, i) => {
    const y = series.y[i];
    let ends = [y, y];
    if (isBand) {
      ends = series.low.length ? [series.low[i], series.high[i]] : [null, null];
      if (ends[0] !== null && log && y !== null) ends[0] = Math.max(ends[0], y * 0.01);
    }
    if (x === null || ends.some((value) => value === null || (log && value <= 0))) return end();
    there.push([x, ends[1]]);
    if (isBand) back.push([x, ends[0]]);
  });
  end();
  return found;
}

function paint(index, isBand) {
  const color = COLORS[index % COLORS.length];
  if (isBand) return {class: "band", fill: color};
  return {class: "line", stroke: color, ...(index >= COLORS.length ? {"stroke-dasharray": "7 3"} : {})};
}

// The scales of a plot between two values of its axis.
function scales(plot, first, last, log) {
  const [x0, x1] = last > first ? [first, last] : [first - 0.5, last + 0.5];
  const seen = places(plot.x, first, last);
  const [y0, y1] = domain(plot.series.flatMap((each) => seen.map((i) => each.y[i])), log);
  const [a, b] = log ? [Math.log10(y0), Math.log10(y1)] : [y0, y1];
  const atX = (x) => LEFT + ((x - x0) / (x1 - x0)) * (WIDTH - LEFT - RIGHT);
  const atY = (y) => HEIGHT - BOTTOM - (((log ? Math.log10(y) : y) - a) / (b - a)) * (HEIGHT - BOTTOM - TOP);
  const ofX = (place) => x0 + ((place - LEFT) / (WIDTH - LEFT - RIGHT)) * (x1 - x0);
  return {x0, x1, y0, y1, atX, atY, ofX};
}

// Tag, attributes and text of each shape.
function shapes(plot, first, last, log) {
  const {x0, x1, y0, y1, ...at} = scales(plot, first, last, log);
  const atX = (x) => pixel(at.atX(x)), atY = (y) => pixel(at.atY(y));
  const bottom = HEIGHT - BOTTOM, found = [];
  for (const x of ticks(x0, x1, false, true)) {
    found.push(["path", {class: "grid", d: `M${atX(x)} ${TOP}V${bottom}`}, ""]);
    found.push(["text", {x: atX(x), y: String(bottom + 16), "text-anchor": "middle"}, number(x)]);
  }
  for (const y of ticks(y0, y1, log, false)) {
    found.push(["path", {class: "grid", d: `M${LEFT} ${atY(y)}H${WIDTH - RIGHT}`}, ""]);
    found.push(["text", {x: String(LEFT - 6), y: atY(y), "text-anchor": "end", dy: "4"}, number(y)]);
  }
  const middle = String((LEFT + WIDTH - RIGHT) / 2);
  found.push(["text", {x: middle, y: String(HEIGHT - 6), "text-anchor": "middle"}, plot.xlabel]);
  for (const isBand of [true, false]) {
    plot.series.forEach((each, index) => {
      let d = "";
      for (const run of runs(plot.x, each, log, isBand)) {
        const points = run.map(([x, y]) => `${atX(x)} ${atY(y)}`);
        d += `M${points.join("L")}${isBand ? "Z" : points.length === 1 ? "h0" : ""}`;
      }
      if (d) found.push(["path", {...paint(index, isBand), d}, ""]);
    });
  }
  return found;
}

// What is written of the point nearest to a value of the axis: its index, and a line for each series.
function reading(plot, value) {
  let index = -1;
  plot.x.forEach((x, i) => {
    if (x !== null && (index < 0 || Math.abs(x - value) < Math.abs(plot.x[index] - value))) index = i;
  });
  if (index < 0) return {index, lines: []};
  const text = (y) => (y === null ? "not finite" : number(y));
  const lines = plot.series.map((each) => {
    const band = each.low.length ? ` [${text(each.low[index])}, ${text(each.high[index])}]` : "";
    return `${each.name}: ${text(each.y[index])}${band}`;
  });
  return {index, lines: [`${plot.xlabel} ${number(plot.x[index])}`, ...lines]};
}

function make(tag, attributes = {}, text = "") {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.textContent = text;
  return made;
}

function enliven(figure) {
  const plot = JSON.parse(figure.querySelector("script").textContent);
  const svg = figure.querySelector("svg"), axes = svg.querySelector("g"), inside = svg.querySelector("svg");
  const tip = figure.querySelector(".tip"), button = figure.querySelector("button");
  const xs = plot.x.filter((x) => x !== null);
  const all = xs.length ? [Math.min(...xs), Math.max(...xs)] : [0, 1];
  let view = all, log = plot.log, began = null;

  const selected = svg.appendChild(make("rect", {class: "selected", y: TOP, height: HEIGHT - TOP - BOTTOM, width: 0}));
  const mark = svg.appendChild(make("path", {class: "mark"}));
  const draw = () => {
    const drawn = shapes(plot, ...view, log), isLine = (shape) => ["line", "band"].includes(shape[1].class);
    axes.replaceChildren(...drawn.filter((shape) => !isLine(shape)).map((shape) => make(...shape)));
    inside.replaceChildren(...drawn.filter(isLine).map((shape) => make(...shape)));
    button.textContent = log ? "linear scale" : "log scale";
    mark.removeAttribute("d");
    tip.hidden = true;
  };
  const place = (event) => {
    const box = svg.getBoundingClientRect();
    return Math.max(LEFT, Math.min(WIDTH - RIGHT, ((event.clientX - box.left) / box.width) * WIDTH));
  };
  const select = (from, to) => {
    selected.setAttribute("x", Math.min(from, to));
    selected.setAttribute("width", Math.abs(to - from));
  };

  svg.addEventListener("pointerdown", (event) => {
    began = place(event);
    svg.setPointerCapture(event.pointerId);
    event.preventDefault();
  });
  svg.addEventListener("pointermove", (event) => {
    const here = place(event), scale = scales(plot, ...view, log);
    if (began !== null) select(began, here);
    const {index, lines} = reading(plot, scale.ofX(here));
    if (index < 0) return;
    mark.setAttribute("d", `M${pixel(scale.atX(plot.x[index]))} ${TOP}V${HEIGHT - BOTTOM}`);
    tip.textContent = lines.join("\n");
    tip.hidden = false;
    const half = here > WIDTH / 2;
    tip.style.left = half ? "auto" : `${(here / WIDTH) * 100 + 2}%`;
    tip.style.right = half ? `${100 - (here / WIDTH) * 100 + 2}%` : "auto";
  });
  svg.addEventListener("pointerup", (event) => {
    const from = began, to = place(event), {ofX} = scales(plot, ...view, log);
    began = null;
    select(0, 0);
    if (from === null || Math.abs(to - from) < 5) return;
    view = [ofX(Math.min(from, to)), ofX(Math.max(from, to))];
    draw();
  });
  svg.addEventListener("pointercancel", () => {
    began = null;
    select(0, 0);
  });
  svg.addEventListener("pointerleave", () => {
    mark.removeAttribute("d");
    tip.hidden = true;
  });
  svg.addEventListener("dblclick", () => {
    view = all;
    draw();
  });
  button.addEventListener("click", () => {
    log = !log;
    draw();
  });
  button.hidden = false;
  draw();
}

if (typeof document === "undefined") {
  module.exports = {shapes, reading};
} else {
  document.querySelectorAll("figure.plot").forEach(enliven);
}
