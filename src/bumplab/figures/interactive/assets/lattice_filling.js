// A lattice that fills, its clusters in colours, beside the curve of its largest cluster.
function bringToLife(card, data) {
  const { shape: [columns, rows], kinds, small, large } = data;
  const order = new Uint16Array(bytes(data.order).buffer);
  const sites = columns * rows;
  const [canvas, svg, select] = ["canvas", "svg", "select"].map((name) => card.querySelector(name));

  // ------------------------------------------------------------- clusters: union-find over the filled sites

  const clusters = (count, offsets) => {
    const parent = new Int32Array(sites).fill(-1);
    const size = new Int32Array(sites);
    const oldest = new Int32Array(sites);
    const edges = new Uint8Array(sites); // as near as half the longest step: left 1, right 2, top 4, bottom 8
    const [farX, farY] = [0, 1].map((axis) => Math.max(0, ...offsets.map((step) => step[axis])));
    const find = (site) => {
      while (parent[site] !== site) site = parent[site] = parent[parent[site]];
      return site;
    };
    let number = 0;
    for (let n = 0; n < count; n++) {
      const site = order[n];
      const x = site % columns;
      const y = (site - x) / columns;
      parent[site] = site;
      size[site] = 1;
      oldest[site] = n;
      edges[site] = (2 * x < farX) + 2 * (2 * (columns - 1 - x) < farX) +
        4 * (2 * y < farY) + 8 * (2 * (rows - 1 - y) < farY);
      number++;
      for (const [dx, dy] of offsets) {
        const [u, v] = [x + dx, y + dy];
        if (u < 0 || v < 0 || u >= columns || v >= rows || parent[v * columns + u] < 0) continue;
        let [a, b] = [find(site), find(v * columns + u)];
        if (a === b) continue;
        if (size[a] < size[b]) [a, b] = [b, a];
        parent[b] = a;
        size[a] += size[b];
        oldest[a] = Math.min(oldest[a], oldest[b]);
        edges[a] |= edges[b];
        number--;
      }
    }
    let best = -1;
    for (let site = 0; site < sites; site++) { // the largest; of equal ones that with the first site
      if (parent[site] < 0) continue;
      const root = find(site);
      if (best < 0 || size[root] > size[best]) best = root;
    }
    let across = false;
    for (let n = 0; n < count && !across; n++) {
      const reach = edges[find(order[n])];
      across = (reach & 3) === 3 || (reach & 12) === 12;
    }
    return { parent, find, oldest, best, number, across, largest: best < 0 ? 0 : size[best] };
  };

  // ------------------------------------------------------------- the lattice and the curve

  const rgb = (colour) => [1, 3, 5].map((k) => parseInt(colour.slice(k, k + 2), 16));
  const palette = small.map(rgb);
  const paint = (state) => {
    const image = new ImageData(columns, rows);
    const front = rgb(large[+state.across]);
    for (let site = 0; site < sites; site++) {
      let colour = [255, 255, 255];
      if (state.parent[site] >= 0) {
        const root = state.find(site);
        colour = root === state.best ? front : palette[state.oldest[root] % palette.length];
      }
      image.data.set([...colour, 255], 4 * site);
    }
    canvas.getContext("2d").putImageData(image, 0, 0);
  };

  const [width, height] = [200, 200];
  const line = (points) =>
    points.map(([p, s]) => `${(width * p).toFixed(1)},${(height * (1 - s)).toFixed(1)}`).join(" ");
  const text = (x, y, words, more = "") => `<text x="${x}" y="${y}" ${more}>${words}</text>`;
  const plot = (curve, p, share, colour) => {
    const past = curve.filter(([at]) => at <= p).concat(p ? [[p, share]] : []);
    svg.innerHTML =
      `<path d="M0 0V${height}H${width}" fill="none" stroke="#888"/>` +
      [0, 0.5, 1].map((v) => text(-6, height * (1 - v) + 4, v, 'text-anchor="end"') +
        text(width * v, height + 14, v, 'text-anchor="middle"')).join("") +
      text(width / 2, height + 26, "share of sites filled", 'text-anchor="middle"') +
      text(-31, height / 2, "share in the largest cluster",
        `text-anchor="middle" transform="rotate(-90 -31 ${height / 2})"`) +
      `<polyline points="${line(curve)}" fill="none" stroke="#ccc" stroke-width="2"/>` +
      `<polyline points="${line(past)}" fill="none" stroke="${colour}" stroke-width="2.5"/>` +
      (p ? `<circle cx="${width * p}" cy="${height * (1 - share)}" r="4.5" fill="${colour}"/>` : "");
  };

  // ------------------------------------------------------------- a moment of the slider

  const draw = (count, say) => {
    const kind = kinds[select.selectedIndex];
    const state = clusters(count, kind.offsets);
    const share = count ? state.largest / count : 0;
    paint(state);
    plot(kind.curve, count / sites, share, large[+state.across]);
    say(
      `${(count / sites).toFixed(3)} filled · clusters: ${state.number} · ` +
      `largest: ${share.toFixed(2)} of the filled sites` +
      (state.across ? " · a cluster reaches from edge to edge" : ""));
  };
  const show = player(card, { draw, interval: 60, step: Math.ceil(sites / 120) });
  select.addEventListener("change", show);
  show();
  setAlive(card, true);
}
