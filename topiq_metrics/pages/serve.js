"use strict";

// Names and reasons come from anywhere: they reach the page as text nodes and attribute values only.

const PAGE_ROWS = 50;
const IN_FLIGHT = 4;
const THUMBNAIL = 320;
const LARGE_PREVIEW = 2048;
const SHOWN_TYPES = new Set(["jpeg", "png", "gif", "webp", "avif", "bmp"].map((kind) => `image/${kind}`));
const SUFFIXES = /\.(avif|bmp|gif|heic|heif|jfif|jp2|j2k|jpe?g|pbm|pfm|pgm|png|ppm|qoi|tiff?|webp)$/i;
const COLLATOR = new Intl.Collator("en", { numeric: true });
const WHOLE = new Intl.NumberFormat("en");
const PALETTE = JSON.parse(document.getElementById("data").textContent).palette;
// The share of the score's range that the colours of maps span at least, so that small differences look small.
const LEAST_SPAN = 0.25;
const HOVER_DELAY = 150;

const state = {
  server: null,
  metrics: [],
  pictures: [],
  references: [],
  sorted: { column: "place", descending: false },
  page: 0,
  inFlight: 0,
  paused: false,
  locked: false,
  leftOut: 0,
  drawing: false,
};

/* Elements */

function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null) node.setAttribute(name, value);
  }
  node.append(...children.flat().filter((child) => child !== null));
  return node;
}

function byId(id) {
  return document.getElementById(id);
}

function plural(count, noun) {
  return `${WHOLE.format(count)} ${noun}${count === 1 ? "" : "s"}`;
}

// What does not show, or turns the direction of writing, as an escape.
function visible(text) {
  return text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (c) => `\\u{${c.codePointAt(0).toString(16)}}`);
}

function problem(text) {
  byId("problem").textContent = text;
  byId("problem").hidden = !text;
}

/* The server */

async function call(path, body = null) {
  const token = sessionStorage.getItem("token");
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const answer = await fetch(path, { method: body ? "POST" : "GET", body, headers });
  const content = await answer.json().catch(() => null);
  if (answer.ok && content) return content;
  const error = new Error(content?.error?.message ?? `The server answers ${answer.status}.`);
  error.status = answer.status;
  error.reason = content?.error?.reason ?? "failed";
  error.wait = Number(answer.headers.get("Retry-After")) || 0;
  throw error;
}

async function connect() {
  try {
    state.server = await call("api/metrics");
  } catch (error) {
    if (error.status === 401) askForToken();
    else problem(error.status ? error.message : "The server cannot be reached: is it still running?");
    return;
  }
  state.locked = false;
  byId("token-form").hidden = true;
  problem("");
  listMetrics();
  pump();
}

function takeToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (!given) return;
  sessionStorage.setItem("token", given);
  history.replaceState(null, "", location.pathname);
}

function askForToken() {
  state.locked = true;
  problem(sessionStorage.getItem("token") ? "The token is wrong." : "This server asks for a token: it printed one.");
  byId("token-form").hidden = false;
  byId("token").focus();
}

/* Metrics */

function card(name) {
  return state.server.metrics.find((metric) => metric.name === name);
}

function listMetrics() {
  const before = new Set(state.metrics);
  const here = state.server.metrics.filter((metric) => metric.here);
  const lacking = state.server.metrics.filter((metric) => !metric.here);
  state.metrics = here.map((metric) => metric.name).filter((name) => before.has(name));
  if (!state.metrics.length) state.metrics = [state.server.defaults.NR];
  byId("metric-list").replaceChildren(
    ...here.map((metric) => {
      const box = el("input", { type: "checkbox", value: metric.name });
      box.checked = state.metrics.includes(metric.name);
      box.addEventListener("change", () => chooseMetrics());
      const pairs = metric.mode === "FR" ? "full-reference" : "no-reference";
      const better = metric.higher_is_better ? "higher is better" : "lower is better";
      const about = `${metric.summary} · ${pairs}, ${better}`;
      return el("label", {}, box, el("span", {}, metric.name), el("span", { class: "muted" }, about));
    }),
  );
  byId("lacking").hidden = !lacking.length;
  byId("lacking-list").replaceChildren(
    ...lacking.map((metric) => el("li", {}, metric.name, el("span", { class: "muted" }, metric.lacking))),
  );
  metricsChanged();
}

function chooseMetrics() {
  const boxes = [...byId("metric-list").querySelectorAll("input")];
  state.metrics = boxes.filter((box) => box.checked).map((box) => box.value);
  metricsChanged();
}

function selectMetric(name) {
  const box = byId("metric-list").querySelector(`input[value="${CSS.escape(name)}"]`);
  if (!box || box.checked) return;
  box.checked = true;
  chooseMetrics();
}

function metricsChanged() {
  const select = byId("threshold-metric");
  const before = select.value;
  select.replaceChildren(...state.metrics.map((name) => el("option", { value: name }, name)));
  if (state.metrics.includes(before)) select.value = before;
  else resetThreshold();
  if (!["place", "name", "pixels", ...state.metrics].includes(state.sorted.column)) {
    state.sorted = { column: "place", descending: false };
  }
  drawHead();
  pump();
  draw();
}

