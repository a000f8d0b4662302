  // Files made from the embedded data, without a network.
  const save = (name, type, text) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    $("saved").textContent = `${name} is made.`;
  };
  const quoted = (value) => {
    const text = value === null ? "" : String(value);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  $("save-csv").addEventListener("click", () => {
    const lines = [data.columns, ...cells.map((cell) => data.columns.map((name) => cell[name]))];
    save("cells.csv", "text/csv", lines.map((line) => line.map(quoted).join(",") + "\n").join(""));
  });
  $("save-json").addEventListener("click", () => {
    const { columns, named: places, names, packed, ...rest } = data;
    const unpacked = (shape, row) => shape === null ? row : Object.fromEntries(shape.map(([name, inner], place) => [name, unpacked(inner, row[place])]));
    const findings = packed.findings.rows.map((row) => unpacked(packed.findings.shape, row));
    const protections = data.protections.map((one, place) => ({ ...one, gains: packed.gains.rows[place].map((row) => unpacked(packed.gains.shape, row)) }));
    save("report.json", "application/json", JSON.stringify({ ...rest, findings, protections, cells }, null, 1));
  });
  for (const one of document.querySelectorAll(".scripted")) one.hidden = false;
