// Says so when the status page can't reach the server, and takes it back when it can again.
"use strict";

const lostContact = document.getElementById("lost-contact");

for (const event of ["htmx:sendError", "htmx:responseError", "htmx:timeout"]) {
  document.addEventListener(event, () => {
    lostContact.hidden = false;
  });
}
document.addEventListener("htmx:beforeOnLoad", (event) => {
  if (event.detail.xhr.status < 400) lostContact.hidden = true;
});
