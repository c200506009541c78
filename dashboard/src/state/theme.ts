// The theme: the system's, or the reader's choice, kept in this browser.
// public/theme.js applies it before the first paint.

import { useEffect, useState } from "preact/hooks";

export const THEMES = ["system", "light", "dark"] as const;
export type Theme = (typeof THEMES)[number];

const KEY = "eider.theme";
const systemDark = () => matchMedia("(prefers-color-scheme: dark)");

function read(): Theme {
  try {
    const kept = localStorage.getItem(KEY);
    return THEMES.find((theme) => theme === kept) ?? "system";
  } catch {
    return "system";
  }
}

function keep(theme: Theme): void {
  try {
    if (theme === "system") localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, theme);
  } catch {
    // Storage may be forbidden: the choice then lasts as long as the page.
  }
}

/** useTheme also returns whether the page is dark now: the canvas needs to know. */
export function useTheme(): { theme: Theme; dark: boolean; choose: (theme: Theme) => void } {
  const [theme, setTheme] = useState(read);
  const [system, setSystem] = useState(() => systemDark().matches);
  useEffect(() => {
    const query = systemDark();
    const onChange = () => setSystem(query.matches);
    query.addEventListener("change", onChange);
    return () => query.removeEventListener("change", onChange);
  }, []);
  const dark = theme === "dark" || (theme === "system" && system);
  document.documentElement.dataset["theme"] = dark ? "dark" : "light";
  const choose = (next: Theme) => {
    keep(next);
    setTheme(next);
  };
  return { theme, dark, choose };
}
