// Boxes that scroll by themselves can be reached with the keyboard.
{
  const look = ({ target: box }) => {
    const scrolls = box.scrollWidth > box.clientWidth || box.scrollHeight > box.clientHeight;
    if (scrolls) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  };
  const watcher = new ResizeObserver((changed) => changed.forEach(look));
  document.querySelectorAll(".wide, .scroll, pre").forEach((box) => watcher.observe(box));
}