/* Pictures */

// A file that is a picture to be scored, or a reference.
class Picture {
  constructor(file, name) {
    this.file = file;
    this.name = name;
    this.reference = null;
    this.scores = new Map();
    this.failed = new Map();
    this.asked = new Set();
    this.width = this.height = null;
    this.sizes = new Map();
    this.notes = new Map();
    this.override = null;
    this.preview = null;
    this.url = null;
    this.row = null;
    this.maps = new Map();
  }

  get isShown() {
    return SHOWN_TYPES.has(this.file.type);
  }

  get key() {
    return [this.name, this.file.size, this.file.lastModified].join("\n");
  }

  // The chosen metrics that this picture can have, and has neither a score nor a reason of.
  get missing() {
    return state.metrics.filter((name) => this.fits(name) && !this.scores.has(name) && !this.failed.has(name));
  }

  fits(name) {
    return card(name).mode === "NR" || this.reference !== null;
  }

  get errors() {
    const texts = state.metrics.filter((name) => this.failed.has(name)).map((name) => this.failed.get(name));
    return [...new Set(texts)];
  }

  get status() {
    const errors = state.metrics.filter((name) => this.failed.has(name) || !this.fits(name)).length;
    if (this.missing.length) return "waiting";
    if (!errors) return "ok";
    return state.metrics.some((name) => this.scores.has(name)) ? "partial" : "error";
  }

  // As a row of all the chosen metrics has it.
  get size() {
    const named = state.metrics.filter((name) => this.sizes.has(name)).map((name) => [name, this.sizes.get(name)]);
    const rules = [...new Set(named.map(([, rule]) => rule))];
    return rules.length === 1 ? rules[0] : named.map((pair) => pair.join(":")).join(";");
  }

  get note() {
    return state.metrics.map((name) => this.notes.get(name)).find(Boolean) ?? "";
  }

  forget(metrics) {
    for (const name of metrics) {
      for (const kept of [this.scores, this.failed, this.asked, this.maps, this.sizes, this.notes]) kept.delete(name);
    }
  }

  release() {
    if (this.url?.startsWith("blob:")) URL.revokeObjectURL(this.url);
    this.url = null;
  }
}

function addPictures(files) {
  const known = new Set(state.pictures.map((picture) => picture.key));
  for (const [file, name] of files) {
    const picture = new Picture(file, name);
    if (known.has(picture.key)) continue;
    known.add(picture.key);
    state.pictures.push(picture);
  }
  pairUp();
  byId("results").hidden = !state.pictures.length;
  pump();
  draw();
}

function addReferences(files) {
  state.references.push(...files.map(([file, name]) => new Picture(file, name)));
  pairUp();
  if (state.references.length && !state.metrics.some((name) => card(name).mode === "FR")) {
    selectMetric(state.server.defaults.FR);
  }
  pump();
  draw();
}

function removeReferences() {
  for (const reference of state.references) reference.release();
  state.references = [];
  pairUp();
  draw();
}

// By the whole name, then without folders, then without suffixes; a name that fits several references fits none.
function likenesses(name) {
  const path = name.toLowerCase();
  const bare = path.slice(path.lastIndexOf("/") + 1);
  return [path, bare, bare.replace(/\.[^.]*$/, "")];
}

function pairUp() {
  const tables = [new Map(), new Map(), new Map()];
  for (const reference of state.references) {
    likenesses(reference.name).forEach((key, i) => tables[i].set(key, tables[i].has(key) ? null : reference));
  }
  const single = state.references.length === 1 ? state.references[0] : null;
  let paired = 0;
  for (const picture of state.pictures) {
    const keys = likenesses(picture.name);
    const level = tables.findIndex((table, i) => table.has(keys[i]));
    const found = single ?? (level < 0 ? null : tables[level].get(keys[level]));
    if (found !== picture.reference) {
      picture.reference = found;
      picture.forget(state.server.metrics.filter((metric) => metric.mode === "FR").map((metric) => metric.name));
    }
    paired += found ? 1 : 0;
  }
  byId("references-note").textContent = !state.references.length
    ? "One for all, or one of the same name for each."
    : single
      ? `${visible(single.name)} is the reference of all.`
      : `${plural(state.references.length, "reference")}: ${WHOLE.format(paired)} of ` +
        `${plural(state.pictures.length, "picture")} has one of its name.`;
  byId("drop-all-references").hidden = !state.references.length;
}

/* Scoring */

function pump() {
  if (!state.server || state.locked) return;
  while (!state.paused && state.inFlight < IN_FLIGHT) {
    const picture = state.pictures.find((each) => each.missing.some((name) => !each.asked.has(name)));
    if (!picture) return;
    score(picture, picture.missing.filter((name) => !picture.asked.has(name)));
  }
}

