"use strict";
(() => {
  const all = (query, within = document) => [...within.querySelectorAll(query)];

  // Findings: what does not fit the filter is hidden, and the number of the others is said.
  for (const form of all("form.filter")) {
    const items = all(":scope > li", document.getElementById(form.dataset.for));
    const show = () => {
      const severities = all("[name=severity]:checked", form).map((box) => box.value);
      const code = form.elements.code.value;
      const text = form.elements.text.value.trim().toLowerCase();
      let shown = 0;
      for (const item of items) {
        const fits = severities.includes(item.dataset.severity) &&
          (!code || item.dataset.code === code) && item.textContent.toLowerCase().includes(text);
        item.hidden = !fits;
        shown += fits ? 1 : 0;
      }
      form.querySelector("output").textContent = `${shown} of ${items.length} shown`;
    };
    form.addEventListener("input", show);
    form.addEventListener("submit", (event) => event.preventDefault());
    form.hidden = false;
  }

  // On paper nothing can be opened.
  const closed = [];
  addEventListener("beforeprint", () => {
    for (const one of all("details:not([open])")) {
      closed.push(one);
      one.open = true;
    }
  });
  addEventListener("afterprint", () => closed.splice(0).forEach((one) => { one.open = false; }));
})();
