// Boxes that scroll by themselves can be reached with the keyboard.
{
  const boxes = ".wide, .scroll, pre";
  const look = ({ target }) => {
    const box = target.closest(boxes);
    const scrolls = box.scrollWidth > box.clientWidth || box.scrollHeight > box.clientHeight;
    if (scrolls) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  };
  const watcher = new ResizeObserver((changed) => changed.forEach(look));
  // what is in a box may outgrow it while the box keeps its size
  document.querySelectorAll(boxes).forEach((box) => [box, ...box.children].forEach((part) => watcher.observe(part)));
}