async function score(picture, metrics) {
  const reference = metrics.some((name) => card(name).mode === "FR") ? picture.reference : null;
  const form = new FormData();
  form.append("images", picture.file, picture.name);
  if (reference) form.append("reference", reference.file, reference.name);
  for (const name of metrics) form.append("metrics", name);
  if (!picture.isShown && !picture.preview) form.append("preview", THUMBNAIL);
  for (const name of metrics) picture.asked.add(name);
  const bytes = picture.file.size + (reference ? reference.file.size : 0);
  const bound = state.server.limits.request_bytes;
  if (bytes > bound - 10000) {
    fail(picture, metrics, `too-large: ${WHOLE.format(bytes)} bytes are more than the server's limit of ${WHOLE.format(bound)}`);
    return;
  }
  // Those that another reference has not made void meanwhile.
  const current = () => metrics.filter((name) => card(name).mode === "NR" || picture.reference === reference);
  state.inFlight += 1;
  try {
    const { rows } = await call("api/score", form);
    take(picture, current(), rows[0]);
  } catch (error) {
    handle(error, picture, current());
  }
  state.inFlight -= 1;
  pump();
  draw();
}

function take(picture, metrics, row) {
  for (const name of metrics) {
    const value = row.scores[name];
    if (value !== null && value !== undefined) picture.scores.set(name, value);
    else picture.failed.set(name, reasonOf(row.error, name));
    picture.sizes.set(name, sizeOf(row.size, name));
    picture.notes.set(name, row.note);
  }
  Object.assign(picture, { width: row.width, height: row.height });
  picture.preview ??= row.preview;
}

// A row in which metrics failed for different reasons names them: `topiq_fr: size-mismatch: …; topiq_nr: …`.
function reasonOf(error, name) {
  const own = error.split("; ").find((part) => part.startsWith(`${name}: `));
  return own ? own.slice(name.length + 2) : error;
}

// Of several metrics with different size rules, a row names each: `topiq_fr:native;topiq_nr:max_side=512`.
function sizeOf(size, name) {
  const own = size.split(";").find((part) => part.startsWith(`${name}:`));
  return own ? own.slice(name.length + 1) : size;
}

function handle(error, picture, metrics) {
  if (error.status === 401) {
    for (const name of metrics) picture.asked.delete(name);
    askForToken();
  } else if (error.status === 503 && error.reason === "busy") {
    setTimeout(() => {
      for (const name of metrics) picture.asked.delete(name);
      pump();
    }, 1000 * Math.max(1, error.wait));
  } else if (!error.status || error.reason === "ended") {
    // Chromium says the same of a file that was changed or deleted and of a server that is gone.
    for (const name of metrics) picture.asked.delete(name);
    pause(true);
    problem(`${visible(picture.name)} could not be sent: the server has ended, or the file is gone. “Go on” tries again.`);
  } else {
    fail(picture, metrics, `${error.reason}: ${error.message}`);
  }
}

function fail(picture, metrics, text) {
  for (const name of metrics) picture.failed.set(name, text);
  draw();
}

function pause(paused) {
  state.paused = paused;
  if (!paused) {
    problem("");
    pump();
  }
  draw();
}

/* Choosing */

function thresholdMetric() {
  return byId("threshold-metric").value;
}

function isBetter(name, a, b) {
  return card(name).higher_is_better ? a > b : a < b;
}

function isChosen(picture) {
  if (picture.override !== null) return picture.override;
  const value = picture.scores.get(thresholdMetric());
  const bound = Number(byId("threshold").value);
  return value !== undefined && !isBetter(thresholdMetric(), bound, value);
}

function resetThreshold() {
  const name = thresholdMetric();
  const range = byId("threshold");
  if (!name) return;
  const [low, high] = card(name).score_range;
  const higher = card(name).higher_is_better;
  range.min = low;
  range.max = high;
  range.value = higher ? low : high;
  byId("threshold-label").textContent = higher ? "At least" : "At most";
  byId("threshold-number").value = Number(Number(range.value).toFixed(4));
}

// A network's head may step beyond its range, and such scores are to be reached by the slider, too.
function widenThreshold() {
  const range = byId("threshold");
  const name = thresholdMetric();
  if (!name) return;
  const higher = card(name).higher_is_better;
  const takesAll = range.value === (higher ? range.min : range.max);
  for (const picture of state.pictures) {
    const value = picture.scores.get(name);
    if (value === undefined) continue;
    if (value < Number(range.min)) range.min = value;
    if (value > Number(range.max)) range.max = value;
  }
  if (takesAll) range.value = higher ? range.min : range.max;
}

/* The table */

const columns = () => [
  { key: "place", label: "#", numeric: true },
  { key: "name", label: "picture" },
  ...state.metrics.map((name) => ({ key: name, label: name, numeric: true })),
  { key: "pixels", label: "pixels", numeric: true },
];

function drawHead() {
  const heads = columns().map((column) => {
    const title = column.key === "place" ? "Sort by rank" : `Sort by ${column.label}`;
    const button = el("button", { type: "button", title }, column.label);
    button.addEventListener("click", () => sort(column.key));
    const sorted = state.sorted.column === column.key;
    return el(
      "th",
      {
        scope: "col",
        class: column.numeric ? "numeric" : null,
        "aria-sort": sorted ? (state.sorted.descending ? "descending" : "ascending") : null,
        "data-key": column.key,
      },
      button,
    );
  });
  const focused = document.activeElement?.closest?.("#columns th")?.dataset.key;
  byId("columns").replaceChildren(
    el("th", { scope: "col", class: "narrow" }, el("span", { class: "unseen" }, "chosen")),
    el("th", { scope: "col", class: "narrow" }, el("span", { class: "unseen" }, "compare")),
    ...heads,
  );
  heads.find((head) => head.dataset.key === focused)?.querySelector("button").focus();
}

