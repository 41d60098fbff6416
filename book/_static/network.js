// The network of src/bumplab/models/unet.py and the sampler of src/bumplab/diffusion/process.py, on typed arrays.
//
// `bumplabNetwork(weights)` takes what network-weights.js holds (book/_tools/network_weights.py writes it). A feature
// map is { values, side, channels }: place after place, row by row, the channels of a place beside each other. So a
// linear layer is a convolution with one tap, and the innermost loop always runs along memory.
(() => {
  const EPSILON = 1e-5; // of norms

  // ------------------------------------------------------------- numbers

  // Half precision: 1 bit of sign, 5 of exponent, 10 of fraction.
  const half = (bits) => {
    const sign = bits & 0x8000 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = bits & 1023;
    return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -14 * (fraction / 1024));
  };

  const unpack = ({ shapes, data }) => {
    const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
    const values = Float32Array.from(new Uint16Array(bytes.buffer), half);
    const tensors = {};
    let start = 0;
    for (const [name, shape] of Object.entries(shapes)) {
      const length = shape.reduce((product, each) => product * each, 1);
      tensors[name] = { shape, values: values.subarray(start, start + length) };
      start += length;
    }
    return tensors;
  };

  // Abramowitz & Stegun, 7.1.26: to 1.5e-7.
  const erf = (x) => {
    const u = 1 / (1 + 0.3275911 * Math.abs(x));
    const tail = u * (0.254829592 + u * (-0.284496736 + u * (1.421413741 + u * (-1.453152027 + u * 1.061405429))));
    return Math.sign(x) * (1 - tail * Math.exp(-x * x));
  };
  const gelu = (x) => 0.5 * x * (1 + erf(x * Math.SQRT1_2));
  const silu = (x) => x / (1 + Math.exp(-x));

  // ------------------------------------------------------------- maps

  const mapValues = (map, change) => ({ ...map, values: map.values.map(change) });
  const add = (map, other) => mapValues(map, (value, k) => value + other.values[k]);

  // Weights are (taps, taps, in, out), or (in, out) for one tap; outside of the map is 0.
  const convolve = ({ values, side, channels }, weight, bias = null) => {
    const width = weight.shape.at(-1), taps = weight.shape.length === 4 ? weight.shape[0] : 1, reach = (taps - 1) / 2;
    const w = weight.values, result = new Float32Array(side * side * width);
    for (let y = 0; y < side; y++) {
      for (let x = 0; x < side; x++) {
        const out = (y * side + x) * width;
        if (bias) result.set(bias.values, out);
        for (let tap = 0; tap < taps * taps; tap++) {
          const row = y + Math.floor(tap / taps) - reach, column = x + (tap % taps) - reach;
          if (row < 0 || row >= side || column < 0 || column >= side) continue;
          const from = (row * side + column) * channels;
          for (let c = 0; c < channels; c += 4) { // four channels at a time: their numbers are multiples of 4
            const [v0, v1, v2, v3] = values.subarray(from + c, from + c + 4);
            let k = (tap * channels + c) * width;
            for (let o = out; o < out + width; o++, k++) {
              result[o] += v0 * w[k] + v1 * w[k + width] + v2 * w[k + 2 * width] + v3 * w[k + 3 * width];
            }
          }
        }
      }
    }
    return { values: result, side, channels: width };
  };

  // Normalise groups of `length` values; with all values in one group it is a group norm, by place a layer norm.
  const normalise = (map, length, scale, shift) => {
    const { values, channels } = map, result = new Float32Array(values.length);
    for (let start = 0; start < values.length; start += length) {
      let sum = 0, squares = 0;
      for (let k = start; k < start + length; k++) sum += values[k];
      const mean = sum / length;
      for (let k = start; k < start + length; k++) squares += (values[k] - mean) ** 2;
      const factor = 1 / Math.sqrt(squares / length + EPSILON);
      for (let k = start; k < start + length; k++) {
        result[k] = (values[k] - mean) * factor * scale.values[k % channels] + shift.values[k % channels];
      }
    }
    return { ...map, values: result };
  };

  // The maxima of 2 x 2 windows; sides are even.
  const halve = ({ values, side, channels }) => {
    const small = side / 2, result = new Float32Array(small * small * channels).fill(-Infinity);
    for (let k = 0; k < values.length; k++) {
      const c = k % channels, x = Math.floor(k / channels) % side, y = Math.floor(k / channels / side);
      const out = ((y >> 1) * small + (x >> 1)) * channels + c;
      if (values[k] > result[out]) result[out] = values[k];
    }
    return { values: result, side: small, channels };
  };

  // Stretch bilinearly, corners on corners, and append to another map of the wanted side.
  const append = (skip, { values, side, channels }) => {
    const total = skip.channels + channels, result = new Float32Array(skip.side ** 2 * total);
    const scale = (side - 1) / (skip.side - 1);
    for (let y = 0; y < skip.side; y++) {
      for (let x = 0; x < skip.side; x++) {
        const place = y * skip.side + x, out = place * total + skip.channels;
        result.set(skip.values.subarray(place * skip.channels, (place + 1) * skip.channels), place * total);
        const top = Math.floor(y * scale), left = Math.floor(x * scale);
        for (let row = top; row <= Math.min(top + 1, side - 1); row++) {
          for (let column = left; column <= Math.min(left + 1, side - 1); column++) {
            const near = (1 - Math.abs(y * scale - row)) * (1 - Math.abs(x * scale - column));
            const from = (row * side + column) * channels;
            for (let c = 0; c < channels; c++) result[out + c] += near * values[from + c];
          }
        }
      }
    }
    return { values: result, side: skip.side, channels: total };
  };

  // Where each pixel of an image (size, size) stands in the map of its patches.
  const patchIndex = (size, patch) =>
    Int32Array.from({ length: size * size }, (_, k) => {
      const y = Math.floor(k / size), x = k % size;
      const place = Math.floor(y / patch) * (size / patch) + Math.floor(x / patch);
      return place * patch * patch + (y % patch) * patch + (x % patch);
    });

  // ------------------------------------------------------------- the network

  window.bumplabNetwork = (weights) => {
    const { size, patch, timesteps, log_alpha_bar, margin = 0, hidden = "" } = weights;
    const tensors = unpack(weights), places = patchIndex(size, patch);
    const w = (name) => tensors[name];

    const linear = (x, name) => convolve(x, w(`${name}.weight`), w(`${name}.bias`));
    const norm = (x, name, length) => normalise(x, length, w(`${name}.weight`), w(`${name}.bias`));
    const groupNorm = (x, name) => norm(x, name, x.values.length);
    const layerNorm = (x, name) => norm(x, name, x.channels);

    const doubleConv = (x, name) => {
      const y = mapValues(groupNorm(convolve(x, w(`${name}.conv1.weight`)), `${name}.norm1`), gelu);
      return groupNorm(convolve(y, w(`${name}.conv2.weight`)), `${name}.norm2`);
    };

    const block = (x, name, encoding) => {
      const condition = linear(encoding, `${name}.condition`).values;
      return mapValues(doubleConv(x, `${name}.convs.0`), (value, k) => value + condition[k % condition.length]);
    };

    const attention = (x, name) => {
      const { side, channels } = x, n = side * side;
      const qkv = linear(layerNorm(x, `${name}.norm`), `${name}.qkv`).values;
      const mixed = new Float32Array(n * channels), share = new Float64Array(n);
      for (let i = 0; i < n; i++) {
        const query = i * 3 * channels;
        for (let j = 0; j < n; j++) {
          const key = (j * 3 + 1) * channels;
          let product = 0;
          for (let c = 0; c < channels; c++) product += qkv[query + c] * qkv[key + c];
          share[j] = product / Math.sqrt(channels);
        }
        const most = Math.max(...share);
        let total = 0;
        for (let j = 0; j < n; j++) total += share[j] = Math.exp(share[j] - most);
        for (let j = 0; j < n; j++) {
          const value = (j * 3 + 2) * channels;
          for (let c = 0; c < channels; c++) mixed[i * channels + c] += (share[j] / total) * qkv[value + c];
        }
      }
      const tokens = add(x, linear({ values: mixed, side, channels }, `${name}.out`));
      const hidden = mapValues(linear(layerNorm(tokens, `${name}.mlp.0`), `${name}.mlp.1`), gelu);
      return add(tokens, linear(hidden, `${name}.mlp.3`));
    };

    // Sines, then cosines of one number.
    const encode = (value, highest) => {
      const { length, base } = weights.encoding;
      return Array.from({ length }, (_, k) => {
        const angle = value * highest * base ** (-(k % (length / 2)) / (length / 2));
        return k < length / 2 ? Math.sin(angle) : Math.cos(angle);
      });
    };

    // Predict the clean image from a noisy one at timestep t, for a place in pixels of the image. Layers named in
    // `replacement` put out what it gives instead of their own. Returns the image and what all layers put out, in
    // order of execution.
    const run = (image, t, place, replacement = {}) => {
      const [x, y] = place.map((each) => each + margin); // labels
      const outputs = {};
      const put = (name, output) => (outputs[name] = replacement[name] ?? output);

      const codes = [encode(t, 1), encode(x, weights.mu_frequency), encode(y, weights.mu_frequency)].flat();
      const encoding = { values: Float32Array.from(codes, silu), side: 1, channels: codes.length };
      const down = (x, k) => attention(put(`down${k}`, block(halve(x), `down${k}`, encoding)), `attention${k}`);
      const up = (x, skip, k) =>
        attention(put(`up${k}`, block(append(skip, x), `up${k}`, encoding)), `attention${k + 3}`);

      const patches = { values: new Float32Array(size * size), side: size / patch, channels: patch * patch };
      places.forEach((place, k) => (patches.values[place] = image[k]));
      const x1 = put("stem", doubleConv(patches, "stem"));
      const x2 = put("attention1", down(x1, 1));
      const x3 = put("attention2", down(x2, 2));
      const x4 = put("attention3", down(x3, 3));
      const middle = put("middle", doubleConv(doubleConv(x4, "middle.0"), "middle.1"));
      const x5 = put("attention4", up(middle, x3, 1));
      const x6 = put("attention5", up(x5, x2, 2));
      const x7 = put("attention6", up(x6, x1, 3));
      const head = put("head", linear(x7, "head")).values;
      return { image: Float32Array.from(places, (place) => head[place]), outputs };
    };

    // Draw a bump by DDIM, from noise (size * size), in as many steps as `moments`, places in `timesteps`, have gaps.
    // `swap` is { place, layers }: at each step these layers put out what they would for another place, on the same
    // noisy image. Returns for each step { t, noisy, clean, outputs }, and the drawing.
    const draw = (place, noise, swap = null, moments = [...timesteps.keys()]) => {
      const steps = [];
      let noisy = noise;
      for (let k = 0; k + 1 < moments.length; k++) {
        const t = timesteps[moments[k]], [here, there] = [moments[k], moments[k + 1]].map((m) => log_alpha_bar[m]);
        const replacement = {};
        if (swap?.layers.length) {
          const { outputs } = run(noisy, t, swap.place);
          for (const name of swap.layers) replacement[name] = outputs[name];
        }
        const { image, outputs } = run(noisy, t, place, replacement);
        const clean = image.map((value) => Math.min(1, Math.max(-1, value)));
        steps.push({ t, noisy, clean, outputs });
        const signal = Math.exp(here / 2), level = Math.sqrt(-Math.expm1(here));
        const [signalNext, levelNext] = [Math.exp(there / 2), Math.sqrt(-Math.expm1(there))];
        noisy = noisy.map((value, i) => signalNext * clean[i] + (levelNext * (value - signal * clean[i])) / level);
      }
      return { steps, image: noisy };
    };

    return { size, hidden, run, draw };
  };
})();
