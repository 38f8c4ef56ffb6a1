// A worker's A/A ratios over time, one line per load. The table below the chart has the same numbers.

const box = document.getElementById("aa-chart");
if (box && globalThis.Chart) {
  const points = JSON.parse(document.getElementById(box.dataset.points).textContent);
  const colors = getComputedStyle(document.documentElement);
  const color = (name) => colors.getPropertyValue(`--${name}`).trim();
  const canvas = document.createElement("canvas");
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", box.dataset.label);
  box.replaceChildren(canvas);
  box.hidden = false;
  const moments = [...new Set(points.map((p) => p.at))];
  const time = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "short", timeStyle: "short" });
  const shapes = [...new Set(points.map((p) => p.shape))];
  const palette = ["accuracy", "memory", "speed", "group-4"];
  Chart.defaults.font.family = color("sans");
  Chart.defaults.color = color("quiet");
  new Chart(canvas, {
    type: "line",
    data: {
      labels: moments.map((at) => time.format(new Date(at))),
      datasets: shapes.map((shape, i) => ({
        label: shape,
        data: moments.map((at) => points.find((p) => p.at === at && p.shape === shape)?.ratio ?? null),
        borderColor: color(palette[i % palette.length]),
        backgroundColor: color(palette[i % palette.length]),
        pointStyle: moments.map((at) => (points.find((p) => p.at === at)?.passed ? "circle" : "crossRot")),
        pointRadius: 4,
        borderWidth: 1.5,
        spanGaps: true,
      })),
    },
    options: {
      animation: false,
      maintainAspectRatio: false,
      scales: {
        y: { suggestedMin: 0.98, suggestedMax: 1.02, grid: { color: (c) => (c.tick.value === 1 ? color("line-strong") : color("line")) } },
        x: { grid: { display: false } },
      },
    },
  });
}
