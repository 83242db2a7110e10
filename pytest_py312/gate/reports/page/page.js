"use strict";
// Sorting, folding and printing. Everything else of the page does without this script.

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

const turned = (head) => (head.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending");

for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells].filter((cell) => cell.dataset.sort);
  if (rowsOf(table).length < 2) continue;
  const label = document.createElement("label");
  const select = document.createElement("select");
  const turn = document.createElement("button");
  for (const head of heads) {
    const button = document.createElement("button");
    button.type = "button";
    const place = head.querySelector(".label") ?? head;
    button.append(...place.childNodes);
    button.addEventListener("click", () => sort(table, head, turned(head)));
    place.append(button);
    select.add(new Option(button.textContent));
  }
  // where the headings have no room, a list stands for them
  const line = document.createElement("p");
  line.className = "sorter";
  label.append("Sort by ", select);
  turn.type = "button";
  turn.textContent = "Turn round";
  select.addEventListener("change", () => sort(table, heads[select.selectedIndex], "ascending"));
  turn.addEventListener("click", () => sort(table, heads[select.selectedIndex], turned(heads[select.selectedIndex])));
  line.append(label, turn);
  table.before(line);
}

const tools = document.querySelector(".tools");
for (const [word, open] of [["Unfold all", true], ["Fold all", false]]) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = word;
  button.addEventListener("click", () => {
    for (const one of document.querySelectorAll("#answers details")) one.open = open;
  });
  tools.append(button, " ");
}

// a link to a folded service unfolds it, and paper has everything unfolded
const unfold = () => {
  const aim = document.getElementById(location.hash.slice(1));
  if (aim?.matches("details")) aim.open = true;
};
addEventListener("hashchange", unfold);
unfold();
let folded = [];
addEventListener("beforeprint", () => {
  folded = [...document.querySelectorAll("details:not(.aside, [open])")];
  for (const one of folded) one.open = true;
});
addEventListener("afterprint", () => {
  for (const one of folded) one.open = false;
});
