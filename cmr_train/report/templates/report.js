"use strict";
(() => {
  const copied = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      const area = document.createElement("textarea");
      area.value = text;
      document.body.append(area);
      area.select();
      const done = document.execCommand("copy");
      area.remove();
      return done;
    }
  };
  for (const link of document.querySelectorAll("a.csv")) {
    const text = decodeURIComponent(link.href.slice(link.href.indexOf(",") + 1));
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Copy as CSV";
    button.dataset.lines = String(text.trimEnd().split("\n").length);
    button.setAttribute("aria-label", link.getAttribute("aria-label").replace("Download", "Copy"));
    const said = document.createElement("span");
    said.setAttribute("role", "status");
    button.addEventListener("click", async () => {
      said.textContent = (await copied(text)) ? "Copied" : "Copying is not allowed here; use Download CSV";
    });
    link.before(button, " ");
    link.after(" ", said);
  }
  let folded = [];
  window.addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("main section > details:not([open])")];
    for (const each of folded) each.open = true;
  });
  window.addEventListener("afterprint", () => {
    for (const each of folded) each.open = false;
  });
})();