function sort(key) {
  const same = state.sorted.column === key;
  state.sorted = { column: key, descending: same ? !state.sorted.descending : false };
  state.page = 0;
  drawHead();
  draw();
}

// Two scores of one picture may differ by as much: what rounds depends on the batch it was in.
function isRounding(value, other) {
  return Math.abs(value - other) <= 1e-5 * Math.max(1, Math.abs(other));
}

// 1 plus the number of pictures with a better score of the metric that the threshold is on.
function placeAll() {
  const name = thresholdMetric();
  const scored = state.pictures.filter((picture) => picture.scores.has(name));
  const values = scored.map((picture) => picture.scores.get(name));
  values.sort((a, b) => (isBetter(name, a, b) ? -1 : isBetter(name, b, a) ? 1 : 0));
  const first = new Map();
  let [best, place] = [NaN, 0];
  values.forEach((value, i) => {
    if (!isRounding(value, best)) [best, place] = [value, i + 1];
    first.set(value, place);
  });
  for (const picture of state.pictures) picture.place = first.get(picture.scores.get(name)) ?? null;
}

function valueOf(picture, key) {
  if (key === "place") return picture.place;
  if (key === "name") return picture.name;
  if (key === "pixels") return picture.width === null ? null : picture.width * picture.height;
  return picture.scores.get(key) ?? null;
}

function ordered() {
  const { column, descending } = state.sorted;
  const sign = descending ? -1 : 1;
  const compare = column === "name" ? COLLATOR.compare : (a, b) => a - b;
  const known = state.pictures.filter((picture) => valueOf(picture, column) !== null);
  const unknown = state.pictures.filter((picture) => valueOf(picture, column) === null);
  known.sort((a, b) => sign * compare(valueOf(a, column), valueOf(b, column)) || COLLATOR.compare(a.name, b.name));
  return [...known, ...unknown];
}

function isListed(picture, wanted) {
  const show = byId("show").value;
  if (wanted && !picture.name.toLowerCase().includes(wanted)) return false;
  if (show === "chosen") return isChosen(picture);
  if (show === "others") return !isChosen(picture);
  return show !== "errors" || picture.errors.length > 0;
}

function draw() {
  if (state.drawing || !state.server) return;
  state.drawing = true;
  requestAnimationFrame(() => {
    state.drawing = false;
    drawNow();
  });
}

function drawNow() {
  widenThreshold();
  placeAll();
  const wanted = byId("search").value.trim().toLowerCase();
  const listed = ordered().filter((picture) => isListed(picture, wanted));
  const pages = Math.max(1, Math.ceil(listed.length / PAGE_ROWS));
  state.page = Math.min(Math.max(state.page, 0), pages - 1);
  const start = state.page * PAGE_ROWS;
  const rows = listed.slice(start, start + PAGE_ROWS).map(drawRow);
  const body = byId("rows");
  if (!rows.length) {
    rows.push(el("tr", {}, el("td", { class: "empty", colspan: columns().length + 2 }, "No picture matches.")));
  }
  if (rows.length !== body.rows.length || rows.some((row, i) => row !== body.rows[i])) {
    const focused = document.activeElement;
    body.replaceChildren(...rows);
    if (body.contains(focused)) focused.focus({ preventScroll: true });
  }
  byId("position").textContent = `Page ${WHOLE.format(state.page + 1)} of ${WHOLE.format(pages)}`;
  byId("previous").disabled = state.page === 0;
  byId("next").disabled = state.page === pages - 1;
  drawCounts();
}

function drawCounts() {
  const total = state.pictures.length;
  const waiting = state.pictures.filter((picture) => picture.missing.length).length;
  const errors = state.pictures.filter((picture) => picture.errors.length).length;
  const chosen = state.pictures.filter(isChosen).length;
  const byHand = state.pictures.filter((picture) => picture.override !== null).length;
  const parts = [waiting ? `${WHOLE.format(total - waiting)} of ${plural(total, "picture")} scored` : plural(total, "picture")];
  if (errors) parts.push(`${WHOLE.format(errors)} with errors`);
  if (state.leftOut) parts.push(`${plural(state.leftOut, "file")} of other kinds left out`);
  if (state.paused && waiting) parts.push("stopped");
  byId("progress").textContent = parts.join(" · ");
  byId("progress-bar").style.width = `${total ? (100 * (total - waiting)) / total : 0}%`;
  byId("chosen").textContent = WHOLE.format(chosen);
  byId("chosen-of").textContent = `of ${WHOLE.format(total)} chosen${byHand ? `, ${WHOLE.format(byHand)} by hand` : ""}`;
  for (const id of ["csv", "json", "names"]) byId(id).disabled = !chosen;
  byId("compare").disabled = total + state.references.length < 2;
  byId("stop").hidden = !waiting;
  byId("stop").textContent = state.paused ? "Go on" : "Stop";
  document.title = waiting ? `${WHOLE.format(total - waiting)}/${WHOLE.format(total)} · topiq serve` : "topiq serve";
}

