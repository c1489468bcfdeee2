// Copy buttons, and regions that refresh themselves. Every page works without this file; all words come from the page.
(() => {
  "use strict";
  const EVERY_MS = 2000;
  const LONGEST_MS = 60000;

  const status = document.createElement("p");
  status.className = "vh";
  status.setAttribute("role", "status");
  document.body.append(status);

  // The icons' file has a hashed name, so it is read from an icon of the page.
  function icon(name) {
    const shown = document.querySelector(".icon use");
    if (!shown) return "";
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
    svg.setAttribute("class", "icon");
    svg.setAttribute("aria-hidden", "true");
    use.setAttribute("href", `${shown.getAttribute("href").split("#")[0]}#${name}`);
    svg.append(use);
    return svg;
  }

  // The clipboard needs https or localhost; elsewhere the text is selected and copied the old way.
  async function copy(element) {
    const selection = getSelection();
    selection.selectAllChildren(element);
    if (navigator.clipboard) await navigator.clipboard.writeText(element.textContent.trim());
    else document.execCommand("copy");
  }

  function addCopyButtons(root) {
    for (const command of root.querySelectorAll("[data-copy]:not(:has(> button))")) {
      const button = document.createElement("button");
      const label = document.createElement("span");
      button.type = "button";
      button.className = "btn";
      label.textContent = command.dataset.copy;
      button.append(icon("copy"), label);
      button.addEventListener("click", async () => {
        await copy(command.querySelector("pre, code"));
        label.textContent = status.textContent = command.dataset.copied;
        setTimeout(() => {
          label.textContent = command.dataset.copy;
          status.textContent = "";
        }, 2000);
      });
      command.append(button);
    }
  }

  // Somebody is writing or choosing here; an update would take it away.
  function isInUse(region) {
    const active = document.activeElement;
    if (region.contains(active) && active.matches("input, textarea, select")) return true;
    return !!region.querySelector("details[open] :is(textarea, input:not([type=hidden]), select)");
  }

  // Make both sides differ only where the page has news: csrf masks change with every answer.
  function carryOver(region, fresh) {
    const token = region.querySelector("[name=csrfmiddlewaretoken]");
    if (token) for (const input of fresh.querySelectorAll("[name=csrfmiddlewaretoken]")) input.setAttribute("value", token.value);
    for (const details of region.querySelectorAll("details[id]")) {
      const next = fresh.querySelector(`#${CSS.escape(details.id)}`);
      if (next) next.open = details.open;
    }
    addCopyButtons(fresh);
  }

  const FOCUSABLE = "a[href], button, summary, [tabindex]";

  // The same control after an update: by its id, else by its place if it still says the same.
  function again(region, id, place, words) {
    if (id) return document.getElementById(id);
    const control = region.querySelectorAll(FOCUSABLE)[place];
    return control && control.textContent === words ? control : null;
  }

  function replace(region, fresh) {
    const focused = region.contains(document.activeElement) ? document.activeElement : null;
    const place = focused ? [...region.querySelectorAll(FOCUSABLE)].indexOf(focused) : -1;
    const [left, top] = [scrollX, scrollY];
    const [old, next] = [[...region.children], [...fresh.children]];
    if (old.length === next.length) old.forEach((child, at) => child.isEqualNode(next[at]) || child.replaceWith(next[at]));
    else region.replaceChildren(...next);
    if (focused && !focused.isConnected) {
      const control = again(region, focused.id, place, focused.textContent);
      if (control) control.focus({ preventScroll: true });
    }
    scrollTo({ left, top, behavior: "instant" });
  }

  // What a screen reader hears of an update: the words of [data-announce], when they changed.
  function announce(region) {
    const said = region.querySelector("[data-announce]");
    const words = said ? said.textContent.trim() : "";
    if (region.dataset.said !== undefined && words !== region.dataset.said) status.textContent = words;
    region.dataset.said = words;
  }

  // Gives true when there will be no more news.
  async function refresh(region) {
    const answer = await fetch(region.dataset.refresh, { headers: { Accept: "text/html" }, credentials: "same-origin" });
    if (!answer.ok || answer.redirected) throw new Error(String(answer.status));
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = (region.id && page.getElementById(region.id)) || page.body;
    if (isInUse(region)) return false;
    carryOver(region, fresh);
    replace(region, fresh);
    announce(region);
    return answer.headers.get("X-Board-Done") === "1";
  }

  function keepFresh(region) {
    const note = document.createElement("p");
    note.className = "refresh-note";
    note.setAttribute("role", "status");
    const holder = document.createElement("div");
    holder.className = "dfc";
    holder.append(note);
    region.before(holder);
    announce(region);
    let pause = EVERY_MS;
    const turn = async () => {
      try {
        if (!document.hidden && (await refresh(region))) return note.replaceChildren();
        note.textContent = "";
        pause = EVERY_MS;
      } catch {
        pause = Math.min(pause * 2, LONGEST_MS);
        note.textContent = region.dataset.offline;
      }
      return setTimeout(turn, pause);
    };
    setTimeout(turn, pause);
  }

  addCopyButtons(document);
  for (const region of document.querySelectorAll("[data-refresh]")) keepFresh(region);
})();
