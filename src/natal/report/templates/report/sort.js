// Tables of class "sortable" sort by the column whose heading is clicked, then the other way round.
for (const table of document.querySelectorAll("table.sortable")) {
  const headings = [...table.tHead.rows[0].cells];
  const key = (row, column) => row.cells[column].textContent.trim();
  const compare = (a, b) => {
    // of "0.51 – 0.93" the first number counts; names are compared as text
    const [x, y] = [a, b].map((text) => (/^[+−-]?[\d ]*\.?\d+(e[+-]?\d+)?( |$)/.test(text) ? parseFloat(text.replace("−", "-")) : NaN));
    return Number.isNaN(x) || Number.isNaN(y) ? a.localeCompare(b, "en", { numeric: true }) : x - y;
  };
  const sort = (column) => {
    const falling = headings[column].getAttribute("aria-sort") === "ascending";
    headings.forEach((heading) => heading.removeAttribute("aria-sort"));
    headings[column].setAttribute("aria-sort", falling ? "descending" : "ascending");
    const rows = [...table.tBodies[0].rows].sort((a, b) => (falling ? -1 : 1) * compare(key(a, column), key(b, column)));
    table.tBodies[0].append(...rows);
  };
  headings.forEach((heading, column) => {
    heading.tabIndex = 0;
    heading.addEventListener("click", () => sort(column));
    heading.addEventListener("keydown", (event) => event.key === "Enter" && sort(column));
  });
}
