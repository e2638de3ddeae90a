"use strict";

// Names and ids come from anywhere: they reach the page as text nodes and attribute values only.

const { testSets, rankings, texts, bibtex } = JSON.parse(document.getElementById("data").textContent);
for (const ranking of rankings) ranking.testSet = testSets[ranking.testSet];
const SVG = "http://www.w3.org/2000/svg";
const MARGIN = { top: 12, right: 14, bottom: 44, left: 56 };
const MEASURES = ["ms/image, logarithmic", "parameters, logarithmic", "GMACs, logarithmic", "memory in bytes, logarithmic"];
const SHAPES = 5;
const REACH = 30;
const MANY = 300;

/* Elements */

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) if (value !== null) node.setAttribute(name, value);
  node.append(...children.flat(Infinity).filter((child) => child !== null));
  return node;
}

function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function byId(id) {
  return document.getElementById(id);
}

function short(value) {
  const size = Math.abs(value);
  if (size >= 1e9) return `${Number((value / 1e9).toPrecision(4))} G`;
  if (size >= 1e6) return `${Number((value / 1e6).toPrecision(4))} M`;
  if (size >= 1e4) return `${Number((value / 1e3).toPrecision(4))} k`;
  return String(Number(value.toPrecision(4)));
}

/* Tables */

function sortable(table) {
  const body = table.tBodies[0];
  const original = [...body.rows];
  const headers = [...[...table.tHead.rows].at(-1).cells];
  const compareText = new Intl.Collator("en", { numeric: true }).compare;
  let sorted = { column: null, descending: false };

  const value = (row, column) => {
    const cell = row.cells[column];
    if (!headers[column].classList.contains("numeric")) return cell.textContent;
    return cell.dataset.value ? Number(cell.dataset.value) : null;
  };

  function sort(column) {
    if (sorted.column !== column) sorted = { column, descending: false };
    else if (!sorted.descending) sorted.descending = true;
    else sorted = { column: null, descending: false };
    headers.forEach((header, i) => {
      if (i !== sorted.column) header.removeAttribute("aria-sort");
      else header.setAttribute("aria-sort", sorted.descending ? "descending" : "ascending");
    });
    let rows = original;
    if (sorted.column !== null) {
      const known = original.filter((row) => value(row, column) !== null);
      const unknown = original.filter((row) => value(row, column) === null);
      const compare = headers[column].classList.contains("numeric") ? (a, b) => a - b : compareText;
      const sign = sorted.descending ? -1 : 1;
      rows = [...known.sort((a, b) => sign * compare(value(a, column), value(b, column))), ...unknown];
    }
    body.append(...rows);
  }

  headers.forEach((header, i) => {
    const button = el("button", { type: "button" }, header.textContent);
    button.addEventListener("click", () => sort(i));
    header.replaceChildren(button);
  });
}

