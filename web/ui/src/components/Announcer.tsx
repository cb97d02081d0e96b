import type { UIMessage } from 'ai';
import { useEffect, useState } from 'react';
import { textOf } from '../chat/parts';

/** Milliseconds after which the words are taken away again; nobody should find them when reading the page. */
const SAID_MS = 5_000;

/**
 * Reads each finished answer to screen readers, once and whole.
 *
 * The growing message itself is no live region: it would be read again with every word.
 */
export function Announcer({ busy, messages }: { busy: boolean; messages: UIMessage[] }) {
  const [was, setWas] = useState(busy);
  const [said, setSaid] = useState('');
  if (was !== busy) {
    setWas(busy);
    const last = messages.at(-1);
    setSaid(!busy && last?.role === 'assistant' ? textOf(last) : '');
  }
  useEffect(() => {
    if (said === '') return;
    const timer = setTimeout(() => {
      setSaid('');
    }, SAID_MS);
    return () => {
      clearTimeout(timer);
    };
  }, [said]);
  return (
    <div className="sr-only" aria-live="polite" data-testid="announcer">
      {said}
    </div>
  );
}
