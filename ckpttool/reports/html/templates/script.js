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

  // Heat map: one measure at a time, the arrow keys move, and what a cell stands for is said below.
  for (const form of all("form.pick")) {
    const maps = all(".map", document.getElementById(form.dataset.for));
    const chosen = () => form.elements.measure.value;
    const show = () => maps.forEach((map) => { map.hidden = map.dataset.measure !== chosen(); });
    form.addEventListener("input", show);
    form.addEventListener("submit", (event) => event.preventDefault());
    form.hidden = false;
    show();
  }
  const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
  for (const table of all("table.heat")) {
    const readout = table.closest("section").querySelector(".readout");
    const heads = all("thead th", table);
    const links = all("td a", table);
    links.slice(1).forEach((link) => { link.tabIndex = -1; });
    const say = (cell) => {
      const row = cell.parentElement.cells[0].textContent;
      const head = heads[cell.cellIndex].textContent;
      const where = table.classList.contains("single") ? row : `block ${head}, ${row}`;
      readout.textContent = `${table.caption.textContent.split(":")[0]}, ${where}: ${cell.textContent}`;
    };
    table.addEventListener("mouseover", (event) => {
      const cell = event.target.closest("td");
      if (cell && cell.textContent) say(cell);
    });
    table.addEventListener("focusin", (event) => say(event.target.closest("td")));
    table.addEventListener("keydown", (event) => {
      const step = steps[event.key];
      const from = event.target.closest("td");
      if (!step || !from) return;
      event.preventDefault();
      let row = from.parentElement.sectionRowIndex;
      let column = from.cellIndex;
      for (;;) {
        row += step[0];
        column += step[1];
        const cell = table.tBodies[0].rows[row]?.cells[column];
        if (!cell || !column) return;
        const link = cell.querySelector("a");
        if (link) {
          links.forEach((one) => { one.tabIndex = one === link ? 0 : -1; });
          link.focus();
          return;
        }
      }
    });
  }

  // A tensor: the numbers of its row, larger, and the findings that name it.
  const dialog = document.getElementById("tensor");
  const add = (list, tag, text) => {
    const one = document.createElement(tag);
    one.textContent = text;
    list.append(one);
    return one;
  };
  const open = (row) => {
    const heads = all("thead th", row.closest("table")).map((head) => head.textContent);
    dialog.querySelector("h2").textContent = row.cells[0].textContent;
    const list = dialog.querySelector("dl");
    list.replaceChildren();
    [...row.cells].slice(1).forEach((cell, at) => {
      if (!cell.textContent.trim()) return;
      const item = add(list, "div", "");
      add(item, "dt", heads[at + 1]);
      add(item, "dd", cell.textContent);
    });
    const picture = row.querySelector("svg");
    dialog.querySelector(".picture").replaceChildren(...(picture ? [picture.cloneNode(true)] : []));
    const found = dialog.querySelector("ul");
    found.replaceChildren();
    for (const item of all("li.finding")) {
      if (!all("a.open", item).some((link) => link.hash === `#${row.id}`)) continue;
      add(found, "li", `${item.dataset.code}: ${item.querySelector(".message").textContent}`);
    }
    dialog.querySelector("p a").href = `#${row.id}`;
    dialog.showModal();
  };
  document.addEventListener("click", (event) => {
    const link = event.target.closest(".heat a, a.open");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const row = document.getElementById(link.hash.slice(1));
    if (!row) return;
    event.preventDefault();
    open(row);
  });
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog || event.target.closest("p a")) dialog.close();
  });

  // The table of tensors: sorted by a column, or those alone whose names have a text.
  const collator = new Intl.Collator("en", { numeric: true });
  const value = (row, column) => {
    const text = row.cells[column].textContent.replace(/,/g, "");
    const number = parseFloat(text.replace("inf", "Infinity"));
    return Number.isNaN(number) ? null : number;
  };
  const sort = (table, column, numeric, direction) => {
    const keyed = [...table.tBodies[0].rows].map((row) =>
      [row, numeric ? value(row, column) : row.cells[column].textContent]);
    keyed.sort(([, one], [, other]) => {
      // what has no number stays last, whatever the direction
      if (one === null || other === null) return (one === null) - (other === null);
      return direction * (numeric ? one - other || 0 : collator.compare(one, other));
    });
    table.tBodies[0].append(...keyed.map(([row]) => row));
  };
  for (const head of all("th[data-sort]")) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    head.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => {
      const numeric = head.dataset.sort === "number";
      const before = head.getAttribute("aria-sort");
      // numbers from the largest first: that is what one looks for
      const first = numeric ? "descending" : "ascending";
      const other = numeric ? "ascending" : "descending";
      const after = before === first ? other : first;
      all("th[aria-sort]", head.parentElement).forEach((one) => one.setAttribute("aria-sort", "none"));
      head.setAttribute("aria-sort", after);
      sort(head.closest("table"), head.cellIndex, numeric, after === "ascending" ? 1 : -1);
    });
  }
  for (const form of all("form.find")) {
    const rows = all("tbody tr", document.getElementById(form.dataset.for));
    form.addEventListener("input", () => {
      const text = form.elements.text.value.trim().toLowerCase();
      let shown = 0;
      for (const row of rows) {
        row.hidden = !row.cells[0].textContent.toLowerCase().includes(text);
        shown += row.hidden ? 0 : 1;
      }
      form.querySelector("output").textContent = `${shown} of ${rows.length} shown`;
    });
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
