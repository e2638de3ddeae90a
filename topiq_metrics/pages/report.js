"use strict";

// Names, errors and provenance come from anywhere: they reach the page as text nodes and attribute values only.

const data = JSON.parse(document.getElementById("data").textContent);
const METRICS = data.metrics;
const FIRST_SCORE = 1;
const [WIDTH, HEIGHT, SIZE, STATUS, ERROR, NOTE] = [1, 2, 3, 4, 5, 6].map((i) => METRICS.length + i);
// The address of the row's file, and its path where it is not what is read.
const [LINK, FULL] = [7, 8].map((i) => METRICS.length + i);
const PAGE_SIZES = [25, 50, 100, 250];
const SVG = "http://www.w3.org/2000/svg";
const SEARCH_DELAY = 120;

/* Elements */

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null) node.setAttribute(name, value);
  }
  node.append(...children.flat().filter((child) => child !== null));
  return node;
}

function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function percent(node, property, share) {
  node.style[property] = `${Math.min(1, Math.max(0, share)) * 100}%`;
  return node;
}

/* Text */

const whole = new Intl.NumberFormat("en");

function plural(count, noun) {
  return `${whole.format(count)} ${noun}${count === 1 ? "" : "s"}`;
}

function shareText(count, total) {
  if (!count) return "";
  const share = (100 * count) / total;
  return share < 0.1 ? "< 0.1 %" : `${share.toFixed(share < 10 ? 1 : 0)} %`;
}

// As many decimals as tell scores of this spread apart.
function scoreFormat(distribution) {
  const spread = distribution ? distribution.high - distribution.low : 1;
  const size = distribution ? Math.max(Math.abs(distribution.high), Math.abs(distribution.low)) : 1;
  if (size >= 1e7) return (score) => score.toExponential(4);
  const decimals = Math.min(6, Math.max(2, 4 - Math.ceil(Math.log10(spread || 1))));
  return (score) => score.toFixed(decimals);
}

// Where the last `parts` parts of a path begin.
function tailStart(path, parts) {
  let end = path.length;
  for (let i = 0; i < parts && end > 0; i++) {
    end = Math.max(path.lastIndexOf("/", end - 1), path.lastIndexOf("\\", end - 1));
  }
  return end + 1 < path.length ? Math.max(0, end + 1) : 0;
}

// The text of a path, to be broken after its folders rather than elsewhere.
function breakable(path) {
  return path.split(/(?<=[/\\])/).flatMap((part, i) => (i ? [el("wbr"), part] : [part]));
}

/* Files */

// Where the file of a name is; null if there is none. What a name holds is never more than a part of a path.
function address(link, path) {
  if (!link) return null;
  const place = link === 1 ? path.split("/").map(encodeURIComponent).join("/") : link;
  return /^(https?|file):/.test(place) || place.startsWith("/") ? place : data.root + place;
}

// A picture that can be looked at: its file where that is at hand, else its thumbnail.
function pictureOf(name, link, path, thumbnail, text) {
  const place = address(link, path ?? name);
  const small = thumbnail === null || thumbnail === undefined ? null : data.thumbnails[thumbnail];
  // Nothing is asked of a network: files on this machine, or beside the page, only.
  return { name, place, small, file: place && !/^https?:/.test(place) ? place : null, text };
}

function rowPicture(rows, i) {
  const row = rows[i];
  const scores = METRICS.map((metric, n) => [metric, row[FIRST_SCORE + n]])
    .filter(([, score]) => score !== null)
    .map(([metric, score]) => `${metric.name} ${scoreFormat(metric.distribution)(score)}`);
  return pictureOf(row[0], row[LINK], row[FULL], data.pictures[i], scores.join(" · "));
}

// A button that enlarges the picture at a place of a list.
function enlarging(pictures, at, image) {
  const button = el("button", { type: "button", class: "enlarge", "aria-label": `Enlarge ${pictures[at].name}` }, image);
  button.addEventListener("click", () => viewer.show(pictures, at));
  return button;
}

function fileLink(picture, ...content) {
  const parts = content.flat();
  return picture.place ? el("a", { href: picture.place, target: "_blank", rel: "noopener" }, parts) : parts;
}

