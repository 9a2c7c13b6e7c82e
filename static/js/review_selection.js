/* A selection in a message's source becomes a passage, counted in characters as the server does. */

/** Characters of the text before this point. A tombstone stands for as many as it says. */
function offset(root, container, at) {
  const range = document.createRange();
  range.setStart(root, 0);
  range.setEnd(container, at);
  const piece = range.cloneContents();
  let stood = 0;
  for (const tombstone of piece.querySelectorAll("[data-chars]")) {
    stood += Number(tombstone.dataset.chars);
    tombstone.remove();
  }
  return stood + [...piece.textContent].length;
}

export function passage(root, range) {
  const start = offset(root, range.startContainer, range.startOffset);
  const end = offset(root, range.endContainer, range.endOffset);
  return start < end ? `${start}-${end}` : "";
}

/** A selection that ends within a source is written into its message's field. */
export function watchSelections(main) {
  let last = null;
  const remember = () => {
    const selection = document.getSelection();
    if (selection.isCollapsed || !selection.rangeCount) return;
    const range = selection.getRangeAt(0);
    const node = range.commonAncestorContainer;
    const root = (node.nodeType === Node.ELEMENT_NODE ? node : node.parentElement).closest(".source-text");
    const written = root ? passage(root, range) : "";
    last = written ? { id: root.id, written } : last;
  };
  const write = () => {
    if (!last) return;
    const field = main.querySelector(`[data-passages="${last.id}"]`);
    if (field) {
      const written = field.value.split(",").map((each) => each.trim()).filter(Boolean);
      if (!written.includes(last.written)) field.value = [...written, last.written].join(", ");
      for (const fold of [field.closest(".redact"), field.closest(".decide > details")]) fold.open = true;
    }
    last = null;
  };
  document.addEventListener("selectionchange", remember);
  main.addEventListener("pointerup", () => setTimeout(write));
  main.addEventListener("keyup", (event) => {
    if (event.key === "Shift") write();
  });
}
