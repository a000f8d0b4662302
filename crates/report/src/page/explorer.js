  // The chart that its controls choose: one line for each combination of what is set to "every".
  const form = $("choose"), plot = $("plot"), told = $("told"), readout = $("readout"), tip = $("tip");
  const dimensions = ["model", "data", "target", "error_model", "protection"];
  const mostLines = 24;
  let drawn = null, here = null;

  const chosen = () => Object.fromEntries(dimensions.map((name) => [name, form.elements[name].value]));
  const span = () => ["from", "to"].map((name) => form.elements[name].value).map((text, place) => text === "" ? [0, Infinity][place] : Number(text));
  const spanning = () => (data.metric === "rmse" ? "smallest to largest chip" : "5–95 % of chips");
  const fits = (cell, choice) => dimensions.every((name) => !choice[name] || cell[name] === choice[name]);
  const withRate = cells.filter((cell) => cell.ber > 0);

  // Where a choice leaves no cell, the other controls give way to it.
  const reconciled = (choice, changed) => {
    if (withRate.some((cell) => fits(cell, choice))) return [];
    const given = { [changed]: choice[changed] }, moved = [];
    for (const name of dimensions) {
      if (name === changed) continue;
      given[name] = choice[name];
      if (!withRate.some((cell) => fits(cell, given))) {
        delete given[name];
        const cell = withRate.find((one) => fits(one, given));
        if (!cell) return moved;
        given[name] = cell[name];
        form.elements[name].value = cell[name];
        moved.push(`${name.replace("_", " ")} is now ${cell[name]}`);
      }
    }
    return moved;
  };

  const linesOf = (choice, measure) => {
    const open = dimensions.filter((name) => !choice[name]);
    const lines = new Map(), [from, to] = span();
    for (const cell of withRate) {
      if (!fits(cell, choice) || cell.ber < from || cell.ber > to) continue;
      const key = JSON.stringify(open.map((name) => cell[name]));
      if (!lines.has(key)) {
        const differing = open.filter((name) => form.elements[name].options.length > 1);
        const names = (differing.length ? differing : ["target"]).map((name) => cell[name]);
        lines.set(key, { name: names.join(", "), points: [], first: cell });
      }
      lines.get(key).points.push({ cell, rate: cell.ber, ...measures[measure].of(cell) });
    }
    const list = [...lines.values()];
    // A name keeps its colour while other controls change.
    const single = open.length === 1 ? open[0] : null;
    const options = single ? [...form.elements[single].options].slice(1).map((option) => option.value) : [];
    list.forEach((line, index) => {
      line.points.sort((a, b) => a.rate - b.rate);
      line.place = single ? options.indexOf(line.first[single]) : index;
    });
    return single ? list.sort((a, b) => a.place - b.place) : list;
  };

  const facts = ({ point, line }, measure) => {
    const { cell } = point;
    const { axis: name, text } = measures[measure];
    const parts = [`${line.name} at ${rate(point.rate)}`, `${name} ${text(point.value)}${bounded(text, point.interval)}`];
    if (point.band.every((end) => end !== null)) parts.push(`${spanning()} ${text(point.band[0])} to ${text(point.band[1])}`);
    parts.push(`n ${cell.n}, flips ${count(cell.flips_mean)}`);
    if (cell.severe_share !== null) parts.push(`chips that lose more than 0.05 ${share(cell.severe_share)}${bounded(share, [cell.severe_share_ci_low, cell.severe_share_ci_high])}`);
    parts.push(`chips with NaN ${share(cell.non_finite_share)}${bounded(share, [cell.non_finite_ci_low, cell.non_finite_ci_high])}`);
    if (measure === "rmse") parts.push(`chips with outputs not finite ${share(cell.rmse_undefined_share)}`);
    if (point.predicted !== null) parts.push(`predicted ${approximate(cell)}${text(point.predicted)}`);
    return parts;
  };

  const leave = () => {
    here = null;
    tip.hidden = true;
    if (drawn) drawn.ring.setAttribute("visibility", "hidden");
  };
  const show = (target, speak) => {
    here = target;
    const parts = facts(target, form.elements.measure.value);
    tip.textContent = parts.join("\n");
    tip.hidden = false;
    drawn.ring.setAttribute("cx", target.x);
    drawn.ring.setAttribute("cy", target.y);
    drawn.ring.setAttribute("visibility", "visible");
    const box = drawn.svg.getBoundingClientRect(), scale = box.width / drawn.width, size = tip.getBoundingClientRect();
    const x = box.left + target.x * scale, y = box.top + target.y * scale;
    tip.style.left = Math.max(8, x + 16 + size.width > innerWidth ? x - 16 - size.width : x + 16) + "px";
    tip.style.top = Math.max(8, y + 16 + size.height > innerHeight ? y - 16 - size.height : y + 16) + "px";
    if (speak) readout.textContent = parts.join("; ");
  };
  const nearest = (event) => {
    const box = drawn.svg.getBoundingClientRect(), scale = drawn.width / box.width;
    const x = (event.clientX - box.left) * scale, y = (event.clientY - box.top) * scale;
    let best = null, least = Infinity;
    for (const target of drawn.targets) {
      const far = Math.hypot(target.x - x, target.y - y);
      if (far < least) [best, least] = [target, far];
    }
    return best;
  };
  const step = (key) => {
    const all = drawn.targets;
    if (!here) return all[0];
    const own = all.filter((target) => target.line === here.line), at = own.indexOf(here);
    if (key === "ArrowRight") return own[Math.min(at + 1, own.length - 1)];
    if (key === "ArrowLeft") return own[Math.max(at - 1, 0)];
    if (key === "Home") return own[0];
    if (key === "End") return own[own.length - 1];
    const lines = [...new Set(all.map((target) => target.line))];
    const next = lines[(lines.indexOf(here.line) + (key === "ArrowDown" ? 1 : lines.length - 1)) % lines.length];
    const distance = (target) => Math.abs(target.x - here.x);
    return all.filter((target) => target.line === next).reduce((a, b) => distance(b) < distance(a) ? b : a);
  };

  const fill = (lines, measure) => {
    const { axis: name, text } = measures[measure];
    const table = $("shown").querySelector("table");
    const row = (tag, texts) => {
      const line = document.createElement("tr");
      texts.forEach((words, index) => {
        const field = document.createElement(tag);
        field.textContent = words;
        if (tag === "th") field.scope = "col";
        if (index) field.className = "number";
        line.append(field);
      });
      return line;
    };
    table.tHead.replaceChildren(row("th", ["line", "BER", name, "band from", "to", "n", "flips", "NaN chips", "predicted"]));
    table.tBodies[0].replaceChildren(...lines.flatMap((line) => line.points.map((point) => row("td", [
      line.name, rate(point.rate), text(point.value) + bounded(text, point.interval), text(point.band[0]), text(point.band[1]),
      String(point.cell.n), count(point.cell.flips_mean), share(point.cell.non_finite_share),
      point.predicted === null ? none : approximate(point.cell) + text(point.predicted),
    ]))));
  };

  const legend = (lines, view) => {
    const item = (words, paint) => {
      const entry = document.createElement("li");
      const swatch = shape(entry, "svg", { class: "swatch", viewBox: "0 0 30 14", "aria-hidden": "true" });
      paint(swatch);
      entry.append(words);
      return entry;
    };
    const items = lines.map((line) => item(line.name, (swatch) => {
      shape(swatch, "polyline", { class: `line ink-${line.place % 7}`, "stroke-width": 2.2, points: "1,7 29,7" });
      mark(swatch, 15, 7, line.place);
    }));
    const any = (test) => lines.some((line) => line.points.some(test));
    if (view.band && any((point) => point.band[0] !== null)) items.push(item(spanning(), (swatch) => shape(swatch, "polygon", { class: "area ink-muted", points: "1,1 29,1 29,13 1,13" })));
    if (view.interval && any((point) => point.interval[0] !== null)) items.push(item("95 % interval", (swatch) => shape(swatch, "polyline", { class: "line ink-muted", "stroke-width": 1.2, points: "10,1 20,1 15,1 15,13 10,13 20,13" })));
    if (view.predicted && any((point) => point.predicted !== null)) items.push(item("predicted", (swatch) => shape(swatch, "polyline", { class: "line ink-muted", "stroke-width": 1.5, "stroke-dasharray": "7 5", points: "1,7 29,7" })));
    $("legend").replaceChildren(...items);
  };

  // The state of the form in the address, so that a link shows the same.
  const remember = () => {
    const state = new URLSearchParams();
    for (const control of form.elements) {
      if (!control.name || (control.type === "radio" && !control.checked)) continue;
      state.set(control.name, control.type === "checkbox" ? String(control.checked) : control.value);
    }
    try { history.replaceState(null, "", `#${state}`); } catch { /* A frame without an address keeps none. */ }
  };
  const recall = () => {
    if (!location.hash.includes("=")) return false;
    const state = new URLSearchParams(location.hash.slice(1));
    for (const [name, value] of state) {
      const control = form.elements[name];
      if (!control) continue;
      if (control.type === "checkbox") control.checked = value === "true";
      else if (control instanceof RadioNodeList || [...control.options].some((option) => option.value === value && !option.disabled)) control.value = value;
    }
    return true;
  };
  // On a narrow screen the chart opens on the part that falls: from the last rate at which hardly a chip loses anything to the first at
  // which all lines are down.
  const narrow = () => {
    const choice = chosen();
    const points = withRate.filter((cell) => fits(cell, choice) && cell.loss !== null).sort((a, b) => a.ber - b.ber);
    const falling = points.filter((cell) => cell.bad_share > 0.05).map((cell) => cell.ber);
    if (!falling.length) return;
    const rates = [...new Set(points.map((cell) => cell.ber))], first = rates.indexOf(falling[0]);
    const keys = [...form.elements.from.options].map((option) => option.value).filter((text) => text !== "");
    form.elements.from.value = keys.find((text) => Number(text) === rates[Math.max(0, first - 1)]) ?? "";
  };

  const update = (changed) => {
    const moved = changed ? reconciled(chosen(), changed) : [];
    const choice = chosen();
    const elements = form.elements;
    const view = {
      measure: elements.measure.value, x: elements.x.value, y: elements.y.value,
      band: elements.band.checked, interval: elements.interval.checked, predicted: elements.predicted.checked,
    };
    const every = linesOf(choice, view.measure);
    const lines = every.filter((line) => line.points.some((point) => point.value !== null)).slice(0, mostLines);
    leave();
    readout.textContent = "";
    $("explorer").hidden = lines.length === 0;
    const fixed = dimensions.filter((name) => choice[name] && !(name === "error_model" && choice[name] === "flips") && !(name === "protection" && choice[name] === "none"));
    const where = fixed.map((name) => `${name.replace("_", " ")} ${choice[name]}`).join(", ");
    $("explained").textContent = `${measures[view.measure].axis} against bit error rate${where ? ": " + where : ""}${choice.protection === "none" ? ", unprotected" : ""}`;
    const points = lines.reduce((sum, line) => sum + line.points.filter((point) => point.value !== null).length, 0);
    let words = lines.length ? `${lines.length} ${lines.length === 1 ? "line" : "lines"}, ${points} points.` : "No cell of this choice has such a value.";
    const left = every.filter((line) => line.points.some((point) => point.value !== null)).length - lines.length;
    if (left > 0) words += ` ${left} more lines are not drawn: choose fewer.`;
    const hidden = view.y === "log" ? lines.reduce((sum, line) => sum + line.points.filter((point) => point.value !== null && point.value <= 0).length, 0) : 0;
    if (hidden) words += ` ${hidden} points are not above 0 and lie on the lower edge.`;
    const endless = lines.reduce((sum, line) => sum + line.points.filter((point) => point.value === Infinity).length, 0);
    if (endless) words += ` ${endless} points are infinite and lie on the upper edge.`;
    if (moved.length) words += ` To fit: ${moved.join(", ")}.`;
    told.textContent = words;
    drawn = lines.length ? draw(plot, lines, view) : null;
    legend(lines, view);
    fill(lines, view.measure);
  };

  if (withRate.length) {
    form.hidden = false;
    form.addEventListener("change", (event) => {
      document.body.classList.add("chosen");
      if (event.target.name === "measure") form.elements.y.value = event.target.value === "rmse" ? "log" : "linear";
      update(dimensions.includes(event.target.name) ? event.target.name : null);
      remember();
    });
    addEventListener("hashchange", () => { if (recall()) update(null); });
    form.addEventListener("submit", (event) => event.preventDefault());
    plot.addEventListener("pointermove", (event) => { const target = drawn && nearest(event); if (target) show(target, false); });
    plot.addEventListener("pointerdown", (event) => { const target = drawn && nearest(event); if (target) show(target, true); });
    plot.addEventListener("pointerleave", leave);
    plot.addEventListener("blur", leave);
    plot.addEventListener("keydown", (event) => {
      if (event.key === "Escape") { leave(); return; }
      if (!drawn || !["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End"].includes(event.key)) return;
      event.preventDefault();
      show(step(event.key), true);
    });
    if (!recall() && innerWidth < 600) narrow();
    update(null);
    let width = plot.clientWidth;
    new ResizeObserver(() => {
      if (drawn && plot.clientWidth !== width) { width = plot.clientWidth; update(null); }
    }).observe(plot);
    const charts = $("charts"), unfold = $("unfold");
    if (unfold) {
      const label = unfold.textContent;
      unfold.hidden = false;
      unfold.addEventListener("click", () => {
        const folded = !charts.classList.toggle("unfolded");
        unfold.setAttribute("aria-expanded", String(!folded));
        unfold.textContent = folded ? label : "Hide these charts";
      });
    }
  }
