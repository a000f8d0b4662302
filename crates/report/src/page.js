"use strict";
(() => {
  const tip = document.getElementById("tip");
  const hide = () => { tip.hidden = true; };
  const show = (text, x, y) => {
    tip.textContent = text;
    tip.hidden = false;
    const box = tip.getBoundingClientRect();
    const right = x + 16 + box.width > innerWidth ? x - 16 - box.width : x + 16;
    const below = y + 16 + box.height > innerHeight ? y - 16 - box.height : y + 16;
    tip.style.left = Math.max(8, right) + "px";
    tip.style.top = Math.max(8, below) + "px";
  };
  for (const strip of document.querySelectorAll(".hover")) {
    const title = strip.querySelector("title");
    const text = title.textContent;
    title.remove();
    strip.setAttribute("aria-label", text);
    strip.addEventListener("pointermove", (event) => show(text, event.clientX, event.clientY));
    strip.addEventListener("pointerleave", hide);
    strip.addEventListener("focus", () => {
      const box = strip.getBoundingClientRect();
      show(text, box.left + box.width / 2, box.top + box.height / 2);
    });
    strip.addEventListener("blur", hide);
  }
  addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });

  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    const body = table.tBodies[0];
    heads.forEach((head, column) => {
      const numeric = head.classList.contains("number");
      head.querySelector("button").addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const key = (row) => row.cells[column].dataset.key;
        const compare = (a, b) => {
          const [x, y] = [key(a), key(b)];
          if (x === "" || y === "") return (x === "") - (y === "");
          const order = numeric ? Number(x) - Number(y) : x.localeCompare(y);
          return down ? -order : order;
        };
        body.append(...[...body.rows].sort(compare));
      });
    });
  }
})();