class Viewer {
  constructor() {
    this.image = el("img", { alt: "" });
    this.image.addEventListener("error", () => this.fallBack());
    this.note = el("span", { class: "muted" });
    this.caption = el("figcaption", { "aria-live": "polite" });
    const button = (label, act, focus = false) => {
      const made = el("button", { type: "button", class: "button", autofocus: focus }, label);
      made.addEventListener("click", act);
      return made;
    };
    this.steps = [button("Previous", () => this.step(-1)), button("Next", () => this.step(1))];
    this.element = el(
      "dialog",
      { class: "viewer", "aria-label": "Picture" },
      el("figure", {}, el("div", { class: "stage" }, this.image), this.caption),
      el("div", { class: "viewer-buttons" }, this.steps, button("Close", () => this.element.close(), true)),
    );
    // Wherever the focus is: a link that is replaced has none any more.
    document.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (by && this.element.open) this.step(by);
    });
    this.element.addEventListener("click", (event) => {
      if (event.target === this.element) this.element.close();
    });
  }

  show(pictures, at) {
    this.pictures = pictures;
    this.at = at;
    const picture = pictures[at];
    this.note.textContent = picture.file ? "" : "the thumbnail";
    this.image.src = picture.file ?? picture.small;
    this.image.alt = picture.name;
    this.caption.replaceChildren(el("strong", {}, picture.text), fileLink(picture, picture.name), this.note);
    this.steps[0].disabled = this.next(-1) === null;
    this.steps[1].disabled = this.next(1) === null;
    if (!this.element.open) this.element.showModal();
  }

  // The next one of the list that can be shown.
  next(by) {
    for (let i = this.at + by; i >= 0 && i < this.pictures.length; i += by) {
      if (this.pictures[i].file || this.pictures[i].small) return i;
    }
    return null;
  }

  step(by) {
    const at = this.next(by);
    if (at !== null) this.show(this.pictures, at);
  }

  // A file that has gone, or that browsers do not show.
  fallBack() {
    const { file, small } = this.pictures[this.at];
    if (!file || this.image.src === small) return;
    this.note.textContent = small ? "the thumbnail: the file cannot be shown here" : "the file cannot be shown here";
    if (small) this.image.src = small;
    else this.image.removeAttribute("src");
  }
}

const viewer = new Viewer();

/* Sections */

function head() {
  return el(
    "header",
    { class: "head" },
    el("h1", {}, data.title),
    el("p", { class: "muted" }, [plural(data.counts.total, "image"), data.span].filter(Boolean).join(" · ")),
  );
}

function navigation(sections) {
  const items = sections.map((section) =>
    el("li", {}, el("a", { href: `#${section.id}` }, section.querySelector("h2").textContent)),
  );
  return el("nav", { class: "bar-nav", "aria-label": "Sections" }, el("ul", {}, items));
}

function card(id, title, badge, note) {
  return el(
    "section",
    { class: "card", id, "aria-labelledby": `${id}-title` },
    el(
      "div",
      { class: "card-head" },
      el("h2", { id: `${id}-title` }, title),
      badge ? el("span", { class: "badge" }, badge) : null,
      note ? el("p", { class: "muted" }, note) : null,
    ),
  );
}

function outcome() {
  const { total, ...statuses } = data.counts;
  const labels = { ok: "every score", partial: "some scores", error: "no score" };
  const tiles = Object.entries(statuses).map(([status, count]) =>
    el(
      "div",
      {},
      el("dt", { class: `mark is-${status}` }, `${status}: ${labels[status]}`),
      el("dd", {}, whole.format(count), " ", el("span", { class: "share" }, shareText(count, total))),
    ),
  );
  const bars = Object.entries(statuses)
    .filter(([, count]) => count)
    .map(([status, count]) => percent(el("span", { class: `is-${status}` }), "width", count / total));
  const section = card("outcome", "Outcome");
  section.append(
    el("dl", { class: "counts" }, el("div", {}, el("dt", {}, "images"), el("dd", {}, whole.format(total))), tiles),
  );
  if (bars.length) section.append(el("div", { class: "proportions", "aria-hidden": "true" }, bars));
  return section;
}