function activateFilters() {
  const selects = ["dataset", "mode", "toolbox", "status"].map((name) => [name, byId(`by-${name}`)]);
  const search = byId("by-name");
  const found = document.querySelector("#filters .found");
  const rows = [...document.querySelectorAll("#board tbody tr")];
  const others = [...document.querySelectorAll("#unscored li")];
  const summaries = [...document.querySelectorAll("table.summary")];
  const columns = [...document.querySelectorAll("table.summary [data-set]")];
  const nothing = el("p", { class: "nothing muted", hidden: "" }, "No metric matches.");
  document.querySelector("#board .scroll-box").after(nothing);

  const told = (count, all, noun) =>
    `${count === all ? all : `${count} of ${all}`} ${noun}${all === 1 || noun.endsWith("score") ? "" : "s"}`;

  function filter() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const matches = (node) =>
      words.every((word) => node.dataset.name.toLowerCase().includes(word)) &&
      selects.every(([name, select]) => {
        // A row of metrics × datasets is of all datasets.
        const values = node.dataset[name];
        return !select.value || values === undefined || values.split(" ").includes(select.value);
      });
    const show = (nodes) => {
      for (const node of nodes) node.hidden = !matches(node);
      return nodes.filter((node) => !node.hidden).length;
    };
    const count = show(rows);
    const unscored = show(others);
    const dataset = byId("by-dataset").value;
    for (const table of summaries) {
      const left = show([...table.tBodies[0].rows]);
      const of = dataset === "" || table.querySelector(`[data-set="${dataset}"]`) !== null;
      table.closest(".part").hidden = !left || !of;
    }
    for (const cell of columns) cell.hidden = dataset !== "" && cell.dataset.set !== dataset;
    for (const group of document.querySelectorAll("#unscored details")) {
      const left = [...group.querySelectorAll("li")].filter((item) => !item.hidden).length;
      group.hidden = !left;
      group.querySelector(".number").textContent = left;
      // What was searched for is to be seen.
      if (words.length) group.open = left > 0;
    }
    nothing.hidden = count > 0 || !rows.length;
    const parts = [told(count, rows.length, "row")];
    if (others.length) parts.push(told(unscored, others.length, "without a score"));
    found.textContent = parts.join(", ");
  }
  for (const [, select] of selects) select.addEventListener("change", filter);
  search.addEventListener("input", filter);
  filter();
}

// Says where a table goes on beyond the edge of its box.
function hintAtScrolling(box) {
  const scroller = box.querySelector(".scroller");
  const hint = box.querySelector(".scroll-hint");
  function look() {
    const beyond = scroller.scrollWidth - scroller.clientWidth;
    hint.hidden = beyond < 2;
    box.classList.toggle("more", scroller.scrollLeft < beyond - 1);
  }
  scroller.addEventListener("scroll", look, { passive: true });
  const observer = new ResizeObserver(look);
  observer.observe(scroller);
  observer.observe(scroller.firstElementChild);
}

/* Files and the clipboard */

function save(text, name) {
  const url = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
  el("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Pages that come over plain HTTP, and frames, have no clipboard of that kind.
    const field = el("textarea", { readonly: "", class: "unseen", "aria-hidden": "true" });
    field.value = text;
    document.body.append(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    return done;
  }
}

function activateTexts() {
  for (const button of document.querySelectorAll("[data-save]")) {
    button.addEventListener("click", () => save(texts[button.dataset.save], button.dataset.name));
  }
  const all = bibtex.filter(Boolean).join("\n");
  for (const button of document.querySelectorAll("[data-copy], [data-cite]")) {
    const { copy: which, cite } = button.dataset;
    const text = cite !== undefined ? bibtex[cite] : which === "bibtex" ? all : texts[which];
    const label = button.textContent;
    button.addEventListener("click", async () => {
      button.textContent = (await copy(text)) ? "Copied" : "Not copied";
      setTimeout(() => (button.textContent = label), 1500);
    });
  }
}

/* Plots */

function linearTicks(low, high, most) {
  const rough = (high - low) / most || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].find((m) => m * power >= rough * 0.999) * power;
  const ticks = [];
  for (let i = Math.ceil(low / step); i * step <= high + step * 1e-9; i++) ticks.push(i * step);
  return ticks.map((tick) => [tick, short(Math.abs(tick) < step * 1e-6 ? 0 : tick)]);
}

function logTicks(low, high) {
  const ticks = [];
  const mantissas = high - low > 3 ? [1] : [1, 2, 5];
  for (let power = Math.floor(low); power <= high; power++) {
    for (const m of mantissas) {
      const at = power + Math.log10(m);
      if (at >= low && at <= high) ticks.push([at, short(m * 10 ** power)]);
    }
  }
  return ticks;
}

function extent(values, margin) {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) [low, high] = [Math.min(low, value), Math.max(high, value)];
  const spread = high - low || Math.abs(high) || 1;
  return [low - margin * spread, high + margin * spread];
}

