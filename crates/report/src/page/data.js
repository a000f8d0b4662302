  // The embedded data, and quantities as people read them: the same words as in the tables.
  const $ = (id) => document.getElementById(id);
  const data = JSON.parse($("data").textContent);
  const named = new Set(data.named);
  const cells = data.cells.map((row) => Object.fromEntries(data.columns.map((name, i) =>
    [name, named.has(name) && row[i] !== null ? data.names[row[i]] : row[i]])));
  const none = "–";
  const rate = (value) => value.toExponential(1).replace(".0e", "e").replace("e+", "e").replace(/e0$/, "");
  const score = (value) => value === null ? none : value.toFixed(4);
  const loss = (value) => value !== null && Math.abs(value) < 5e-5 ? "0.0000" : score(value);
  const share = (value) => {
    if (value === null) return none;
    const percent = 100 * value;
    if (percent > 0 && percent < 0.05) return "< 0.1 %";
    return percent.toFixed(percent === Math.round(percent) || percent >= 10 ? 0 : 1) + " %";
  };
  const count = (value) => {
    if (value === null) return none;
    if (value === 0) return "0";
    if (value < 0.01 || value >= 99999.5) return rate(value);
    return value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0);
  };
  const distance = (value) => {
    if (value === null) return none;
    if (value === Infinity) return "∞";
    if (value === 0) return "0";
    return value >= 1e-3 && value < 1e4 ? value.toFixed(value < 1 ? 4 : 2) : rate(value);
  };
  // A chip with an output that is no finite number counts as infinitely far from golden.
  const far = (cell, value) => value !== null ? value : cell.rmse_undefined_share > 0 ? Infinity : null;
  const less = (from, value) => from === null || value === null ? null : from - value;
  const golden = (cell) => cell.unprotected !== null ? cell.unprotected : cell.golden;

  // What the chart can show: for a cell its value, interval, band and prediction.
  const measures = {
    auc: {
      axis: "mean AUC", text: score,
      of: (cell) => ({ value: cell.mean, interval: [cell.ci_low, cell.ci_high], band: [cell.p05, cell.p95], predicted: cell.predicted }),
    },
    median: {
      axis: "median AUC", text: score,
      of: (cell) => ({ value: cell.median, interval: [cell.median_ci_low, cell.median_ci_high], band: [cell.p05, cell.p95], predicted: null }),
    },
    severe: {
      axis: "chips that lose more than 0.05", text: share,
      of: (cell) => ({ value: cell.severe_share, interval: [cell.severe_share_ci_low, cell.severe_share_ci_high], band: [null, null], predicted: null }),
    },
    bad: {
      axis: "chips that lose more than 0.001", text: share,
      of: (cell) => ({ value: cell.bad_share, interval: [cell.bad_share_ci_low, cell.bad_share_ci_high], band: [null, null], predicted: null }),
    },
    loss: {
      axis: "mean loss of AUC", text: loss,
      of: (cell) => ({
        value: cell.loss, interval: [less(golden(cell), cell.ci_high), less(golden(cell), cell.ci_low)],
        band: [less(golden(cell), cell.p95), less(golden(cell), cell.p05)], predicted: less(golden(cell), cell.predicted),
      }),
    },
    share: {
      axis: "share of chips with NaN", text: share,
      of: (cell) => ({ value: cell.non_finite_share, interval: [cell.non_finite_ci_low, cell.non_finite_ci_high], band: [null, null], predicted: null }),
    },
    rmse: {
      axis: "median RMSE from golden", text: distance,
      of: (cell) => ({
        value: far(cell, cell.rmse_median), interval: [cell.rmse_low, far(cell, cell.rmse_high)],
        band: [far(cell, cell.rmse_min), far(cell, cell.rmse_max)], predicted: null,
      }),
    },
  };
  const bounded = (text, [low, high]) => low === null || high === null ? "" : ` [${text(low)}, ${text(high)}]`;
  const approximate = (cell) => cell.prediction === "approximate" ? "~" : "";
