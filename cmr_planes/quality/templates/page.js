"use strict";
(async () => {
  const find = (id) => document.getElementById(id);
  const about = JSON.parse(find("about").textContent);
  const NO_VALUE = -2147483648, PER_PAGE = 50, HEIGHT = 100, BAR = 10, GAP = 1, LEAST = 2;
  const TYPES = { u1: Uint8Array, u2: Uint16Array, u4: Uint32Array, i4: Int32Array };

  const unpack = async () => {
    const text = atob(find("packed").textContent.trim());
    const bytes = new Uint8Array(text.length);
    for (let index = 0; index < text.length; index += 1) bytes[index] = text.charCodeAt(index);
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    const buffer = await new Response(stream).arrayBuffer();
    const arrays = {};
    let start = 0;
    for (const [name, type, length] of about.arrays) {
      arrays[name] = new TYPES[type](buffer, start, length);
      start += arrays[name].byteLength;
    }
    return arrays;
  };
  const rows = await unpack();
  const starts = new Uint32Array(about.rows + 1);
  for (let row = 0; row < about.rows; row += 1) starts[row + 1] = starts[row] + rows.reasons[row];

  const reasonsOf = (row) => [...rows.reason.subarray(starts[row], starts[row + 1])];
  const print = (measure, value) => value === NO_VALUE ? "–" : (value / 10 ** measure.digits).toFixed(measure.digits).replace("-", "−");
  const withUnit = (measure, value) => print(measure, value) + (value === NO_VALUE || !measure.unit ? "" : measure.unit === "°" ? "°" : ` ${measure.unit}`);
  const name = (row) => `Subject ${rows.subject[row] + 1}${about.keys ? ` (${about.keys[rows.subject[row]]})` : ""}, ${about.views[rows.view[row]]}`;

  // What is shown: rows that pass the filters, in the order of a column.
  const form = find("filters");
  let shown = new Uint32Array(0), page = 0, sorting = { column: "subject", falls: false };

  const filters = () => {
    const data = new FormData(form), tests = [];
    const chosen = (field) => data.get(field) === "" || data.get(field) === null ? null : Number(data.get(field));
    for (const field of ["view", "state", "scanner"]) {
      const value = chosen(field);
      if (value !== null) tests.push((row) => rows[field][row] === value);
    }
    if (chosen("scanner") !== null) tests.push((row) => rows.state[row] < 2);
    const subject = chosen("subject"), reason = chosen("reason");
    if (subject !== null) tests.push((row) => rows.subject[row] === subject - 1);
    if (reason !== null) tests.push((row) => rows.reason.subarray(starts[row], starts[row + 1]).includes(reason));
    for (const measure of about.measures) {
      const least = chosen(`from:${measure.name}`), most = chosen(`to:${measure.name}`), scale = 10 ** measure.digits;
      if (least !== null || most !== null) {
        const low = least === null ? NO_VALUE + 1 : Math.round(least * scale), high = most === null ? 2147483647 : Math.round(most * scale);
        const values = rows[measure.name];
        tests.push((row) => values[row] >= low && values[row] <= high);
      }
    }
    return tests;
  };

  const sort = (chosen) => {
    const values = rows[sorting.column === "reasons" ? "reasons" : sorting.column];
    const sign = sorting.falls ? -1 : 1, isMeasure = about.measures.some((measure) => measure.name === sorting.column);
    return chosen.sort((a, b) => {
      if (isMeasure && (values[a] === NO_VALUE) !== (values[b] === NO_VALUE)) return values[a] === NO_VALUE ? 1 : -1;
      return sign * (values[a] - values[b]) || a - b;
    });
  };

  const draw = (measure, chosen) => {
    const article = document.querySelector(`[data-measure="${measure.name}"]`), svg = article.querySelector("svg");
    const counts = Array.from({ length: measure.bins }, () => new Uint32Array(about.views.length)), values = rows[measure.name];
    for (const row of chosen) {
      if (values[row] !== NO_VALUE) counts[Math.floor((values[row] - measure.start) / measure.step)][rows.view[row]] += 1;
    }
    const totals = counts.map((bin) => bin.reduce((sum, count) => sum + count, 0)), most = Math.max(...totals);
    const bar = (kind, x, y, width, height) => {
      const rect = document.createElementNS("http://www.w3.org/2000/svg", "rect");
      for (const [key, value] of Object.entries({ class: kind, x, y, width, height })) rect.setAttribute(key, value);
      return rect;
    };
    const bars = [];
    totals.forEach((total, place) => {
      if (!total) return;
      const height = Math.max(LEAST, HEIGHT * total / most);
      let bottom = HEIGHT;
      counts[place].forEach((count, view) => {
        if (!count) return;
        bottom -= height * count / total;
        bars.push(bar(`v${view}`, place * BAR, bottom, BAR - GAP, height * count / total));
      });
      const over = bar("over", place * BAR, 0, BAR, HEIGHT), title = document.createElementNS("http://www.w3.org/2000/svg", "title");
      const low = measure.start + place * measure.step, span = measure.step === 1 ? print(measure, low) : `${print(measure, low)} to ${print(measure, low + measure.step - 1)}`;
      title.textContent = `${span}: ${[...counts[place]].map((count, view) => count ? `${about.views[view]} ${count.toLocaleString("en-GB")}` : "").filter(Boolean).join(", ")}`;
      over.append(title);
      bars.push(over);
    });
    svg.replaceChildren(...bars);
    article.querySelector(".most").textContent = `${most.toLocaleString("en-GB")} ${most === 1 ? "row" : "rows"}`;
  };

  const cell = (text, kind = "") => {
    const made = document.createElement("td");
    made.className = kind;
    made.textContent = text;
    return made;
  };
  const list = () => {
    const first = page * PER_PAGE, lines = [];
    for (const row of shown.subarray(first, first + PER_PAGE)) {
      const line = document.createElement("tr"), look = document.createElement("button"), head = document.createElement("th");
      head.scope = "row";
      look.type = "button";
      look.dataset.row = String(row);
      look.textContent = `${rows.subject[row] + 1}${row in pictures() ? " ▣" : ""}`;
      look.setAttribute("aria-label", `Look at ${name(row)}`);
      head.append(look);
      const scanner = rows.state[row] < 2 ? about.scanners[rows.scanner[row]] : "–";
      line.append(head, ...(about.keys ? [cell(about.keys[rows.subject[row]])] : []));
      line.append(cell(about.views[rows.view[row]]), cell(about.states[rows.state[row]]), cell(scanner));
      line.append(...about.measures.map((measure) => cell(print(measure, rows[measure.name][row]), "number")));
      line.append(cell(reasonsOf(row).map((reason) => about.reasons[reason][0]).join(", "), "codes"));
      lines.push(line);
    }
    find("body").replaceChildren(...lines);
    const last = Math.min(first + PER_PAGE, shown.length), total = shown.length.toLocaleString("en-GB");
    find("place").textContent = shown.length ? `Rows ${(first + 1).toLocaleString("en-GB")} to ${last.toLocaleString("en-GB")} of ${total}` : "No rows";
    find("previous").disabled = page === 0;
    find("next").disabled = last >= shown.length;
    find("save").disabled = shown.length === 0;
  };

  let wasFiltered = false;
  const apply = () => {
    const tests = filters(), chosen = [];
    for (let row = 0; row < about.rows; row += 1) if (tests.every((test) => test(row))) chosen.push(row);
    shown = sort(Uint32Array.from(chosen));
    page = 0;
    if (tests.length || wasFiltered) for (const measure of about.measures) draw(measure, shown);
    wasFiltered = tests.length > 0;
    const all = about.rows.toLocaleString("en-GB");
    find("shown").textContent = tests.length ? `Filter: ${shown.length.toLocaleString("en-GB")} of ${all} rows` : `Filter: all ${all} rows`;
    list();
  };

  const heads = () => {
    const columns = [["subject", "subject"], ...(about.keys ? [["", "key"]] : []), ["view", "view"], ["state", "state"], ["scanner", "scanner"]];
    columns.push(...about.measures.map((measure) => [measure.name, measure.unit ? `${measure.short}, ${measure.unit}` : measure.short]), ["reasons", "reasons"]);
    find("head").replaceChildren(...columns.map(([column, text]) => {
      const head = document.createElement("th"), button = document.createElement("button");
      head.scope = "col";
      if (!column) {
        head.textContent = text;
        return head;
      }
      if (about.measures.some((measure) => measure.name === column)) head.className = "number";
      const isSorted = sorting.column === column;
      head.setAttribute("aria-sort", isSorted ? (sorting.falls ? "descending" : "ascending") : "none");
      button.type = "button";
      button.textContent = text + (isSorted ? (sorting.falls ? " ▼" : " ▲") : "");
      button.addEventListener("click", () => {
        sorting = { column, falls: isSorted && !sorting.falls };
        shown = sort(shown);
        page = 0;
        heads();
        list();
        find("head").querySelector(`[data-column="${column}"]`).focus();
      });
      button.dataset.column = column;
      head.append(button);
      return head;
    }));
  };

  // Pictures are read when the first is asked for, and shown one at a time.
  let read = null;
  const pictures = () => read ??= JSON.parse(find("pictures").textContent);
  const look = (row) => {
    find("look-title").textContent = name(row);
    const scanner = rows.state[row] < 2 ? [about.scanners[rows.scanner[row]]] : [];
    const measured = about.measures.filter((measure) => rows[measure.name][row] !== NO_VALUE).map((measure) => `${measure.short} ${withUnit(measure, rows[measure.name][row])}`);
    const codes = reasonsOf(row).map((reason) => about.reasons[reason][0]);
    find("look-facts").textContent = `${[about.states[rows.state[row]], ...scanner, ...measured, ...codes].join(" · ")}.`;
    const frame = find("look-picture"), found = pictures()[row];
    if (found) {
      const image = document.createElement("img"), scroll = document.createElement("div");
      [image.src, image.width, image.height, image.alt] = found;
      scroll.className = "scroll";
      scroll.tabIndex = 0;
      scroll.setAttribute("role", "group");
      scroll.setAttribute("aria-label", "Contact sheet");
      scroll.append(image);
      frame.replaceChildren(scroll);
    } else {
      frame.textContent = rows.state[row] < 2 ? `This row has no contact sheet on the page; 'cmr-planes show OUT.h5 -o pictures --subject ${rows.subject[row] + 1} --view ${about.views[rows.view[row]]}' draws it.` : "There are no images.";
    }
    find("look").showModal();
  };

  const save = () => {
    const quoted = (text) => /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
    const head = ["subject", ...(about.keys ? ["key"] : []), "view", "state", "scanner", ...about.measures.map((measure) => measure.name), "reasons"];
    const lines = [...shown].map((row) => [
      String(rows.subject[row] + 1), ...(about.keys ? [about.keys[rows.subject[row]]] : []), about.views[rows.view[row]], about.states[rows.state[row]],
      rows.state[row] < 2 ? about.scanners[rows.scanner[row]] : "",
      ...about.measures.map((measure) => rows[measure.name][row] === NO_VALUE ? "" : (rows[measure.name][row] / 10 ** measure.digits).toFixed(measure.digits)),
      reasonsOf(row).map((reason) => about.reasons[reason][0]).join(" "),
    ].map(quoted).join(","));
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([[head.join(","), ...lines, ""].join("\n")], { type: "text/csv" }));
    link.download = "rows.csv";
    link.click();
    URL.revokeObjectURL(link.href);
  };

  const offer = (field, texts) => form.elements[field].append(...texts.map(([value, text]) => new Option(text, value)));
  const numbered = (texts, wanted = () => true) => texts.map((text, value) => [value, text]).filter(([value]) => wanted(value));
  const present = (array) => { const met = new Set(array); return (value) => met.has(value); };
  offer("view", numbered(about.views, present(rows.view)));
  offer("state", numbered(about.states, present(rows.state)));
  offer("scanner", numbered(about.scanners, present(rows.scanner)));
  offer("reason", numbered(about.reasons.map(([code, view]) => `${code}, ${view}`)));
  let pending = 0;
  document.addEventListener("input", (event) => {  // ranges stand outside the form, and their events do not pass it
    if (event.target.form !== form) return;
    clearTimeout(pending);
    pending = setTimeout(apply, 150);
  });
  form.addEventListener("submit", (event) => { event.preventDefault(); apply(); });
  form.addEventListener("reset", () => setTimeout(apply));
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.dataset.row) look(Number(button.dataset.row));
    if (button.dataset.filter) {
      form.reset();
      form.elements[button.dataset.filter].value = button.dataset.value;
      setTimeout(() => { apply(); find("rows").scrollIntoView(); find("next").closest("section").querySelector(".scroll").focus({ preventScroll: true }); });
    }
  });
  find("close").addEventListener("click", () => find("look").close());
  find("look").addEventListener("close", () => find("look-picture").replaceChildren());
  find("previous").addEventListener("click", () => { page -= 1; list(); });
  find("next").addEventListener("click", () => { page += 1; list(); });
  find("save").addEventListener("click", save);
  for (const each of document.querySelectorAll("[hidden]")) each.hidden = false;
  heads();
  apply();
  document.body.dataset.ready = String(shown.length);
})();