function mark(shape, x, y, size, name) {
  const r = size;
  const at = { class: name };
  if (shape === 1) return svg("rect", { ...at, x: x - r, y: y - r, width: 2 * r, height: 2 * r });
  if (shape === 2) return svg("path", { ...at, d: `M${x} ${y - r * 1.3}L${x + r * 1.2} ${y + r}H${x - r * 1.2}Z` });
  if (shape === 3) {
    return svg("path", { ...at, d: `M${x} ${y - r * 1.4}L${x + r * 1.4} ${y}L${x} ${y + r * 1.4}L${x - r * 1.4} ${y}Z` });
  }
  if (shape === 4) return svg("path", { ...at, d: `M${x} ${y + r * 1.3}L${x + r * 1.2} ${y - r}H${x - r * 1.2}Z` });
  return svg("circle", { ...at, cx: x, cy: y, r });
}

// A plot in a box: points {x, y, shape, tone, size, tip} that hover and arrow keys go to, in their order.
class Plot {
  constructor(box, keys) {
    this.box = box;
    this.keys = keys;
    this.tip = el("div", { class: "tip", role: "status" });
    fill(box, { tabindex: "0", role: "application", "aria-roledescription": "plot" }, []);
    box.addEventListener("pointermove", (event) => this.hover(event));
    box.addEventListener("pointerdown", (event) => this.hover(event));
    box.addEventListener("pointerleave", () => this.show(-1));
    box.addEventListener("focus", () => box.matches(":focus-visible") && this.show(Math.max(this.current, 0)));
    box.addEventListener("blur", () => this.show(-1));
    box.addEventListener("keydown", (event) => this.press(event));
    new ResizeObserver(() => this.draw()).observe(box);
  }

  set(content) {
    this.content = content;
    this.box.setAttribute("aria-label", `${content.title}. ${this.keys}`);
    this.width = 0;
    this.draw();
  }

  draw() {
    const width = Math.floor(this.box.clientWidth);
    if (!width || !this.content || width === this.width) return;
    this.width = width;
    this.height = Math.round(Math.min(440, Math.max(260, width * 0.6)));
    const { points, title, description, log, curve, front, intervals, labels } = this.content;
    const right = this.width - MARGIN.right;
    const bottom = this.height - MARGIN.bottom;
    const xs = extent(points.map((p) => p.x), 0.05);
    const ys = extent(points.flatMap((p) => (intervals && p.low !== null ? [p.y, p.low, p.high] : [p.y])), 0.06);
    const scale = ([low, high], from, to) => (value) => from + ((value - low) / (high - low)) * (to - from);
    const [x, y] = [scale(xs, MARGIN.left, right), scale(ys, bottom, MARGIN.top)];
    this.places = points.map((p) => [x(p.x), y(p.y)]);

    const across = Math.max(2, Math.floor(width / 70));
    const xTicks = log ? logTicks(...xs) : linearTicks(...xs, across);
    const yTicks = linearTicks(...ys, 6);
    const path = (pairs) => pairs.map(([a, b], i) => `${i ? "L" : "M"}${x(a).toFixed(1)} ${y(b).toFixed(1)}`).join("");
    const inside = ([a, b]) => a >= xs[0] && a <= xs[1] && b >= ys[0] && b <= ys[1];
    this.ring = svg("circle", { class: "ring", r: 8, visibility: "hidden" });
    const drawing = svg(
      "svg",
      { width, height: this.height, viewBox: `0 0 ${width} ${this.height}`, role: "img" },
      svg("title", {}, title),
      svg("desc", {}, description),
      xTicks.map(([at, text]) => [
        svg("line", { class: "grid", x1: x(at), x2: x(at), y1: MARGIN.top, y2: bottom }),
        svg("text", { x: x(at), y: bottom + 17, "text-anchor": "middle" }, text),
      ]),
      yTicks.map(([at, text]) => [
        svg("line", { class: "grid", x1: MARGIN.left, x2: right, y1: y(at), y2: y(at) }),
        svg("text", { x: MARGIN.left - 7, y: y(at) + 4, "text-anchor": "end" }, text),
      ]),
      svg("line", { class: "axis-line", x1: MARGIN.left, x2: right, y1: bottom, y2: bottom }),
      svg("text", { x: (MARGIN.left + right) / 2, y: this.height - 6, "text-anchor": "middle" }, this.content.xLabel),
      svg(
        "text",
        { transform: `translate(13 ${(MARGIN.top + bottom) / 2}) rotate(-90)`, "text-anchor": "middle" },
        this.content.yLabel,
      ),
      intervals
        ? points.map((p) =>
            p.low === null
              ? null
              : svg("line", { class: "interval", x1: x(p.x), x2: x(p.x), y1: y(p.low), y2: y(p.high) }),
          )
        : null,
      front ? svg("path", { class: "front", d: path(front) }) : null,
      svg(
        "g",
        { class: points.length > MANY ? "many" : "few" },
        // The first points are those to be seen: they are drawn last.
        points.map((p, i) => mark(p.shape, ...this.places[i], p.size, `dot ${p.tone}`)).reverse(),
      ),
      curve ? svg("path", { class: "curve", d: path(curve.filter(inside)) }) : null,
      labels ? this.names(points, right) : null,
      this.ring,
    );
    this.box.replaceChildren(drawing, this.tip);
    this.show(-1);
  }

