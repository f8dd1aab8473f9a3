// Pages opened from a folder may start no worker, and the search of the theme is one. Here its script runs in a frame of the page instead.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      this.frame = Object.assign(document.createElement("iframe"), {hidden: true});
      this.waiting = [];
      const start = () => {
        document.body.append(this.frame);
        const inside = this.frame.contentWindow, load = address => new Promise((done, failed) => {
          const script = Object.assign(inside.document.createElement("script"), {src: new URL(address, document.baseURI).href, onload: done, onerror: failed});
          inside.document.body.append(script);
        });
        inside.importScripts = (...addresses) => addresses.reduce((before, address) => before.then(() => load(address)), Promise.resolve());
        inside.postMessage = data => {
          const event = new MessageEvent("message", {data});
          this.dispatchEvent(event);
          if (this.onmessage) this.onmessage(event);
        };
        load(url).then(() => {
          this.inside = inside;
          this.waiting.splice(0).forEach(data => this.postMessage(data));
        });
      };
      if (document.body) start(); else addEventListener("DOMContentLoaded", start);
    }
    postMessage(data) {
      if (!this.inside) { this.waiting.push(data); return; }
      this.inside.dispatchEvent(new this.inside.MessageEvent("message", {data}));
    }
    terminate() { this.frame.remove(); }
  };
}
