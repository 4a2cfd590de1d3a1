const MAX_TRIES = 10;
// Lets a picture of a page take its own shape once it is there; where there is none, says so.
function settle(picture) {
  if (picture.naturalWidth) {
    picture.dataset.shown = "";
    return;
  }
  picture.parentElement.hidden = true;
  picture.closest("figure").querySelector("[data-no-picture]").hidden = false;
}
// The server draws few pages at a time: it names the seconds after which to ask for another.
async function askAgain(picture) {
  for (let tries = 0; tries < MAX_TRIES; tries += 1) {
    const answer = await fetch(picture.src);
    await answer.blob(); // all of it, so that the browser keeps a picture for the image below
    if (answer.ok) {
      picture.addEventListener("error", () => settle(picture), { once: true });
      picture.src = picture.src;
      return;
    }
    const seconds = Number(answer.headers.get("Retry-After"));
    if (!seconds) break;
    await new Promise((resume) => setTimeout(resume, 1000 * seconds));
  }
  settle(picture);
}
function retry(picture) {
  if ("asked" in picture.dataset) return; // both the event below and the look may have come here
  picture.dataset.asked = "";
  askAgain(picture).catch(() => settle(picture)); // the server can't be reached
}
for (const picture of document.querySelectorAll("[data-page-picture]")) {
  picture.addEventListener("load", () => settle(picture));
  picture.addEventListener("error", () => retry(picture));
  if (picture.complete && picture.currentSrc) {
    // It was done before this ran.
    if (picture.naturalWidth) settle(picture);
    else retry(picture);
  }
}
