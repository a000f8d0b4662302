// Stands behind every other script of a copy of the page: does what a reader does, and writes down what is then seen.
(async () => {
  const interactive = performance.now();
  const $ = (id) => document.getElementById(id);
  const form = $("choose"), plot = $("plot"), facts = {};
  const set = (name, value) => {
    const control = form.elements[name];
    if (control.type === "checkbox") control.checked = value; else control.value = value;
    const target = control instanceof RadioNodeList ? [...control].find((one) => one.checked) : control;
    target.dispatchEvent(new Event("change", { bubbles: true }));
  };
  const key = (name) => plot.dispatchEvent(new KeyboardEvent("keydown", { key: name, bubbles: true, cancelable: true }));
  const seen = () => ({
    told: $("told").textContent,
    explained: $("explained").textContent,
    hidden: $("explorer").hidden,
    lines: [...$("legend").children].map((item) => item.textContent),
    marks: plot.querySelectorAll(".mark").length,
    areas: plot.querySelectorAll(".area").length,
    dashes: plot.querySelectorAll('[stroke-dasharray="7 5"]').length,
    whiskers: plot.querySelectorAll('[stroke-width="1.2"]').length,
    ticks: [...plot.querySelectorAll("text.ink-muted")].map((text) => text.textContent),
    chosen: Object.fromEntries(["model", "data", "target", "error_model", "protection"].map((name) => [name, form.elements[name].value])),
    values: [...$("shown").querySelectorAll("tbody tr")].map((row) => [...row.cells].map((cell) => cell.textContent)),
  });
  try {
    facts.controls = [...form.elements].filter((one) => one.name).map((one) => one.name + (one.type === "radio" ? `=${one.value}` : ""));
    facts.options = Object.fromEntries([...form.querySelectorAll("select")].map((one) => [one.name, [...one.options].map((option) => option.value)]));
    facts.start = seen();
    facts.visible = { form: form.checkVisibility(), charts: $("charts") ? $("charts").checkVisibility() : null };

    plot.focus();
    facts.keys = [];
    for (const name of ["ArrowRight", "ArrowRight", "ArrowDown", "End", "ArrowRight", "ArrowLeft", "Home", "ArrowUp"]) {
      key(name);
      facts.keys.push($("readout").textContent);
    }
    facts.tip = { hidden: $("tip").hidden, text: $("tip").textContent };
    key("Escape");
    facts.escaped = $("tip").hidden;
    facts.pointed = [...plot.querySelectorAll("circle.mark, polygon.mark")].map((mark) => {
      const box = mark.getBoundingClientRect();
      plot.dispatchEvent(new PointerEvent("pointermove", { clientX: box.left + box.width / 2, clientY: box.top + box.height / 2, bubbles: true }));
      return $("tip").textContent.split("\n");
    });
    plot.dispatchEvent(new PointerEvent("pointerleave"));
    facts.left = $("tip").hidden;

    facts.steps = {};
    const step = (name, ...changes) => { for (const [control, value] of changes) set(control, value); facts.steps[name] = seen(); };
    step("one target", ["target", "embedding"]);
    step("every target", ["target", ""]);
    for (const measure of ["loss", "share", "rmse"]) step(measure, ["measure", measure]);
    step("auc", ["measure", "auc"]);
    step("linear rates", ["x", "linear"]);
    step("logarithmic rates", ["x", "log"]);
    step("logarithmic loss", ["measure", "loss"], ["y", "log"]);
    step("linear again", ["measure", "auc"], ["y", "linear"]);
    step("bare", ["band", false], ["interval", false], ["predicted", false]);
    step("dressed", ["band", true], ["interval", true], ["predicted", true]);
    const some = [...form.elements.from.options].find((option) => Number(option.value) === 1e-7);
    if (some) {
      step("from 1e-7", ["from", some.value]);
      facts.address = location.hash;
      step("every rate", ["from", ""]);
    }
    for (const measure of ["median", "severe", "bad"]) step(measure, ["measure", measure]);
    step("mean again", ["measure", "auc"]);
    for (const option of form.elements.protection.options) step(`protection ${option.value}`, ["protection", option.value]);
    step("unprotected", ["protection", form.elements.protection.options.length > 1 ? "none" : form.elements.protection.value]);
    for (const option of form.elements.error_model.options) step(`error model ${option.value}`, ["error_model", option.value]);
    step("flips", ["error_model", "flips"]);
    for (const option of form.elements.model.options) step(`model ${option.value}`, ["model", option.value]);
    for (const option of form.elements.data.options) step(`data ${option.value}`, ["data", option.value]);
    step("everything", ...["model", "data", "target", "error_model", "protection"].filter((name) => form.elements[name].options.length > 1).map((name) => [name, ""]));

    const unfold = $("unfold");
    if (unfold) {
      unfold.click();
      facts.unfolded = [$("charts").checkVisibility(), unfold.getAttribute("aria-expanded")];
      unfold.click();
      facts.folded = [$("charts").checkVisibility(), unfold.getAttribute("aria-expanded")];
    }

    const filter = $("rate-filter"), left = () => [...$("all-cells").tBodies[0].rows].filter((row) => !row.hidden).length;
    facts.filtered = [filter.options[1] ? filter.options[1].value : "", ""].map((value) => {
      filter.value = value;
      filter.dispatchEvent(new Event("change", { bubbles: true }));
      return left();
    });

    facts.sorted = {};
    const table = $("all-cells");
    for (const head of table.tHead.rows[0].cells) {
      // A long table takes its time at each look.
      if (table.tBodies[0].rows.length > 500 && head.dataset.field !== "mean") continue;
      const column = head.cellIndex, orders = [];
      for (const _ of [0, 1]) {
        head.querySelector("button").click();
        orders.push([head.getAttribute("aria-sort"), [...table.tBodies[0].rows].map((row) => row.cells[column].textContent)]);
      }
      facts.sorted[head.dataset.field] = orders;
    }

    // Tables of sections that a page was given.
    facts.further = [...document.querySelectorAll("table.wide.sortable")].map((table) => {
      const orders = [];
      for (const head of table.tHead.rows[0].cells) {
        head.querySelector("button").click();
        orders.push([...table.tBodies[0].rows].map((row) => row.cells[head.cellIndex].textContent));
      }
      return orders;
    });

    $("save-csv").click();
    $("save-json").click();
    facts.saved = window.names;
    facts.announced = $("saved").textContent;
    facts.files = await Promise.all(window.files.map((blob) => blob.text()));

    // What every reader needs: a name for each control, region and table; no id twice.
    const named = (one) => (one.labels && one.labels.length) || one.textContent.trim() || one.getAttribute("aria-label") || one.getAttribute("aria-labelledby");
    facts.nameless = [...document.querySelectorAll("button, select, input, a, [role=region], [role=application], section, nav, form")].filter((one) => !named(one)).map((one) => one.outerHTML.slice(0, 80));
    const ids = [...document.querySelectorAll("[id]")].map((one) => one.id);
    facts.doubled = ids.filter((id, place) => ids.indexOf(id) !== place);
    facts.dangling = [...document.querySelectorAll("[aria-labelledby],[aria-describedby],[aria-controls]")]
      .flatMap((one) => ["aria-labelledby", "aria-describedby", "aria-controls"].flatMap((name) => (one.getAttribute(name) || "").split(" ").filter(Boolean)))
      .filter((id) => !$(id));
    facts.landmarks = ["header", "nav", "main", "h1"].map((name) => document.querySelectorAll(name).length);
    facts.wide = document.documentElement.scrollWidth - innerWidth;
    facts.requests = performance.getEntriesByType("resource").map((entry) => entry.name);
  } catch (error) {
    window.faults.push(String(error.stack));
  }
  facts.faults = window.faults;
  facts.interactive = interactive;
  const out = document.createElement("script");
  out.type = "application/json";
  out.id = "facts";
  out.textContent = JSON.stringify(facts).replaceAll("<", "\\u003c");
  document.body.append(out);
})();
