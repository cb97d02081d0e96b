import { useSyncExternalStore } from 'react';

/** The chat that the address names: `#/chat/<id>`, else `?chat=<id>`, else none (a new chat). */
export function chatIdOf(url: URL): string | null {
  const match = /^#\/chat\/([^/?#]+)$/.exec(url.hash);
  if (match?.[1] !== undefined) return decode(match[1]);
  const asked = url.hash === '' ? url.searchParams.get('chat') : null;
  return asked === '' ? null : asked;
}

/** The address of a chat, relative to the page; without an id the address of a new chat. */
export function chatHref(chatId: string | null): string {
  return chatId === null ? '#/' : `#/chat/${encodeURIComponent(chatId)}`;
}

export function navigate(chatId: string | null): void {
  window.location.hash = chatHref(chatId);
}

/** The chat id in the address bar; renders again when it changes. */
export function useChatId(): string | null {
  return useSyncExternalStore(onHashChange, () => chatIdOf(new URL(window.location.href)));
}

function onHashChange(listener: () => void): () => void {
  window.addEventListener('hashchange', listener);
  return () => {
    window.removeEventListener('hashchange', listener);
  };
}

function decode(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null; // a broken escape, typed by hand: as good as no chat
  }
}
