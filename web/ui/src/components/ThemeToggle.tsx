import { Monitor, Moon, Sun } from 'lucide-react';
import { useTheme } from '../lib/theme';

const ICONS = { system: Monitor, light: Sun, dark: Moon };

/** Steps through the system's theme, light and dark. */
export function ThemeToggle() {
  const [theme, cycle] = useTheme();
  const Icon = ICONS[theme];
  return (
    <button
      type="button"
      className="icon-button"
      aria-label={`Theme: ${theme}`}
      title={`Theme: ${theme}`}
      data-testid="theme"
      onClick={cycle}
    >
      <Icon aria-hidden />
    </button>
  );
}