  // Names beside the points of the front, where there is room.
  names(points, right) {
    const taken = this.places.filter((_, i) => points[i].named).map(([x, y]) => [x - 6, y - 6, x + 6, y + 6]);
    const free = (box) =>
      box[0] >= MARGIN.left &&
      box[2] <= right &&
      !taken.some((t) => box[0] < t[2] && t[0] < box[2] && box[1] < t[3] && t[1] < box[3]);
    const places = [
      [1, -5],
      [-1, -5],
      [1, 14],
      [-1, 14],
    ];
    // From the best down: they are to have their names first.
    return points.map((_, i) => {
      const p = points[points.length - 1 - i];
      if (!p.named) return null;
      const [px, py] = this.places[points.length - 1 - i];
      const wide = p.label.length * 6.8;
      for (const [side, down] of places) {
        const start = px + side * 9;
        const left = side > 0 ? start : start - wide;
        const box = [left, py + down - 11, left + wide, py + down + 3];
        if (!free(box)) continue;
        taken.push(box);
        return svg("text", { class: "name", x: start, y: py + down, "text-anchor": side > 0 ? "start" : "end" }, p.label);
      }
      return null;
    });
  }

  hover(event) {
    if (!this.places) return;
    const corner = this.box.getBoundingClientRect();
    const [px, py] = [event.clientX - corner.left, event.clientY - corner.top];
    let [nearest, least] = [-1, REACH ** 2];
    this.places.forEach(([x, y], i) => {
      const distance = (x - px) ** 2 + (y - py) ** 2;
      if (distance < least) [nearest, least] = [i, distance];
    });
    if (nearest !== this.current) this.show(nearest);
  }

  press(event) {
    const steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
    const count = this.places?.length ?? 0;
    if (event.key === "Escape") this.show(-1);
    else if (event.key === "Home" && count) this.show(0);
    else if (event.key === "End" && count) this.show(count - 1);
    else if (event.key in steps && count) this.show((Math.max(this.current, -1) + steps[event.key] + count) % count);
    else return;
    event.preventDefault();
  }

  show(i) {
    this.current = i;
    const point = this.content?.points[i];
    this.ring?.setAttribute("visibility", point ? "visible" : "hidden");
    if (!point) {
      this.tip.replaceChildren();
      return;
    }
    const [x, y] = this.places[i];
    this.ring.setAttribute("cx", x);
    this.ring.setAttribute("cy", y);
    const { picture, lines } = point.tip();
    const [first, ...rest] = lines;
    this.tip.replaceChildren(
      ...(picture ? [el("img", { src: picture, alt: "" })] : []),
      el("strong", {}, first),
      ...rest.map((line) => el("span", {}, line)),
    );
    const [toLeft, above] = [x > this.width / 2, y > this.height / 2];
    Object.assign(this.tip.style, {
      left: toLeft ? "auto" : `${x + 12}px`,
      right: toLeft ? `${this.width - x + 12}px` : "auto",
      top: above ? "auto" : `${y + 8}px`,
      bottom: above ? `${this.height - y + 8}px` : "auto",
    });
  }
}

