// Sends the application to the API, so that an error leaves the page and the picked files as they
// are. Without JavaScript the form is posted as it is.
"use strict";

const form = document.getElementById("apply");
const button = form.querySelector("[data-send]");
const progress = form.querySelector("[data-sending]");
const announcement = form.querySelector("[data-announcement]");
const texts = JSON.parse(document.getElementById("apply-texts").textContent);
const limits = JSON.parse(document.getElementById("apply-limits").textContent);
const buttonText = button.textContent;
const picked = new PickedFiles(form, { limits, texts, onChange: filesChanged });
let isSending = false;

form.elements.personalStatement.addEventListener("input", renewKey);
form.addEventListener("submit", submit);
// Back from the status page, with the page as it was left: the form can be used again.
window.addEventListener("pageshow", (event) => event.persisted && setSending(false));

function filesChanged(news) {
  renewKey();
  showErrors("files", picked.problem ? [picked.problem] : []);
  announcement.textContent = news;
}

// The key makes a repeated sending safe; other content needs another key.
function renewKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  form.elements.idempotencyKey.value = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function submit(event) {
  event.preventDefault();
  if (isSending) return;
  for (const field of ["form", "personalStatement"]) showErrors(field, []);
  const problem = picked.problem || (picked.hasErrors && texts.repair);
  showErrors("files", problem ? [problem] : []);
  if (problem) return focusFirstError();
  setSending(true);
  try {
    await send();
  } catch {
    fail({ form: [texts.unreachable] });
  }
}

async function send() {
  const { status, answer } = await post();
  if (status === 202) {
    window.location.assign(answer.statusUrl);
    return;
  }
  if (status === 422) renewKey();
  const known = { 401: texts.signedOut, 403: texts.signedOut, 409: texts.unfinished, 422: texts.alreadySent };
  const field = status === 413 ? "files" : "form";
  fail(answer?.errors ? byField(answer.errors) : { [field]: [known[status] ?? answer.detail] });
}

/** Post the form; resolve to the status and the JSON of the answer. Rejects without an answer. */
function post() {
  const body = new FormData();
  body.set("personalStatement", form.elements.personalStatement.value);
  for (const file of picked.files) body.append("files", file);
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest(); // fetch can't tell how much has been sent
    request.open("POST", form.dataset.api);
    request.responseType = "json";
    request.setRequestHeader("Accept", "application/json");
    request.setRequestHeader("X-CSRFToken", csrfToken());
    request.setRequestHeader("Idempotency-Key", form.elements.idempotencyKey.value);
    request.upload.addEventListener("progress", ({ loaded, total }) => {
      progress.value = total ? loaded / total : 0;
    });
    request.addEventListener("load", () => resolve({ status: request.status, answer: request.response }));
    request.addEventListener("error", reject);
    request.send(body);
  });
}

// The cookie has the token of now: signing in again in another tab changes it.
function csrfToken() {
  const cookie = document.cookie.match(/(?:^|; )csrftoken=([^;]+)/);
  return cookie ? cookie[1] : form.elements.csrfmiddlewaretoken.value;
}

/** Errors by field; those of one file go to its row at once. */
function byField(errors) {
  const found = {};
  for (const { pointer, detail } of errors) {
    const [, name, index] = pointer.split("/");
    const field = name === "personalStatement" || name === "files" ? name : "form";
    const isShown = field === "files" && index !== undefined && picked.setError(index, detail);
    (found[field] ??= []).push(isShown ? texts.repair : detail);
  }
  return Object.fromEntries(Object.entries(found).map(([field, all]) => [field, [...new Set(all)]]));
}

function fail(errors) {
  setSending(false);
  for (const [field, messages] of Object.entries(errors)) showErrors(field, messages);
  focusFirstError();
}

function setSending(on) {
  isSending = on;
  // Not disabled: that would take the focus away.
  button.setAttribute("aria-disabled", on);
  button.textContent = on ? texts.sending : buttonText;
  announcement.textContent = on ? texts.sending : "";
  progress.value = 0;
  progress.hidden = !on;
}

function showErrors(field, messages) {
  const place = form.querySelector(`[data-errors-for="${field}"]`);
  place.replaceChildren(...messages.map((message) => {
    const line = document.createElement("p");
    line.className = field === "form" ? "notice notice-bad" : "field-error";
    line.textContent = message;
    return line;
  }));
  place.closest(".field")?.classList.toggle("field-invalid", messages.length > 0);
  if (field !== "form") form.elements[field].setAttribute("aria-invalid", messages.length > 0);
}

function focusFirstError() {
  const field = form.querySelector(".field-invalid :is(textarea, [data-pick])");
  (field ?? form.querySelector('[data-errors-for="form"]')).focus();
}
