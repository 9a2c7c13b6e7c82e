/* The charts of the metrics page: drawn by Chart.js in the theme's colours, and anew when it changes. */
const { Chart } = window;

const NARROW = window.matchMedia("(max-width: 40rem)");
const root = document.documentElement;
const token = (name) => getComputedStyle(root).getPropertyValue(name).trim();
const number = new Intl.NumberFormat(root.lang, { maximumFractionDigits: 1 });
const short = new Intl.NumberFormat(root.lang, { notation: "compact" });
const seconds = new Intl.NumberFormat(root.lang, { maximumFractionDigits: 2 });
const ms = (value) =>
  value < 1000 ? `${Math.round(value)} ms` : `${seconds.format(value / 1000)} s`;

/** How a value is written at the axis and beside the pointer. */
const WRITTEN = {
  ms: [ms, ms],
  count: [(value) => short.format(value), (value) => number.format(value)],
  percent: [(value) => `${number.format(value)} %`, (value) => `${number.format(value)} %`],
  per_second: [(value) => short.format(value), (value) => number.format(value)],
  money: [(value) => short.format(value), (value) => value.toFixed(value < 1 ? 4 : 2)],
};

function dataset(series, { kind }) {
  const colour = token(`--chart-${series.colour}`);
  const common = { label: series.name, data: series.values, borderColor: colour };
  if (kind === "line" || series.line) {
    return {
      ...common,
      type: "line",
      order: 0,
      backgroundColor: colour,
      borderWidth: 2,
      borderDash: series.dashed ? [5, 4] : [],
      cubicInterpolationMode: "monotone",
      // Where there are gaps, a point marks what was measured; one alone makes no line.
      pointRadius: series.values.includes(null) ? 2.5 : 0,
      pointBackgroundColor: colour,
      pointHoverRadius: 4,
      pointHoverBackgroundColor: colour,
      spanGaps: true,
      stack: "line",
    };
  }
  return {
    ...common,
    order: 1,
    backgroundColor: colour,
    hoverBackgroundColor: colour,
    // Neighbours in a stack are told apart by more than their colours.
    ...(kind === "stacked"
      ? { borderColor: token("--surface"), borderWidth: { top: 1 }, borderSkipped: false }
      : { borderRadius: 2, borderWidth: 0 }),
    maxBarThickness: 36,
  };
}

/** As Chart.js makes them, and dashed where the line is. */
function legend(chart) {
  const labels = Chart.defaults.plugins.legend.labels.generateLabels(chart);
  return labels.map((label) => ({
    ...label,
    lineDash: chart.data.datasets[label.datasetIndex].borderDash ?? [],
  }));
}

/**
 * A name that leaves room for the bars beside it. Its end stays, where versions differ; the tooltip
 * and the table have all of it.
 */
function shortened(name) {
  const half = NARROW.matches ? 8 : 15;
  return name.length > 2 * half ? `${name.slice(0, half)}…${name.slice(1 - half)}` : name;
}

function options({ kind, unit }) {
  const [atAxis, inTip] = WRITTEN[unit];
  const stacked = kind === "stacked";
  const lying = kind === "names";
  const soft = token("--text-soft");
  const labels = {
    stacked,
    grid: { display: false },
    border: { color: token("--line") },
    ticks: lying
      ? {
          color: soft,
          autoSkip: false,
          callback(value) {
            return shortened(this.getLabelForValue(value));
          },
        }
      : { color: soft, maxRotation: 0, autoSkipPadding: 16 },
  };
  const values = {
    stacked,
    beginAtZero: true,
    border: { display: false },
    grid: { color: token("--line") },
    ticks: {
      color: soft,
      callback: atAxis,
      maxTicksLimit: 6,
      maxRotation: 0,
      precision: unit === "count" ? 0 : undefined,
    },
  };
  return {
    animation: false,
    maintainAspectRatio: false,
    indexAxis: lying ? "y" : "x",
    interaction: { mode: "index", axis: lying ? "y" : "x", intersect: false },
    scales: lying ? { x: values, y: labels } : { x: labels, y: values },
    plugins: {
      legend: {
        align: "start",
        position: "bottom",
        labels: {
          color: token("--text"),
          usePointStyle: true,
          pointStyle: kind === "line" ? "line" : "rectRounded",
          pointStyleWidth: kind === "line" ? 22 : 10,
          padding: 12,
          generateLabels: legend,
        },
      },
      tooltip: {
        backgroundColor: token("--surface"),
        titleColor: token("--text"),
        bodyColor: token("--text"),
        borderColor: token("--line-strong"),
        borderWidth: 1,
        padding: 10,
        usePointStyle: true,
        callbacks: {
          label: ({ dataset: { label }, raw }) => ` ${label}: ${inTip(raw)}`,
        },
        filter: ({ raw }) => raw !== null && (!stacked || raw !== 0),
      },
    },
  };
}

/** The arrow keys go from point to point, as the pointer does. */
function walk(chart, event) {
  const last = chart.data.labels.length - 1;
  const now = chart.getActiveElements()[0]?.index;
  const lying = chart.options.indexAxis === "y";
  const steps = lying ? { ArrowUp: -1, ArrowDown: 1 } : { ArrowLeft: -1, ArrowRight: 1 };
  const first = lying ? 0 : last; // the one with most, the newest
  let index;
  if (event.key in steps) index = now === undefined ? first : now + steps[event.key];
  else if (event.key === "Home") index = 0;
  else if (event.key === "End") index = last;
  else if (event.key !== "Escape") return;
  event.preventDefault();
  const shown = index === undefined ? [] : elementsAt(chart, Math.min(last, Math.max(0, index)));
  chart.setActiveElements(shown);
  const at = shown.length ? chart.getDatasetMeta(shown[0].datasetIndex).data[shown[0].index] : null;
  chart.tooltip.setActiveElements(shown, at ? { x: at.x, y: at.y } : { x: 0, y: 0 });
  chart.update("none");
}

function elementsAt(chart, index) {
  return chart
    .getSortedVisibleDatasetMetas()
    .map((meta) => ({ datasetIndex: meta.index, index }));
}

function draw(found) {
  const canvas = document.getElementById(`plot-${found.slug}`);
  return new Chart(canvas, {
    type: found.kind === "line" ? "line" : "bar",
    data: { labels: found.labels, datasets: found.series.map((series) => dataset(series, found)) },
    options: options(found),
  });
}

const all = JSON.parse(document.getElementById("charts-data").textContent);
let drawn = new Map();

function drawAll() {
  for (const chart of drawn.values()) chart.destroy();
  Chart.defaults.font.family = token("--font");
  drawn = new Map(all.map((found) => [`plot-${found.slug}`, draw(found)]));
}

drawAll();
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
window.matchMedia("print").addEventListener("change", drawAll);
document.addEventListener("keydown", (event) => {
  const chart = drawn.get(event.target.id);
  if (chart) walk(chart, event);
});
document.addEventListener("focusout", (event) => {
  const chart = drawn.get(event.target.id);
  if (!chart) return;
  chart.setActiveElements([]);
  chart.tooltip.setActiveElements([], { x: 0, y: 0 });
  chart.update("none");
});
