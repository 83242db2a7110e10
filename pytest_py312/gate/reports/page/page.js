"use strict";
// Sorting, expanding and printing. The rest of the page works without this script.

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
};

const reversedDirection = (head) => (head.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending");

for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells].filter((cell) => cell.dataset.sort);
  if (rowsOf(table).length < 2) continue;
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
}

const tools = document.querySelector(".tools");
for (const [word, open] of [["Expand all", true], ["Collapse all", false]]) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = word;
  button.addEventListener("click", () => {
    for (const details of document.querySelectorAll("#answers details")) details.open = open;
  });
  tools.append(button, " ");
}

// a link to a collapsed service expands it, and everything is expanded for printing
const expandTarget = () => {
  const target = document.getElementById(location.hash.slice(1));
  if (target?.matches("details")) target.open = true;
};
addEventListener("hashchange", expandTarget);
expandTarget();
let collapsed = [];
addEventListener("beforeprint", () => {
  collapsed = [...document.querySelectorAll("details:not(.aside, [open])")];
  for (const details of collapsed) details.open = true;
});
addEventListener("afterprint", () => {
  for (const details of collapsed) details.open = false;
});
