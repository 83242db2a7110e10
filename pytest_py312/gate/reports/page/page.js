"use strict";
// Sorting, filtering, paging, copying, expanding and printing. Without this script the page shows everything.

const all = (selector, within = document) => [...within.querySelectorAll(selector)];
document.documentElement.classList.add("js");

// ---- sorting

const rowsOf = (table) => (table.tBodies.length > 1 ? [...table.tBodies] : [...table.tBodies[0].rows]);

const keyOf = (row, index, kind) => {
  const cell = row.matches("tbody") ? row.rows[0].cells[index] : row.cells[index];
  const text = cell.dataset.value ?? cell.textContent.trim();
  return kind === "number" ? Number.parseFloat(text) || 0 : text;
};

const sort = (table, head, direction) => {
  const index = head.cellIndex;
  const kind = head.dataset.sort;
  const compare =
    kind === "number" ? (a, b) => a - b : (a, b) => a.localeCompare(b, undefined, { numeric: true, sensitivity: "base" });
  const rows = rowsOf(table).map((row) => [keyOf(row, index, kind), row]);
  rows.sort(([a], [b]) => (direction === "descending" ? compare(b, a) : compare(a, b)));
  const parent = rows[0][1].parentNode;
  for (const [, row] of rows) parent.append(row);
  for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", direction);
  if (table === fleet) show();
};

