// The list of picked files: keeps what was picked when more is picked, shows sizes, removes one.
// The form's own file field always holds the same files, so that the form is sent like any other.
"use strict";

class PickedFiles {
  #input;
  #list;
  #limits;
  #texts;
  #picked = []; // { file, error }
  #onChange;

  constructor(form, { limits, texts, onChange }) {
    this.#input = form.elements.files;
    this.#list = form.querySelector("[data-files]");
    this.#limits = limits;
    this.#texts = texts;
    this.#onChange = onChange;
    this.#setUp(form.querySelector("[data-drop]"));
  }

  get files() {
    return this.#picked.map(({ file }) => file);
  }

  get hasErrors() {
    return this.#picked.some(({ error }) => error);
  }

  /** What is wrong with all of them together; "" if nothing is. */
  get problem() {
    if (this.#picked.length > this.#limits.files) return this.#texts.tooMany;
    const bytes = this.files.reduce((sum, { size }) => sum + size, 0);
    return bytes > this.#limits.totalBytes ? this.#texts.togetherTooLarge : "";
  }

  /** Show what the server found wrong with the file at this place; false if there is none. */
  setError(index, message) {
    if (!this.#picked[index]) return false;
    this.#picked[index].error = message;
    this.#render();
    return true;
  }

  #setUp(drop) {
    const pick = drop.querySelector("[data-pick]");
    this.#input.hidden = true;
    drop.hidden = false;
    pick.addEventListener("click", () => this.#input.click());
    this.#input.addEventListener("change", () => this.#add(this.#input.files));
    for (const type of ["dragenter", "dragover", "dragleave", "drop"]) {
      drop.addEventListener(type, (event) => {
        event.preventDefault();
        drop.classList.toggle("drop-over", type === "dragenter" || type === "dragover");
        if (type === "drop") this.#add(event.dataTransfer.files);
      });
    }
    if (this.#input.files.length) this.#add(this.#input.files); // kept by the browser on reload
  }

  #add(files) {
    const isNew = (file) => !this.#picked.some((other) => isSame(file, other.file));
    const added = [...files].filter(isNew);
    this.#picked.push(...added.map((file) => ({ file, error: this.#problemOf(file) })));
    const names = added.map(({ name }) => name).join(", ");
    this.#changed(names ? `${this.#texts.added} ${names}` : "");
  }

  #remove(index) {
    const [{ file }] = this.#picked.splice(index, 1);
    this.#changed(`${this.#texts.removed} ${file.name}`);
    const buttons = this.#list.querySelectorAll("button");
    const next = buttons[Math.min(index, buttons.length - 1)];
    (next ?? this.#input.form.querySelector("[data-pick]")).focus();
  }

  #changed(news) {
    const transfer = new DataTransfer();
    for (const file of this.files) transfer.items.add(file);
    this.#input.files = transfer.files;
    this.#render();
    this.#onChange(news);
  }

  #problemOf({ name, size }) {
    if (size > this.#limits.fileBytes) return this.#texts.fileTooLarge;
    return /\.(pdf|jpe?g|png)$/i.test(name) ? "" : this.#texts.wrongType;
  }

  #render() {
    const template = document.getElementById("file-row");
    const rows = this.#picked.map(({ file, error }, index) => {
      const row = template.content.cloneNode(true);
      for (const element of row.querySelectorAll("[data-name]")) element.textContent = ` ${file.name}`;
      row.querySelector("[data-size]").textContent = formatSize(file.size);
      row.querySelector(".field-error").textContent = error;
      row.querySelector(".field-error").hidden = !error;
      row.querySelector("button").addEventListener("click", () => this.#remove(index));
      return row;
    });
    this.#list.replaceChildren(...rows);
    this.#list.hidden = rows.length === 0;
  }
}

function isSame(one, other) {
  return ["name", "size", "lastModified"].every((property) => one[property] === other[property]);
}

function formatSize(bytes) {
  const [unit, divisor] = bytes < 1_000_000 ? ["kilobyte", 1_000] : ["megabyte", 1_000_000];
  const style = { style: "unit", unit, maximumFractionDigits: unit === "megabyte" ? 1 : 0 };
  const amount = Math.max(bytes / divisor, bytes ? 1 : 0);
  return new Intl.NumberFormat(document.documentElement.lang, style).format(amount);
}