/* Prediction and opinion */

function interpolate(curve, x) {
  const beyond = curve.findIndex(([at]) => at >= x);
  const i = beyond < 0 ? curve.length - 1 : Math.max(1, beyond);
  const [[x0, y0], [x1, y1]] = [curve[i - 1], curve[i]];
  return x1 === x0 ? y0 : y0 + ((x - x0) / (x1 - x0)) * (y1 - y0);
}

function activateScatter() {
  const choice = byId("entry");
  const plot = new Plot(byId("scatter-plot"), "Arrow keys go from image to image, those farthest from the fit first.");
  const rows = [...document.querySelectorAll("tr[data-entry]")];

  function choose(key) {
    const [ranking, entry] = key.split(" ").map(Number);
    const { testSet, entries } = rankings[ranking];
    const { name, scores, curve, outliers, srcc } = entries[entry];
    const marked = new Set(outliers);
    const order = [...outliers, ...scores.keys()].filter((k, i) => i < outliers.length || !marked.has(k));
    const tip = (k) => ({
      picture: testSet.pictures[k],
      lines: [
        testSet.ids[k],
        `opinion ${short(testSet.mos[k])}`,
        `score ${short(scores[k])}`,
        ...(curve ? [`fitted ${short(interpolate(curve, scores[k]))}`] : []),
      ],
    });
    const shown = order.filter((k) => scores[k] !== null && testSet.mos[k] !== null);
    const points = shown.map((k) => ({
      x: scores[k],
      y: testSet.mos[k],
      shape: marked.has(k) ? 3 : 0,
      tone: marked.has(k) ? "is-outlier" : "",
      size: marked.has(k) ? 4 : 3,
      tip: () => tip(k),
    }));
    const part = testSet.count > testSet.ids.length ? ` (${testSet.ids.length} of ${testSet.count} images)` : "";
    plot.set({
      points,
      curve,
      title: `${name} on ${testSet.name}: ${testSet.scale} against score${part}, SRCC ${srcc ?? "undefined"}`,
      description:
        `${points.length} images, each at its score and its ${testSet.scale}; ` +
        (curve ? "with the fitted logistic." : "without a fit."),
      xLabel: `score of ${name}`,
      yLabel: testSet.scale,
    });
    byId("scatter-about").textContent = `${name} on ${testSet.name}: SRCC ${srcc ?? "undefined"}`;
    byId("outliers").replaceChildren(
      ...outliers.map((k) => {
        const { picture, lines } = tip(k);
        const [id, ...rest] = lines;
        const image = picture ? el("img", { src: picture, alt: "", loading: "lazy" }) : null;
        return el("li", {}, image, el("strong", {}, id), rest.join(" · "));
      }),
    );
    byId("outliers").previousElementSibling.hidden = !outliers.length;
    const swatch = (...drawn) => svg("svg", { width: 20, height: 12, "aria-hidden": "true" }, drawn);
    byId("scatter-legend").replaceChildren(
      el("li", {}, swatch(mark(0, 10, 6, 3, "dot")), `image${part}`),
      ...(outliers.length ? [el("li", {}, swatch(mark(3, 10, 6, 4, "dot is-outlier")), "farthest from the fit")] : []),
      ...(curve ? [el("li", {}, swatch(svg("path", { class: "curve", d: "M0 10C10 10 10 2 20 2" })), "fit")] : []),
    );
    for (const row of rows) row.cells[0].setAttribute("aria-current", row.dataset.entry === key);
  }

  choice.addEventListener("change", () => choose(choice.value));
  for (const row of rows) {
    const cell = row.cells[0];
    const button = el("button", { type: "button", title: "Show its predictions" }, [...cell.childNodes]);
    button.addEventListener("click", () => {
      choice.value = row.dataset.entry;
      choose(choice.value);
      byId("scatter").scrollIntoView();
      byId("scatter-plot").focus({ preventScroll: true });
    });
    cell.replaceChildren(button);
  }
  if (choice.value) choose(choice.value);
  else byId("scatter").hidden = true;
}

