// Copy buttons, and the publish board that refreshes itself. Pages work without this file.
(() => {
  const live = document.createElement("p");
  live.className = "vh";
  live.setAttribute("role", "status");
  document.body.append(live);

  for (const command of document.querySelectorAll(".cmd[data-copy]")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "btn";
    button.textContent = command.dataset.copy;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(command.querySelector("pre").textContent.trim());
      button.textContent = command.dataset.copied;
      live.textContent = command.dataset.copied;
      setTimeout(() => { button.textContent = command.dataset.copy; live.textContent = ""; }, 2000);
    });
    command.append(button);
  }

  const board = document.querySelector("[data-refresh]");
  if (!board) return;
  let pause = 1000;
  const isBusy = () => board.contains(document.activeElement) && document.activeElement.matches("input,textarea")
    || board.querySelector("details[open]");
  const refresh = async () => {
    try {
      const answer = await fetch(board.dataset.refresh, { headers: { Accept: "text/html" } });
      if (!answer.ok) throw new Error(String(answer.status));
      const text = await answer.text();
      if (!isBusy() && text !== board.dataset.last) {
        board.innerHTML = text;
        board.dataset.last = text;
      }
      if (answer.headers.get("X-Board-Done") === "1" && !isBusy()) return;
      pause = 1000;
    } catch {
      pause = Math.min(pause * 2, 30000);
      live.textContent = board.dataset.offline;
    }
    setTimeout(refresh, pause);
  };
  setTimeout(refresh, pause);
})();
