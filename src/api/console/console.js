// What makes pages more convenient; all of them work without it.
"use strict";

for (const button of document.querySelectorAll("[data-copy]")) {
  if (!navigator.clipboard) break;
  button.hidden = false;
  button.addEventListener("click", async () => {
    const words = button.textContent;
    const from = document.getElementById(button.dataset.copy);
    try {
      await navigator.clipboard.writeText(from.textContent);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(from);
      button.textContent = "Press Ctrl+C";
    }
    setTimeout(() => { button.textContent = words; }, 1500);
  });
}

for (const field of document.querySelectorAll("[data-must-be]")) {
  const button = field.form.querySelector("button[type=submit]");
  const look = () => { button.disabled = field.value.trim() !== field.dataset.mustBe; };
  field.addEventListener("input", look);
  look();
}

for (const button of document.querySelectorAll("[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => print());
}
