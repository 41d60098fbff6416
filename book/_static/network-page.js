// The element <div class="network-in-page">: a trained network that runs in the page.
//
// What the div holds stands in until the reader starts it, and for good without JavaScript or on paper. Starting loads
// network.js and network-weights.js from beside this file. With data-mode="inside" the layers are open from the start,
// with data-mode="swap" one of them also takes its code from another place, with data-mode="ask" none can be opened.
// With data-networks="pairs both" there are several, from network-weights-pairs.js and so on, each loaded when the
// reader first chooses it.
(() => {
  const BASE = document.currentScript.src;
  const LAYER = "up2"; // the first to look at
  const PLACES = { asked: [21, 10], other: [8, 22] };
  const PAIR = [16, 8]; // where no pair of stripes in training had its vertical one
  const TRAINING = { pairs: "pairs only", stripes: "single stripes only", both: "both" };
  const STEPS = 5;

  const html = `
<div class="pictures">
  <div><div class="name">You ask</div>
    <div class="plane ask"><canvas class="hidden" aria-hidden="true"></canvas>
      <span class="ring asked" role="slider" tabindex="0" aria-label="Place asked for, moved by arrow keys"></span>
      <span class="ring other" role="slider" tabindex="0" aria-label="Other place, moved by arrow keys"></span>
    </div></div>
  <div><div class="name moment"></div>
    <div class="plane"><canvas class="drawn" role="img" aria-label="What the network draws"></canvas>
      <span class="ring asked"></span><span class="ring other"></span></div></div>
  <div class="words">
    <p>Drag the <b class="asked">ring</b><span class="only-swapping"> or <b class="other">the other</b></span>. The
      network gets its place, two numbers, and an image of noise.<span class="only-hidden"> Orange: pairs that training
      hid.</span></p>
    <fieldset class="training"><legend>Training showed</legend></fieldset>
    <p class="result" aria-live="polite"></p>
    <p class="time"></p>
    <button class="noise" type="button">Other noise</button>
  </div>
</div>
<div class="denoising">
  <label><span class="name">Denoising, step by step</span>
    <input class="step" type="range" min="1" max="${STEPS}" value="${STEPS}" aria-label="Step of denoising"></label>
  <div class="strip" aria-hidden="true"></div>
  <p class="remark">Above: what a step starts from. Below: the clean image that the network makes of it.</p>
</div>
<details><summary>Look inside</summary>
  <fieldset class="layers"><legend>Layer <b class="layer"></b><span class="shape"></span></legend></fieldset>
  <p class="remark only-swapping">Swapping the code of <b class="asked">orange</b> layers leaves the bump where you ask,
    that of <b class="other">blue</b> ones moves it to the other place, that of grey ones does neither.</p>
  <div class="inside">
    <div><canvas class="activity" role="img"></canvas>
      <p class="remark">A square is a channel, <b class="other">blue</b> below, <b class="asked">orange</b> above 0.</p>
    </div>
    <div class="words">
      <label><input type="checkbox" class="swap"> Swap its code for that of the <b class="other">other place</b></label>
      <label><input type="checkbox" class="up-to" disabled> and the codes of all layers before it</label>
      <p>At each step it then puts out what it would if you asked for a bump at the other place. If the bump follows,
        what this layer says decides where the bump goes. If it stays, other ways lead round this layer.</p>
    </div>
  </div></details>`;

  // ------------------------------------------------------------- loading

  const load = (name) =>
    new Promise((resolve, reject) => {
      const src = new URL(name, BASE).href;
      document.head.append(Object.assign(document.createElement("script"), { src, onload: resolve, onerror: reject }));
    });

  const loadNetwork = async (name) => {
    program ??= load("network.js");
    await load(name ? `network-weights-${name}.js` : "network-weights.js");
    const weights = window.bumplabWeights;
    delete window.bumplabWeights; // the text is larger than the numbers
    await program;
    return window.bumplabNetwork(weights);
  };
  // Once for all elements of the page.
  let program = null;
  const loading = {};
  const networkOf = async (name) => {
    try {
      return await (loading[name] ??= loadNetwork(name));
    } catch (error) {
      delete loading[name];
      program = null;
      throw error;
    }
  };

  // ------------------------------------------------------------- numbers and pictures

  // Box & Muller (1958).
  const gaussian = () => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
  const brightness = (value) => Math.min(1, Math.max(0, (value + 1) / 2));
  const written = ([x, y]) => `(${x.toFixed(1)}, ${y.toFixed(1)})`;

  // Where the one bump of an image stands: the middle of what is bright around the brightest pixel. Null if that is
  // dark, or if as much is bright elsewhere.
  const findBump = (image, size) => {
    const light = image.map(brightness), peak = light.indexOf(Math.max(...light));
    let near = 0, far = 0, sumX = 0, sumY = 0;
    light.forEach((value, k) => {
      const x = k % size, y = Math.floor(k / size);
      if (value < 0.2) return;
      if (Math.hypot(x - (peak % size), y - Math.floor(peak / size)) > 4) return void (far += value);
      near += value;
      sumX += value * x;
      sumY += value * y;
    });
    return light[peak] < 0.4 || far > near / 2 ? null : [sumX / near, sumY / near];
  };

  // Where the vertical and the horizontal stripe stand: null where none is half as bright as it should be. The other
  // stripe adds the same to all of a profile, so its median is taken off.
  const findStripes = (image, size) =>
    [(x, y) => y * size + x, (y, x) => y * size + x].map((index) => {
      const numbers = [...Array(size).keys()];
      const sums = numbers.map((k) => numbers.reduce((sum, l) => sum + image[index(k, l)] + 1, 0) / size);
      const middle = sums.toSorted((a, b) => a - b)[size / 2], profile = sums.map((value) => value - middle);
      const most = Math.max(...profile), peak = profile.indexOf(most);
      if (most < 0.5) return null;
      const near = numbers.filter((k) => Math.abs(k - peak) <= 2 && profile[k] > 0.1);
      const weight = near.reduce((sum, k) => sum + profile[k], 0);
      return near.reduce((sum, k) => sum + k * profile[k], 0) / weight;
    });

  const paint = (canvas, width, height, colour) => {
    canvas.width = width;
    canvas.height = height;
    const picture = new ImageData(width, height), { data } = picture;
    for (let k = 0; k < width * height; k++) {
      const [red, green, blue] = colour(k % width, Math.floor(k / width));
      data[4 * k] = red;
      data[4 * k + 1] = green;
      data[4 * k + 2] = blue;
      data[4 * k + 3] = 255;
    }
    canvas.getContext("2d").putImageData(picture, 0, 0);
  };

  const paintGrey = (canvas, image, size, grey) =>
    paint(canvas, size, size, (x, y) => Array(3).fill(255 * grey(image[y * size + x])));
  const paintClean = (canvas, image, size) => paintGrey(canvas, image, size, (value) => Math.sqrt(brightness(value)));
  const paintNoisy = (canvas, image, size) => paintGrey(canvas, image, size, (value) => brightness(value / 2));

  // The channels of a layer beside each other, each in a square of eight: blue below 0, orange above.
  const paintActivity = (canvas, { values, side, channels }) => {
    const cell = 8, columns = Math.ceil(Math.sqrt(channels)), rows = Math.ceil(channels / columns);
    const most = values.reduce((max, value) => Math.max(max, Math.abs(value)), 1e-9);
    paint(canvas, columns * (cell + 1) - 1, rows * (cell + 1) - 1, (x, y) => {
      const channel = Math.floor(y / (cell + 1)) * columns + Math.floor(x / (cell + 1));
      const [column, row] = [x, y].map((at) => Math.floor(((at % (cell + 1)) * side) / cell));
      if (channel >= channels || column >= side || row >= side) return [255, 255, 255];
      const share = values[(row * side + column) * channels + channel] / most;
      const end = share < 0 ? [0, 114, 178] : [213, 94, 0];
      return end.map((value) => 255 + (value - 255) * Math.abs(share));
    });
  };

  // ------------------------------------------------------------- one element

  const bringToLife = (card, live, network, names) => {
    const { size } = network;
    const one = (selector) => live.querySelector(selector), all = (selector) => [...live.querySelectorAll(selector)];
    const places = structuredClone(PLACES);
    if (network.hidden) places.asked = [...PAIR];
    const plane = one(".ask"), slider = one(".step"), swap = one(".swap"), upTo = one(".up-to");
    const blank = new Float32Array(size * size), layers = Object.keys(network.run(blank, 0, PLACES.asked).outputs);
    let layer = layers.indexOf(LAYER), noise, drawing;

    const cells = Array.from({ length: 2 * STEPS }, (_, k) => {
      const canvas = document.createElement("canvas");
      canvas.addEventListener("click", () => choose((k % STEPS) + 1));
      return canvas;
    });
    // The layers in order of execution, each a button as high as its maps are fine.
    const group = `layer-${Math.random()}`;
    const buttons = layers.map((name, k) => {
      const label = document.createElement("label");
      const input = document.createElement("input");
      Object.assign(input, { type: "radio", name: group, checked: k === layer });
      input.setAttribute("aria-label", name);
      input.addEventListener("input", () => {
        layer = k;
        update(swap.checked);
      });
      label.title = name;
      label.append(input, document.createElement("span"));
      return label;
    });

    const upToLayer = (k) => layers.slice(upTo.checked ? 0 : k, k + 1);
    const swapped = () => (swap.checked ? upToLayer(layer) : []);
    const drawWith = (names) => network.draw(places.asked, noise, { place: places.other, layers: names });

    const draw = () => {
      const start = performance.now();
      drawing = drawWith(swapped());
      one(".time").textContent = `Drawn in ${Math.round(performance.now() - start)} ms, in your browser.`;
    };

    // Where the bump of an image stands, and which of the places that is.
    const judge = (image) => {
      const found = findBump(image, size);
      const near = (name) => Math.hypot(...found.map((v, axis) => v - places[name][axis])) < 2;
      return { found, at: found && Object.keys(places).find(near) };
    };

    const isHidden = ([x, y]) => network.hidden[Math.round(y) * size + Math.round(x)] === "1";
    const describeStripes = () => {
      const words = findStripes(drawing.image, size).map((at) => (at === null ? "not drawn" : `at ${at.toFixed(1)}`));
      const [vertical, horizontal] = words;
      const said = `Asked for ${written(places.asked)}, a pair that training ${isHidden(places.asked) ? "hid" : "showed"}`;
      return `${said}. Vertical stripe: ${vertical}. Horizontal: ${horizontal}.`;
    };

    const describe = () => {
      if (network.hidden) return describeStripes();
      const { found, at } = judge(drawing.image);
      const where = found ? `Drawn at ${written(found)}.` : "There is no single bump.";
      if (!swap.checked) return `Asked for ${written(places.asked)}. ${where}`;
      const verdict = !found ? "" : { asked: " It stays.", other: " It follows." }[at] ?? " It goes elsewhere.";
      return `Asked for ${written(places.asked)}; code from ${written(places.other)}. ${where}${verdict}`;
    };

    // Try each layer in turn, once the reader rests, and colour its button.
    let newest = 0;
    const tryLayers = async () => {
      const mine = ++newest;
      for (const button of buttons) delete button.dataset.at;
      for (let k = 0, rest = 300; swap.checked && k < layers.length; k++, rest = 0) {
        await new Promise((resolve) => setTimeout(resolve, rest));
        if (mine !== newest) return;
        buttons[k].dataset.at = judge(drawWith(upToLayer(k)).image).at ?? "elsewhere";
      }
    };

    const show = () => {
      const k = slider.value - 1, { t, clean, outputs } = drawing.steps[k], { side, channels } = outputs[layers[layer]];
      drawing.steps.forEach((step, column) => {
        paintNoisy(cells[column], step.noisy, size);
        paintClean(cells[column + STEPS], step.clean, size);
        times[column].textContent = `t = ${step.t}`;
      });
      cells.forEach((cell, at) => cell.classList.toggle("chosen", at % STEPS === k));
      paintClean(one(".drawn"), clean, size);
      one(".moment").textContent = k + 1 < STEPS ? `Its guess in step ${k + 1}` : "It draws";
      slider.setAttribute("aria-valuetext", `step ${k + 1} of ${STEPS}, t = ${t}`);
      one(".result").textContent = describe();

      paintActivity(one(".activity"), outputs[layers[layer]]);
      one(".activity").setAttribute("aria-label", `Activity of layer ${layers[layer]}`);
      one(".layer").textContent = layers[layer];
      one(".shape").textContent = `: ${channels} channels of ${side} × ${side}`;
      const taken = swapped();
      buttons.forEach((button, at) => {
        button.style.setProperty("--side", Math.log2(outputs[layers[at]].side));
        button.classList.toggle("swapped", taken.includes(layers[at]));
      });
      upTo.disabled = !swap.checked;
      card.classList.toggle("swapping", swap.checked);
      for (const [name, place] of Object.entries(places)) {
        for (const ring of all(`.ring.${name}`)) {
          [ring.style.left, ring.style.top] = place.map((v) => `${(100 * (v + 0.5)) / size}%`);
        }
        const ring = one(`.ask .${name}`);
        ring.setAttribute("aria-valuemin", 0);
        ring.setAttribute("aria-valuemax", size - 1);
        ring.setAttribute("aria-valuenow", place[0].toFixed(1));
        ring.setAttribute("aria-valuetext", `x ${place[0].toFixed(1)}, y ${place[1].toFixed(1)}`);
      }
    };

    // Draw and show once a frame, however many events there are.
    let due = false, fresh = false;
    const update = (again) => {
      fresh ||= again;
      if (due) return;
      due = true;
      requestAnimationFrame(() => {
        due = false;
        if (fresh) draw();
        fresh = false;
        show();
      });
    };

    // Where training showed no pair: orange, as on the maps of the chapter.
    const showTraining = () => {
      if (!network.hidden) return;
      paint(one(".hidden"), size, size, (x, y) => (isHidden([x, y]) ? [247, 219, 156] : [250, 250, 250]));
      card.classList.add("with-hidden");
    };
    const choices = names.map((name) => {
      const label = document.createElement("label"), input = document.createElement("input");
      Object.assign(input, { type: "radio", name: `${group}-training`, value: name, checked: name === names[0] });
      input.addEventListener("input", async () => {
        network = await networkOf(name);
        if (!input.checked) return; // another was chosen meanwhile
        showTraining();
        change();
      });
      label.append(input, ` ${TRAINING[name]}`);
      return label;
    });

    const change = () => {
      update(true);
      tryLayers();
    };
    const choose = (step) => {
      slider.value = step;
      update(false);
    };
    const renew = () => {
      noise = Float32Array.from({ length: size * size }, gaussian);
      change();
    };
    const move = (name, place) => {
      places[name] = place.map((v) => Math.min(size - 1, Math.max(0, v)));
      card.classList.add("moved");
      change();
    };
    const placeOf = (event) => {
      const box = plane.getBoundingClientRect();
      return [(event.clientX - box.x) / box.width, (event.clientY - box.y) / box.height].map((v) => v * size - 0.5);
    };

    let held = null;
    plane.addEventListener("pointerdown", (event) => {
      const at = placeOf(event), distance = (name) => Math.hypot(...at.map((v, axis) => v - places[name][axis]));
      held = swap.checked && distance("other") < distance("asked") ? "other" : "asked";
      plane.setPointerCapture(event.pointerId);
      one(`.ask .${held}`).focus({ preventScroll: true });
      event.preventDefault();
      move(held, at);
    });
    plane.addEventListener("pointermove", (event) => held && move(held, placeOf(event)));
    for (const end of ["pointerup", "pointercancel"]) plane.addEventListener(end, () => (held = null));

    const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    for (const name of Object.keys(places)) {
      one(`.ask .${name}`).addEventListener("keydown", (event) => {
        const by = arrows[event.key];
        if (!by) return;
        event.preventDefault();
        move(name, places[name].map((v, axis) => v + by[axis]));
      });
    }

    const times = cells.slice(0, STEPS).map(() => document.createElement("span"));
    one(".strip").append(...cells, ...times);
    one(".layers").append(...buttons);
    if (names.length > 1) one(".training").append(...choices);
    else one(".training").remove();
    showTraining();
    slider.addEventListener("input", () => update(false));
    one(".noise").addEventListener("click", renew);
    for (const box of [swap, upTo]) box.addEventListener("input", change);
    one("details").open = ["inside", "swap"].includes(card.dataset.mode);
    swap.checked = card.dataset.mode === "swap";
    renew();
  };

  const prepare = (card) => {
    const still = document.createElement("div"), live = document.createElement("div");
    still.className = "still";
    still.append(...card.childNodes);
    for (const link of still.querySelectorAll("a:has(img)")) link.replaceWith(...link.childNodes); // Sphinx makes it
    live.className = "live";
    live.hidden = true;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "start";
    button.innerHTML = "Draw with the network <small>it runs in your browser: 1.1 MB</small>";
    const names = (card.dataset.networks ?? "").split(" ");
    card.append(still, button, live);

    const start = async () => {
      button.disabled = true;
      try {
        const network = await networkOf(names[0]);
        live.innerHTML = html;
        bringToLife(card, live, network, names);
      } catch (error) {
        button.disabled = false;
        button.textContent = "The network could not be loaded: try again";
        throw error;
      }
      live.hidden = false;
      card.classList.add("alive");
      live.querySelector(".ask .asked").focus({ preventScroll: true });
    };
    button.addEventListener("click", start);
    still.addEventListener("click", () => button.disabled || start());
  };

  document.querySelectorAll(".network-in-page").forEach(prepare);
})();
