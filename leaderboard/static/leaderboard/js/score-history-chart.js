// Scores over time: one step line per team, the reader's in front. The table below has the same numbers.

const box = document.getElementById("over-time");
if (box && globalThis.Chart) {
  const answer = await fetch(box.dataset.src);
  if (answer.ok) picture(await answer.json());
}

function picture({ lines, marks }) {
  const language = document.documentElement.lang;
  const day = new Intl.DateTimeFormat(language, { month: "short", day: "numeric" });
  const moment = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" });
  const clock = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit" });
  const canvas = document.createElement("canvas");
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", box.dataset.label);
  box.hidden = false;
  box.replaceChildren(canvas);

  const times = lines.flatMap((line) => line.steps.map((step) => step.at));
  const first = Math.min(...times);
  const last = Math.max(...times, first + 1);
  const isShort = last - first < 3 * 86400e3;
  const style = () => {
    const all = getComputedStyle(document.documentElement);
    return (name) => all.getPropertyValue(`--${name}`).trim();
  };

  // names at the ends of the lines, spaced so that they do not overlap
  const names = {
    id: "names",
    afterDatasetsDraw(chart) {
      const color = style();
      const { ctx, chartArea: area } = chart;
      const ends = chart.data.datasets
        .map((set, i) => ({ set, y: chart.getDatasetMeta(i).data.at(-1)?.y }))
        .filter((end) => end.y !== undefined)
        .sort((a, b) => a.y - b.y);
      const step = 15;
      ends.forEach((end, i) => { end.at = i ? Math.max(end.y, ends[i - 1].at + step) : end.y; });
      const over = ends.length ? ends.at(-1).at - area.bottom : 0;
      if (over > 0) for (let i = ends.length - 1, most = area.bottom; i >= 0; i -= 1, most -= step) ends[i].at = Math.min(ends[i].at, most);
      ctx.save();
      ctx.textBaseline = "middle";
      ctx.font = `500 12px ${color("sans")}`;
      for (const { set, y, at } of ends) {
        ctx.strokeStyle = set.borderColor;
        ctx.lineWidth = 1;
        ctx.beginPath();
        ctx.moveTo(area.right + 2, y);
        ctx.lineTo(area.right + 10, at);
        ctx.stroke();
        ctx.fillStyle = set.isMark ? color("quiet") : set.mine ? color("accent") : color("ink");
        ctx.font = `${set.mine ? 700 : 500} 12px ${color("sans")}`;
        let text = set.label;
        while (text.length > 2 && ctx.measureText(text).width > chart.width - area.right - 16) text = `${text.slice(0, -2)}…`;
        ctx.fillText(text, area.right + 13, at);
      }
      ctx.restore();
    },
  };

  const chart = new Chart(canvas, { type: "line", data: { datasets: [] }, options: {}, plugins: [names] });

  function draw() {
    const color = style();
    const [start, end] = [first - 0.015 * (last - first), last + 0.015 * (last - first)];
    const narrow = box.clientWidth < 560;
    chart.data.datasets = [
      ...marks.map(({ name, score }) => ({
        label: name, isMark: true, data: [{ x: start, y: score }, { x: end, y: score }],
        borderColor: color("line-strong"), borderDash: [4, 4], borderWidth: 1.25, pointRadius: 0, pointHitRadius: 0, order: 2,
      })),
      ...lines.map(({ team, mine, steps }, i) => {
        const line = mine ? color("accent") : color(`group-${1 + (i % 5)}`);
        return {
          label: team, mine, stepped: "before", order: mine ? 0 : 1,
          data: [...steps.map((step) => ({ x: step.at, y: step.score, step })), { x: end, y: steps.at(-1).score }],
          borderColor: line, backgroundColor: line, borderWidth: mine ? 3 : 1.5,
          borderDash: i >= 5 && !mine ? [6, 3] : [],
          pointRadius: (c) => (c.raw?.step ? (mine ? 4 : 3) : 0), pointHoverRadius: 6, pointHitRadius: 8,
        };
      }),
    ];
    const ticks = { color: color("quiet"), padding: 6, font: { family: color("sans"), size: 12 } };
    chart.options = {
      responsive: true,
      maintainAspectRatio: false,
      animation: false,
      layout: { padding: { top: 10, right: narrow ? 96 : 150 } },
      scales: {
        x: {
          type: "linear", min: start, max: end, grid: { display: false }, border: { color: color("line-strong") },
          ticks: { ...ticks, maxTicksLimit: narrow ? 4 : 8, maxRotation: 0, callback: (at) => (isShort ? clock : day).format(at) },
        },
        y: {
          title: { display: true, text: box.dataset.score, color: color("quiet"), font: { family: color("sans"), size: 12 } },
          grid: { color: color("line"), drawTicks: false }, border: { color: color("line-strong") },
          ticks: { ...ticks, maxTicksLimit: 8, callback: (score) => score.toFixed(2) }, grace: "6%",
        },
      },
      interaction: { mode: "nearest", intersect: true },
      onHover: (event, found) => { canvas.classList.toggle("over", found.some((hit) => hit.element.$context?.raw?.step)); },
      plugins: {
        legend: { display: false },
        tooltip: {
          backgroundColor: color("ink"), titleColor: color("paper"), bodyColor: color("paper"),
          titleFont: { family: color("sans"), size: 13 }, bodyFont: { family: color("sans"), size: 12 },
          displayColors: false, padding: 10, cornerRadius: 4,
          filter: (item) => Boolean(item.raw.step),
          callbacks: {
            title: (items) => items.map((item) => item.dataset.label),
            label: ({ raw: { step } }) => [`${box.dataset.score}: ${step.score.toFixed(4)} ± ${step.half_width.toFixed(4)}`, moment.format(step.at)],
          },
        },
      },
    };
    chart.update();
  }

  draw();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
}
