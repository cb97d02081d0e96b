// @vitest-environment happy-dom
import { expect, it } from 'vitest';
import { shortcutOf } from './useShortcuts';

function press(key: string, more: KeyboardEventInit = {}, target: Element = document.body) {
  const event = new KeyboardEvent('keydown', { key, bubbles: true, ...more });
  let action: ReturnType<typeof shortcutOf> = null;
  document.addEventListener('keydown', (heard) => (action = shortcutOf(heard)), { once: true });
  target.dispatchEvent(event);
  return action;
}

it('goes to the message field with / and with Ctrl+K or ⌘K', () => {
  expect(press('/')).toBe('focusInput');
  expect(press('k', { ctrlKey: true })).toBe('focusInput');
  expect(press('K', { metaKey: true })).toBe('focusInput');
  expect(press('k')).toBeNull();
});

it('leaves a slash that is typed into a field alone', () => {
  const field = document.body.appendChild(document.createElement('textarea'));
  expect(press('/', {}, field)).toBeNull();
  expect(press('k', { ctrlKey: true }, field)).toBe('focusInput');
});

it('stops with Escape, but not the one that ends an input method', () => {
  expect(press('Escape')).toBe('stop');
  expect(press('Escape', { isComposing: true })).toBeNull();
});
