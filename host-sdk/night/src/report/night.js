"use strict";
// Sorting, filtering, one target in full, its samples one after the other.

const errors = [];
addEventListener("error", (event) => errors.push(event.message));
addEventListener("unhandledrejection", (event) => errors.push(String(event.reason)));

const find = (selector, root = document) => root.querySelector(selector);
const all = (selector, root = document) => [...root.querySelectorAll(selector)];

const table = find("#targets");
const body = table.tBodies[0];
const rows = [...body.rows];

// Sorting. -----------------------------------------------------------------------------------

const heads = all("th[aria-sort]", table);

function valueOf(row, key) {
  return find(`td.${key}, th.${key}`, row).dataset.v;
}

/** By a column; what has no value stays last, and what is equal in the night's order. */
function sortBy(key, descending) {
  const textual = key === "name";
  const compare = (a, b) => {
    const [x, y] = [valueOf(a, key), valueOf(b, key)];
    if (x === "" || y === "") return (x === "") - (y === "");
    const order = textual ? x.localeCompare(y, "en", { numeric: true }) : Number(x) - Number(y);
    return descending ? -order : order;
  };
  const inOrder = (a, b) => Number(a.dataset.index) - Number(b.dataset.index);
  rows.sort((a, b) => compare(a, b) || inOrder(a, b));
  body.append(...rows);
  for (const head of heads) {
    const mine = find("button", head).dataset.key === key;
    head.setAttribute("aria-sort", mine ? (descending ? "descending" : "ascending") : "none");
  }
}

for (const head of heads) {
  const button = find("button", head);
  // What is worst is wanted first.
  const worstIsLargest = !["name", "status", "samples"].includes(button.dataset.key);
  button.addEventListener("click", () => {
    const now = head.getAttribute("aria-sort");
    sortBy(button.dataset.key, now === "none" ? worstIsLargest : now === "ascending");
  });
}

// Filtering. ---------------------------------------------------------------------------------

const search = find("#find");
const flagged = find("#flagged");
const boxes = all("input[name=status]");

function filter() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  const wanted = new Set(boxes.filter((box) => box.checked).map((box) => box.value));
  let shown = 0;
  for (const row of rows) {
    const { name, flags, status, reason = "" } = row.dataset;
    const text = `${name} ${flags} ${status} ${reason}`.toLowerCase();
    row.hidden = !(
      wanted.has(status) &&
      (!flagged.checked || flags !== "-") &&
      words.every((word) => text.includes(word))
    );
    shown += row.hidden ? 0 : 1;
  }
  const every = `${rows.length} target${rows.length === 1 ? "" : "s"}`;
  find("#shown").textContent = shown === rows.length ? every : `${shown} of ${every}`;
}

for (const input of [search, flagged, ...boxes]) input.addEventListener("input", filter);

// One target. --------------------------------------------------------------------------------

const dialog = find("#detail");
const content = find("#detail-body");
let flip = null;
let opened = null;

function open(row) {
  flip?.stop();
  opened = row;
  find("#detail-title").textContent = find("th.name a", row).textContent;
  content.replaceChildren(find(`#target-${row.dataset.index}`).content.cloneNode(true));
  const samples = find(".flip", content);
  flip = samples ? flipThrough(samples) : null;
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
  find("#detail-title").focus();
}

/** When a picture is there. Not decode(): that may take its time in another thread. */
function loaded(image) {
  if (image.complete) return Promise.resolve();
  return new Promise((done, fail) => {
    image.addEventListener("load", done, { once: true });
    image.addEventListener("error", () => fail(new Error(`no picture: ${image.alt}`)), { once: true });
  });
}

