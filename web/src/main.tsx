import { render } from "preact";
import { App } from "./app";
import { report } from "./state/notices";

/* Nothing should get here; what does is shown instead of being lost. */
addEventListener("unhandledrejection", (e) => {
  e.preventDefault();
  report(e.reason);
});

const root = document.getElementById("app");
if (root) render(<App />, root);
