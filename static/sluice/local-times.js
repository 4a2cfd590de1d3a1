// Shows times in the viewer's zone; without JavaScript they are in UTC.
"use strict";

function showLocalTimes(root) {
  const format = new Intl.DateTimeFormat(document.documentElement.lang, {
    dateStyle: "medium",
    timeStyle: "medium",
  });
  for (const element of root.querySelectorAll("time[data-local-time]")) {
    element.textContent = format.format(new Date(element.dateTime));
  }
}

showLocalTimes(document);
document.addEventListener("htmx:afterSettle", () => showLocalTimes(document));