function metricSection(metric, number) {
  const direction = metric.higher ? "higher is better" : "lower is better";
  const range = `scores to expect: ${metric.range[0]} to ${metric.range[1]}`;
  const section = card(`metric-${number}`, metric.name, direction, `${metric.summary} · ${range}`);
  const spread = metric.distribution;
  if (!spread) {
    section.append(el("p", {}, "No image has a score."));
    return section;
  }
  const format = scoreFormat(spread);
  const figures = {
    scores: whole.format(metric.count),
    mean: format(spread.mean),
    median: format(spread.median),
    lowest: format(spread.low),
    highest: format(spread.high),
  };
  const list = Object.entries(figures).map(([name, value]) =>
    el("div", {}, el("dt", {}, name), el("dd", {}, value)),
  );
  section.append(
    el("div", { class: "distribution" }, el("dl", { class: "figures" }, list), histogram(metric, spread, format)),
    el(
      "div",
      { class: "galleries" },
      gallery("Best", metric.best, format),
      metric.worst.length ? gallery("Worst", metric.worst, format) : null,
    ),
  );
  return section;
}

function histogram(metric, spread, format) {
  const { first, step, counts } = spread.bars;
  const highest = Math.max(...counts);
  const edge = (i) => (first + i) * step;
  const decimals = Math.min(6, Math.max(0, Math.ceil(-Math.log10(step) + 0.31)));
  const edgeText = (i) => (Math.abs(edge(i)) >= 1e7 ? edge(i).toExponential(2) : edge(i).toFixed(decimals));
  const at = (value) => (value / step - first) / counts.length;

  const columns = counts.map((count, i) =>
    svg(
      "g",
      {},
      svg("title", {}, `${edgeText(i)} to ${edgeText(i + 1)}: ${plural(count, "image")}`),
      svg("rect", { class: "reach", x: i, y: 0, width: 1, height: 100 }),
      svg("rect", {
        class: "column",
        x: i + 0.04,
        y: 100 - Math.max(count ? 0.8 : 0, (100 * count) / highest),
        width: 0.92,
        height: Math.max(count ? 0.8 : 0, (100 * count) / highest),
      }),
    ),
  );
  const across = { x1: 0, x2: counts.length };
  const middle = at(spread.median) * counts.length;
  const drawing = svg(
    "svg",
    {
      viewBox: `0 0 ${counts.length} 100`,
      preserveAspectRatio: "none",
      role: "img",
      "aria-label":
        `Histogram of ${plural(metric.count, "score")} of ${metric.name}, from ${format(spread.low)} to ` +
        `${format(spread.high)}, median ${format(spread.median)}.`,
    },
    [0, 50].map((y) => svg("line", { class: "grid", ...across, y1: y, y2: y })),
    columns,
    svg("line", { class: "middle", x1: middle, x2: middle, y1: 0, y2: 100 }),
  );

  const every = tickEvery(step, counts.length);
  const ticks = [];
  for (let i = 0; i <= counts.length; i++) {
    if ((first + i) % every) continue;
    const side = i === 0 ? "at-start" : i === counts.length ? "at-end" : "";
    ticks.push(percent(el("span", { class: side }, edgeText(i)), "left", i / counts.length));
  }
  const where = at(spread.median);
  const side = where < 0.15 ? " at-start" : where > 0.85 ? " at-end" : "";
  const label = percent(el("span", { class: `label${side}` }, `median ${format(spread.median)}`), "left", where);
  return el(
    "div",
    { class: "chart" },
    where > 0.25 ? el("span", { class: "top" }, plural(highest, "image")) : null,
    label,
    drawing,
    el("div", { class: "axis", "aria-hidden": "true" }, ticks),
  );
}

// So many bars from one tick to the next that there are at most 7 ticks, at round values.
function tickEvery(step, bars) {
  const mantissa = (value) => value / 10 ** Math.floor(Math.log10(value));
  const round = (value) => [1, 2, 2.5, 5, 10].some((m) => Math.abs(mantissa(value) - m) < 1e-6);
  let every = Math.max(1, Math.ceil(bars / 6));
  while (every < bars && !round(every * step)) every++;
  return every;
}

