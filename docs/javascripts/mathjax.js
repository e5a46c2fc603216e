// Equations of the notebooks, which stand between dollar signs; dollars elsewhere are none.
window.MathJax = {
  tex: { inlineMath: [["$", "$"]], displayMath: [["$$", "$$"]] },
  options: { ignoreHtmlClass: "md-main", processHtmlClass: "jp-RenderedHTMLCommon" },
};