/** The samples of a sheet on a canvas. */
function flipThrough(section) {
  const { width, height, columns, numbers } = section.dataset;
  const [w, h] = [Number(width), Number(height)];
  const names = numbers.split(" ");
  const [sheet, canvas, place, play] = ["img", "canvas", ".place", ".play"].map((s) => find(s, section));
  // In memory, not on a graphics card: it is small, and the self-check reads it back.
  const ink = canvas.getContext("2d", { willReadFrequently: true });
  let at = 0;
  let timer = null;
  const draw = () => {
    const [x, y] = [(at % columns) * w, Math.floor(at / columns) * h];
    ink.drawImage(sheet, x, y, w, h, 0, 0, w, h);
    place.value = at;
    find(".number", section).textContent = `Sample ${names[at]}`;
  };
  const ready = loaded(sheet).then(draw);
  const show = (k) => {
    at = (k + names.length) % names.length;
    draw();
  };
  const stop = () => {
    clearInterval(timer);
    timer = null;
    play.textContent = "Play";
    play.setAttribute("aria-pressed", "false");
  };
  const toggle = () => {
    if (timer !== null) return stop();
    timer = setInterval(() => show(at + 1), 400);
    play.textContent = "Pause";
    play.setAttribute("aria-pressed", "true");
  };
  const step = (by) => {
    stop();
    show(at + by);
  };
  find(".back", section).addEventListener("click", () => step(-1));
  find(".forward", section).addEventListener("click", () => step(1));
  play.addEventListener("click", toggle);
  place.addEventListener("input", () => step(Number(place.value) - at));
  const pixels = () => ink.getImageData(0, 0, w, h).data;
  return { step, stop, toggle, ready, pixels, at: () => at };
}

/** The next row that is not filtered away. */
function neighbour(by) {
  const visible = rows.filter((row) => !row.hidden || row === opened);
  return visible[visible.indexOf(opened) + by];
}

function go(by) {
  const row = neighbour(by);
  if (row) location.replace(hashOf(row));
}

const hashOf = (row) => `#target=${encodeURIComponent(row.dataset.name)}`;

/** The page's address says which target is open, so that it can be sent and gone back from. */
function follow() {
  const [, name] = location.hash.match(/^#target=(.*)$/s) ?? [];
  const plain = (text) => {
    try {
      return decodeURIComponent(text);
    } catch {
      return text;
    }
  };
  const row = name === undefined ? undefined : rows.find((r) => r.dataset.name === plain(name));
  if (row) open(row);
  else if (dialog.open) dialog.close();
}

addEventListener("hashchange", follow);
dialog.addEventListener("close", () => {
  flip?.stop();
  if (location.hash.startsWith("#target=")) history.replaceState(null, "", "#");
  find("th.name a", opened).focus();
});
dialog.addEventListener("click", (event) => {
  if (event.target === dialog) dialog.close();
});
find("#close").addEventListener("click", () => dialog.close());
find("#previous").addEventListener("click", () => go(-1));
find("#next").addEventListener("click", () => go(1));
dialog.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (by && event.shiftKey) go(by);
  else if (by && event.target.type !== "range") flip?.step(by);
  else if (event.key === "p") flip?.toggle();
  else return;
  event.preventDefault();
});

// Self-check: opened with #selftest, the page uses itself and says in its root element what came
// of it. The tests read that; so can anyone whose browser seems to misbehave.
async function selfTest() {
  const said = document.documentElement.dataset;
  const need = (what, holds) => {
    if (!holds) throw new Error(what);
  };
  try {
    find("button[data-key=chi2]").click();
    const values = rows.map((row) => valueOf(row, "chi2"));
    const numbers = values.filter((v) => v !== "").map(Number);
    need("sorted by chi2", numbers.every((v, k) => k === 0 || numbers[k - 1] >= v));
    need("without chi2 last", values.slice(0, numbers.length).every((v) => v !== ""));
    said.order = rows.map((row) => row.dataset.index).join(" ");
    said.sort = find("th.chi2", table).getAttribute("aria-sort");

    const target = rows.find((row) => find(`#target-${row.dataset.index}`).content.querySelector(".flip"));
    if (target) {
      search.value = target.dataset.name;
      filter();
      said.filtered = find("#shown").textContent;
      search.value = "";
      filter();

      location.hash = hashOf(target);
      await new Promise((done) => addEventListener("hashchange", done, { once: true }));
      need("opened", dialog.open && opened === target);
      await flip.ready;
      const before = flip.pixels();
      dialog.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight" }));
      const after = flip.pixels();
      need("another sample", flip.at() === 1 && after.some((v, k) => v !== before[k]));
      said.opened = target.dataset.index;
      said.sample = find(".number", content).textContent;
      const images = all("img", content);
      await Promise.all(images.map(loaded));
      need("pictures", images.every((image) => image.naturalWidth > 0));
      said.pictures = images.length;
    }
    need(errors.join("; "), errors.length === 0);
    said.selftest = "ok";
  } catch (error) {
    said.selftest = `failed: ${error.message}`;
  }
}

if (location.hash === "#selftest") addEventListener("load", selfTest);
else follow();
