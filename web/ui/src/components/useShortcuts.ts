import { useEffect, useRef } from 'react';

export interface Shortcuts {
  focusInput: () => void;
  stop: () => void;
}

/** Keys of the whole page: `/` and Ctrl+K (⌘K) go to the message field, Escape stops. */
export function useShortcuts(shortcuts: Shortcuts): void {
  const latest = useRef(shortcuts);
  useEffect(() => {
    latest.current = shortcuts;
  });
  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent): void => {
      const action = shortcutOf(event);
      if (action === null) return;
      event.preventDefault();
      latest.current[action]();
    };
    window.addEventListener('keydown', onKeyDown);
    return () => {
      window.removeEventListener('keydown', onKeyDown);
    };
  }, []);
}

type Keys = Pick<
  KeyboardEvent,
  'key' | 'ctrlKey' | 'metaKey' | 'altKey' | 'defaultPrevented' | 'isComposing' | 'target'
>;

/** What a key press means, if anything. A `/` that is being typed somewhere is a slash. */
export function shortcutOf(event: Keys): keyof Shortcuts | null {
  if (event.defaultPrevented || event.isComposing || event.altKey) return null;
  const held = event.ctrlKey || event.metaKey;
  if (held) return event.key.toLowerCase() === 'k' ? 'focusInput' : null;
  if (event.key === 'Escape') return 'stop';
  return event.key === '/' && !isField(event.target) ? 'focusInput' : null;
}

function isField(target: EventTarget | null): boolean {
  return target instanceof Element && target.closest('input, textarea, select, [contenteditable]') !== null;
}