// What may have the focus stays; the other cells are made anew.
function drawRow(picture) {
  picture.row ??= makeRow(picture);
  const { row, box, cells } = picture.row;
  box.checked = isChosen(picture);
  row.classList.toggle("is-chosen", box.checked);
  const made = [
    el("td", { class: "numeric" }, picture.place === null ? "–" : WHOLE.format(picture.place)),
    nameCell(picture),
    ...state.metrics.map((name) => scoreCell(picture, name)),
    el("td", { class: "numeric" }, picture.width === null ? "–" : `${picture.width} × ${picture.height}`),
  ];
  for (const cell of cells) cell.remove();
  row.append(...made);
  picture.row.cells = made;
  drawThumbnail(picture);
  return row;
}

function makeRow(picture) {
  const box = el("input", { type: "checkbox", "aria-label": `Choose ${visible(picture.name)}` });
  box.addEventListener("change", () => {
    picture.override = box.checked;
    draw();
  });
  const label = `Compare ${visible(picture.name)}`;
  const thumb = el("button", { type: "button", class: "thumb", "aria-label": label, title: label });
  thumb.addEventListener("click", () => openPair(picture));
  thumb.addEventListener("pointerenter", (event) => event.pointerType !== "touch" && peekSoon(picture));
  thumb.addEventListener("focus", () => thumb.matches(":focus-visible") && peekSoon(picture));
  for (const type of ["pointerleave", "blur", "click"]) thumb.addEventListener(type, () => peekSoon(null));
  const row = el("tr", {}, el("td", { class: "narrow" }, box), el("td", { class: "narrow" }, thumb));
  return { row, box, thumb, cells: [], drawn: false };
}

function nameCell(picture) {
  const name = visible(picture.name);
  const start = name.lastIndexOf("/") + 1;
  const folder = start ? [el("span", { class: "muted" }, name.slice(0, start)), el("wbr")] : [];
  return el(
    "th",
    { scope: "row" },
    folder,
    name.slice(start),
    // Its name stands above.
    picture.errors.map((text) => el("span", { class: "why-not" }, visible(text.replace(`${picture.name}: `, "")))),
    picture.note ? el("span", { class: "noted" }, visible(picture.note)) : null,
  );
}

function scoreCell(picture, name) {
  const value = picture.scores.get(name);
  if (value === undefined) {
    const text = picture.failed.has(name) ? "–" : picture.fits(name) ? "…" : "no reference";
    return el("td", { class: "numeric score muted" }, text);
  }
  const [low, high] = card(name).score_range;
  const share = el("span");
  share.style.width = `${100 * Math.min(1, Math.max(0, (value - low) / (high - low)))}%`;
  return el("td", { class: "numeric score" }, value.toFixed(4), el("span", { class: "gauge", "aria-hidden": "true" }, share));
}

/* Thumbnails */

const thumbnails = { waiting: [], running: 0 };

function drawThumbnail(picture) {
  if (picture.row.drawn) return;
  if (!picture.isShown) {
    if (!picture.preview) return;
    picture.row.thumb.replaceChildren(el("img", { src: picture.preview, alt: "" }));
  } else {
    thumbnails.waiting.push(picture);
    nextThumbnail();
  }
  picture.row.drawn = true;
}

async function nextThumbnail() {
  if (thumbnails.running >= IN_FLIGHT || !thumbnails.waiting.length) return;
  const picture = thumbnails.waiting.shift();
  thumbnails.running += 1;
  try {
    const bitmap = await createImageBitmap(picture.file, { resizeWidth: THUMBNAIL, resizeQuality: "medium" });
    const canvas = el("canvas", { width: bitmap.width, height: bitmap.height });
    canvas.getContext("2d").drawImage(bitmap, 0, 0);
    bitmap.close();
    picture.row.thumb.replaceChildren(canvas);
  } catch {
    picture.row.thumb.replaceChildren("not shown");
  }
  thumbnails.running -= 1;
  nextThumbnail();
}

/* Maps */

// The metric whose map is shown: that of the threshold, unless it has none.
function mapMetric() {
  const name = thresholdMetric();
  return name && card(name).compares ? name : null;
}

// The map of a picture, asked for once; null where it cannot be had.
function mapOf(picture, name) {
  if (!picture.maps.has(name)) picture.maps.set(name, askForMap(picture, name));
  return picture.maps.get(name);
}

async function askForMap(picture, name) {
  const isPair = card(name).mode === "FR";
  if (isPair && !picture.reference) return null;
  const form = new FormData();
  form.append("images", picture.file, picture.name);
  if (isPair) form.append("reference", picture.reference.file, picture.reference.name);
  form.append("metrics", name);
  form.append("map", name);
  try {
    const found = (await call("api/score", form)).rows[0].map;
    if (found) picture.maps.get(name).found = found;
    return found;
  } catch {
    picture.maps.delete(name);
    return null;
  }
}

