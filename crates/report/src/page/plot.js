  // A chart of lines: shapes in pixels of the screen, coloured by class as the charts beneath are.
  const svgns = "http://www.w3.org/2000/svg";
  const shape = (parent, name, attributes, text) => {
    const element = document.createElementNS(svgns, name);
    for (const key in attributes) element.setAttribute(key, attributes[key]);
    if (text !== undefined) element.textContent = text;
    parent.append(element);
    return element;
  };
  const corners = [
    [],
    [[-0.9, -0.9], [0.9, -0.9], [0.9, 0.9], [-0.9, 0.9]],
    [[0, -1.3], [1.2, 0.9], [-1.2, 0.9]],
    [[0, -1.3], [1.3, 0], [0, 1.3], [-1.3, 0]],
  ];
  const mark = (parent, x, y, place, radius = 4) => {
    const offsets = corners[place % 4];
    const ink = `mark ink-${place % 7}`;
    if (!offsets.length) return shape(parent, "circle", { class: ink, cx: x, cy: y, r: radius });
    return shape(parent, "polygon", { class: ink, points: offsets.map(([dx, dy]) => `${x + radius * dx},${y + radius * dy}`).join(" ") });
  };

  // An axis: where values lie, and its ticks. What a logarithm cannot show lies on an edge.
  const axis = (values, log, from, to, most) => {
    const finite = values.filter((value) => Number.isFinite(value) && (!log || value > 0));
    let low = Math.min(...finite), high = Math.max(...finite);
    if (!finite.length) [low, high] = log ? [0.1, 1] : [0, 1];
    const ticks = [];
    if (log) {
      let first = Math.floor(Math.log10(low) + 1e-9), last = Math.ceil(Math.log10(high) - 1e-9);
      if (first === last) { first -= 1; last += 1; }
      const step = Math.ceil((last - first) / most);
      last = first + Math.ceil((last - first) / step) * step;
      for (let decade = first; decade <= last; decade += step) ticks.push([Number(`1e${decade}`), `1e${decade}`]);
      // What has no logarithm lies a tick beyond the others.
      if (values.some((value) => value <= 0)) { ticks.push([0, "0"]); first -= step; }
      if (values.includes(Infinity)) { ticks.push([Infinity, "∞"]); last += step; }
      [low, high] = [first, last];
    } else {
      if (low === high) { low -= 0.05 * (Math.abs(low) || 1); high += 0.05 * (Math.abs(high) || 1); }
      const rough = (high - low) / most;
      const power = 10 ** Math.floor(Math.log10(rough));
      const step = [1, 2, 5, 10].map((one) => one * power).find((one) => one >= rough * (1 - 1e-9));
      [low, high] = [Math.floor(low / step + 1e-9), Math.ceil(high / step - 1e-9)];
      const places = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
      for (let place = low; place <= high; place += 1) {
        const value = place * step;
        const plain = places <= 4 && Math.abs(value) < 1e5;
        ticks.push([value, plain ? value.toFixed(places) : value === 0 ? "0" : rate(value)]);
      }
      [low, high] = [low * step, high * step];
    }
    const at = (value) => {
      if (value === Infinity) return to;
      if (log && !(value > 0)) return from;
      return from + ((log ? Math.log10(value) : value) - low) / (high - low) * (to - from);
    };
    const inside = (value) => Math.min(Math.max(at(value), Math.min(from, to)), Math.max(from, to));
    return { at: inside, ticks };
  };

  // Draws lines into `place`; hands back the points with their places on the screen.
  const draw = (place, lines, view) => {
    const width = Math.max(320, Math.min(1130, place.clientWidth || 900));
    const height = width < 600 ? 330 : 420;
    const left = 66, right = width - 16, top = 14, bottom = height - 52;
    const measure = measures[view.measure];
    const svg = document.createElementNS(svgns, "svg");
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.setAttribute("class", "chart");
    svg.setAttribute("aria-hidden", "true");
    const known = (value) => value !== null && value !== undefined;
    const all = lines.flatMap((line) => line.points);
    const shown = all.flatMap((point) => [
      point.value, ...(view.band ? point.band : []), ...(view.predicted ? [point.predicted] : []),
    ]).filter(known);
    const levels = [];
    if (view.measure === "auc") {
      levels.push([0.5, "guessing 0.5", "guess"]);
      const scores = [...new Set(lines.flatMap((line) => line.points.map((point) => golden(point.cell))).filter(known))];
      if (scores.length === 1) levels.push([scores[0], `golden, unprotected ${score(scores[0])}`, "golden"]);
    }
    const x = axis(all.map((point) => point.rate), view.x === "log", left + 16, right - 16, Math.floor(width / 75));
    const y = axis([...shown, ...levels.map((level) => level[0])], view.y === "log", bottom, top + 8, 8);
    for (const [value, text] of x.ticks) {
      shape(svg, "polyline", { class: "line ink-grid", points: `${x.at(value)},${top} ${x.at(value)},${bottom}` });
      shape(svg, "text", { class: "text ink-muted", x: x.at(value), y: bottom + 18, "text-anchor": "middle" }, text);
    }
    for (const [value, text] of y.ticks) {
      shape(svg, "polyline", { class: "line ink-grid", points: `${left},${y.at(value)} ${right},${y.at(value)}` });
      shape(svg, "text", { class: "text ink-muted", x: left - 8, y: y.at(value) + 4, "text-anchor": "end" }, text);
    }
    shape(svg, "polyline", { class: "line ink-axis", points: `${left},${top} ${left},${bottom} ${right},${bottom}` });
    shape(svg, "text", { class: "text ink-text", x: (left + right) / 2, y: height - 10, "text-anchor": "middle" }, "bit error rate, per exposed bit");
    const middle = (top + bottom) / 2;
    shape(svg, "text", { class: "text ink-text", x: 16, y: middle, "text-anchor": "middle", transform: `rotate(-90 16 ${middle})` }, measure.axis);
    for (const [value, text, ink] of levels) {
      const dashes = ink === "guess" ? "2 4" : "none";
      shape(svg, "polyline", { class: `line ink-${ink}`, "stroke-width": 1.5, "stroke-dasharray": dashes, points: `${left},${y.at(value)} ${right},${y.at(value)}` });
      const end = ink === "golden";
      shape(svg, "text", { class: `text ink-${ink}`, x: end ? right - 6 : left + 6, y: y.at(value) - 5, "text-anchor": end ? "end" : "start" }, text);
    }
    const path = (points) => points.map(([px, py]) => `${px},${py}`).join(" ");
    if (view.band) {
      for (const line of lines) {
        const ends = line.points.filter((point) => point.band.every(known));
        const edge = (which) => ends.map((point) => [x.at(point.rate), y.at(point.band[which])]);
        if (ends.length > 1) shape(svg, "polygon", { class: `area ink-${line.place % 7}`, points: path([...edge(1), ...edge(0).reverse()]) });
      }
    }
    if (view.predicted) {
      for (const line of lines) {
        const points = line.points.filter((point) => known(point.predicted)).map((point) => [x.at(point.rate), y.at(point.predicted)]);
        if (points.length > 1) shape(svg, "polyline", { class: `line ink-${line.place % 7}`, "stroke-width": 1.5, "stroke-dasharray": "7 5", points: path(points) });
      }
    }
    const targets = [];
    for (const line of lines) {
      const ink = `line ink-${line.place % 7}`;
      // Lines that share a rate share its whiskers' place: caps of unlike width tell them apart.
      const cap = 4 + 2 * (line.place % 3);
      for (const point of view.interval ? line.points : []) {
        if (!point.interval.every(known)) continue;
        const at = x.at(point.rate);
        const [low, high] = point.interval.map(y.at);
        shape(svg, "polyline", { class: ink, "stroke-width": 1.2, points: path([[at - cap, low], [at + cap, low], [at, low], [at, high], [at - cap, high], [at + cap, high]]) });
      }
      const places = line.points.filter((point) => known(point.value)).map((point) => ({ point, line, x: x.at(point.rate), y: y.at(point.value) }));
      if (places.length > 1) shape(svg, "polyline", { class: ink, "stroke-width": 2.2, points: path(places.map((one) => [one.x, one.y])) });
      for (const one of places) mark(svg, one.x, one.y, line.place);
      targets.push(...places);
    }
    const ring = shape(svg, "circle", { class: "ring", r: 9, visibility: "hidden" });
    place.replaceChildren(svg);
    return { svg, targets, ring, width };
  };
