// Refreshes what of a page changes, from the page's own address as JSON. Without it a page is
// whole, and as of when it was loaded.
"use strict";

(() => {
  const every = Number(document.body.dataset.every || 0) * 1000;
  const line = document.getElementById("updates");
  if (!every || !line) return;

  const address = new URL(location.href);
  address.searchParams.set("format", "json");
  address.hash = "";
  const isProblem = document.querySelector("main [role=alert]") !== null;
  let paused = false;
  let isOld = false; // another policy is in force than the page shows
  let generation = null;
  let failures = 0;
  let told = "";

  const words = document.createElement("span");
  const button = document.createElement("button");
  button.type = "button";
  button.className = "quiet-button";
  line.append(words, " ", button);

  const tell = (text) => {
    // Only what is new is said, or a screen reader would hear it every time.
    if (text !== told) words.textContent = told = text;
  };
  const label = () => {
    button.textContent = paused ? "Go on updating" : "Pause updates";
    tell(paused ? "Not updated any more." : `Updated every ${every / 1000} s.`);
  };
  button.addEventListener("click", () => {
    if (isOld) {
      location.reload();
      return;
    }
    paused = !paused;
    label();
    if (!paused) look();
  });
  label();

  const show = (answer) => {
    for (const place of document.querySelectorAll("[data-live]")) {
      const text = answer.values[place.dataset.live];
      if (text !== undefined && text !== place.textContent) {
        place.textContent = text;
        place.classList.remove("changed");
        void place.offsetWidth; // begins the highlight again
        place.classList.add("changed");
      }
    }
    for (const place of document.querySelectorAll("[data-part]")) {
      const html = answer.parts[place.dataset.part];
      // Not below somebody's keyboard or selection; escaped by the server, as the page is.
      if (html === undefined || html === place.shown || place.contains(document.activeElement)) continue;
      const selection = getSelection();
      if (selection && !selection.isCollapsed && selection.containsNode(place, true)) continue;
      if (place.shown !== undefined || place.innerHTML !== html) place.innerHTML = html;
      place.shown = html;
    }
  };

  const look = async () => {
    if (paused || document.hidden) return;
    try {
      const found = await fetch(address, { cache: "no-store", signal: AbortSignal.timeout(10000) });
      if (!found.ok) throw new Error(found.status);
      const answer = await found.json();
      failures = 0;
      const now = JSON.stringify(answer.generation);
      if ((answer.status === 200) === isProblem) {
        location.reload(); // the daemon has gone, or has come back
        return;
      }
      if (generation !== null && generation !== now) {
        isOld = true;
        tell("Another policy is in force, or the daemon was started again: load the page again.");
        button.textContent = "Load again";
      }
      if (isOld) return;
      generation = now;
      show(answer);
      label();
    } catch {
      failures += 1;
      if (failures > 1) tell("Not updated: nsgd web does not answer. Trying again.");
    }
  };

  setInterval(look, every);
  document.addEventListener("visibilitychange", look);
})();
