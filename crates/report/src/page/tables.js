  // Tables that sort: by the embedded data where a head names a field, else by the key of each field, or by what it shows.
  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    const body = table.tBodies[0];
    const places = new Map([...body.rows].map((row, place) => [row, place]));
    heads.forEach((head, column) => {
      const button = head.querySelector("button");
      if (!button) return;
      const numeric = head.classList.contains("number");
      const key = (row) => {
        if (!head.dataset.field) {
          const text = row.cells[column].dataset.key ?? row.cells[column].textContent;
          return numeric && Number.isNaN(Number(text)) ? "" : text;
        }
        const value = cells[places.get(row)][head.dataset.field];
        return value === null ? "" : value;
      };
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const keyed = [...body.rows].map((row) => [key(row), row]);
        keyed.sort(([x], [y]) => {
          if (x === "" || y === "") return (x === "") - (y === "");
          const order = numeric ? Number(x) - Number(y) : String(x).localeCompare(String(y), "en", { numeric: true });
          return down ? -order : order;
        });
        body.append(...keyed.map(([, row]) => row));
      });
    });
  }

  // Inside a page the tooltip of a strip of a chart is its name; the table of the chart above holds the same values.
  for (const strip of document.querySelectorAll(".hover")) strip.setAttribute("aria-label", strip.querySelector("title").textContent);

  // One rate alone, in the table of all cells.
  const filter = $("rate-filter"), rows = [...$("all-cells").tBodies[0].rows];
  const berOf = new Map(rows.map((row, place) => [row, cells[place].ber]));
  const filtered = () => {
    for (const row of rows) row.hidden = filter.value !== "" && berOf.get(row) !== Number(filter.value);
  };
  filter.addEventListener("change", filtered);
