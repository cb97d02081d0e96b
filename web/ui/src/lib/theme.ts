import { useState } from 'react';
import { local } from './storage';

export type Theme = 'system' | 'light' | 'dark';

const NEXT: Record<Theme, Theme> = { system: 'light', light: 'dark', dark: 'system' };

/** The chosen theme and the step to the next one. `public/theme.js` applies it before the first paint. */
export function useTheme(): [Theme, () => void] {
  const [theme, setTheme] = useState<Theme>(saved);
  const cycle = (): void => {
    const next = NEXT[theme];
    local.set('theme', next === 'system' ? null : next);
    if (next === 'system') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = next;
    setTheme(next);
  };
  return [theme, cycle];
}

function saved(): Theme {
  const theme = local.get('theme');
  return theme === 'light' || theme === 'dark' ? theme : 'system';
}
