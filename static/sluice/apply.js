// Sends the application to the API, so that an error leaves the page and the picked files as they are.
// Without JavaScript the form is posted as it is.
"use strict";

const form = document.getElementById("apply");
const button = form.querySelector("button[type=submit]");
const sending = form.querySelector("[data-sending]");
const texts = JSON.parse(document.getElementById("apply-texts").textContent);

// The key makes a repeated sending safe; other content needs another key.
form.addEventListener("input", () => {
  form.elements.idempotencyKey.value = crypto.randomUUID();
});

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (button.disabled) return;
  setSending(true);
  showErrors({});
  try {
    await send();
  } catch {
    showErrors({ form: [texts.unreachable] });
    setSending(false);
  }
});

async function send() {
  const body = new FormData();
  body.set("personalStatement", form.elements.personalStatement.value);
  for (const file of form.elements.files.files) body.append("files", file);
  const response = await fetch(form.dataset.api, {
    method: "POST",
    body,
    headers: {
      Accept: "application/json",
      "X-CSRFToken": form.elements.csrfmiddlewaretoken.value,
      "Idempotency-Key": form.elements.idempotencyKey.value,
    },
  });
  const answer = await response.json();
  if (response.status === 202) {
    window.location.assign(answer.statusUrl);
    return;
  }
  const errors = {};
  for (const error of answer.errors ?? []) {
    const field = error.pointer.split("/")[1];
    (errors[field] ??= []).push(error.detail);
  }
  showErrors(answer.errors ? errors : { form: [answer.detail] });
  setSending(false);
}

function setSending(on) {
  button.disabled = on;
  sending.hidden = !on;
}

function showErrors(errors) {
  for (const element of form.querySelectorAll("[data-error-for]")) {
    const messages = errors[element.dataset.errorFor] ?? [];
    element.textContent = messages.join(" ");
    element.hidden = messages.length === 0;
    element.closest(".field")?.classList.toggle("field-invalid", messages.length > 0);
  }
  form.querySelector(".field-invalid textarea, .field-invalid input")?.focus();
}