function gallery(title, tiles, format) {
  const pictures = tiles.map((tile) =>
    pictureOf(tile.name, tile.link, tile.path, tile.thumbnail, format(tile.score)),
  );
  const items = tiles.map((tile, i) => {
    const { small } = pictures[i];
    const picture = small
      ? enlarging(pictures, i, el("img", { src: small, alt: tile.name, title: tile.name }))
      : el("span", {}, "no thumbnail");
    return el(
      "li",
      {},
      el(
        "figure",
        {},
        el("div", { class: "tile" }, picture),
        el(
          "figcaption",
          {},
          el("strong", {}, format(tile.score)),
          el(
            "span",
            { class: "file", title: tile.name },
            fileLink(pictures[i], breakable(tile.name.slice(tailStart(tile.name, 2)))),
          ),
        ),
      ),
    );
  });
  return el("div", {}, el("h3", {}, title), el("ul", { class: "gallery" }, items));
}

function errorSection(showInTable) {
  const section = card("errors", "Errors by reason", "", "");
  if (!data.errors.length) {
    section.append(el("p", {}, data.counts.total ? "There are none." : "There are no images."));
    return section;
  }
  const largest = data.errors[0].count;
  const groups = data.errors.map((group) => {
    const examples = group.examples.map(([path, error]) =>
      el("li", {}, path, el("span", { class: "muted" }, error)),
    );
    // Not for a group that has a name of its own, such as that of all further reasons.
    const named = group.examples[0][1].includes(group.reason);
    const button = named ? el("button", { type: "button", class: "button" }, "Show in the table") : null;
    button?.addEventListener("click", () => showInTable(group.reason));
    const more = group.count - examples.length;
    return el(
      "details",
      {},
      el(
        "summary",
        {},
        el("span", { class: "reason" }, group.reason),
        el("span", { class: "number" }, whole.format(group.count)),
        el("span", { class: "track" }, percent(el("span"), "width", group.count / largest)),
      ),
      el(
        "div",
        { class: "examples" },
        el("ul", {}, examples),
        more > 0 ? el("p", { class: "muted" }, `and ${whole.format(more)} more`) : null,
        button,
      ),
    );
  });
  section.append(el("div", { class: "groups" }, groups));
  return section;
}

function provenance() {
  const section = card("provenance", "Provenance");
  section.append(data.provenance.length ? facts(data.provenance) : el("p", {}, "None was given."));
  return section;
}

function facts(pairs) {
  const items = pairs.map(([name, value]) => [
    el("dt", {}, name),
    Array.isArray(value) ? el("dd", {}, facts(value)) : el("dd", { class: "plain" }, value),
  ]);
  return el("dl", { class: "facts" }, items.flat());
}

/* The table */

// What a column is called, the value it is sorted by (null goes last), and its cell.
function tableColumns(rows) {
  const columns = [{ label: "path", value: (row) => row[0], cell: pathCell }];
  METRICS.forEach((metric, i) => {
    const format = scoreFormat(metric.distribution);
    columns.push({
      label: metric.name,
      numeric: true,
      value: (row) => row[FIRST_SCORE + i],
      cell: (row) => scoreCell(row[FIRST_SCORE + i], metric.distribution, format),
    });
  });
  columns.push({
    label: "pixels",
    numeric: true,
    value: (row) => (row[WIDTH] === null || row[HEIGHT] === null ? null : row[WIDTH] * row[HEIGHT]),
    cell: (row) => el("td", { class: "numeric" }, row[WIDTH] === null ? "–" : `${row[WIDTH]} × ${row[HEIGHT]}`),
  });
  if (new Set(rows.map((row) => row[SIZE])).size > 1) {
    columns.push({ label: "size rule", value: (row) => row[SIZE] || null, cell: (row) => el("td", {}, row[SIZE]) });
  }
  columns.push({
    label: "status",
    value: (row) => row[STATUS],
    cell: (row) => el("td", {}, el("span", { class: `mark is-${row[STATUS]}` }, row[STATUS])),
  });
  if (rows.some((row) => row[ERROR])) {
    columns.push({
      label: "error",
      value: (row) => row[ERROR] || null,
      cell: (row) => el("td", { class: "reason" }, row[ERROR]),
    });
  }
  if (rows.some((row) => row[NOTE])) {
    columns.push({
      label: "note",
      value: (row) => row[NOTE] || null,
      cell: (row) => el("td", { class: "reason" }, row[NOTE]),
    });
  }
  return columns;
}

