// As much of a browser as report.js needs, and a user who works a plot.
const fs = require("fs"), vm = require("vm");

class Element {
  constructor(tag, className = "") {
    Object.assign(this, {tag, className, attributes: {}, children: [], listeners: {}, style: {}, textContent: ""});
  }
  setAttribute(name, value) { this.attributes[name] = String(value); }
  removeAttribute(name) { delete this.attributes[name]; }
  appendChild(child) { this.children.push(child); return child; }
  replaceChildren(...children) { this.children = children; }
  addEventListener(type, listener) { this.listeners[type] = listener; }
  querySelector(name) { return this.children.find((child) => name === child.tag || name === `.${child.className}`); }
  getBoundingClientRect() { return {left: 100, width: 320}; }  // Half as large as it is drawn.
  setPointerCapture() {}
  fire(type, place) { this.listeners[type]({clientX: 100 + place / 2, pointerId: 1, preventDefault() {}}); }
}

exports.drive = (script) => {
  const figure = new Element("figure"), svg = new Element("svg"), data = new Element("script"), seen = {};
  const axes = new Element("g"), button = new Element("button"), tip = new Element("pre", "tip");
  data.textContent = fs.readFileSync(0, "utf8");
  svg.children = [axes, new Element("svg")];
  figure.children = [svg, button, tip, data];
  const document = {querySelectorAll: () => [figure], createElementNS: (space, tag) => new Element(tag)};
  vm.runInNewContext(fs.readFileSync(script, "utf8"), {document});
  const texts = () => axes.children.filter((child) => child.tag === "text").map((child) => child.textContent);
  const selected = svg.children.find((child) => child.attributes.class === "selected");

  seen.start = texts();
  svg.fire("pointermove", 340);
  seen.tip = tip.textContent;
  svg.fire("pointerdown", 64);
  svg.fire("pointermove", 346);
  seen.selected = selected.attributes.width;
  svg.fire("pointerup", 346);
  seen.zoomed = texts();
  svg.fire("dblclick", 300);
  seen.reset = texts();
  seen.linear = [button.textContent];
  button.fire("click", 0);
  seen.linear.push(button.textContent);
  seen.log = texts();
  svg.fire("pointerleave", 0);
  seen.left = tip.hidden;
  svg.fire("pointerdown", 200);
  svg.fire("pointerup", 202);
  seen.clicked = texts();
  console.log(JSON.stringify(seen));
};
