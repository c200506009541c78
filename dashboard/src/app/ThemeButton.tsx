// One button, three states: system, light, dark.

import { type Theme, THEMES } from "../state/theme";
import { t } from "../text/en";
import { HalfMoon, Moon, Sun } from "../ui/icons";

const SIGNS = { system: HalfMoon, light: Sun, dark: Moon } as const;

export function ThemeButton({ theme, onChoose }: { theme: Theme; onChoose: (theme: Theme) => void }) {
  const next = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length] ?? "system";
  const Sign = SIGNS[theme];
  const label = t.theme.current(t.theme[theme]);
  return (
    <button type="button" class="sign-button" aria-label={label} title={label} onClick={() => onChoose(next)}>
      <Sign />
    </button>
  );
}