function pathCell(row) {
  const start = tailStart(row[0], 1);
  const folder = el("span", { class: "muted" }, breakable(row[0].slice(0, start)));
  const picture = pictureOf(row[0], row[LINK], row[FULL], null, "");
  return el("th", { scope: "row" }, folder, el("wbr"), fileLink(picture, row[0].slice(start)));
}

function scoreCell(score, distribution, format) {
  if (score === null) return el("td", { class: "numeric score" }, "–");
  const share = (score - distribution.low) / (distribution.high - distribution.low || 1);
  const gauge = el("span", { class: "gauge", "aria-hidden": "true" }, percent(el("span"), "width", share));
  return el("td", { class: "numeric score" }, format(score), gauge);
}

// Rows as `topiq score` writes them, for `topiq select` and spreadsheets.
function tableHead() {
  const names = METRICS.map((metric) => metric.name);
  return csvLine(["path", ...names, "width", "height", "size", "status", "error", "note"]);
}

function csvLine(cells) {
  const quoted = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  return cells.map((cell) => (cell === null ? "" : quoted(String(cell)))).join(",");
}

class RowTable {
  constructor(rows) {
    this.rows = rows;
    this.columns = tableColumns(rows);
    this.sorted = { column: null, descending: false };
    this.orders = new Map();
    this.query = "";
    this.status = "";
    this.metric = 0;
    this.from = null;
    this.to = null;
    this.picked = new Set();
    this.hasPictures = rows.some((row) => row[LINK]) || Object.keys(data.pictures).length > 0;
    this.page = 0;
    this.pageSize = 25;
    this.element = this.build();
    this.select();
  }

