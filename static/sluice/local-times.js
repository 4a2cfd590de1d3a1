// Shows times in the viewer's zone and way of writing; without JavaScript they are in UTC.
"use strict";

const language = document.documentElement.lang;
const timeFormat = new Intl.DateTimeFormat(
  navigator.languages.find((wanted) => wanted.startsWith(language)) ?? language,
  { dateStyle: "medium", timeStyle: "medium" },
);

function showLocalTimes() {
  for (const element of document.querySelectorAll("time[data-local-time]")) {
    element.textContent = timeFormat.format(new Date(element.dateTime));
  }
}

showLocalTimes();
document.addEventListener("htmx:afterSwap", showLocalTimes);
