// Keeps the status page up to date: asks again as often as the server says, tells a screen reader
// the news, and says so when the server can't be reached. htmx does the asking and the swapping.
"use strict";

const announcement = document.getElementById("announcement");
const lostContact = document.getElementById("lost-contact");
const SHORTEST_PAUSE = 2; // seconds
const PAUSE_AFTER_FAILURE = 5;

let lookedAtSince = Date.now();
let announced = region().dataset.announcement;
let timer;

function region() {
  return document.getElementById("status");
}

// Whoever has just come to the page, from the payment for example, waits less than the server asks.
function schedule(seconds) {
  const lookedAtFor = (Date.now() - lookedAtSince) / 1000;
  const pause = Math.min(seconds, Math.max(SHORTEST_PAUSE, lookedAtFor / 4));
  clearTimeout(timer);
  timer = setTimeout(ask, pause * 1000);
}

function ask() {
  if (region().hasAttribute("hx-get")) htmx.trigger(region(), "refresh");
}

function setContact(reached) {
  if (lostContact.hidden === reached) return;
  lostContact.hidden = reached;
  announcement.textContent = reached ? announcement.dataset.back : lostContact.textContent;
}

function tellNews() {
  const { announcement: news, title } = region().dataset;
  if (news === announced) return;
  announced = news;
  announcement.textContent = news;
  document.title = `${title} · Sluice`;
}

document.addEventListener("htmx:afterRequest", (event) => {
  const { xhr, successful } = event.detail;
  setContact(successful);
  if (!successful) {
    schedule(PAUSE_AFTER_FAILURE);
  } else if (xhr.getResponseHeader("Retry-After")) {
    schedule(Number(xhr.getResponseHeader("Retry-After")));
  } // else nothing will change any more
});
// Forms and lists that htmx preserves over a swap are the same elements afterwards, but where a
// browser has to move them to do so, they lose the focus.
let focused;
document.addEventListener("htmx:beforeSwap", () => { focused = document.activeElement; });
document.addEventListener("htmx:afterSwap", () => {
  if (region().contains(focused) && document.activeElement !== focused) focused.focus({ preventScroll: true });
  tellNews();
});

document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  lookedAtSince = Date.now();
  ask();
});
window.addEventListener("online", ask);

if (region().dataset.pause) schedule(Number(region().dataset.pause));
