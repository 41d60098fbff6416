// Points in space that turn. Until plotly.js has drawn them, and where it cannot (no WebGL, or no plotly.js within
// reach), the still stays.
async function bringToLife(card, data) {
  const plot = card.querySelector(".plot");

  // ------------------------------------------------------------- when, and with which plotly.js

  const approach = () =>
    new Promise((resolve) => {
      const watch = new IntersectionObserver((entries) => {
        if (!entries.some((entry) => entry.isIntersecting)) return;
        watch.disconnect();
        resolve();
      }, { rootMargin: "600px" });
      watch.observe(card);
    });

  const load = (attributes) =>
    new Promise((resolve) => {
      const script = Object.assign(document.createElement("script"), attributes, { onload: resolve, onerror: resolve });
      document.head.append(script);
    });

  const plotly = async () => {
    const root = document.documentElement.dataset.content_root; // Sphinx sets it: this is a page of the book
    if (!window.Plotly && root !== undefined) await load({ src: root + "_static/plotly.min.js" });
    if (!window.Plotly) await load({ ...data.plotly, crossOrigin: "anonymous" });
  };

  // ------------------------------------------------------------- what is drawn at moment k

  const { n, captions, middle, unit, mu } = data;
  const steps = new Int16Array(bytes(data.steps).buffer); // (moments, 3, n), in units of `unit` from the middle
  const colours = bytes(data.colours); // (n, 3), or (moments, n, 3)
  const path = new Int32Array(bytes(data.path).buffer); // the mesh, as one line through the points; -1 lifts the pen

  const colour = (k) => {
    const start = colours.length > 3 * n ? 3 * n * k : 0;
    return Array.from({ length: n }, (_, i) => `rgb(${colours.subarray(start + 3 * i, start + 3 * i + 3)})`);
  };

  const traces = (k) => {
    const axes = middle.map((zero, a) =>
      Array.from(steps.subarray((3 * k + a) * n, (3 * k + a + 1) * n), (q) => (q < -32767 ? null : zero + q * unit)));
    const [x, y, z] = axes;
    const [lx, ly, lz] = axes.map((axis) => Array.from(path, (i) => (i < 0 ? null : axis[i])));
    const hovertemplate = "μ<sub>x</sub> %{customdata[0]}, μ<sub>y</sub> %{customdata[1]}<extra></extra>";
    return [
      { type: "scatter3d", mode: "lines", x: lx, y: ly, z: lz, line: { color: "#aaa", width: 1.5 }, hoverinfo: "skip" },
      { type: "scatter3d", mode: "markers", x, y, z, customdata: mu, hovertemplate,
        marker: { size: data.size, color: colour(k), opacity: 1, line: { width: 0 } } },
    ];
  };

  const axis = (a) => ({
    title: { text: data.axes[a] }, range: [middle[a] - data.half, middle[a] + data.half],
    showticklabels: false, showspikes: false, nticks: 5, gridcolor: "#ddd", zeroline: false, backgroundcolor: "#fff",
  });
  const away = card.clientWidth < 500 ? 2.5 : 2; // a narrow picture needs room for the names of its axes
  const eye = { x: away * data.eye[0], y: away * data.eye[1], z: away * data.eye[2] };
  const layout = {
    margin: { l: 0, r: 0, t: 0, b: 0 }, showlegend: false, uirevision: "the reader's view stays", paper_bgcolor: "#fff",
    font: { color: "#222", size: 12 },
    scene: {
      aspectmode: "cube", dragmode: "turntable", camera: { eye, center: { x: 0, y: 0, z: -0.1 } },
      xaxis: axis(0), yaxis: axis(1), zaxis: axis(2),
    },
  };
  // plotly.js notes where the reader stands when the mouse is let go above the picture, and never for a finger;
  // with another moment it would fall back to the last view it has noted.
  plot.addEventListener("pointerdown", (event) => event.target.setPointerCapture(event.pointerId));
  plot.addEventListener("touchend", (event) => event.target.dispatchEvent(new MouseEvent("mouseup")));
  // The wheel scrolls the page.
  plot.addEventListener("wheel", (event) => event.stopPropagation(), { capture: true, passive: true });
  const settings = { displayModeBar: false, responsive: true, scrollZoom: false };
  const draw = (k, say) => {
    say(captions[k]);
    return Plotly.react(plot, traces(k), layout, settings);
  };

  // ------------------------------------------------------------- from still to live

  await approach();
  if (!document.createElement("canvas").getContext("webgl")) return;
  await (window.bumplabPlotly ??= plotly()); // once for all figures of the page
  if (!window.Plotly) return;
  setAlive(card, true); // plotly.js measures the place that it draws in
  try {
    await player(card, { draw, interval: 1000 * data.seconds })();
  } catch (error) {
    setAlive(card, false);
    throw error;
  }
}