const reversedDirection = (head) => (head.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending");

const makeSortable = (table) => {
  const heads = [...table.tHead.rows[0].cells].filter((cell) => cell.dataset.sort);
  if (table.dataset.ready || rowsOf(table).length < 2) return;
  table.dataset.ready = "true";
  const label = document.createElement("label");
  const select = document.createElement("select");
  const reverse = document.createElement("button");
  for (const head of heads) {
    const button = document.createElement("button");
    button.type = "button";
    const label = head.querySelector(".label") ?? head;
    button.append(...label.childNodes);
    button.addEventListener("click", () => sort(table, head, reversedDirection(head)));
    label.append(button);
    select.add(new Option(button.textContent));
  }
  // on narrow screens the headings are hidden: a list replaces them
  const line = document.createElement("p");
  line.className = "sorter";
  label.append("Sort by ", select);
  reverse.type = "button";
  reverse.textContent = "Reverse order";
  select.addEventListener("change", () => sort(table, heads[select.selectedIndex], "ascending"));
  reverse.addEventListener("click", () => sort(table, heads[select.selectedIndex], reversedDirection(heads[select.selectedIndex])));
  line.append(label, reverse);
  table.before(line);
};

// the tables of a service are prepared when it is opened: a page may have hundreds of them
for (const table of all("table.sortable")) if (!table.closest("details.service:not([open])")) makeSortable(table);
addEventListener("toggle", ({ target }) => all("table.sortable", target).forEach(makeSortable), true);

// ---- which services are shown: filters and pages, kept in the fragment of the address

const PAGE_SIZE = 50;
const fleet = document.querySelector("table.fleet");
const form = document.querySelector(".filters");
const pager = document.querySelector(".pager");
const LISTS = ["check", "code", "owner"];
let pageNumber = 0;
let findingFilter = " ";

const services = new Map(); // row -> its card, its text and its lists
if (fleet) {
  for (const row of fleet.tBodies[0].rows) {
    const lists = Object.fromEntries(LISTS.map((key) => [key, JSON.parse(row.dataset[key])]));
    services.set(row, { card: document.getElementById(`s${row.dataset.number}`), lists, text: null });
  }
}

const textOf = (row, service) => (service.text ??= `${row.textContent} ${service.card.textContent}`.toLowerCase());

const fits = (row, service, wanted, words) =>
  (!wanted.stage || row.dataset.stage === wanted.stage) &&
  (!wanted.status || row.dataset.status === wanted.status) &&
  LISTS.every((key) => !wanted[key] || service.lists[key].includes(wanted[key])) &&
  words.every((word) => textOf(row, service).includes(word));

const show = () => {
  const wanted = Object.fromEntries(new FormData(form));
  const words = wanted.q.toLowerCase().split(/\s+/).filter(Boolean);
  const rows = [...fleet.tBodies[0].rows];
  const fitting = rows.filter((row) => fits(row, services.get(row), wanted, words));
  const pages = Math.max(1, Math.ceil(fitting.length / PAGE_SIZE));
  pageNumber = Math.min(Math.max(pageNumber, 0), pages - 1);
  const first = pageNumber * PAGE_SIZE;
  const shown = fitting.slice(first, first + PAGE_SIZE);
  const kept = new Set(fitting);
  const onPage = new Set(shown);
  for (const row of rows) {
    for (const element of [row, services.get(row).card]) {
      element.hidden = !kept.has(row);
      element.classList.toggle("off-page", !onPage.has(row));
    }
  }
  showFindings(wanted.check ?? "", wanted.code ?? "");
  describe(rows.length, fitting.length, first, shown.length);
  pager.hidden = pages === 1;
  document.getElementById("page").textContent = `Page ${pageNumber + 1} of ${pages}`;
  const [previous, next] = all("button", pager);
  previous.disabled = pageNumber === 0;
  next.disabled = pageNumber === pages - 1;
};

const showFindings = (check, code) => {
  if (findingFilter === `${check} ${code}`) return;
  findingFilter = `${check} ${code}`;
  for (const finding of all("details.finding")) {
    finding.hidden = Boolean((check && finding.dataset.check !== check) || (code && finding.dataset.code !== code));
  }
};

const describe = (total, fitting, first, shown) => {
  const noun = total === 1 ? "service" : "services";
  const range = shown < fitting ? `${first + 1} to ${first + shown} of ${fitting}` : `${fitting}`;
  const whole = fitting < total ? ` (of ${total})` : "";
  document.getElementById("count").textContent = `${range} ${noun}${whole}`;
  document.querySelector(".nothing").hidden = fitting > 0;
};

const remember = () => {
  const parameters = new URLSearchParams([...new FormData(form)].filter(([, value]) => value));
  if (pageNumber) parameters.set("page", pageNumber + 1);
  history.replaceState(null, "", `#${parameters.size ? parameters : "services"}`);
};

const update = (number) => {
  pageNumber = number;
  show();
  remember();
};

const restore = (parameters) => {
  for (const field of form.elements) if (field.name) field.value = parameters.get(field.name) ?? "";
  pageNumber = Number.parseInt(parameters.get("page") ?? "1", 10) - 1 || 0;
  show();
};

const reveal = (card) => {
  const row = [...services.keys()].find((row) => services.get(row).card === card);
  if (row?.hidden) restore(new URLSearchParams());
  if (row) pageNumber = Math.floor([...fleet.tBodies[0].rows].filter((other) => !other.hidden).indexOf(row) / PAGE_SIZE);
  if (row) show();
  card.open = true;
};

// a fragment with filters shows these services, one with the name of a service opens it
const follow = () => {
  const fragment = location.hash.slice(1);
  if (fleet && fragment.includes("=")) {
    restore(new URLSearchParams(fragment));
    document.getElementById("services").scrollIntoView();
    return;
  }
  const target = document.getElementById(fragment);
  if (!target?.matches("details")) return;
  reveal(target);
  target.scrollIntoView();
};

if (fleet) {
  form.addEventListener("input", () => update(0));
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(() => update(0)));
  pager.addEventListener("click", ({ target }) => {
    if (!target.dataset.step) return;
    update(pageNumber + Number(target.dataset.step));
    document.getElementById("services").scrollIntoView();
  });
  show();
}
addEventListener("hashchange", follow);
follow();

// ---- copying commands

const announce = (text) => (document.getElementById("announcement").textContent = text);

addEventListener("click", async ({ target }) => {
  const button = target.closest?.(".copy");
  if (!button) return;
  const code = button.parentNode.querySelector("code");
  try {
    await navigator.clipboard.writeText(code.textContent);
    button.dataset.done = "true";
    setTimeout(() => delete button.dataset.done, 2000);
    announce("Copied");
  } catch {
    getSelection().selectAllChildren(code); // no access to the clipboard: one key copies the selection
    announce("Selected: copy it with the keyboard");
  }
});

// ---- expanding and printing

document.querySelector(".tools").addEventListener("click", ({ target }) => {
  if (target.dataset.open === undefined) return;
  for (const card of all("details.service:not([hidden], .off-page)")) {
    for (const details of [card, ...all("details", card)]) details.open = Boolean(target.dataset.open);
  }
});

let collapsed = [];
addEventListener("beforeprint", () => {
  collapsed = all("details:not(.aside, [open], [hidden])");
  for (const details of collapsed) details.open = true;
});
addEventListener("afterprint", () => {
  for (const details of collapsed) details.open = false;
});
