// What every figure needs: its own card on the page, bytes out of text, and the step from still to live.

// The card around the script that runs now. Some notebooks run scripts from elsewhere, with `currentScript` null or in
// the head of the page; then it is the first card of this content that no script has taken yet. So two equal figures
// on one page have a card each.
function takeCard(digest) {
  const card = document.currentScript?.closest(".bumplab-figure") ??
    document.querySelector(`.bumplab-figure[data-content="${digest}"]:not([data-owner])`);
  card?.setAttribute("data-owner", "script");
  return card;
}

// What the script of a figure runs first.
function start(digest) {
  const card = takeCard(digest);
  if (card) bringToLife(card, JSON.parse(card.querySelector(".data").textContent));
}

function bytes(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

function setAlive(card, alive) {
  card.querySelector(".live").hidden = !alive;
  card.classList.toggle("alive", alive);
}