  build() {
    const { total } = data.counts;
    const section = card("rows", "Rows", "", this.rows.length < total ? sampleNote(this.rows.length) : "");

    this.search = el("input", { type: "search", id: "search", autocomplete: "off", spellcheck: "false" });
    let waiting = 0;
    this.search.addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = setTimeout(() => this.find(this.search.value), SEARCH_DELAY);
    });
    const statuses = ["ok", "partial", "error"].map((status) => el("option", { value: status }, status));
    this.filter = el("select", { id: "status" }, el("option", { value: "" }, "all"), statuses);
    this.filter.addEventListener("change", () => {
      this.status = this.filter.value;
      this.select();
    });
    this.found = el("p", { class: "found muted", role: "status" });
    const metrics = METRICS.map((metric, i) => el("option", { value: i }, metric.name));
    this.metricChoice = el("select", {}, metrics);
    this.bounds = ["from", "to"].map((end) => {
      const input = el("input", { type: "number", step: "any", inputmode: "decimal", id: `score-${end}` });
      input.addEventListener("input", () => {
        this[end] = input.value === "" || Number.isNaN(input.valueAsNumber) ? null : input.valueAsNumber;
        this.select();
      });
      return input;
    });
    this.metricChoice.addEventListener("change", () => {
      this.metric = Number(this.metricChoice.value);
      this.select();
    });
    const act = (label, action) => {
      const button = el("button", { type: "button", class: "button" }, label);
      button.addEventListener("click", action);
      return button;
    };
    this.selection = el("p", { role: "status" });
    this.selectionButtons = [
      act("Tick all that are shown", () => this.pick(this.shown, true)),
      act("Untick all", () => this.pick([...this.picked], false)),
      act("Download paths", () => this.download("txt")),
      act("Download rows", () => this.download("csv")),
    ];

    this.headers = this.columns.map((column, i) => {
      const button = el("button", { type: "button", title: `Sort by ${column.label}` }, column.label);
      button.addEventListener("click", () => this.sort(i));
      return el("th", { scope: "col", class: column.numeric ? "numeric" : null }, button);
    });
    this.body = el("tbody");
    const table = el(
      "table",
      {},
      el("caption", {}, "One row for each image. The buttons in the head sort."),
      el(
        "thead",
        {},
        el(
          "tr",
          {},
          el("th", { scope: "col" }, el("span", { class: "aside" }, "ticked")),
          this.hasPictures ? el("th", { scope: "col" }, el("span", { class: "aside" }, "picture")) : null,
          this.headers,
        ),
      ),
      this.body,
    );

    this.buttons = [
      ["First", () => 0],
      ["Previous", () => this.page - 1],
      ["Next", () => this.page + 1],
      ["Last", () => this.pages - 1],
    ].map(([label, target]) => {
      const button = el("button", { type: "button", class: "button" }, label);
      button.addEventListener("click", () => this.turn(target()));
      return button;
    });
    this.position = el("p", { role: "status" });
    const sizes = PAGE_SIZES.map((size) => el("option", { value: size, selected: size === this.pageSize }, `${size}`));
    const pageSize = el("select", {}, sizes);
    pageSize.addEventListener("change", () => {
      this.pageSize = Number(pageSize.value);
      this.turn(0);
    });

    section.append(
      el(
        "div",
        { class: "controls" },
        el("label", { class: "grow" }, "Search path, status, error and note", this.search),
        el("label", {}, "Status", this.filter),
        METRICS.length > 1 ? el("label", {}, "Scores of", this.metricChoice) : null,
        el("label", {}, "Score from", this.bounds[0]),
        el("label", {}, "to", this.bounds[1]),
        this.found,
      ),
      el("div", { class: "selection" }, this.selection, this.selectionButtons),
      el("div", { class: "scroller", role: "region", "aria-label": "Table of rows", tabindex: "0" }, table),
      el(
        "nav",
        { class: "pager", "aria-label": "Pages of the table" },
        this.buttons.slice(0, 2),
        this.position,
        this.buttons.slice(2),
        el("label", {}, "Rows a page", pageSize),
      ),
    );
    return section;
  }

  // Ascending, descending, then the job's own order.
  sort(column) {
    if (this.sorted.column !== column) this.sorted = { column, descending: false };
    else if (!this.sorted.descending) this.sorted.descending = true;
    else this.sorted = { column: null, descending: false };
    this.headers.forEach((header, i) => {
      if (i !== this.sorted.column) header.removeAttribute("aria-sort");
      else header.setAttribute("aria-sort", this.sorted.descending ? "descending" : "ascending");
    });
    this.select();
  }

  find(query) {
    this.query = query;
    this.select();
  }

  select() {
    const wanted = this.query.trim().toLowerCase();
    this.shown = this.order().filter(
      (i) =>
        (!this.status || this.rows[i][STATUS] === this.status) &&
        this.isWithin(this.rows[i][FIRST_SCORE + this.metric]) &&
        (!wanted || this.text(i).includes(wanted)),
    );
    this.found.textContent =
      this.shown.length === this.rows.length
        ? plural(this.rows.length, "row")
        : `${whole.format(this.shown.length)} of ${plural(this.rows.length, "row")}`;
    this.turn(0);
  }

  // Both ends are wanted; what has no score is outside of any.
  isWithin(score) {
    if (this.from === null && this.to === null) return true;
    return typeof score === "number" && score >= (this.from ?? -Infinity) && score <= (this.to ?? Infinity);
  }

  pick(rows, ticked) {
    for (const i of rows) {
      if (ticked) this.picked.add(i);
      else this.picked.delete(i);
    }
    for (const box of this.body.querySelectorAll("input[type=checkbox]")) {
      box.checked = this.picked.has(Number(box.value));
    }
    this.tell();
  }

  // What is ticked, in the order of the table; where nothing is, what is shown.
  get chosen() {
    return this.picked.size ? this.order().filter((i) => this.picked.has(i)) : this.shown;
  }

  tell() {
    const ticked = this.picked.size;
    this.selection.textContent = ticked
      ? `${plural(ticked, "row")} ticked`
      : `nothing ticked: ${plural(this.shown.length, "row")} shown`;
    this.selectionButtons[1].disabled = !ticked;
    for (const button of this.selectionButtons.slice(2)) button.disabled = !this.chosen.length;
  }

  download(form) {
    // A path that is too long to be here in full is of no use.
    const rows = this.chosen.map((i) => this.rows[i]).filter((row) => row[FULL] !== "");
    const paths = rows.map((row) => row[FULL] ?? row[0]);
    const cells = (row, i) => csvLine([paths[i], ...row.slice(FIRST_SCORE, LINK)]);
    const lines = form === "txt" ? paths : [tableHead(), ...rows.map(cells)];
    const url = URL.createObjectURL(new Blob(lines.map((line) => `${line}\n`), { type: "text/plain" }));
    const link = el("a", { href: url, download: `selection.${form}` });
    link.click();
    URL.revokeObjectURL(url);
  }

  tickCell(i) {
    const box = el("input", {
      type: "checkbox",
      value: i,
      checked: this.picked.has(i),
      "aria-label": `Tick ${this.rows[i][0]}`,
    });
    box.addEventListener("change", () => this.pick([i], box.checked));
    return el("td", { class: "tick" }, box);
  }

  pictureCell(pictures, at) {
    const { small, file, name } = pictures[at];
    const cell = el("td", { class: "picture" });
    if (!small && !file) return cell;
    const image = el("img", { src: small ?? file, alt: "", loading: "lazy", decoding: "async" });
    const button = enlarging(pictures, at, image);
    image.addEventListener("error", () => button.replaceChildren("show"));
    button.title = name;
    cell.append(button);
    return cell;
  }

  text(i) {
    this.texts ??= this.rows.map((row) => [row[0], row[STATUS], row[ERROR], row[NOTE]].join("\n").toLowerCase());
    return this.texts[i];
  }

  order() {
    const { column, descending } = this.sorted;
    const key = `${column} ${descending}`;
    if (!this.orders.has(key)) this.orders.set(key, this.computeOrder(column, descending));
    return this.orders.get(key);
  }

  computeOrder(column, descending) {
    const all = this.rows.map((_, i) => i);
    if (column === null) return all;
    const values = this.rows.map(this.columns[column].value);
    const text = new Intl.Collator("en", { numeric: true }).compare;
    const compare = this.columns[column].numeric ? (a, b) => a - b : text;
    const sign = descending ? -1 : 1;
    const known = all.filter((i) => values[i] !== null);
    const unknown = all.filter((i) => values[i] === null);
    return [...known.sort((a, b) => sign * compare(values[a], values[b])), ...unknown];
  }

  get pages() {
    return Math.max(1, Math.ceil(this.shown.length / this.pageSize));
  }

  turn(page) {
    this.page = Math.min(Math.max(page, 0), this.pages - 1);
    const start = this.page * this.pageSize;
    const places = this.shown.slice(start, start + this.pageSize);
    const pictures = places.map((i) => rowPicture(this.rows, i));
    const rows = places.map((i, at) => {
      const row = this.rows[i];
      return el(
        "tr",
        {},
        this.tickCell(i),
        this.hasPictures ? this.pictureCell(pictures, at) : null,
        this.columns.map((column) => column.cell(row)),
      );
    });
    const nothing = () =>
      el("tr", {}, el("td", { class: "empty", colspan: this.columns.length + 2 }, "No row matches."));
    this.body.replaceChildren(...(rows.length ? rows : [nothing()]));
    this.position.textContent = `Page ${whole.format(this.page + 1)} of ${whole.format(this.pages)}`;
    const ends = [this.page === 0, this.page === this.pages - 1];
    this.buttons.forEach((button, i) => (button.disabled = ends[Math.floor(i / 2)]));
    this.tell();
  }

  // As a click in the list of errors asks for.
  show(query) {
    this.search.value = query;
    this.filter.value = this.status = "";
    this.find(query);
    this.element.scrollIntoView();
    this.search.focus({ preventScroll: true });
  }
}

function sampleNote(shown) {
  const { total, bound } = data.problems;
  const problems = total > bound ? `the first ${whole.format(bound)} rows with errors` : "every row with an error";
  return (
    `The table shows ${whole.format(shown)} of ${plural(data.counts.total, "row")}: ` +
    `${total ? `${problems}, ` : ""}the best and the worst, and an even sample of the rest.`
  );
}

/* The page */

function main() {
  const table = new RowTable(data.rows);
  const sections = [
    outcome(),
    ...METRICS.map(metricSection),
    errorSection((reason) => table.show(reason)),
    table.element,
    provenance(),
  ];
  document
    .getElementById("page")
    .append(
      head(),
      navigation(sections),
      el("main", {}, sections),
      el("footer", { class: "foot" }, `Made by topiq-metrics ${data.version}.`),
      viewer.element,
    );
}

main();