// The values of the worst and of the best colour: one scale for all maps of a metric that are here.
function limits(name) {
  const found = [...state.pictures, ...state.references].map((each) => each.maps.get(name)?.found).filter(Boolean);
  const values = found.flatMap((each) => each.values.flat());
  let low = values.reduce((a, b) => Math.min(a, b), Infinity);
  let high = values.reduce((a, b) => Math.max(a, b), -Infinity);
  const [bottom, top] = card(name).score_range;
  const lacking = Math.max(0, LEAST_SPAN * (top - bottom) - (high - low)) / 2;
  [low, high] = [low - lacking, high + lacking];
  return card(name).higher_is_better ? [low, high] : [high, low];
}

// A pixel for each cell, bright where it is bad.
function paint(canvas, found) {
  const [worst, best] = limits(found.metric);
  canvas.width = found.values[0].length;
  canvas.height = found.values.length;
  const context = canvas.getContext("2d");
  found.values.forEach((cells, y) =>
    cells.forEach((value, x) => {
      const share = Math.min(1, Math.max(0, (best - value) / (best - worst)));
      context.fillStyle = PALETTE[Math.round(share * (PALETTE.length - 1))];
      context.fillRect(x, y, 1, 1);
    }),
  );
}

function drawScale(node, name) {
  const [worst, best] = limits(name);
  const bar = el("span", { class: "scale-bar", "aria-hidden": "true" });
  bar.style.background = `linear-gradient(to right, ${[...PALETTE].reverse().join(",")})`;
  node.replaceChildren(`bad ${worst.toFixed(2)}`, bar, `good ${best.toFixed(2)}`);
}

const peeking = { picture: null, timer: 0 };

function peekSoon(picture) {
  clearTimeout(peeking.timer);
  peeking.picture = picture;
  byId("peek").hidden = true;
  if (picture && mapMetric() && picture.fits(mapMetric())) peeking.timer = setTimeout(() => peek(picture), HOVER_DELAY);
}

// It may have scrolled away since, or its row may have gone.
function isPointedAt(thumb) {
  if (!thumb?.isConnected || !thumb.matches(":hover, :focus-visible")) return false;
  const { top, bottom } = thumb.getBoundingClientRect();
  return bottom > 0 && top < innerHeight;
}

async function peek(picture) {
  if (!isPointedAt(picture.row?.thumb)) return;
  const name = mapMetric();
  const found = await mapOf(picture, name);
  const shown = picture.row?.thumb.firstElementChild;
  if (!found || !shown || peeking.picture !== picture) return;
  const [width, height] = [shown.naturalWidth ?? shown.width, shown.naturalHeight ?? shown.height];
  const below = byId("peek-picture");
  [below.width, below.height] = [width, height];
  below.getContext("2d").drawImage(shown, 0, 0);
  paint(byId("peek-map"), found);
  byId("peek-about").textContent = visible(`Where ${picture.name} is bad, as ${name} sees it: ${found.score.toFixed(4)}`);
  drawScale(byId("peek-scale"), name);
  const box = byId("peek");
  const sheet = byId("peek-sheet");
  const scale = Math.min(320 / width, 320 / height);
  sheet.style.width = `${Math.round(width * scale)}px`;
  sheet.style.height = `${Math.round(height * scale)}px`;
  box.hidden = false;
  const at = picture.row.thumb.getBoundingClientRect();
  box.style.left = `${Math.min(at.right + 12, innerWidth - box.offsetWidth - 8)}px`;
  box.style.top = `${Math.max(8, Math.min(at.top - 20, innerHeight - box.offsetHeight - 8))}px`;
}

/* Two versions */

const pair = { asked: 0, mapped: 0, verdicts: new Map() };

function openPair(picture = null) {
  const order = ordered();
  const all = [...order, ...state.references];
  const left = picture ?? order[0];
  const right = picture?.reference ?? all.find((each) => each !== left) ?? left;
  pair.all = all;
  const option = (each) => el("option", { value: all.indexOf(each) }, visible(each.name));
  for (const [id, chosen] of [["left", left], ["right", right]]) {
    const groups = [["Pictures", order], ["References", state.references]].filter(([, group]) => group.length);
    byId(id).replaceChildren(...groups.map(([label, group]) => el("optgroup", { label }, group.map(option))));
    byId(id).value = all.indexOf(chosen);
  }
  const names = state.server.metrics.filter((metric) => metric.here && metric.compares).map((metric) => metric.name);
  const before = byId("pair-metric").value || thresholdMetric();
  byId("pair-metric").replaceChildren(...names.map((name) => el("option", { value: name }, name)));
  byId("pair-metric").value = names.includes(before) ? before : names[0];
  byId("pair").showModal();
  showPair();
}

function sides() {
  return [pair.all[byId("left").value], pair.all[byId("right").value]];
}

