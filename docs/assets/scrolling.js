// what scrolls sideways can be reached, and so scrolled, with the keyboard alone
const reach = () => {
  for (const box of document.querySelectorAll("pre code, .formula, .md-typeset__scrollwrap")) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
};
addEventListener("load", reach);
addEventListener("resize", reach);
