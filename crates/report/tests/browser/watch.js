// Stands before every other script of a copy of the page, and notes what goes wrong and what is saved.
window.faults = [];
window.files = [];
window.names = [];
addEventListener("error", (event) => window.faults.push(String(event.message)));
addEventListener("unhandledrejection", (event) => window.faults.push(String(event.reason)));
addEventListener("securitypolicyviolation", (event) => window.faults.push(`policy: ${event.blockedURI}`));
URL.createObjectURL = (blob) => { window.files.push(blob); return "#saved"; };
HTMLAnchorElement.prototype.click = function () { window.names.push(this.download); };
