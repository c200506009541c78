import { render } from "preact";
import { App } from "./app/App";
import "./styles/base.css";
import "./styles/page.css";
import "./styles/controls.css";
import "./styles/overview.css";
import "./styles/tables.css";
import "./styles/states.css";
import "./styles/traffic.css";

const root = document.getElementById("app");
if (root) render(<App />, root);
