// The picture: for each r a column of dots, which glows for a moment when it arrives.

const GLOW = 900; // milliseconds
const MARGIN = { left: 46, right: 14, top: 12, bottom: 34 };

export class Plot {
  #canvas;
  #context;
  #sweep = null;
  #columns = [];
  #drawing = false;

  constructor(canvas) {
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d");
    new ResizeObserver(() => this.#drawSoon()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#drawSoon());
  }

  begin(sweep) {
    this.#sweep = sweep;
    this.#columns = [];
    this.#drawSoon();
  }

  add(outcome) {
    const age = Math.max(0, Date.now() - 1000 * outcome.at);
    this.#columns.push({ ...outcome, since: performance.now() - age });
    this.#drawSoon();
  }

  #drawSoon() {
    if (this.#drawing) return;
    this.#drawing = true;
    requestAnimationFrame((now) => {
      this.#drawing = false;
      this.#draw(now);
    });
  }

  #draw(now) {
    const scale = window.devicePixelRatio;
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    this.#canvas.width = width * scale;
    this.#canvas.height = height * scale;
    const context = this.#context;
    context.scale(scale, scale);
    if (this.#sweep === null || width < 100) return;
    const area = {
      left: MARGIN.left,
      top: MARGIN.top,
      width: width - MARGIN.left - MARGIN.right,
      height: height - MARGIN.top - MARGIN.bottom,
    };
    const style = getComputedStyle(this.#canvas);
    this.#drawAxes(area, style);
    this.#drawColumns(area, style, now);
  }

  #drawAxes(area, style) {
    const context = this.#context;
    const { first, last } = this.#sweep;
    context.strokeStyle = style.getPropertyValue("--line");
    context.fillStyle = style.getPropertyValue("--quiet");
    context.font = "12px system-ui, sans-serif";
    context.lineWidth = 1;
    context.textBaseline = "middle";
    context.textAlign = "right";
    for (const x of [0, 0.25, 0.5, 0.75, 1]) {
      const y = area.top + (1 - x) * area.height;
      context.beginPath();
      context.moveTo(area.left, y);
      context.lineTo(area.left + area.width, y);
      context.stroke();
      context.fillText(String(x), area.left - 10, y);
    }
    context.textBaseline = "top";
    context.textAlign = "center";
    for (let step = 0; step <= 6; step += 1) {
      const r = first + ((last - first) * step) / 6;
      const place = area.left + (area.width * step) / 6;
      context.fillText(String(Number(r.toFixed(3))), place, area.top + area.height + 10);
    }
    context.font = "italic 13px Georgia, 'DejaVu Serif', serif";
    context.fillText("r", area.left + (area.width * 11) / 12, area.top + area.height + 10);
    context.textBaseline = "middle"; // halfway between two numbers, however close these are
    context.fillText("x", 16, area.top + area.height * 0.375);
  }

  #drawColumns(area, style, now) {
    const context = this.#context;
    const ink = style.getPropertyValue("--ink");
    const fresh = style.getPropertyValue("--fresh");
    const width = Math.max(1.2, Math.min(3, (0.8 * area.width) / this.#sweep.columns));
    let glowing = false;
    for (const { column, values, since } of this.#columns) {
      const share = this.#sweep.columns > 1 ? column / (this.#sweep.columns - 1) : 0;
      const x = area.left + share * area.width - width / 2;
      const glow = Math.max(0, 1 - (now - since) / GLOW);
      if (glow > 0) {
        glowing = true;
        context.fillStyle = `rgb(${fresh} / ${0.3 * glow})`;
        context.fillRect(x, area.top, width, area.height);
      }
      if (!values) {
        context.fillStyle = style.getPropertyValue("--bad");
        context.fillRect(x, area.top + area.height - 6, width, 6);
        continue;
      }
      context.fillStyle = glow > 0.5 ? `rgb(${fresh})` : `rgb(${ink} / ${values.length > 40 ? 0.6 : 1})`;
      const size = values.length > 40 ? 1.3 : 2.2;
      for (const value of values) {
        context.fillRect(x, area.top + (1 - value) * area.height - size / 2, width, size);
      }
    }
    if (glowing) this.#drawSoon();
  }
}