async function showPair() {
  const [left, right] = sides();
  for (const [id, picture] of [["left-picture", left], ["right-picture", right]]) {
    const image = byId(id);
    image.alt = visible(picture.name);
    image.src = await address(picture);
    await image.decode().catch(() => null);
  }
  layOut();
  await Promise.all([judge(left, right), showMaps(left, right)]);
}

async function showMaps(left, right) {
  const name = byId("pair-metric").value;
  const number = ++pair.mapped;
  const on = byId("pair-map").checked;
  const found = on ? await Promise.all([left, right].map((picture) => mapOf(picture, name))) : [null, null];
  if (number !== pair.mapped) return;
  ["left-map", "right-map"].forEach((id, i) => {
    byId(id).hidden = !found[i];
    if (found[i]) paint(byId(id), found[i]);
  });
  byId("sheet").classList.toggle("is-mapped", found.some(Boolean));
  byId("pair-scale").hidden = !on;
  if (found.some(Boolean)) drawScale(byId("pair-scale"), name);
  else byId("pair-scale").textContent = "There is no map of these.";
}

// Of a file that the browser shows, its own; of others, what the server makes of it.
async function address(picture) {
  if (picture.url) return picture.url;
  if (picture.isShown) {
    picture.url = URL.createObjectURL(picture.file);
    return picture.url;
  }
  const form = new FormData();
  form.append("images", picture.file, picture.name);
  form.append("preview", LARGE_PREVIEW);
  const answer = await call("api/score", form).catch(() => null);
  picture.url = answer?.rows[0].preview ?? "data:,";
  return picture.url;
}

function layOut() {
  const images = [byId("left-picture"), byId("right-picture")];
  const widest = images[0].naturalWidth >= images[1].naturalWidth ? images[0] : images[1];
  const [width, height] = [widest.naturalWidth || 1, widest.naturalHeight || 1];
  const stage = byId("stage");
  const zoom = byId("zoom").value;
  const fit = Math.min(stage.clientWidth / width, stage.clientHeight / height);
  const scale = zoom === "fit" ? fit : Number(zoom) / devicePixelRatio;
  const sheet = byId("sheet");
  sheet.style.width = `${Math.floor(width * scale)}px`;
  sheet.style.height = `${Math.floor(height * scale)}px`;
  sheet.classList.toggle("is-large", Number(zoom) > 1);
  moveSeam();
}

function moveSeam() {
  const at = Number(byId("split").value);
  for (const id of ["left-picture", "left-map"]) byId(id).style.clipPath = `inset(0 ${100 - at}% 0 0)`;
  byId("seam").style.left = `${at}%`;
}

async function judge(left, right) {
  const name = byId("pair-metric").value;
  const reference = left.reference ?? right.reference;
  const number = ++pair.asked;
  const say = (text) => {
    if (number === pair.asked) byId("verdict").textContent = visible(text);
  };
  if (left === right) return say("Choose two pictures.");
  if (card(name).mode === "FR" && !reference) return say(`${name} compares with a reference, and neither has one.`);
  const key = [left.key, right.key, reference?.key, name].join("\n\n");
  if (!pair.verdicts.has(key)) {
    say("…");
    const form = new FormData();
    for (const picture of [left, right]) form.append("images", picture.file, picture.name);
    if (card(name).mode === "FR") form.append("reference", reference.file, reference.name);
    form.append("metric", name);
    try {
      pair.verdicts.set(key, verdict((await call("api/compare", form)).rows));
    } catch (error) {
      return say(error.status ? error.message : "The server cannot be reached.");
    }
  }
  say(pair.verdicts.get(key));
}

function verdict(rows) {
  const failed = rows.find((row) => row.error);
  if (failed) return `${failed.name}: ${failed.error}`;
  const [a, b] = rows;
  const noise = Math.max(a.noise, b.noise).toFixed(4);
  const scores = `${a.score.toFixed(4)} left, ${b.score.toFixed(4)} right; the noise is ${noise}.`;
  if (a.ties.length) return `Not told apart: ${scores}`;
  return `${a.place < b.place ? "Left" : "Right"} is better: ${scores}`;
}

/* Export */

function exported() {
  return ordered()
    .filter(isChosen)
    .map((picture) => ({
      path: picture.name,
      ...Object.fromEntries(state.metrics.map((name) => [name, picture.scores.get(name) ?? null])),
      width: picture.width,
      height: picture.height,
      size: picture.size,
      status: picture.status,
      error: picture.errors.join("; "),
      note: picture.note,
    }));
}

