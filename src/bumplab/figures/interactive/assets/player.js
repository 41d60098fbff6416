// The slider, the button and the caption of one card. `draw(moment, say)` draws a moment and says its caption;
// `step` moments go by in `interval` milliseconds. Returns a function that draws the moment of the slider again.
function player(card, { draw, interval, step = 1 }) {
  const [slider, button, caption] = [".moment", ".play", ".caption"].map((name) => card.querySelector(name));
  const action = button.textContent;
  const last = +slider.max;
  let timer = null;

  const say = (text) => {
    caption.textContent = text;
    slider.setAttribute("aria-valuetext", text);
  };
  const show = () => draw(+slider.value, say);
  const stop = () => {
    clearInterval(timer);
    timer = null;
    button.textContent = action;
  };
  const advance = () => {
    slider.value = +slider.value + step;
    show();
    if (+slider.value === last) stop();
  };

  slider.addEventListener("input", () => {
    stop();
    show();
  });
  button.addEventListener("click", () => {
    if (timer) return stop();
    if (+slider.value === last) slider.value = 0;
    button.textContent = "pause";
    show();
    timer = setInterval(advance, interval);
  });
  return show;
}