/* Accuracy and cost */

function activateCost() {
  const [board, measure] = [byId("cost-board"), byId("cost-measure")];
  const plot = new Plot(byId("cost-plot"), "Arrow keys go from metric to metric, the cheapest first.");
  const toolboxes = [...new Set(rankings.flatMap((ranking) => ranking.entries.map((entry) => entry.toolbox)))].sort();
  const place = (toolbox) => toolboxes.indexOf(toolbox) % SHAPES;
  const look = (toolbox) => ({ shape: place(toolbox), tone: `tone-${place(toolbox)}` });

  function choose() {
    const { testSet, entries } = rankings[Number(board.value)];
    const of = (entry) => entry.cost[Number(measure.value)];
    const usable = entries.filter((entry) => of(entry) > 0 && entry.srcc !== null);
    usable.sort((a, b) => of(a) - of(b) || b.srcc - a.srcc);
    const front = [];
    const best = new Set();
    let top = -Infinity;
    for (const entry of usable) {
      if (entry.srcc <= top) continue;
      const at = Math.log10(of(entry));
      if (front.length) front.push([at, top]);
      front.push([at, entry.srcc]);
      best.add(entry);
      top = entry.srcc;
    }
    const points = usable.map((entry) => ({
      x: Math.log10(of(entry)),
      y: entry.srcc,
      low: entry.low,
      high: entry.high,
      size: 5,
      ...look(entry.toolbox),
      label: entry.name,
      named: best.has(entry),
      tip: () => ({
        lines: [
          entry.name,
          `SRCC ${entry.srcc}${entry.low === null ? "" : ` [${entry.low}, ${entry.high}]`}`,
          `${short(of(entry))} ${measure.selectedOptions[0].textContent}`,
        ],
      }),
    }));
    const without = entries.length - usable.length;
    const note = without ? `; ${without} without this cost are not shown` : "";
    byId("cost-legend").replaceChildren(
      ...[...new Set(usable.map((entry) => entry.toolbox))].sort().map((toolbox) => {
        const { shape, tone } = look(toolbox);
        const swatch = svg("svg", { width: 14, height: 14, "aria-hidden": "true" }, mark(shape, 7, 7, 5, `dot ${tone}`));
        return el("li", {}, swatch, toolbox);
      }),
      ...(without ? [el("li", {}, `${without} of ${entries.length} metrics have no such cost above 0: not shown`)] : []),
    );
    if (!points.length) {
      plot.content = null;
      plot.places = null;
      plot.box.replaceChildren(el("p", { class: "muted" }, "No metric has this cost."));
      return;
    }
    plot.set({
      points,
      front,
      log: true,
      intervals: true,
      labels: true,
      title: `SRCC on ${testSet.name} against cost`,
      description: `${points.length} metrics${note}. On the line: ${[...best].map((entry) => entry.name).join(", ")}.`,
      xLabel: MEASURES[Number(measure.value)],
      yLabel: "SRCC",
    });
  }

  for (const select of [board, measure]) select.addEventListener("change", choose);
  if (board.value) choose();
  else byId("cost").hidden = true;
}

for (const node of document.querySelectorAll("[data-scripted]")) node.hidden = false;
document.querySelectorAll("[data-sorted]").forEach(sortable);
activateFilters();
activateTexts();
activateScatter();
activateCost();
document.querySelectorAll(".scroll-box").forEach(hintAtScrolling);
for (const item of document.querySelectorAll(".bar-nav li")) {
  item.hidden = byId(item.firstElementChild.hash.slice(1))?.hidden ?? true;
}
