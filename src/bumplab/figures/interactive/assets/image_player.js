// A film of image grids: one tall picture with the moments below each other, of which a window shows one.
function bringToLife(card, { captions, seconds, sheet }) {
  const view = card.querySelector(".view");
  const last = captions.length - 1;
  view.style.backgroundImage = `url(data:image/png;base64,${sheet})`;

  const draw = (moment, say) => {
    view.style.backgroundPositionY = `${last ? (100 * moment) / last : 0}%`;
    view.setAttribute("aria-label", captions[moment]);
    say(captions[moment]);
  };
  player(card, { draw, interval: 1000 * seconds })();
  setAlive(card, true);
}
