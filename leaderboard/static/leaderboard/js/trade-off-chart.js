// The trade-off chart: every entry by two of size, accuracy and speed-up, colored by the third.
// The table below has the same numbers.

const box = document.getElementById("pareto");
if (box && globalThis.Chart) {
  const answer = await fetch(box.dataset.src);
  if (answer.ok) picture(await answer.json());
}

function picture(points) {
  for (const point of points) point.mine = String(point.team) === box.dataset.mine;
  const axes = document.getElementById("axes");
  const canvas = document.createElement("canvas");
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", box.dataset.label);
  box.replaceChildren(canvas);
  axes.hidden = false;
  document.getElementById("pareto-legend").hidden = false;

  const size = (bytes) => {
    const units = ["B", "kB", "MB", "GB"];
    let unit = 0;
    while (bytes >= 999.5 && unit < 3) { bytes /= 1000; unit += 1; }
    return `${Number(bytes.toPrecision(3))} ${units[unit]}`;
  };
  const UNITS = {
    bytes: size,
    share: (value) => `${(100 * value).toFixed(1)} %`,
    factor: (value) => `×${value.toFixed(2)}`,
  };
  // from the server: {key, label, unit, best}
  const AXES = Object.fromEntries(JSON.parse(box.dataset.axes).map((axis) => [
    axis.key,
    { label: axis.label, sign: axis.best === "largest" ? 1 : -1, show: UNITS[axis.unit] ?? String },
  ]));
  const KEYS = Object.keys(AXES);
  const better = (a, b, keys) =>
    keys.every((k) => AXES[k].sign * (a[k] - b[k]) >= 0) && keys.some((k) => a[k] !== b[k]);
  const front = (keys) => points.filter((p) => !points.some((q) => better(q, p, keys)));
  const best = new Set(front(KEYS));

  const style = () => {
    const all = getComputedStyle(document.documentElement);
    return (name) => all.getPropertyValue(`--${name}`).trim();
  };

  // names next to the organizers' entries and the reader's own
  const labels = {
    id: "labels",
    afterDatasetsDraw(chart) {
      const color = style();
      const { ctx, chartArea: area } = chart;
      ctx.save();
      ctx.font = `600 12px ${color("sans")}`;
      ctx.textBaseline = "middle";
      ctx.textAlign = "center";
      ctx.lineWidth = 4;
      ctx.lineJoin = "round";
      ctx.strokeStyle = color("paper");
      const taken = [];
      chart.getDatasetMeta(1).data.forEach((element, i) => {
        const point = chart.data.datasets[1].data[i].point;
        if (point.kind === "team" && !point.mine) return;
        const half = ctx.measureText(point.name).width / 2;
        const x = Math.min(Math.max(element.x, area.left + half + 4), area.right - half);
        const below = element.y + 40 < area.bottom ? 1 : -1;
        let y = element.y + 19 * below;
        while (taken.some((t) => Math.abs(t.x - x) < t.half + half + 6 && Math.abs(t.y - y) < 15)) y += 15 * below;
        taken.push({ x, y, half });
        ctx.strokeText(point.name, x, y);
        ctx.fillStyle = point.mine ? color("accent") : color("ink");
        ctx.fillText(point.name, x, y);
      });
      ctx.restore();
    },
  };

  const chart = new Chart(canvas, { type: "scatter", data: { datasets: [] }, options: {}, plugins: [labels] });

  function draw() {
    const [x, y, z] = axes.querySelector(":checked").value.split(",");
    const color = style();
    const values = points.map((p) => p[z]);
    const [low, high] = [Math.min(...values), Math.max(...values)];
    // darker is better (lighter in dark mode)
    const goodness = (p) => {
      const share = high > low ? (p[z] - low) / (high - low) : 1;
      return AXES[z].sign > 0 ? share : 1 - share;
    };
    const shade = (p) => color(`ramp-${1 + Math.min(4, Math.floor(5 * goodness(p)))}`);
    const line = front([x, y]).map((p) => ({ x: p[x], y: p[y] })).sort((a, b) => a.x - b.x);
    const isTeam = (c) => c.raw.point.kind === "team";
    chart.data.datasets = [
      {
        type: "line",
        data: line,
        borderColor: color("accent"),
        borderWidth: 1.5,
        pointRadius: 0,
        pointHitRadius: 0,
        stepped: AXES[x].sign < 0 ? "before" : "after",
        order: 2,
      },
      {
        data: points.map((p) => ({ x: p[x], y: p[y], point: p })),
        pointStyle: (c) => (isTeam(c) ? "circle" : "rectRot"),
        pointRadius: (c) => (isTeam(c) ? 6 : 7),
        pointHoverRadius: 9,
        pointHitRadius: 6,
        pointBackgroundColor: (c) => (isTeam(c) ? shade(c.raw.point) : color("paper")),
        pointHoverBackgroundColor: (c) => (isTeam(c) ? shade(c.raw.point) : color("paper")),
        pointBorderColor: (c) =>
          c.raw.point.mine ? color("accent") : best.has(c.raw.point) || !isTeam(c) ? color("ink") : color("line-strong"),
        pointBorderWidth: (c) => (c.raw.point.mine ? 3 : best.has(c.raw.point) || !isTeam(c) ? 1.75 : 1),
        order: 1,
      },
    ];
    const axis = (key) => ({
      title: { display: true, text: AXES[key].label, color: color("quiet"), font: { family: color("sans"), size: 12 } },
      grid: { color: color("line"), drawTicks: false },
      border: { color: color("line-strong") },
      ticks: { color: color("quiet"), padding: 6, maxTicksLimit: 8, callback: AXES[key].show, font: { family: color("sans"), size: 12 } },
      grace: "8%",
    });
    chart.options = {
      responsive: true,
      maintainAspectRatio: false,
      animation: false,
      layout: { padding: { top: 8, right: 12 } },
      scales: { x: axis(x), y: axis(y) },
      interaction: { mode: "nearest", intersect: true },
      onHover: (event, found) => { canvas.classList.toggle("over", found.length > 0); },
      onClick: (event, found) => {
        const hit = found.find((f) => f.datasetIndex === 1);
        if (!hit) return;
        const point = points[hit.index];
        const row = document.getElementById(point.row);
        if (!row) { // on another page of the ranking
          location.href = `${location.pathname}?page=${point.page}#${point.row}`;
          return;
        }
        row.querySelector("details").open = true;
        row.scrollIntoView({ block: "center", behavior: "smooth" });
        row.querySelector("summary").focus({ preventScroll: true });
      },
      plugins: {
        legend: { display: false },
        tooltip: {
          backgroundColor: color("ink"),
          titleColor: color("paper"),
          bodyColor: color("paper"),
          titleFont: { family: color("sans"), size: 13 },
          bodyFont: { family: color("sans"), size: 12 },
          displayColors: false,
          padding: 10,
          cornerRadius: 4,
          filter: (item) => item.datasetIndex === 1,
          callbacks: {
            title: (items) => items.map((item) => item.raw.point.name),
            label: ({ raw: { point } }) => [
              `${box.dataset.score}: ${point.score.toFixed(4)}`,
              ...KEYS.map((key) => `${AXES[key].label}: ${AXES[key].show(point[key])}`),
            ],
          },
        },
      },
    };
    chart.update();
    document.getElementById("ramp-name").textContent = AXES[z].label;
    const [worst, top] = AXES[z].sign > 0 ? [low, high] : [high, low];
    document.getElementById("ramp-low").textContent = AXES[z].show(worst);
    document.getElementById("ramp-high").textContent = AXES[z].show(top);
  }

  draw();
  axes.addEventListener("change", draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
}
