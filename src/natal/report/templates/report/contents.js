// The contents follow the reader: the chapter that is read is marked, and kept in sight where they are a bar.
{
  const nav = document.querySelector("nav"), above = new Set();
  const links = [...nav.querySelectorAll("a")], headings = links.map((link) => document.getElementById(link.hash.slice(1)));
  nav.classList.add("follows");
  const mark = () => {
    const here = headings.findLastIndex((heading) => above.has(heading));
    links.forEach((link, k) => (k === here ? link.setAttribute("aria-current", "true") : link.removeAttribute("aria-current")));
    if (here < 0) return;
    const { left, right, top, bottom } = links[here].getBoundingClientRect(), box = nav.getBoundingClientRect();
    if (left < box.left || right > box.right) nav.scrollLeft += left - box.left - 24;
    if (nav.scrollHeight > nav.clientHeight && (top < box.top || bottom > box.bottom)) nav.scrollTop += top - box.top - 24;
  };
  // what is anywhere above a third of the window has begun
  const watcher = new IntersectionObserver((seen) => {
    for (const one of seen) above[one.isIntersecting ? "add" : "delete"](one.target);
    mark();
  }, { rootMargin: "1000000px 0px -67% 0px" });
  headings.forEach((heading) => watcher.observe(heading));
}