function csv(rows) {
  const quoted = (value) => {
    const text = value === null ? "" : String(value);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const lines = [Object.keys(rows[0]), ...rows.map(Object.values)];
  return lines.map((line) => `${line.map(quoted).join(",")}\r\n`).join("");
}

function save(name, type, content) {
  const url = URL.createObjectURL(new Blob([content], { type }));
  el("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}

/* Files from anywhere */

function isPicture(file) {
  return file.type.startsWith("image/") || SUFFIXES.test(file.name);
}

function withNames(list) {
  const files = [...list].map((file) => [file, file.webkitRelativePath || file.name]);
  const kept = files.filter(([file]) => !file.webkitRelativePath || isPicture(file));
  state.leftOut += files.length - kept.length;
  return kept.sort(([, a], [, b]) => COLLATOR.compare(a, b));
}

async function dropped(transfer) {
  // Before the first await: then the list is empty.
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return withNames(transfer.files);
  const files = [];
  for (const entry of entries) await walk(entry, files, false);
  return files.sort(([, a], [, b]) => COLLATOR.compare(a, b));
}

async function walk(entry, files, inFolder) {
  if (entry.isFile) {
    const file = await new Promise((resolve) => entry.file(resolve, () => resolve(null)));
    if (file && (!inFolder || isPicture(file))) files.push([file, entry.fullPath.replace(/^\//, "")]);
    else state.leftOut += 1;
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    const some = await new Promise((resolve) => reader.readEntries(resolve, () => resolve([])));
    if (!some.length) return;
    for (const each of some) if (!each.name.startsWith(".")) await walk(each, files, true);
  }
}

function listenToDrops() {
  const aside = byId("drop-references");
  let depth = 0;
  const over = (on) => {
    document.body.classList.toggle("is-over", on);
    if (!on) aside.classList.remove("is-over");
  };
  addEventListener("dragenter", () => over(++depth > 0));
  addEventListener("dragleave", () => over(--depth > 0));
  addEventListener("dragover", (event) => {
    event.preventDefault();
    const isAside = aside.contains(event.target);
    aside.classList.toggle("is-over", isAside);
    byId("drop-pictures").classList.toggle("is-aside", isAside);
  });
  addEventListener("drop", async (event) => {
    event.preventDefault();
    depth = 0;
    over(false);
    if (!state.server || byId("pair").open) return;
    const isAside = aside.contains(event.target);
    const files = await dropped(event.dataTransfer);
    if (isAside) addReferences(files);
    else addPictures(files);
  });
  addEventListener("paste", (event) => {
    if (state.server && event.clipboardData?.files.length) addPictures(withNames(event.clipboardData.files));
  });
}

/* The page */

function listen() {
  const onFiles = (id, add) =>
    byId(id).addEventListener("change", (event) => {
      const files = withNames(event.target.files);
      event.target.value = "";
      if (state.server) add(files);
    });
  onFiles("pictures", addPictures);
  onFiles("folder", addPictures);
  onFiles("references", addReferences);
  byId("folder-label").hidden = !("webkitdirectory" in byId("folder"));
  const on = (id, type, act) => byId(id).addEventListener(type, act);
  on("drop-all-references", "click", removeReferences);
  on("token-form", "submit", (event) => {
    event.preventDefault();
    sessionStorage.setItem("token", byId("token").value.trim());
    connect();
  });
  on("threshold-metric", "change", () => {
    resetThreshold();
    draw();
  });
  on("threshold", "input", () => {
    byId("threshold-number").value = Number(Number(byId("threshold").value).toFixed(4));
    draw();
  });
  on("threshold-number", "input", () => {
    if (byId("threshold-number").value !== "") byId("threshold").value = byId("threshold-number").value;
    draw();
  });
  for (const id of ["show", "search"]) {
    on(id, "input", () => {
      state.page = 0;
      draw();
    });
  }
  const turn = (by) => {
    state.page += by;
    draw();
  };
  on("previous", "click", () => turn(-1));
  on("next", "click", () => turn(1));
  on("stop", "click", () => pause(!state.paused));
  on("clear", "click", () => {
    for (const picture of state.pictures) picture.release();
    Object.assign(state, { pictures: [], page: 0, leftOut: 0, paused: false });
    thumbnails.waiting.length = 0;
    byId("results").hidden = true;
    problem("");
    removeReferences();
    byId("pictures").focus();
  });
  on("csv", "click", () => save("scores.csv", "text/csv", csv(exported())));
  on("json", "click", () => save("scores.json", "application/json", `${JSON.stringify(exported(), null, 1)}\n`));
  on("names", "click", () => save("chosen.txt", "text/plain", exported().map((row) => `${row.path}\n`).join("")));
  on("compare", "click", () => openPair());
  on("pair-close", "click", () => byId("pair").close());
  for (const id of ["left", "right"]) on(id, "change", showPair);
  on("pair-metric", "change", () => {
    judge(...sides());
    showMaps(...sides());
  });
  on("pair-map", "change", () => showMaps(...sides()));
  addEventListener("keydown", (event) => event.key === "Escape" && peekSoon(null));
  // What scrolls away from the pointer is left; what stays under it is shown at its new place.
  addEventListener("scroll", () => peekSoon(peeking.picture), { passive: true });
  on("zoom", "change", layOut);
  on("split", "input", moveSeam);
  const drag = (event) => {
    if (event.pointerType === "touch" || !(event.buttons & 1)) return;
    const box = byId("sheet").getBoundingClientRect();
    byId("split").value = (100 * (event.clientX - box.left)) / box.width;
    moveSeam();
    event.preventDefault();
  };
  on("sheet", "pointerdown", drag);
  on("sheet", "pointermove", drag);
  new ResizeObserver(() => byId("pair").open && layOut()).observe(byId("stage"));
  listenToDrops();
}

takeToken();
listen();
connect();
